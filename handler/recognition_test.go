package handler

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

func TestWithoutACallThereIsNoImageSource(t *testing.T) {
	w := newWorld(t)
	inv := first("r1")
	inv.Deadline = time.Now().Add(10 * time.Second)
	_, err := w.Invoke(t.Context(), inv, w.event())
	require.Error(t, err)
	assert.Empty(t, w.document().OCR.ImageSource)
	assert.Zero(t, w.document().OCR.Attempts)
	assert.Equal(t, Timeout, w.document().Error.Code)
	assert.Contains(t, w.document().Error.Message, "20s")
}

// There is time for one call of up to 20 s, and not for another.
func TestFailureIsTheLastCallsWhereNoOtherFits(t *testing.T) {
	for word, test := range map[string]struct {
		code    Code
		reason  string
		appends int
		same    bool
	}{
		"throttled": {Throttled, "refused", 1, false},
		"never":     {Unavailable, "never sent", 1, true},
		"busy":      {Timeout, "answered", 1, false}, // an answer, with time too short to ask again
		"none":      {Timeout, "answered", 2, false},
		"lost":      {Timeout, "lost", 2, true}, // the second append is the one that keeps the open fate
	} {
		t.Run(word, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, word)
				event := w.event()
				w.ocr.slow = 5 * time.Second
				inv := first("r1")
				inv.Deadline = time.Now().Add(26 * time.Second)
				_, err := w.Invoke(t.Context(), inv, event)
				require.Error(t, err)
				d := w.document()
				assert.Equal(t, test.code, d.Error.Code)
				assert.True(t, d.Error.Retryable)
				assert.Len(t, w.ocr.requests, 1)
				assert.Equal(t, test.appends, strings.Count(strings.Join(w.bucket.Requests(), " "), "APPEND"), "no nonce for a call that cannot be made")
				line := logged(t, w, "retry")
				assert.Equal(t, test.reason, line["reason"])
				assert.Equal(t, test.same, line["sameNonce"])
				assert.EqualValues(t, 1, line["attempt"])
				want := map[string]string{"none": string(NotRecognized), "busy": string(Throttled), "lost": string(Timeout)}[word]
				if want == "" {
					want = string(test.code)
				}
				assert.Equal(t, want, line["code"])
			})
		})
	}
}

func TestNoRetryIsToldWhereNoneFollows(t *testing.T) {
	w := newWorld(t, "quota")
	_, err := w.Invoke(t.Context(), first("r1"), w.event())
	require.NoError(t, err)
	assert.NotContains(t, w.log.String(), `"msg":"retry"`)
}

// A nonce that was never sent is not one whose fate is open, however long the rate limit holds its call back.
func TestNonceThatGrewOldUnsentIsNoPossibleCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "never", "never")
		w.limiter = rate.NewLimiter(rate.Every(15*time.Minute), 1)
		inv := first("r1")
		inv.Deadline = time.Now().Add(2 * time.Hour)
		_, err := w.Invoke(t.Context(), inv, w.event())
		require.NoError(t, err)
		assert.Equal(t, Recognized, w.document().Status)
		assert.Zero(t, w.document().OCR.PossibleExtraCharges)
		assert.Equal(t, "111", numbered(w.ocr.nonces()))
	})
}

func TestRateLimitThatLeavesNoCallIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.limiter = rate.NewLimiter(rate.Every(time.Hour), 1)
		require.True(t, w.limiter.Allow())
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.Error(t, err)
		assert.Equal(t, Throttled, w.document().Error.Code)
		assert.True(t, w.document().Error.Retryable)
		assert.Contains(t, w.document().Error.Message, "OCR_RATE_LIMIT")
		assert.Empty(t, w.ocr.requests)
	})
}

func TestPauseEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	blame := failure(Throttled, true, "x")
	r := w.newRecognition(picture{}, time.Now().Add(24*time.Hour), w.Log)
	assert.Equal(t, blame, r.pause(ctx, time.Hour, nil, blame))
	assert.Nil(t, r.pause(t.Context(), time.Nanosecond, nil, blame))
}

func TestPictureInTheBodyHasANonceForEachCallToo(t *testing.T) {
	for word, want := range map[string]string{"throttled": "12", "none": "12", "never": "11", "swallowed": "112"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, word)
			request := httptest.NewRequest(http.MethodPost, "/recognitions", strings.NewReader("a picture"))
			request.Header.Set("Content-Type", "image/jpeg")
			answer := httptest.NewRecorder()
			w.API().ServeHTTP(answer, request.WithContext(WithInvocation(t.Context(), first("r1"))))
			assert.Equal(t, 200, answer.Code, answer.Body)
			assert.Equal(t, want, numbered(w.ocr.nonces()), word)
			assert.NotContains(t, w.ocr.nonces(), "")
			for _, r := range w.ocr.requests {
				assert.Equal(t, "a picture", string(r.Image))
				assert.Empty(t, r.ImageURL)
			}
		})
	}
}
