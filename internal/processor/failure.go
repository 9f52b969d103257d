package processor

import (
	"errors"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
)

// StorageError translates an error of a Bucket.
func StorageError(err error) *result.Error {
	code := result.Internal
	switch {
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrNoBucket):
		code = result.ImageNotFound
	case errors.Is(err, bucket.ErrAccessDenied), errors.Is(err, bucket.ErrCredentialsExpired), errors.Is(err, bucket.ErrWrongEndpoint):
		code = result.AccessDenied
	case errors.Is(err, bucket.ErrClockSkew):
		code = result.ClockSkew
	case errors.Is(err, bucket.ErrTooLarge):
		code = result.ImageTooLarge
	case errors.Is(err, bucket.ErrInvalid):
		code = result.ImageUnsupported
	case errors.Is(err, bucket.ErrUnavailable):
		code = result.Unavailable
	}
	return result.Errorf(code, bucket.Retryable(err), "%v", err)
}

func isNotFound(err error) bool { return errors.Is(err, bucket.ErrNotFound) }
