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
	type outcome struct {
		code      result.Code
		retryable bool
	}
	bucketsFault := outcome{result.StorageRefused, true}
	for kind, want := range map[error]struct{ bucket, picture outcome }{
		bucket.ErrNotFound:           {outcome{result.ImageNotFound, false}, outcome{result.ImageNotFound, false}},
		bucket.ErrNoBucket:           {outcome{result.ImageNotFound, false}, outcome{result.ImageNotFound, false}},
		bucket.ErrAccessDenied:       {outcome{result.AccessDenied, false}, outcome{result.AccessDenied, false}},
		bucket.ErrCredentialsExpired: {outcome{result.AccessDenied, true}, outcome{result.AccessDenied, true}},
		bucket.ErrWrongEndpoint:      {outcome{result.AccessDenied, false}, outcome{result.AccessDenied, false}},
		bucket.ErrClockSkew:          {outcome{result.ClockSkew, true}, outcome{result.ClockSkew, true}},
		bucket.ErrUnavailable:        {outcome{result.Unavailable, true}, outcome{result.Unavailable, true}},
		bucket.ErrTooLarge:           {bucketsFault, outcome{result.ImageTooLarge, false}},
		bucket.ErrInvalid:            {bucketsFault, outcome{result.ImageUnsupported, false}},
		bucket.ErrArchived:           {bucketsFault, outcome{result.ImageArchived, true}},
		bucket.ErrPositionMismatch:   {bucketsFault, bucketsFault},
		bucket.ErrNotAppendable:      {bucketsFault, bucketsFault},
		bucket.ErrExists:             {bucketsFault, bucketsFault},
		errors.New("unheard of"):     {outcome{result.Internal, false}, outcome{result.Internal, false}},
	} {
		e := StorageError(fmt.Errorf("memory: %w", kind))
		assert.Equal(t, want.bucket, outcome{e.Code, e.Retryable}, kind)
		e = imageError(fmt.Errorf("memory: %w", kind))
		assert.Equal(t, want.picture, outcome{e.Code, e.Retryable}, kind)
	}
	assert.Contains(t, StorageError(bucket.ErrInvalid).Message, "check the bucket's encryption", "the remedy")
	assert.Contains(t, imageError(bucket.ErrArchived).Message, "restore it", "the remedy")
}
