package processor_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithoutACallThereIsNoImageSource(t *testing.T) {
	f := ocrtest.NewFixture(t)
	inv := ocrtest.First("r1")
	inv.Deadline = time.Now().Add(10 * time.Second)
	o := f.Process(inv)
	require.True(t, o.Retry())
	assert.Empty(t, f.Document().OCR.ImageSource)
	assert.Zero(t, f.Document().OCR.Attempts)
	assert.Equal(t, result.Timeout, f.Document().Error.Code)
	assert.Contains(t, f.Document().Error.Message, "20s")
}

// There is time for one call of up to 20 s, and not for another.
func TestFailureIsTheLastCallsWhereNoOtherFits(t *testing.T) {
	for name, test := range map[string]struct {
		outcome ocrtest.Outcome
		logged  result.Code
		code    result.Code
		reason  string
		appends int
		same    bool
	}{
		"throttled":     {ocrtest.Throttled, result.Throttled, result.Throttled, "refused", 2, false},
		"not sent":      {ocrtest.NotSent, result.Unavailable, result.Unavailable, "never sent", 2, true},
		"busy":          {ocrtest.Busy, result.Throttled, result.Timeout, "answered", 2, false}, // an answer, with time too short to ask again
		"indeterminate": {ocrtest.LostBeforeAcceptance, result.Timeout, result.Timeout, "lost", 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, test.outcome)
				f.OCR.Slow = 13 * time.Second
				inv := ocrtest.First("r1")
				inv.Deadline = time.Now().Add(26 * time.Second)
				o := f.Process(inv)
				require.True(t, o.Retry())
				d := f.Document()
				assert.Equal(t, test.code, d.Error.Code)
				assert.True(t, d.Error.Retryable)
				assert.Len(t, f.OCR.Requests(), 1)
				assert.Equal(t, test.appends, strings.Count(strings.Join(f.Bucket.Requests(), " "), "APPEND"), "claim and save; no nonce for a call that cannot be made")
				line := f.LogLine("retry")
				assert.Equal(t, test.reason, line["reason"])
				assert.Equal(t, test.same, line["sameNonce"])
				assert.EqualValues(t, 1, line["attempt"])
				assert.Equal(t, string(test.logged), line["code"])
			})
		})
	}
}

func TestNoRetryIsToldWhereNoneFollows(t *testing.T) {
	f := ocrtest.NewFixture(t, ocrtest.QuotaExhausted)
	o := f.Process(ocrtest.First("r1"))
	require.False(t, o.Retry(), o.Err)
	assert.NotContains(t, f.Log.String(), `"msg":"retry"`)
}

// A nonce that was never sent is not indeterminate, however long the rate limit delays its call.
func TestNonceThatGrewOldUnsentIsNoPossibleCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.NotSent, ocrtest.NotSent)
		f.Options.RateLimit = 1 / (15 * time.Minute).Seconds()
		inv := ocrtest.First("r1")
		inv.Deadline = time.Now().Add(2 * time.Hour)
		o := f.Process(inv)
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, result.Recognized, f.Document().Status)
		assert.Zero(t, f.Document().OCR.PossibleExtraCharges)
		assert.Equal(t, "111", f.OCR.Nonces())
	})
}

func TestRateLimitThatLeavesNoCallIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Options.RateLimit = 1 / time.Hour.Seconds()
		f.Processor().TakeRateLimit()
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		assert.Equal(t, result.Throttled, f.Document().Error.Code)
		assert.True(t, f.Document().Error.Retryable)
		assert.Contains(t, f.Document().Error.Message, "OCR_RATE_LIMIT")
		assert.Empty(t, f.OCR.Requests())
	})
}

func TestPictureInTheBodyHasANonceForEachCallToo(t *testing.T) {
	for name, test := range map[string]struct {
		outcome ocrtest.Outcome
		nonces  string
	}{
		"throttled":      {ocrtest.Throttled, "12"},
		"not recognized": {ocrtest.NotRecognized, "12"},
		"not sent":       {ocrtest.NotSent, "11"},
		"lost":           {ocrtest.LostAfterCharge, "112"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := ocrtest.NewFixture(t, test.outcome)
			o := f.Processor().ProcessPicture(t.Context(), ocrtest.First("r1"), processor.Picture{Image: []byte("a picture"), Size: 9})
			assert.Equal(t, result.Recognized, o.Status, name)
			assert.Equal(t, test.nonces, f.OCR.Nonces(), name)
			for _, r := range f.OCR.Requests() {
				assert.NotEmpty(t, r.Nonce)
				assert.Equal(t, "a picture", string(r.Image))
				assert.Empty(t, r.ImageURL)
			}
		})
	}
}
