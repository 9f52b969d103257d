package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"
)

// Bucket is one bucket, used with the credentials of one invocation. Its methods retry what can pass (see Retryable) three
// times within the context's deadline, and return an *Error. It is safe for concurrent use.
type Bucket struct {
	name         string
	data, public *oss.Bucket
	unsummed     *oss.Bucket // data, for reads: the SDK sums up what it reads, and compares the sum only when it writes a file
	region       string      // that requests are signed for
	endpoint     string      // host that they are sent to
	config       Config
	log          *slog.Logger
}

// Object is what OSS says of an object beside its bytes.
type Object struct {
	ETag         string    // upper case, without quotes; empty if OSS named none
	Size         int64     // bytes
	LastModified time.Time // whole seconds
	VersionID    string    // empty if the bucket never had versioning
	StorageClass string    // such as Standard or Archive
	Restore      string    // x-oss-restore: how far the restoration of an archived object is
	ContentType  string
	Meta         map[string]string // x-oss-meta-*, names in lower case without the prefix
}

// Archived reports that the object is in a class that has to be restored before it can be read, and is not restored. An
// Archive object can be readable all the same, where its bucket allows real-time access.
func (o Object) Archived() bool {
	switch o.StorageClass {
	case "Archive", "ColdArchive", "DeepColdArchive":
		return !strings.Contains(o.Restore, `ongoing-request="false"`)
	}
	return false
}

func objectOf(header http.Header) Object {
	o := Object{ETag: ETag(header.Get("ETag")), ContentType: header.Get("Content-Type"), VersionID: header.Get("x-oss-version-id"),
		StorageClass: header.Get("x-oss-storage-class"), Restore: header.Get("x-oss-restore"), Meta: make(map[string]string)}
	if o.VersionID == "null" { // written before versioning was switched on: it can be overwritten in place
		o.VersionID = ""
	}
	o.Size, _ = strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	o.LastModified, _ = http.ParseTime(header.Get("Last-Modified"))
	for name := range header {
		if meta, ok := strings.CutPrefix(strings.ToLower(name), "x-oss-meta-"); ok {
			o.Meta[meta] = header.Get(name)
		}
	}
	return o
}

// Head asks for an object without its bytes (HEAD).
func (b *Bucket) Head(ctx context.Context, key string) (Object, error) {
	var header http.Header
	err := b.withRetry(ctx, "HEAD", requestTimeout, func(ctx context.Context) (err error) {
		header, err = b.data.GetObjectDetailedMeta(key, oss.WithContext(ctx))
		return err
	})
	if err != nil {
		return Object{}, err
	}
	return objectOf(header), nil
}

// ReadOptions say what of an object is read.
type ReadOptions struct {
	Process   string // x-oss-process, such as "image/resize,l_2048/format,jpg"; empty for the object as it is
	VersionID string // empty for the current version
	Limit     int64  // more bytes are ErrTooLarge
	// Buffer returns memory for so many bytes, in which the content is read; nil allocates. It is asked once per attempt.
	Buffer func(size int) []byte
}

// Read returns an object's bytes (GET), which are the caller's, and what OSS says of the object that it read. Of a processed
// picture the size is that of the result. Bytes of an object as it is are compared with the checksum that OSS keeps of it.
func (b *Bucket) Read(ctx context.Context, key string, o ReadOptions) (content []byte, object Object, err error) {
	err = b.withRetry(ctx, "GET", downloadTimeout, func(ctx context.Context) error {
		options := []oss.Option{oss.WithContext(ctx)}
		if o.Process != "" {
			options = append(options, oss.Process(o.Process))
		}
		if o.VersionID != "" {
			options = append(options, oss.VersionId(o.VersionID))
		}
		response, err := b.unsummed.DoGetObject(&oss.GetObjectRequest{ObjectKey: key}, options)
		if err != nil {
			return err
		}
		body, header := response.Response.Body, response.Response.Headers
		defer body.Close()
		object = objectOf(header)
		buffer := bytes.NewBuffer(o.buffer(object.Size))
		if _, err = buffer.ReadFrom(io.LimitReader(body, o.Limit+1)); err != nil {
			return err
		}
		if int64(buffer.Len()) > o.Limit {
			return ErrTooLarge
		}
		content = buffer.Bytes()
		object.Size = int64(len(content))
		if o.Process != "" { // the checksum, if there is one, is the source's
			return nil
		}
		return checkCRC(content, header)
	})
	return content, object, err
}

// buffer returns memory of the right size for an object, if its size is known, so that reading does not allocate again.
func (o ReadOptions) buffer(size int64) []byte {
	if size <= 0 || size > o.Limit {
		size = 0
	}
	need := int(size) + bytes.MinRead
	if o.Buffer != nil {
		return o.Buffer(need)[:0]
	}
	return make([]byte, 0, need)
}

// checkCRC finds bytes that changed on the way, before a call is paid for them.
func checkCRC(content []byte, header http.Header) error {
	want, err := strconv.ParseUint(header.Get(oss.HTTPHeaderOssCRC64), 10, 64)
	if err != nil { // not told
		return nil
	}
	if got := crc64.Checksum(content, crc64.MakeTable(crc64.ECMA)); got != want {
		return oss.CRCCheckError{}
	}
	return nil
}

// SignURL returns a URL (V4, GET only) with which anybody can read the object, processed if process is not empty, for the
// given time or until the invocation's credentials end, whichever is sooner. With a version ID it is of that version whatever
// replaces it. It makes no request. The URL is a secret.
func (b *Bucket) SignURL(key, process, versionID string, life time.Duration) (string, error) {
	var options []oss.Option
	if process != "" {
		options = append(options, oss.Process(process)) // part of the signature: it cannot be added or taken away later
	}
	if versionID != "" {
		options = append(options, oss.VersionId(versionID))
	}
	signed, err := b.public.SignURL(key, oss.HTTPGet, int64(life/time.Second), options...)
	if err != nil {
		return "", &Error{Op: "sign", kind: ErrInvalid, err: fmt.Errorf("the SDK refuses to sign this key")}
	}
	return signed, nil
}

// Appended is what OSS says of an object after an append.
type Appended struct {
	Length int64  // of the whole object, in bytes
	CRC64  uint64 // CRC-64/ECMA of the whole object
	HasCRC bool   // false if the answer came without x-oss-hash-crc64ecma
}

// Append adds data to an appendable object if it is position bytes long now; position 0 creates it if nothing is there. This
// is OSS's one documented compare-and-set, on versioned buckets too; otherwise ErrPositionMismatch. After
// ErrPositionMismatch the append may be the caller's own, whose answer was lost: read and compare. The length alone does not
// say whose object it was: compare CRC64.
func (b *Bucket) Append(ctx context.Context, key string, position int64, data []byte) (a Appended, err error) {
	err = b.withRetry(ctx, "APPEND", requestTimeout, func(ctx context.Context) error {
		var header http.Header
		options := []oss.Option{oss.WithContext(ctx), oss.ContentType("application/x-ndjson"), oss.GetResponseHeader(&header)}
		if position == 0 { // an object gets its properties when it is made
			options = append(append(options, b.newObject()...), tagging(b.config.AppendTags)...)
		}
		request := &oss.AppendObjectRequest{ObjectKey: key, Reader: bytes.NewReader(data), Position: position}
		done, err := b.data.DoAppendObject(request, options)
		if err != nil {
			return err
		}
		a = Appended{Length: done.NextPosition, CRC64: done.CRC, HasCRC: header.Get("x-oss-hash-crc64ecma") != ""}
		if a.Length == 0 {
			a.Length = position + int64(len(data)) // an answer without x-oss-next-append-position
		}
		return nil
	})
	return a, err
}

// PutOptions say how an object is written.
type PutOptions struct {
	ContentType string
	Meta        map[string]string // x-oss-meta-*; values are ASCII
	// IfAbsent makes it an error (ErrExists) if something is there, on versioned buckets too. It may be the caller's own.
	IfAbsent bool
}

// Put stores an object (PUT). With IfAbsent it appends at position 0, which is documented to create only: versioned buckets
// ignore x-oss-forbid-overwrite, and it is documented nowhere as atomic. That header is the second way, for a bucket that does
// not take appends.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, o PutOptions) error {
	if o.IfAbsent {
		err := b.withRetry(ctx, "PUT", requestTimeout, func(ctx context.Context) error {
			_, err := b.data.DoAppendObject(&oss.AppendObjectRequest{ObjectKey: key, Reader: bytes.NewReader(body)}, b.putOptions(ctx, o, true))
			return err
		})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrPositionMismatch) || errors.Is(err, ErrNotAppendable):
			return &Error{Op: "PUT", kind: ErrExists}
		}
	}
	return b.withRetry(ctx, "PUT", requestTimeout, func(ctx context.Context) error {
		options := b.putOptions(ctx, o, false)
		if o.IfAbsent {
			options = append(options, oss.ForbidOverWrite(true))
		}
		return b.data.PutObject(key, bytes.NewReader(body), options...)
	})
}

func (b *Bucket) putOptions(ctx context.Context, o PutOptions, appendable bool) []oss.Option {
	options := append(b.newObject(), oss.WithContext(ctx), oss.ContentType(o.ContentType))
	options = append(options, tagging(b.config.PutTags)...)
	if _, key, ok := strings.Cut(b.config.Encryption, "KMS:"); ok && !appendable {
		options = append(options, oss.ServerSideEncryptionKeyID(key))
	}
	for name, value := range o.Meta {
		options = append(options, oss.Meta(name, value))
	}
	return options
}

// newObject returns the properties of each object that this program makes. Without a storage class of its own an object gets the
// bucket's, and in an Archive bucket could not be read any more; without an ACL of its own it can be as public as the bucket.
func (b *Bucket) newObject() []oss.Option {
	options := []oss.Option{oss.ObjectStorageClass(oss.StorageStandard), oss.ObjectACL(oss.ACLPrivate)}
	if method, _, _ := strings.Cut(b.config.Encryption, ":"); method != "" {
		options = append(options, oss.ServerSideEncryption(method))
	}
	return options
}

func tagging(tags map[string]string) []oss.Option {
	if len(tags) == 0 {
		return nil
	}
	var t oss.Tagging
	for key, value := range tags {
		t.Tags = append(t.Tags, oss.Tag{Key: key, Value: value})
	}
	return []oss.Option{oss.SetTagging(t)}
}

// Delete deletes an object (DELETE). An object that is not there is no error. It makes one attempt: a DELETE has no
// condition, and a second one could remove what somebody else has written meanwhile.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	return b.attempt(ctx, "DELETE", requestTimeout, func(ctx context.Context) error {
		return b.data.DeleteObject(key, oss.WithContext(ctx))
	})
}

// ETag returns an ETag without quotes and in upper case, so that two can be compared: events and headers write it differently.
func ETag(s string) string { return strings.ToUpper(strings.Trim(strings.TrimSpace(s), `"`)) }
