package processor

import (
	"errors"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
)

// StorageError translates an error of a Bucket that is not about the picture's own bytes. A request that OSS refuses says
// something about the bucket's set-up and nothing about the picture: once the bucket is mended, the image can be processed.
func StorageError(err error) *result.Error {
	code, retryable := result.Internal, bucket.Retryable(err)
	switch {
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrNoBucket):
		code = result.ImageNotFound
	case errors.Is(err, bucket.ErrAccessDenied), errors.Is(err, bucket.ErrCredentialsExpired), errors.Is(err, bucket.ErrWrongEndpoint):
		code = result.AccessDenied
	case errors.Is(err, bucket.ErrClockSkew):
		code = result.ClockSkew
	case errors.Is(err, bucket.ErrUnavailable):
		code = result.Unavailable
	case errors.Is(err, bucket.ErrWrongRegion):
		return result.Errorf(result.StorageRefused, true, "%v; OSS_ENDPOINT and the bucket are in two regions", err)
	case errors.Is(err, bucket.ErrInvalid), errors.Is(err, bucket.ErrRefused), errors.Is(err, bucket.ErrArchived), errors.Is(err, bucket.ErrTooLarge), errors.Is(err, bucket.ErrExists),
		errors.Is(err, bucket.ErrNotAppendable), errors.Is(err, bucket.ErrPositionMismatch):
		return result.Errorf(result.StorageRefused, true, "%v; check the bucket's encryption, storage class, retention and region", err)
	}
	return result.Errorf(code, retryable, "%v", err)
}

// imageError translates an error of reading the picture itself.
func imageError(err error) *result.Error {
	switch {
	case errors.Is(err, bucket.ErrArchived):
		return result.Errorf(result.ImageArchived, true, "the image is archived; restore it, and deliver its event again")
	case errors.Is(err, bucket.ErrTooLarge):
		return result.Errorf(result.ImageTooLarge, false, "%v", err)
	case errors.Is(err, bucket.ErrInvalid):
		return result.Errorf(result.ImageUnsupported, false, "%v", err)
	}
	return StorageError(err)
}

func isNotFound(err error) bool { return errors.Is(err, bucket.ErrNotFound) }
