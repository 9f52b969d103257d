package ossfake

import (
	"bytes"
	"crypto/md5" //nolint:gosec // The ETag of a normal object is its MD5 by definition.
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc64"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Folders of the store, below the one it was given. A bucket's name cannot start with a dot.
const (
	reservedDir = ".oss"
	metaDir     = reservedDir + "/meta"
	escapedDir  = reservedDir + "/objects"
	tempDir     = reservedDir + "/tmp"
	uploadDir   = reservedDir + "/uploads"
	versionsDir = reservedDir + "/versions"
	bucketDir   = reservedDir + "/buckets"
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// errNotFound: there is no object of that key.
var errNotFound = errors.New("ossfake: no such object")

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
	mu       sync.RWMutex
	escaped  map[string]map[string]struct{}
	sequence int64
	// versioning returns the state of a bucket's versioning.
	versioning func(bucket string) string
}

func openStore(dir string, log *slog.Logger, now func() time.Time, versioning func(bucket string) string) (*store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("ossfake: cannot make the folder for objects: %w; choose another one", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("ossfake: cannot open the folder for objects: %w", err)
	}
	st := &store{root: root, log: log, now: now, escaped: map[string]map[string]struct{}{}, versioning: versioning}
	if err := st.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("ossfake: the folder %s cannot be written: %w; change its permissions or choose another one", dir, err), root.Close())
	}
	return st, nil
}

// prepare makes the reserved folders, removes what an interrupted write left and loads the list of escaped keys.
func (st *store) prepare() error {
	if err := st.root.RemoveAll(tempDir); err != nil {
		return err
	}
	for _, d := range []string{metaDir, escapedDir, tempDir, uploadDir, versionsDir, bucketDir} {
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
				st.log.Warn("an object without metadata is ignored", "bucket", b.Name(), "error", withoutPath(err))
				continue
			}
			st.setEscaped(b.Name(), m.Key, true)
		}
	}
	return nil
}

// time is the time of a change as the service keeps it, in whole seconds.
func (st *store) time() time.Time { return st.now().UTC().Truncate(time.Second) }

func (st *store) close() error { return st.root.Close() }

// withoutPath strips the path, which may hold a person's data in an object key, from a file system error.
func withoutPath(err error) string {
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
	m, err := st.adopt(bucket, p, key)
	if err != nil {
		return "", metadata{}, err
	}
	m.ReportedSize = known.Size
	if known.Unreported {
		m.ReportedSize = known.ReportedSize
	}
	return p, m, st.writeSidecar(sidecar, m)
}

// isAbsent reports whether an error means that nothing is there, be it that a folder on the way is a file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// stat returns an object's metadata, or errNotFound.
func (st *store) stat(bucket, key string) (metadata, error) {
	l := st.lock(bucket, key)
	l.RLock()
	defer l.RUnlock()
	_, m, err := st.locate(bucket, key)
	return m, err
}

// version returns a version's metadata, the current one's if id is empty.
func (st *store) version(bucket, key, id string) (metadata, error) {
	l := st.lock(bucket, key)
	l.RLock()
	defer l.RUnlock()
	_, m, err := st.find(bucket, key, id)
	return st.named(bucket, m), err
}

// named gives what was written before versioning was enabled the name that it has since.
func (st *store) named(bucket string, m metadata) metadata {
	if st.versioning(bucket) != "" {
		m.VersionID = m.versionID()
	}
	return m
}

// update changes the metadata of a version, of the current one if id is empty.
func (st *store) update(bucket, key, id string, change func(*metadata) error) (metadata, error) {
	l := st.lock(bucket, key)
	l.Lock()
	defer l.Unlock()
	p, m, err := st.find(bucket, key, id)
	if err != nil {
		return metadata{}, err
	}
	if err := change(&m); err != nil {
		return metadata{}, err
	}
	if p == versionPath(bucket, m) {
		return m, st.writeSidecar(p+".json", m)
	}
	return m, st.writeSidecar(sidecarPath(bucket, key), m)
}

// open returns a version's metadata and its bytes as they are at this moment, whatever is written later; an empty id means the
// current version. The caller closes the file.
func (st *store) open(bucket, key, id string) (metadata, *os.File, error) {
	l := st.lock(bucket, key)
	l.RLock()
	defer l.RUnlock()
	p, m, err := st.find(bucket, key, id)
	if err != nil {
		return metadata{}, nil, err
	}
	f, err := st.root.Open(p)
	return st.named(bucket, m), f, err
}

// commit makes a staged body the object, if permit agrees to what is there (nil = nothing). It returns the metadata before and
// after. The staged file is gone afterwards in any case.
func (st *store) commit(bucket, key string, s *staged, m metadata, permit func(existing *metadata) error) (old *metadata, now metadata, err error) {
	defer st.discard(s.path)
	l := st.lock(bucket, key)
	l.Lock()
	defer l.Unlock()
	p, existing, err := st.locate(bucket, key)
	if err == nil {
		old = &existing
	} else if !errors.Is(err, errNotFound) {
		return nil, metadata{}, err
	}
	if permit != nil {
		if err := permit(old); err != nil {
			return nil, metadata{}, err
		}
	}
	if m.VersionID, err = st.makeRoom(bucket, key, p, old); err != nil {
		return nil, metadata{}, err
	}
	now, err = st.place(bucket, key, s, m)
	return old, now, err
}

// place moves a staged body and its metadata into place. The caller holds the key's lock. The metadata goes first, under
// another name, so that whenever the process ends file and metadata can be matched again.
func (st *store) place(bucket, key string, s *staged, m metadata) (metadata, error) {
	m.Key, m.Size, m.FileTime = key, s.size, s.fileTime
	m.Unreported, m.ReportedSize = false, 0
	m.LastModified, m.Sequence = st.time(), st.nextSequence()
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

// isTreeConflict reports whether a path cannot be a file because OSS keys allow what folders do not: "a" and "a/b" side by
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
	return fmt.Sprintf("ossfake: the object is %d bytes long", e.next)
}

// errNotAppendable: an append to an object that was not created by an append.
var errNotAppendable = errors.New("ossfake: the object is not appendable")

// append adds a staged chunk to an object if the object is exactly position bytes long, or creates it at position 0. Of
// several callers with the same position one succeeds. The metadata counts only for a new object, but for an ACL. permit may refuse to change the
// object that is there.
func (st *store) append(bucket, key string, position int64, chunk *staged, m metadata, permit func(*metadata) error) (metadata, error) {
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
		if m.VersionID, err = st.makeRoom(bucket, key, "", nil); err != nil {
			return metadata{}, err
		}
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
	if err := permit(&old); err != nil {
		return metadata{}, err
	}
	whole, err := st.join(p, chunk.path)
	if err != nil {
		return metadata{}, err
	}
	defer st.discard(whole.path)
	old.CRC64 = whole.crc
	if m.ACL != "" {
		old.ACL = m.ACL
	}
	old.ETag = appendETag(old.ETag, chunk)
	return st.place(bucket, key, whole, old)
}

// appendETag makes the ETag of an appended object: it changes with the content, is not its MD5, and ends in zeros as the
// service's do (https://help.aliyun.com/en/oss/user-guide/0026-00000016).
func appendETag(previous string, chunk *staged) string {
	sum := md5.Sum(append([]byte(previous), chunk.md5[:]...))
	return strings.ToUpper(hex.EncodeToString(sum[:12])) + "00000000"
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

// contentOf returns the bytes of an object, at most limit of them.
func contentOf(f *os.File, limit int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := io.Copy(&b, io.LimitReader(f, limit))
	return b.Bytes(), err
}
