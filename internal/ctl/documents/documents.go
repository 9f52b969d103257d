// Package documents reads the result documents of a bucket for the commands that go through its listing. It never writes
// anything and never takes another program's object for a document.
package documents

import (
	"context"
	"iter"

	"fc-idcard-ocr/internal/ctl/listing"
	"fc-idcard-ocr/internal/ctl/store"
	"fc-idcard-ocr/internal/result"
)

// Store is the bucket; *store.Store is the real one.
type Store interface {
	List(ctx context.Context, prefix, after string) iter.Seq2[listing.Object, error]
	Read(ctx context.Context, key string, limit int64) ([]byte, error)
}

// Read reads the document that is stored under the key. The error is result.ErrForeign, or one of the store's.
func Read(ctx context.Context, s Store, key string) (*result.Document, error) {
	body, err := s.Read(ctx, key, result.MaxBytes)
	switch {
	case store.TooLarge(err):
		return nil, result.ErrForeign
	case err != nil:
		return nil, err
	}
	return result.Parse(body)
}
