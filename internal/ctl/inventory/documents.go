package inventory

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/parallel"
	"fc-idcard-ocr/internal/result"
)

// Stored is a document of a listing, whether its image is still there or not.
type Stored struct {
	Key      string           // of the image
	Document *result.Document // nil: the object is named like a document and cannot be read as one
}

// DocumentOptions say which documents are read.
type DocumentOptions struct {
	Prefix   string
	Suffix   string    // of documents
	Since    time.Time // those written before are left out unread
	Parallel int       // requests at a time, at least 1
	// Unreadable, if not nil, receives each document that cannot be read; cause is that of an UnreadableError.
	Unreadable func(key, cause string)
}

// Documents reads the documents of a bucket in the order of their keys. One that is removed meanwhile is left out.
func Documents(ctx context.Context, b Bucket, o DocumentOptions) iter.Seq2[Stored, error] {
	type read struct {
		Stored
		gone  bool
		cause string // why there is no document
		err   error
	}
	objects := func(yield func(ossclient.Object, error) bool) {
		for object, err := range b.List(ctx, o.Prefix, "") {
			if (err != nil || strings.HasSuffix(object.Key, o.Suffix) && !object.LastModified.Before(o.Since)) && !yield(object, err) {
				return
			}
		}
	}
	reader := &Reader{Bucket: b}
	open := func(object ossclient.Object) read {
		r := read{Stored: Stored{Key: strings.TrimSuffix(object.Key, o.Suffix)}}
		r.Document, r.err = reader.Read(ctx, object.Key)
		var unreadable *UnreadableError
		if errors.As(r.err, &unreadable) {
			r.cause, r.err = unreadable.Cause, nil
		} else if r.gone = ossclient.NotFound(r.err); r.gone {
			r.err = nil
		}
		return r
	}
	return func(yield func(Stored, error) bool) {
		for r, err := range parallel.Map(iter.Seq2[ossclient.Object, error](objects), o.Parallel, open) {
			if err == nil {
				err = r.err
			}
			if r.cause != "" && o.Unreadable != nil {
				o.Unreadable(r.Key, r.cause)
			}
			if !r.gone && !yield(r.Stored, err) || err != nil {
				return
			}
		}
	}
}
