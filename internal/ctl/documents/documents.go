// Package documents reads the result documents of a bucket for the commands that go through its listing. It never writes
// anything and never takes another program's object for a document.
package documents

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"fc-idcard-ocr/handler"
	"fc-idcard-ocr/internal/ctl/listing"
	"fc-idcard-ocr/internal/ctl/store"
)

// MaxBytes is the most that is read of a document: the provider's answer in it has at most 1 MiB, so more is something else.
const MaxBytes = 4 << 20

// ErrForeign is returned by Read for an object that is named like a document and is none of this program.
var ErrForeign = errors.New("documents: the object beside the image is no document of this program")

// Store is the bucket; *store.Store is the real one.
type Store interface {
	List(ctx context.Context, prefix, after string) iter.Seq2[listing.Object, error]
	Read(ctx context.Context, key string, limit int64) ([]byte, error)
}

// Read reads the document that is stored under the key. The error is ErrForeign, or one of the store's.
func Read(ctx context.Context, s Store, key string) (*handler.Document, error) {
	body, err := s.Read(ctx, key, MaxBytes)
	switch {
	case store.TooLarge(err):
		return nil, ErrForeign
	case err != nil:
		return nil, err
	}
	var d handler.Document
	if json.Unmarshal(body, &d) != nil || d.SchemaVersion == 0 {
		return nil, ErrForeign
	}
	return &d, nil
}
