package explorer

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
)

// storage is a model of one OSS bucket: Last-Modified in whole seconds, appends under a condition on the length, PUT by which
// the last one wins, DELETE without a condition. It is used by the scheduler alone, so it has no lock.
type storage struct {
	versioned bool
	objects   map[string]object
	versions  map[string]object // by version ID

	refusesAppends bool // as with a key of the user's, or a retention policy
}

type object struct {
	bucket.Object
	body       []byte
	appendable bool
}

func newStorage(versioned bool) *storage {
	return &storage{versioned: versioned, objects: map[string]object{}, versions: map[string]object{}}
}

func failed(kind error) error { return fmt.Errorf("model: %w", kind) }

func etagOf(body []byte) string {
	sum := md5.Sum(body)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func (s *storage) head(key string) (bucket.Object, error) {
	o, ok := s.objects[key]
	if !ok {
		return bucket.Object{}, failed(bucket.ErrNotFound)
	}
	return o.Object, nil
}

func (s *storage) find(key, versionID string) (object, bool) {
	if versionID != "" {
		o, ok := s.versions[versionID]
		return o, ok
	}
	o, ok := s.objects[key]
	return o, ok
}

// read returns a processed picture without ETag and Last-Modified: OSS documents neither of it.
func (s *storage) read(key string, options bucket.ReadOptions) ([]byte, bucket.Object, error) {
	o, ok := s.find(key, options.VersionID)
	switch {
	case !ok:
		return nil, bucket.Object{}, failed(bucket.ErrNotFound)
	case int64(len(o.body)) > options.Limit:
		return nil, bucket.Object{}, failed(bucket.ErrTooLarge)
	case options.Process != "":
		return o.body, bucket.Object{Size: o.Size, VersionID: o.VersionID}, nil
	}
	return o.body, o.Object, nil
}

var crcTable = crc64.MakeTable(crc64.ECMA)

func (s *storage) append(key string, position int64, data []byte) (bucket.Appended, error) {
	o, exists := s.objects[key]
	switch {
	case s.refusesAppends:
		return bucket.Appended{}, failed(bucket.ErrInvalid)
	case exists && !o.appendable:
		return bucket.Appended{}, failed(bucket.ErrNotAppendable)
	case int64(len(o.body)) != position || (exists && position == 0):
		return bucket.Appended{}, failed(bucket.ErrPositionMismatch)
	}
	body := append(bytes.Clone(o.body), data...)
	s.objects[key] = object{body: body, appendable: true, Object: bucket.Object{ETag: etagOf(body), Size: int64(len(body)), LastModified: wholeSecond()}}
	return bucket.Appended{Length: int64(len(body)), CRC64: crc64.Checksum(body, crcTable), HasCRC: true}, nil
}

func (s *storage) put(key string, body []byte, options bucket.PutOptions) error {
	if _, exists := s.objects[key]; exists && options.IfAbsent {
		return failed(bucket.ErrExists)
	}
	o := object{body: body, Object: bucket.Object{ETag: etagOf(body), Size: int64(len(body)), LastModified: wholeSecond(), Meta: options.Meta}}
	if s.versioned {
		o.VersionID = fmt.Sprint("v", len(s.versions)+1)
		s.versions[o.VersionID] = o
	}
	s.objects[key] = o
	return nil
}

func (s *storage) delete(key string) { delete(s.objects, key) }

func wholeSecond() time.Time { return time.Now().UTC().Truncate(time.Second) }
