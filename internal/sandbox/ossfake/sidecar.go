package ossfake

import (
	"crypto/md5" //nolint:gosec // The ETag of a normal object is its MD5 by definition.
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"mime"
	"path"
	"strings"
	"time"
)

const (
	typeNormal     = "Normal"
	typeAppendable = "Appendable"
	typeMultipart  = "Multipart"
)

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
	StorageClass string            `json:"storageClass,omitempty"`
	Restore      *restoration      `json:"restore,omitempty"`
	Encryption   *Encryption       `json:"encryption,omitempty"`
	ACL          string            `json:"acl,omitempty"` // empty: the bucket's
	Tags         []tag             `json:"tags,omitempty"`
	// ContentMD5 is that of a multipart object, if it is known.
	ContentMD5 string `json:"contentMd5,omitempty"`
	// VersionID is empty for what was written before versioning was ever enabled.
	VersionID string `json:"versionId,omitempty"`
	// Sequence orders the versions of a key.
	Sequence     int64 `json:"sequence,omitempty"`
	DeleteMarker bool  `json:"deleteMarker,omitempty"`
	// Unreported is set on a file found in the folder for which no event was sent yet. ReportedSize is then the size of
	// the object that it replaced.
	Unreported   bool  `json:"unreported,omitempty"`
	ReportedSize int64 `json:"reportedSize,omitempty"`
}

// fits reports whether the metadata was made for the file as it is.
func (m metadata) fits(key string, info fs.FileInfo) bool {
	return m.Key == key && m.Size == info.Size() && m.FileTime == info.ModTime().UnixNano()
}

const pendingSuffix = ".new"

func sidecarPath(bucket, key string) string { return sidecarPathOf(bucket, keyHash(key)) }

func sidecarPathOf(bucket, hash string) string {
	if len(hash) < 2 {
		hash = "00" + hash
	}
	return metaDir + "/" + bucket + "/" + hash[:2] + "/" + hash + ".json"
}

func (st *store) readSidecar(p string) (metadata, error) {
	data, err := st.root.ReadFile(p)
	if err != nil {
		return metadata{}, err
	}
	m := metadata{StorageClass: classStandard}
	if err := json.Unmarshal(data, &m); err != nil {
		return metadata{}, fmt.Errorf("ossfake: damaged metadata: %w", err)
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

// adopt makes metadata for a file that was put into the folder by hand.
func (st *store) adopt(bucket, p, key string) (metadata, error) {
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
	m := metadata{
		Key: key, Size: n, FileTime: info.ModTime().UnixNano(), LastModified: info.ModTime().UTC().Truncate(time.Second),
		ETag: strings.ToUpper(hex.EncodeToString(sum.Sum(nil))), CRC64: crc.Sum64(), Type: typeNormal,
		ContentType: contentTypeOf(key), Unreported: true, StorageClass: classStandard, Sequence: st.nextSequence(),
	}
	if st.versioning(bucket) == versioningEnabled {
		m.VersionID = newVersionID()
	}
	return m, nil
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

// isReported reports whether a file is an object that an event was sent for, without reading the file.
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

func (st *store) dropSidecar(bucket, key string) error {
	if err := st.root.Remove(sidecarPath(bucket, key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
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
					st.log.Warn("an object's metadata cannot be read", "bucket", bucket, "error", withoutPath(err))
				}
				continue
			}
			visit(m)
		}
	}
	return nil
}
