package inventory

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// Bucket is what is read; *ossclient.Bucket is the real one.
type Bucket interface {
	List(ctx context.Context, prefix, after string) iter.Seq2[ossclient.Object, error]
	Read(ctx context.Context, key string, limit int64) ([]byte, error)
}

// The causes of an *UnreadableError beside OSS's own codes.
const (
	NoDocument    = "NoDocument"    // the object is no result document
	UnknownCode   = "UnknownCode"   // a document whose error code is none of this version
	InvalidObject = "InvalidObject" // OSS refuses the object without a code
)

// UnreadableError says that one document cannot be read, while others can.
type UnreadableError struct {
	Cause string // one of the causes, or OSS's code, such as AccessDenied
}

// Error names the cause.
func (e *UnreadableError) Error() string {
	return message.Sprintf("the document cannot be read: %s", e.Cause)
}

// maxFailures is how many documents in a row may fail for reasons that pass, such as a 503, before that counts as an outage.
const maxFailures = 20

// Reader reads the documents of one pass over a bucket. It is safe for concurrent use.
type Reader struct {
	Bucket Bucket

	failures atomic.Int64 // in a row
}

// Read reads the document that is stored under the key. The error is an *UnreadableError if the pass should go on without this
// document, one for which ossclient.NotFound holds if the document is gone, and else one that ends the pass.
func (r *Reader) Read(ctx context.Context, key string) (*result.Document, error) {
	body, err := r.Bucket.Read(ctx, key, result.MaxBytes)
	switch {
	case err == nil:
	case ossclient.TooLarge(err):
		return nil, &UnreadableError{NoDocument}
	case ossclient.NotFound(err):
		return nil, err
	case ossclient.OfObject(err):
		return nil, &UnreadableError{CauseOf(err)}
	case ctx.Err() == nil && ossclient.Transient(err) && r.failures.Add(1) < maxFailures:
		return nil, &UnreadableError{CauseOf(err)}
	default:
		return nil, err
	}
	r.failures.Store(0)
	d, err := result.Parse(body)
	if err != nil {
		return nil, &UnreadableError{NoDocument}
	}
	if d.Error != nil && !slices.Contains(result.Codes, d.Error.Code) {
		return nil, &UnreadableError{UnknownCode}
	}
	return d, nil
}

// CauseOf names what is wrong with an object for which ossclient.OfObject or Transient holds.
func CauseOf(err error) string {
	var e *ossclient.Error
	if errors.As(err, &e) && e.Code != "" {
		return e.Code
	}
	if ossclient.Transient(err) {
		return string(result.Unavailable)
	}
	return InvalidObject
}

// About reports whether the document is about this version of the image. A multipart upload's ETag is compared like any other.
func About(d *result.Document, image *ossclient.Object) bool {
	return d.Image.ETag == "" || image.ETag == "" || bucket.ETag(d.Image.ETag) == image.ETag
}
