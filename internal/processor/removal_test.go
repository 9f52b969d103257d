package processor_test

import (
	"bytes"
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

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

// leaveResult leaves a claim that holds a result and counts a call: OSS refused the document.
func leaveResult(t *testing.T, removing bool) *ocrtest.Fixture {
	f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge)
	f.Options.RemoveWithImage = removing
	f.Fail(bucket.ErrAccessDenied, ocrtest.Op("PUT"))
	require.True(t, f.Process(ocrtest.First("r")).Retry())
	f.Bucket.Fail = nil
	require.True(t, claimHoldsCard(f))
	return f
}

func claimHoldsCard(f *ocrtest.Fixture) bool {
	return bytes.Contains(f.Bucket.Content(ocrtest.ClaimKey), []byte("canary-name"))
}

// remove deletes the image and delivers the event of that.
func remove(t *testing.T, f *ocrtest.Fixture, requestID string) processor.Outcome {
	request := removal(f)
	require.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ImageKey))
	return f.Processor().Process(t.Context(), ocrtest.First(requestID), request)
}

func TestTheClaimOfARemovedImageKeepsTheCountAndNoResult(t *testing.T) {
	f := leaveResult(t, true)
	assert.Nil(t, remove(t, f, "r").Err)
	assert.False(t, claimHoldsCard(f))
	assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState())

	f.Upload("version 2")
	require.Equal(t, result.Recognized, f.Process(ocrtest.First("r2")).Status)
	assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
	assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
}

func TestTheClaimOfAMissingImageStaysAsItIsUnlessItIsToGo(t *testing.T) {
	f := leaveResult(t, false)
	assert.Nil(t, remove(t, f, "r").Err)
	assert.True(t, claimHoldsCard(f))
}

func TestAnImageThatIsRemovedDuringTheCallLeavesNoResultOfTheVersionBefore(t *testing.T) {
	f := leaveResult(t, true)
	f.Upload("version 2")
	f.OCR.OnCall = func(ocrclient.Request) { assert.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ImageKey)) }
	assert.Equal(t, processor.Missing, f.Process(ocrtest.First("r2")).Status)
	assert.False(t, claimHoldsCard(f))
	assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState())
}

func TestARemovalThatLeavesAResultIsDeliveredAgain(t *testing.T) {
	f := leaveResult(t, true)
	f.Fail(bucket.ErrAccessDenied, func(op, key string) bool { return op == "DELETE" && key == ocrtest.ClaimKey })
	o := remove(t, f, "r")
	assert.True(t, o.Retry())
	assert.Equal(t, result.AccessDenied, o.Err.Code)
	f.Bucket.Fail = nil
	request := removal(f)
	assert.Nil(t, f.Processor().Process(t.Context(), ocrtest.Retry("r", 1), request).Err)
	assert.False(t, claimHoldsCard(f))
}

func TestACountThatIsLostWithTheResultIsLogged(t *testing.T) {
	f := leaveResult(t, true)
	f.Fail(bucket.ErrUnavailable, func(op, key string) bool {
		return op == "APPEND" && f.Bucket.Content(key) == nil
	})
	assert.Nil(t, remove(t, f, "r").Err)
	assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
	assert.EqualValues(t, 1, f.LogLine("count of calls may be lost")["possibleExtraCharges"])
}
