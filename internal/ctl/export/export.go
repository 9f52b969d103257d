// Package export writes the result documents of a bucket as one file: CSV for spreadsheets, JSON lines for programs, a table
// for eyes. It keeps the order of the listing, reads documents concurrently, and never holds more than a window of them.
package export

import (
	"context"
	"errors"
	"strings"

	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/parallel"
	"fc-idcard-ocr/internal/result"
)

// Options say what is exported.
type Options struct {
	Prefix   string
	After    string // an image key: only documents of later ones
	Suffix   string // of documents
	Status   result.Status
	Mask     bool
	Parallel int
	// Unreadable, if not nil, receives each document that cannot be read; cause is that of an inventory.UnreadableError.
	Unreadable func(key, cause string)
}

// Report is how an export ended.
type Report struct {
	Written    int64 `json:"written"`
	Reviewed   int64 `json:"reviewed"`   // of those, with the card as a person reviewed it
	Filtered   int64 `json:"filtered"`   // of another status
	Unreadable int64 `json:"unreadable"` // documents that cannot be read
	Gone       int64 `json:"gone"`       // removed while the export ran
}

// Writer takes documents in order. End is called once, after the last.
type Writer interface {
	Write(key string, d *result.Document) error
	End() error
}

type read struct {
	key      string // of the image
	document *result.Document
	gone     bool
	cause    string // if it cannot be read
	reviewed bool
	err      error
}

// Run writes the documents in the order of their keys. Progress, if not nil, receives the report so far after each. On an error
// what was written stays written, and complete up to the last document.
func Run(ctx context.Context, s inventory.Bucket, o Options, w Writer, progress func(Report)) (r Report, err error) {
	defer func() {
		if endErr := w.End(); err == nil {
			err = endErr
		}
	}()
	after := o.After
	if after != "" {
		after += o.Suffix
	}
	documents := candidates(s.List(ctx, o.Prefix, after), o.Suffix)
	reader := &inventory.Reader{Bucket: s}
	for each, err := range parallel.Map(documents, o.Parallel, func(c candidate) read { return open(ctx, reader, o, c) }) {
		if err == nil {
			err = each.err
		}
		if err != nil {
			return r, err
		}
		switch {
		case each.gone:
			r.Gone++
		case each.cause != "":
			r.Unreadable++
			if o.Unreadable != nil {
				o.Unreadable(each.key, each.cause)
			}
		case o.Status != "" && each.document.Status != o.Status:
			r.Filtered++
		default:
			if err := w.Write(each.key, each.document); err != nil {
				return r, err
			}
			r.Written++
			if each.reviewed {
				r.Reviewed++
			}
		}
		if progress != nil {
			progress(r)
		}
	}
	return r, nil
}

func open(ctx context.Context, reader *inventory.Reader, o Options, c candidate) read {
	r := read{key: strings.TrimSuffix(c.object.Key, o.Suffix)}
	var unreadable *inventory.UnreadableError
	document, err := reader.Read(ctx, c.object.Key)
	if err == nil && c.reviewed {
		document, r.reviewed, err = applyReview(ctx, reader.Bucket, r.key, document)
	}
	switch {
	case errors.As(err, &unreadable):
		r.cause = unreadable.Cause
	case ossclient.NotFound(err):
		r.gone = true
	case err != nil:
		r.err = err
	case o.Mask:
		*document = document.Mask()
		r.key = result.MaskKey(r.key)
	}
	r.document = document
	return r
}
