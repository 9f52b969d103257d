package processor_test

import (
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// removal is an event that says that the image is gone.
func removal(f *ocrtest.Fixture) processor.Request {
	r := f.Request()
	r.Removed = true
	return r
}

func TestADocumentGoesWithItsImageIfAskedTo(t *testing.T) {
	for _, on := range []bool{false, true} {
		f := ocrtest.NewFixture(t)
		f.Options.RemoveWithImage = on
		require.Equal(t, result.Recognized, f.Process(ocrtest.First("r")).Status)
		const review = ocrtest.ImageKey + result.ReviewSuffix
		f.Put(review, "{}")
		request := removal(f)
		require.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ImageKey))
		o := f.Processor().Process(t.Context(), ocrtest.First("r"), request)
		assert.Nil(t, o.Err)
		assert.Equal(t, on, o.Status == processor.Removed, o.Status)
		assert.Equal(t, on, f.Document() == nil)
		assert.Equal(t, on, f.Bucket.Content(review) == nil)
		assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
		assert.Equal(t, 1, f.OCR.Accepted())
	}
}

func TestAnEventOfARemovalIsNotBelievedWhileTheImageIsThere(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.RemoveWithImage = true
	o := f.Processor().Process(t.Context(), ocrtest.First("r"), removal(f))
	assert.Equal(t, processor.Unchanged, o.Status)
	assert.Nil(t, f.Document(), "nothing is recognised, either")
	require.Equal(t, result.Recognized, f.Process(ocrtest.First("r")).Status)
	assert.Equal(t, processor.Unchanged, f.Processor().Process(t.Context(), ocrtest.First("r"), removal(f)).Status)
	assert.NotNil(t, f.Document())
	assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
}

func TestARemovalThatFailsIsDeliveredAgainAndWritesNothing(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.RemoveWithImage = true
	require.Equal(t, result.Recognized, f.Process(ocrtest.First("r")).Status)
	request := removal(f)
	require.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ImageKey))
	for _, op := range []string{"APPEND " + ocrtest.ClaimKey, "HEAD " + ocrtest.ImageKey, "DELETE " + ocrtest.ResultKey} {
		f.Bucket.Fail = func(did, key string) error {
			if did+" "+key == op {
				return bucket.ErrAccessDenied
			}
			return nil
		}
		before := f.Bucket.Content(ocrtest.ResultKey)
		o := f.Processor().Process(t.Context(), ocrtest.First("r"), request)
		assert.True(t, o.Retry(), op)
		assert.Equal(t, before, f.Bucket.Content(ocrtest.ResultKey), op)
		f.Bucket.Fail = nil
	}
	held := f.HoldClaim("somebody")
	o := f.Processor().Process(t.Context(), ocrtest.First("r"), request)
	assert.Equal(t, result.InProgress, o.Err.Code)
	assert.NotNil(t, f.Document())
	require.NoError(t, held.Release(t.Context()))
	assert.Equal(t, processor.Removed, f.Processor().Process(t.Context(), ocrtest.First("r"), request).Status)
	assert.Nil(t, f.Document())
}
