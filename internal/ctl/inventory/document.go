package inventory

import (
	"context"
	"iter"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"
)

// Bucket is what is read; *ossclient.Bucket is the real one.
type Bucket interface {
	List(ctx context.Context, prefix, after string) iter.Seq2[ossclient.Object, error]
	Read(ctx context.Context, key string, limit int64) ([]byte, error)
}

// ReadDocument reads the document that is stored under the key. The error is result.ErrForeign, or one of the store's.
func ReadDocument(ctx context.Context, s Bucket, key string) (*result.Document, error) {
	body, err := s.Read(ctx, key, result.MaxBytes)
	switch {
	case ossclient.TooLarge(err):
		return nil, result.ErrForeign
	case err != nil:
		return nil, err
	}
	return result.Parse(body)
}
