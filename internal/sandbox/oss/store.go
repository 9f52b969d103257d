package oss

import (
	"bytes"
	"crypto/md5" //nolint:gosec // The ETag of a normal object is its MD5 by definition.
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// Folders of the store, below the one it was given. A bucket's name cannot start with a dot.
const (
	reservedDir = ".oss"
	metaDir     = reservedDir + "/meta"
	escapedDir  = reservedDir + "/objects"
	tempDir     = reservedDir + "/tmp"
	uploadDir   = reservedDir + "/uploads"
)

const (
	typeNormal     = "Normal"
	typeAppendable = "Appendable"
	typeMultipart  = "Multipart"
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// errNotFound: there is no object of that key.
var errNotFound = errors.New("oss: no such object")

// metadata is what OSS knows about an object besides its bytes. It is kept in a sidecar file.
type metadata struct {
	Key string `json:"key"`
	// Size and FileTime are those of the file when the sidecar was written. If the file has others now, somebody
	// changed it in the folder and the sidecar is worth nothing.
	Size         int64             `json:"size"`
	FileTime     int64             `json:"fileTime"`
	LastModified time.Time         `json:"lastModified"`
	ETag         string            `json:"etag"`
	CRC64        uint64            `json:"crc64,string"`
	Type         string            `json:"type"`
	ContentType  string            `json:"contentType"`
	Header       map[string]string `json:"header,omitempty"`
	User         map[string]string `json:"user,omitempty"`
	// Unreported is set on a file found in the folder for which no event was sent yet. ReportedSize is then the size of
	// the object that it replaced.
	Unreported   bool  `json:"unreported,omitempty"`
	ReportedSize int64 `json:"reportedSize,omitempty"`
}

// store keeps objects as files. Every access goes through an os.Root, so no key and no symbolic link leads out of the
// folder.
type store struct {
	root *os.Root
	log  *slog.Logger
	now  func() time.Time
	// locks serialise the writers of one key; a key always falls on the same one.
	locks [256]sync.RWMutex
	// tree is held for reading while a file moves into a folder that was just made, and for writing while empty folders
	// are removed, so that a folder never vanishes under a file on its way in.
	tree sync.RWMutex
	// escaped lists the keys that are stored under another name, by bucket.
	mu      sync.RWMutex
	escaped map[string]map[string]struct{}
}

func openStore(dir string, log *slog.Logger, now func() time.Time) (*store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("oss: cannot make the folder for objects: %w; choose another one", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("oss: cannot open the folder for objects: %w", err)
	}
	st := &store{root: root, log: log, now: now, escaped: map[string]map[string]struct{}{}}
	if err := st.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("oss: the folder %s cannot be written: %w; change its permissions or choose another one", dir, err), root.Close())
	}
	return st, nil
}

// prepare makes the reserved folders, removes what an interrupted write left and loads the list of escaped keys.
func (st *store) prepare() error {
	if err := st.root.RemoveAll(tempDir); err != nil {
		return err
	}
	for _, d := range []string{metaDir, escapedDir, tempDir, uploadDir} {
		if err := st.root.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	probe, err := st.temp()
	if err != nil {
		return err
	}
	if err := errors.Join(probe.Close(), st.root.Remove(tempDir+"/"+filepath.Base(probe.Name()))); err != nil {
		return err
	}
	buckets, err := st.readDir(escapedDir)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		files, err := st.readDir(escapedDir + "/" + b.Name())
		if err != nil {
			return err
		}
		for _, f := range files {
			m, err := st.readSidecar(sidecarPathOf(b.Name(), f.Name()))
			if errors.Is(err, fs.ErrNotExist) {
				// The write was interrupted between its two renames.
				m, err = st.readSidecar(sidecarPathOf(b.Name(), f.Name()) + pendingSuffix)
			}
			if err != nil {
				st.log.Warn("an object without metadata is ignored", "bucket", b.Name(), "error", plain(err))
				continue
			}
			st.setEscaped(b.Name(), m.Key, true)
		}
	}
	return nil
}

func (st *store) close() error { return st.root.Close() }

// plain strips the path, which may hold a person's data in an object key, from a file system error.
func plain(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Op + ": " + pe.Err.Error()
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Op + ": " + le.Err.Error()
	}
	return err.Error()
}

func (st *store) lock(bucket, key string) *sync.RWMutex {
	h := fnv.New32a()
	// A hash never fails to write.
	_, _ = io.WriteString(h, bucket+"/"+key)
	return &st.locks[h.Sum32()%uint32(len(st.locks))]
}

func (st *store) setEscaped(bucket, key string, on bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !on {
		delete(st.escaped[bucket], key)
		return
	}
	if st.escaped[bucket] == nil {
		st.escaped[bucket] = map[string]struct{}{}
	}
	st.escaped[bucket][key] = struct{}{}
}

func (st *store) isEscaped(bucket, key string) bool {
	st.mu.RLock()
	defer st.mu.RUnlock()
	_, ok := st.escaped[bucket][key]
	return ok
}

// escapedKeys returns the escaped keys of a bucket that start with prefix, in order.
func (st *store) escapedKeys(bucket, prefix string) []string {
	st.mu.RLock()
	defer st.mu.RUnlock()
	var keys []string
	for k := range st.escaped[bucket] {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// isPlainKey tells whether a key can be a path in the bucket's folder on every usual file system.
func isPlainKey(key string) bool {
	if key == "" || !utf8.ValidString(key) {
		return false
	}
	for i := range len(key) {
		if c := key[i]; c < 0x20 || c == 0x7f || c == '\\' {
			return false
		}
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." || len(segment) > 255 {
			return false
		}
	}
	// Windows reserves names such as NUL; filepath knows them there.
	return filepath.IsLocal(filepath.FromSlash(key))
}

// isUnfinished tells whether a file without a sidecar is no object: hidden, or a download that is still under way.
func isUnfinished(key string) bool {
	for segment := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(segment, ".") {
			return true
		}
	}
	if strings.HasSuffix(key, "~") {
		return true
	}
	switch strings.ToLower(path.Ext(key)) {
	case ".part", ".partial", ".crdownload", ".tmp", ".swp":
		return true
	}
	return false
}

func keyHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

const pendingSuffix = ".new"

func sidecarPath(bucket, key string) string { return sidecarPathOf(bucket, keyHash(key)) }

func sidecarPathOf(bucket, hash string) string {
	if len(hash) < 2 {
		hash = "00" + hash
	}
	return metaDir + "/" + bucket + "/" + hash[:2] + "/" + hash + ".json"
}

func escapedPath(bucket, key string) string { return escapedDir + "/" + bucket + "/" + keyHash(key) }

// temp makes a new file in the folder for files on their way.
func (st *store) temp() (*os.File, error) {
	return st.root.OpenFile(tempDir+"/"+rand.Text(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
}

func tempPath(f *os.File) string { return tempDir + "/" + filepath.Base(f.Name()) }

func (st *store) discard(p string) {
	if err := st.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		st.log.Warn("a temporary file could not be removed", "error", plain(err))
	}
}

// staged is a body that has arrived completely and waits in a temporary file.
type staged struct {
	path     string
	size     int64
	fileTime int64
	md5      [md5.Size]byte
	crc      uint64
}

// bodyError marks an error of the sender, as opposed to one of the disk.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "oss: reading the body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

type bodyReader struct{ r io.Reader }

func (b bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = &bodyError{err}
	}
	return n, err
}

// stage writes a body to a temporary file. The caller passes it on to commit or discards it.
func (st *store) stage(body io.Reader) (*staged, error) {
	f, err := st.temp()
	if err != nil {
		return nil, err
	}
	sum, crc := md5.New(), crc64.New(crcTable)
	s := &staged{path: tempPath(f)}
	s.size, err = io.Copy(io.MultiWriter(f, sum, crc), bodyReader{body})
	if err == nil {
		s.fileTime, err = fileTime(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		st.discard(s.path)
		return nil, err
	}
	sum.Sum(s.md5[:0])
	s.crc = crc.Sum64()
	return s, nil
}

func fileTime(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.ModTime().UnixNano(), nil
}

func (s *staged) etag() string { return strings.ToUpper(hex.EncodeToString(s.md5[:])) }

func (st *store) readSidecar(p string) (metadata, error) {
	data, err := st.root.ReadFile(p)
	if err != nil {
		return metadata{}, err
	}
	var m metadata
	if err := json.Unmarshal(data, &m); err != nil {
		return metadata{}, fmt.Errorf("oss: damaged metadata: %w", err)
	}
	return m, nil
}

// writeSidecar writes metadata to p at once.
func (st *store) writeSidecar(p string, m metadata) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := st.temp()
	if err != nil {
		return err
	}
	tmp := tempPath(f)
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		if err = st.root.MkdirAll(path.Dir(p), 0o755); err == nil {
			err = st.root.Rename(tmp, p)
		}
	}
	if err != nil {
		st.discard(tmp)
	}
	return err
}

// locate finds an object's file and metadata. The caller holds the key's lock.
func (st *store) locate(bucket, key string) (string, metadata, error) {
	var p string
	switch {
	case st.isEscaped(bucket, key):
		p = escapedPath(bucket, key)
	case isPlainKey(key):
		p = bucket + "/" + key
	default:
		return "", metadata{}, errNotFound
	}
	// A symbolic link is no object: it may lead out of the folder, where the store does not go.
	info, err := st.root.Lstat(p)
	if err != nil {
		if isAbsent(err) {
			return "", metadata{}, errNotFound
		}
		return "", metadata{}, err
	}
	if !info.Mode().IsRegular() {
		return "", metadata{}, errNotFound
	}
	sidecar := sidecarPath(bucket, key)
	known, err := st.readSidecar(sidecar)
	if err == nil && known.fits(key, info) {
		return p, known, nil
	}
	if m, err := st.readSidecar(sidecar + pendingSuffix); err == nil && m.fits(key, info) {
		// The process ended between moving the file and its metadata into place.
		return p, m, st.root.Rename(sidecar+pendingSuffix, sidecar)
	}
	if isUnfinished(key) {
		return "", metadata{}, errNotFound
	}
	m, err := st.adopt(p, key)
	if err != nil {
		return "", metadata{}, err
	}
	m.ReportedSize = known.Size
	if known.Unreported {
		m.ReportedSize = known.ReportedSize
	}
	return p, m, st.writeSidecar(sidecar, m)
}

// fits tells whether the metadata was made for the file as it is.
func (m metadata) fits(key string, info fs.FileInfo) bool {
	return m.Key == key && m.Size == info.Size() && m.FileTime == info.ModTime().UnixNano()
}

// isAbsent tells whether an error means that nothing is there, be it that a folder on the way is a file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// adopt makes metadata for a file that was put into the folder by hand.
func (st *store) adopt(p, key string) (metadata, error) {
	f, err := st.root.Open(p)
	if err != nil {
		return metadata{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return metadata{}, err
	}
	sum, crc := md5.New(), crc64.New(crcTable)
	n, err := io.Copy(io.MultiWriter(sum, crc), f)
	if err != nil {
		return metadata{}, err
	}
	return metadata{
		Key: key, Size: n, FileTime: info.ModTime().UnixNano(), LastModified: info.ModTime().UTC(),
		ETag: strings.ToUpper(hex.EncodeToString(sum.Sum(nil))), CRC64: crc.Sum64(), Type: typeNormal,
		ContentType: contentTypeOf(key), Unreported: true,
	}, nil
}

// contentTypeOf guesses the type of a file copied in, as the console of OSS does for an upload.
func contentTypeOf(key string) string {
	ext := strings.ToLower(path.Ext(key))
	switch ext {
	// Not every system's MIME table has these.
	case ".webp":
		return "image/webp"
	case ".bmp":
		return "image/bmp"
	case ".heic":
		return "image/heic"
	}
	if t := mime.TypeByExtension(ext); t != "" {
		t, _, _ = strings.Cut(t, ";")
		return t
	}
	return "application/octet-stream"
}

// stat returns an object's metadata, or errNotFound.
func (st *store) stat(bucket, key string) (metadata, error) {
	l := st.lock(bucket, key)
	l.RLock()
	defer l.RUnlock()
	_, m, err := st.locate(bucket, key)
	return m, err
}

// open returns an object's metadata and its bytes as they are at this moment, whatever is written later. The caller
// closes the file.
func (st *store) open(bucket, key string) (metadata, *os.File, error) {
	l := st.lock(bucket, key)
	l.RLock()
	defer l.RUnlock()
	p, m, err := st.locate(bucket, key)
	if err != nil {
		return metadata{}, nil, err
	}
	f, err := st.root.Open(p)
	return m, f, err
}

// commit makes a staged body the object, if permit agrees to what is there (nil = nothing). It returns the metadata before and
// after. The staged file is gone afterwards in any case.
func (st *store) commit(bucket, key string, s *staged, m metadata, permit func(existing *metadata) error) (old *metadata, now metadata, err error) {
	defer st.discard(s.path)
	l := st.lock(bucket, key)
	l.Lock()
	defer l.Unlock()
	if _, existing, err := st.locate(bucket, key); err == nil {
		old = &existing
	} else if !errors.Is(err, errNotFound) {
		return nil, metadata{}, err
	}
	if permit != nil {
		if err := permit(old); err != nil {
			return nil, metadata{}, err
		}
	}
	now, err = st.place(bucket, key, s, m)
	return old, now, err
}

// place moves a staged body and its metadata into place. The caller holds the key's lock. The metadata goes first, under
// another name, so that whenever the process ends file and metadata can be matched again.
func (st *store) place(bucket, key string, s *staged, m metadata) (metadata, error) {
	m.Key, m.Size, m.FileTime = key, s.size, s.fileTime
	m.Unreported, m.ReportedSize = false, 0
	m.LastModified = st.now().UTC()
	sidecar := sidecarPath(bucket, key)
	if err := st.writeSidecar(sidecar+pendingSuffix, m); err != nil {
		return metadata{}, err
	}
	if err := st.moveIn(bucket, key, s.path); err != nil {
		st.discard(sidecar + pendingSuffix)
		return metadata{}, err
	}
	return m, st.root.Rename(sidecar+pendingSuffix, sidecar)
}

func (st *store) moveIn(bucket, key, from string) error {
	if !st.isEscaped(bucket, key) && isPlainKey(key) {
		err := st.rename(from, bucket+"/"+key)
		if err == nil || !isTreeConflict(err) {
			return err
		}
	}
	if err := st.rename(from, escapedPath(bucket, key)); err != nil {
		return err
	}
	st.setEscaped(bucket, key, true)
	return nil
}

// isTreeConflict tells whether a path cannot be a file because OSS keys allow what folders do not: "a" and "a/b" side by
// side.
func isTreeConflict(err error) bool {
	for _, e := range []error{syscall.ENOTDIR, syscall.EISDIR, syscall.EEXIST, syscall.ENOTEMPTY, syscall.ENAMETOOLONG} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (st *store) rename(from, to string) error {
	st.tree.RLock()
	defer st.tree.RUnlock()
	if err := st.root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	return st.root.Rename(from, to)
}

// positionError: an append at another position than the object's length.
type positionError struct{ next int64 }

func (e *positionError) Error() string {
	return fmt.Sprintf("oss: the object is %d bytes long", e.next)
}

// errNotAppendable: an append to an object that was not created by an append.
var errNotAppendable = errors.New("oss: the object is not appendable")

// append adds a staged chunk to an object if the object is exactly position bytes long, or creates it at position 0. Of
// several callers with the same position one succeeds. The metadata counts only for a new object.
func (st *store) append(bucket, key string, position int64, chunk *staged, m metadata) (metadata, error) {
	defer st.discard(chunk.path)
	l := st.lock(bucket, key)
	l.Lock()
	defer l.Unlock()
	p, old, err := st.locate(bucket, key)
	if errors.Is(err, errNotFound) {
		if position != 0 {
			return metadata{}, &positionError{0}
		}
		m.Type, m.CRC64 = typeAppendable, chunk.crc
		m.ETag = appendETag("", chunk)
		return st.place(bucket, key, chunk, m)
	}
	if err != nil {
		return metadata{}, err
	}
	if old.Type != typeAppendable {
		return metadata{}, errNotAppendable
	}
	if position != old.Size {
		return metadata{}, &positionError{old.Size}
	}
	whole, err := st.join(p, chunk.path)
	if err != nil {
		return metadata{}, err
	}
	defer st.discard(whole.path)
	old.CRC64 = whole.crc
	old.ETag = appendETag(old.ETag, chunk)
	return st.place(bucket, key, whole, old)
}

// appendETag makes the ETag of an appended object: it changes with the content, is not its MD5, and ends in zeros as the
// service's do (https://help.aliyun.com/en/oss/user-guide/0026-00000016).
func appendETag(previous string, chunk *staged) string {
	sum := md5.Sum(append([]byte(previous), chunk.md5[:]...))
	return strings.ToUpper(hex.EncodeToString(sum[:12])) + "00000000"
}

// join stages the files one after another.
func (st *store) join(paths ...string) (*staged, error) {
	var readers []io.Reader
	for _, p := range paths {
		f, err := st.root.Open(p)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		readers = append(readers, f)
	}
	return st.stage(io.MultiReader(readers...))
}

// isReported tells whether a file is an object that an event was sent for, without reading the file.
func (st *store) isReported(bucket, key string) bool {
	l := st.lock(bucket, key)
	l.RLock()
	defer l.RUnlock()
	info, err := st.root.Lstat(bucket + "/" + key)
	if err != nil {
		return false
	}
	m, err := st.readSidecar(sidecarPath(bucket, key))
	return err == nil && m.fits(key, info) && !m.Unreported
}

// markReported notes that an event was sent for an object found in the folder, whether or not it still is there. If it has
// changed since, it stays unreported with the size that was reported.
func (st *store) markReported(bucket string, reported metadata) error {
	l := st.lock(bucket, reported.Key)
	l.Lock()
	defer l.Unlock()
	p := sidecarPath(bucket, reported.Key)
	m, err := st.readSidecar(p)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !m.Unreported {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Size == reported.Size && m.FileTime == reported.FileTime {
		m.Unreported, m.ReportedSize = false, 0
	} else {
		m.ReportedSize = reported.Size
	}
	return st.writeSidecar(p, m)
}

// forget drops the metadata of an object whose file was removed by hand and returns it, or errNotFound if the object is
// there or there is no metadata.
func (st *store) forget(bucket, key string) (metadata, error) {
	l := st.lock(bucket, key)
	l.Lock()
	defer l.Unlock()
	_, _, err := st.locate(bucket, key)
	switch {
	case err == nil:
		return metadata{}, errNotFound
	case !errors.Is(err, errNotFound):
		return metadata{}, err
	}
	m, err := st.readSidecar(sidecarPath(bucket, key))
	if err != nil {
		return metadata{}, errNotFound
	}
	return m, st.dropSidecar(bucket, key)
}

// remove deletes an object and the folders that became empty. It returns errNotFound if there is none.
func (st *store) remove(bucket, key string) (metadata, error) {
	l := st.lock(bucket, key)
	l.Lock()
	defer l.Unlock()
	p, m, err := st.locate(bucket, key)
	if err != nil {
		return metadata{}, err
	}
	if err := st.root.Remove(p); err != nil {
		return metadata{}, err
	}
	if st.isEscaped(bucket, key) {
		st.setEscaped(bucket, key, false)
	} else {
		st.prune(bucket, path.Dir(p))
	}
	return m, st.dropSidecar(bucket, key)
}

func (st *store) dropSidecar(bucket, key string) error {
	if err := st.root.Remove(sidecarPath(bucket, key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// prune removes empty folders from dir up to the bucket.
func (st *store) prune(bucket, dir string) {
	st.tree.Lock()
	defer st.tree.Unlock()
	for ; dir != bucket && dir != "."; dir = path.Dir(dir) {
		// A folder that is not empty cannot be removed, which is the end of it.
		if st.root.Remove(dir) != nil {
			return
		}
	}
}

func (st *store) readDir(dir string) ([]fs.DirEntry, error) {
	f, err := st.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// scan calls visit for the keys of a bucket in order of their bytes, starting with from. visit returns the key to go on
// from, and false to stop. Keys that visit skips over are not looked at, nor are folders without a key of interest.
func (st *store) scan(bucket, prefix, from string, visit func(key string) (next string, more bool)) error {
	s := &scanner{store: st, bucket: bucket, prefix: prefix, from: max(from, prefix), visit: visit, extra: st.escapedKeys(bucket, prefix)}
	// The deepest folder that holds every key with the prefix.
	dir := ""
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		dir = prefix[:i+1]
	}
	if dir == "" || isPlainKey(strings.TrimSuffix(dir, "/")) {
		if err := s.folder(dir); err != nil {
			return err
		}
	}
	for !s.done && len(s.extra) > 0 {
		s.offerExtra()
	}
	return nil
}

type scanner struct {
	store                *store
	bucket, prefix, from string
	visit                func(string) (string, bool)
	extra                []string
	done                 bool
}

func (s *scanner) offer(key string) {
	if s.done || key < s.from {
		return
	}
	next, more := s.visit(key)
	s.from, s.done = max(s.from, next), !more
}

func (s *scanner) offerExtra() {
	key := s.extra[0]
	s.extra = s.extra[1:]
	s.offer(key)
}

// folder visits the files below a folder of the bucket; dir is "" or ends in "/".
func (s *scanner) folder(dir string) error {
	entries, err := s.store.readDir(strings.TrimSuffix(s.bucket+"/"+dir, "/"))
	if err != nil {
		if isAbsent(err) {
			return nil
		}
		return err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			// A folder sorts as the keys in it do.
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if s.done {
			return nil
		}
		key := dir + name
		if strings.HasSuffix(name, "/") {
			inPrefix := strings.HasPrefix(key, s.prefix) || strings.HasPrefix(s.prefix, key)
			passed := key < s.from && !strings.HasPrefix(s.from, key)
			if inPrefix && !passed {
				if err := s.folder(key); err != nil {
					return err
				}
			}
			continue
		}
		if !strings.HasPrefix(key, s.prefix) || key < s.from || !isPlainKey(key) || s.store.isEscaped(s.bucket, key) {
			continue
		}
		for !s.done && len(s.extra) > 0 && s.extra[0] < key {
			s.offerExtra()
		}
		s.offer(key)
	}
	return nil
}

// sidecars calls visit with the metadata of every object of a bucket that has some.
func (st *store) sidecars(bucket string, visit func(metadata)) error {
	groups, err := st.readDir(metaDir + "/" + bucket)
	if err != nil {
		if isAbsent(err) {
			return nil
		}
		return err
	}
	for _, g := range groups {
		dir := metaDir + "/" + bucket + "/" + g.Name()
		files, err := st.readDir(dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			if !strings.HasSuffix(f.Name(), ".json") {
				continue
			}
			m, err := st.readSidecar(dir + "/" + f.Name())
			if err != nil {
				if !isAbsent(err) {
					st.log.Warn("an object's metadata cannot be read", "bucket", bucket, "error", plain(err))
				}
				continue
			}
			visit(m)
		}
	}
	return nil
}

// contentOf returns the bytes of an object, at most limit of them.
func contentOf(f *os.File, limit int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := io.Copy(&b, io.LimitReader(f, limit))
	return b.Bytes(), err
}
