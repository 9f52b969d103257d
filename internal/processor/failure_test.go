package processor

import (
	"errors"
	"fmt"
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
)

func TestErrorsOfTheStoreHaveTheirCode(t *testing.T) {
	for kind, want := range map[error]struct {
		code      result.Code
		retryable bool
	}{
		bucket.ErrNotFound: {result.ImageNotFound, false}, bucket.ErrNoBucket: {result.ImageNotFound, false}, bucket.ErrAccessDenied: {result.AccessDenied, false},
		bucket.ErrCredentialsExpired: {result.AccessDenied, true}, bucket.ErrWrongEndpoint: {result.AccessDenied, false}, bucket.ErrClockSkew: {result.ClockSkew, true},
		bucket.ErrTooLarge: {result.ImageTooLarge, false}, bucket.ErrInvalid: {result.ImageUnsupported, false}, bucket.ErrUnavailable: {result.Unavailable, true},
		bucket.ErrPositionMismatch: {result.Internal, false}, errors.New("unheard of"): {result.Internal, false},
	} {
		e := StorageError(fmt.Errorf("memory: %w", kind))
		assert.Equal(t, want.code, e.Code, kind)
		assert.Equal(t, want.retryable, e.Retryable, kind)
	}
}
