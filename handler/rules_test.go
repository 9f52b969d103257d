package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/bucket/buckettest"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// The rules of this file are those whose removal no other test would notice.

func kind(k error) error { return fmt.Errorf("memory: %w", k) }

func TestRecordsOfAClaimAreWholeOrNone(t *testing.T) {
	const end = `"leaseEnd":"2026-01-01T00:00:00Z"`
	for body, ok := range map[string]bool{
		`{"owner":"x",` + end + `}`:                    true,
		"torn\n{\"owner\":\"x\"," + end + "}\n":        true,
		`{"owner":"x",` + end + `,"retryCount":"one"}`: false,
		`{"owner":"x",` + end + `,"document":[]}`:      false,
		`{` + end + `}`: false,
		`{"owner":"x"}`: false,
		`{"owner":"x","leaseEnd":"0001-01-01T00:00:00Z"}`:     false,
		"{\"owner\":\"x\"," + end + "}\n{\"owner\":\"y\"":     false,
		"{\"owner\":\"x\"," + end + "}\n\n \n":                true,
		`{"owner":"x",` + end + `} {"owner":"y",` + end + `}`: false,
		`{"owner":"x","leaseEnd":"not a time"}`:               false,
		`{"owner":"x",` + end + `,"nonce":{"a":1}}`:           false,
	} {
		_, got := lastRecord([]byte(body))
		assert.Equal(t, ok, got, body)
	}
	assert.Contains(t, string(record{ETag: "<&>"}.line()), "<&>", "a claim is read by people too")
}

// Were it not so, the second delivery's nonce would count as used, and its image as paid and lost.
func TestEachClaimOnAVersionHasItsOwnNonce(t *testing.T) {
	store := &buckettest.Memory{}
	seen := map[string]bool{}
	for range 3 {
		c, err := acquireOn(t, store, "E1", first("r1"))
		require.NoError(t, err)
		seen[c.last.Nonce] = true
		require.NoError(t, c.renew(t.Context(), "E1", 0))
		seen[c.last.Nonce] = true
		require.NoError(t, c.release(t.Context()))
	}
	assert.Len(t, seen, 6)
}

func TestClaimThatComesAndGoesIsTriedThreeTimes(t *testing.T) {
	for name, test := range map[string]struct {
		conflicts, appends int
		want               error
	}{"gone when it is read, once": {1, 2, nil}, "each time": {3, 3, errBusy}} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			appends := 0
			store.Fail = func(op, key string) error {
				if op == "APPEND" {
					if appends++; appends <= test.conflicts {
						return kind(bucket.ErrPosition)
					}
				}
				return nil
			}
			c, err := acquireOn(t, store, "E1", first("r1"))
			assert.ErrorIs(t, err, test.want)
			assert.Equal(t, test.want == nil, c != nil)
			assert.Equal(t, test.appends, appends)
		})
	}
}

func TestClaimThatCannotBeReadIsNotHad(t *testing.T) {
	store := &buckettest.Memory{}
	_, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	store.Fail = func(op, key string) error {
		if op == "GET" {
			return kind(bucket.ErrTransient)
		}
		return nil
	}
	c, err := acquireOn(t, store, "E1", first("r2"))
	assert.ErrorIs(t, err, bucket.ErrTransient)
	assert.Nil(t, c)
}

func TestTakeOverThatFailsIsNotHad(t *testing.T) {
	for name, test := range map[string]struct{ fails, want error }{"storage down": {bucket.ErrTransient, bucket.ErrTransient}, "somebody was faster": {bucket.ErrPosition, errBusy}} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			inv := first("dead")
			inv.Deadline = time.Now().Add(-time.Second)
			_, err := acquireOn(t, store, "E1", inv)
			require.NoError(t, err)
			appends := 0
			store.Fail = func(op, key string) error {
				if op == "APPEND" {
					if appends++; appends == 2 {
						return kind(test.fails)
					}
				}
				return nil
			}
			c, err := acquireOn(t, store, "E1", first("r2"))
			assert.ErrorIs(t, err, test.want)
			assert.Nil(t, c)
		})
	}
}

func TestOwnClaimWhoseAnswerWasLostIsNotTakenOver(t *testing.T) {
	store := &buckettest.Memory{}
	store.After = func(op, key string) error {
		if op == "APPEND" {
			return kind(bucket.ErrPosition) // the adapter sent it twice
		}
		return nil
	}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	assert.False(t, c.inherited, "its nonce was never sent")
	assert.EqualValues(t, len(store.Content(claimKey)), c.length)
	assert.Equal(t, 1, strings.Count(string(store.Content(claimKey)), "\n"))
	store.After = nil
	require.NoError(t, c.renew(t.Context(), "E1", 0), "the length is right")
}

func TestLineWhoseFateIsUnknown(t *testing.T) {
	for name, test := range map[string]struct {
		reading error
		content string // in the claim's place
		want    error
	}{
		"reading back fails":    {reading: bucket.ErrTransient, want: bucket.ErrTransient},
		"no permission to read": {reading: bucket.ErrDenied, want: bucket.ErrDenied},
		"the claim is gone":     {reading: bucket.ErrNotFound, want: errBusy},
		"a shorter claim":       {content: "x", want: errBusy},
		"a longer claim":        {content: strings.Repeat("x", 5000), want: errBusy},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			c, err := acquireOn(t, store, "E1", first("r1"))
			require.NoError(t, err)
			if test.content != "" {
				require.NoError(t, store.Remove(t.Context(), claimKey))
				_, err = store.Append(t.Context(), claimKey, 0, []byte(test.content))
				require.NoError(t, err)
			}
			store.Fail = func(op, key string) error {
				switch {
				case op == "APPEND":
					return kind(bucket.ErrPosition)
				case op == "GET" && test.reading != nil:
					return kind(test.reading)
				}
				return nil
			}
			before := c.last
			assert.ErrorIs(t, c.renew(t.Context(), "E1", 0), test.want)
			assert.Equal(t, before, c.last, "what is not written is not held")
		})
	}
}

func TestNonceIsTrustedForFourteenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		c, err := acquireOn(t, store, "E1", first("r1"))
		require.NoError(t, err)
		time.Sleep(nonceWindow - time.Nanosecond)
		assert.True(t, c.remembered())
		time.Sleep(time.Nanosecond)
		assert.False(t, c.remembered())
		require.NoError(t, c.renew(t.Context(), "E1", 0))
		assert.True(t, c.remembered())
	})
}

func TestRenewedNonceIsNobodyElses(t *testing.T) {
	store := &buckettest.Memory{}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	require.NoError(t, c.keep(t.Context(), nil, nil))
	heir, err := acquireOn(t, store, "E1", first("r2"))
	require.NoError(t, err)
	require.True(t, heir.inherited)
	require.NoError(t, heir.renew(t.Context(), "E1", 0))
	assert.False(t, heir.inherited)
}

func TestDecisionsThatStopOrWait(t *testing.T) {
	fresh := func() *policy { return &policy{maxAttempts: 3, source: SourceURL, details: true} }
	d := fresh().after(nil, errors.New("no error of a call"))
	assert.Equal(t, giveUp, d.move)
	assert.Equal(t, Internal, d.failure.Code)
	assert.False(t, d.failure.Retryable)
	busy := fresh().after(parsed(`{"showapi_res_code":-1009,"showapi_fee_num":0}`), nil)
	assert.Equal(t, decision{move: afresh, pause: true}, busy, "an overloaded provider is given time")
	for _, retryable := range []bool{true, false} {
		for _, uncertain := range []bool{true, false} {
			for _, extra := range []int{0, 1} {
				p := &policy{uncertain: uncertain, extra: extra}
				keep := p.stop(failure(AccessDenied, retryable, "x")).keep
				assert.Equal(t, retryable && (uncertain || extra > 0), keep, "kept for a next attempt only, and only if there is something to remember")
			}
		}
	}
}

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

// logged returns the only line of the log with that message.
func logged(t *testing.T, w *world, message string) (line map[string]any) {
	t.Helper()
	for _, text := range strings.Split(strings.TrimSpace(w.log.String()), "\n") {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &entry))
		if entry["msg"] == message {
			require.Nil(t, line, "twice: %s", w.log.String())
			line = entry
		}
	}
	require.NotNil(t, line, "no %q in %s", message, w.log.String())
	return line
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

// Not knowing whether an image is settled is no reason to pay.
func TestDocumentThatCannotBeSeenIsNoReasonToPay(t *testing.T) {
	for name, test := range map[string]struct {
		plan []string
		on   string
		kind error

		code        Code
		again       bool
		calls       int // more
		stillFailed bool
	}{
		"HEAD document: down":                       {on: "HEAD " + resultKey, kind: bucket.ErrTransient, code: Unavailable, again: true},
		"HEAD document: denied":                     {on: "HEAD " + resultKey, kind: bucket.ErrDenied, code: AccessDenied},
		"HEAD image: down":                          {on: "HEAD " + imageKey, kind: bucket.ErrTransient, code: Unavailable, again: true},
		"GET failed document: down":                 {plan: []string{"quota"}, on: "GET " + resultKey, kind: bucket.ErrTransient, code: Unavailable, again: true},
		"GET failed document: gone in the meantime": {plan: []string{"quota"}, on: "GET " + resultKey, kind: bucket.ErrNotFound, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.plan...)
			_, err := w.Invoke(t.Context(), first("r1"), w.event())
			require.NoError(t, err)
			before := len(w.ocr.requests)
			event := w.event()
			w.bucket.Fail = func(op, key string) error {
				if op+" "+key == test.on {
					return kind(test.kind)
				}
				return nil
			}
			report, err := w.Invoke(t.Context(), first("r2"), event)
			assert.Equal(t, before+test.calls, len(w.ocr.requests))
			switch {
			case test.again:
				assert.Equal(t, test.code, AsError(err).Code)
			case test.code != "":
				require.NoError(t, err)
				assert.Contains(t, string(report), string(test.code))
			default:
				require.NoError(t, err)
				assert.Contains(t, string(report), "recognized")
			}
		})
	}
}

func TestDocumentThatSaysNothingFinalIsNotDone(t *testing.T) {
	for name, test := range map[string]struct{ status, body string }{
		"a status of somebody else":      {"done", "{}"},
		"no status":                      {"", "{}"},
		"failed, and no document inside": {"failed", "no JSON"},
		"failed, retryable":              {"failed", `{"status":"failed","error":{"code":"Timeout","retryable":true}}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, w.bucket.Write(t.Context(), resultKey, "application/json", map[string]string{"source-etag": w.etag(), "status": test.status}, []byte(test.body)))
			report, err := w.Invoke(t.Context(), first("r1"), w.event())
			require.NoError(t, err)
			assert.Contains(t, string(report), "recognized")
			assert.Equal(t, 1, w.ocr.charged)
		})
	}
	w := newWorld(t)
	require.NoError(t, w.bucket.Write(t.Context(), resultKey, "application/json", map[string]string{"source-etag": "OLD", "status": "recognized"}, nil))
	_, err := w.Invoke(t.Context(), first("r1"), w.event())
	require.NoError(t, err)
	assert.Equal(t, 1, w.ocr.charged, "a document of another version settles nothing")
}

func TestMaxImageBytesIsTheLastSizeTaken(t *testing.T) {
	for limit, paid := range map[int64]int{9: 1, 8: 0} {
		w := newWorld(t)
		w.MaxImageBytes = limit
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.NoError(t, err)
		assert.Equal(t, paid, w.ocr.charged, limit)
	}
}

func TestUnwrittenResultIsToldAsSuch(t *testing.T) {
	for k, code := range map[error]Code{bucket.ErrTransient: Unavailable, bucket.ErrInvalid: Unavailable, bucket.ErrEndpoint: AccessDenied, bucket.ErrExpired: AccessDenied} {
		w := newWorld(t)
		event := w.event()
		w.bucket.Fail = func(op, key string) error {
			if op == "PUT" {
				return kind(k)
			}
			return nil
		}
		_, err := w.Invoke(t.Context(), first("r1"), event)
		assert.Equal(t, code, AsError(err).Code)
		assert.True(t, AsError(err).Retryable)
		assert.Contains(t, err.Error(), "the result could not be written: ")
		line := logged(t, w, "image done")
		assert.Equal(t, "WARN", line["level"])
		assert.Equal(t, string(code), line["code"])
		assert.Equal(t, true, line["retryable"])
		assert.Contains(t, line["reason"], "could not be written")
		assert.Contains(t, line, "releaseMs")
		assert.NotContains(t, line, "claimLeft")
		assert.NotContains(t, line, "charged", "no document, no word of its calls")
		assert.Empty(t, w.unwritten.entries, "what the claim holds is not held in memory")
	}
}

func TestOutcomeHasTheDocumentOnlyIfItIsWritten(t *testing.T) {
	image := namedImage{Image: Image{Bucket: "cards", Key: imageKey}}
	w := newWorld(t, "quota", "throttled", "throttled", "throttled")
	require.NotNil(t, w.object(t.Context(), first("r1"), image, false).document)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "throttled", "throttled", "throttled")
		w.bucket.Fail = func(op, key string) error {
			if op == "PUT" {
				return kind(bucket.ErrTransient)
			}
			return nil
		}
		o := w.object(t.Context(), first("r1"), image, false)
		assert.Nil(t, o.document)
		assert.Equal(t, Throttled, o.err.Code)
		assert.True(t, o.err.Retryable)
	})
	w = newWorld(t)
	_, err := w.bucket.Append(t.Context(), claimKey, 0, []byte("somebody's own"))
	require.NoError(t, err)
	o := w.object(t.Context(), first("r1"), image, false)
	require.NotNil(t, o.document, "the claim's place is taken, the document's is not")
	assert.Equal(t, Internal, o.err.Code)
	assert.False(t, o.err.Retryable)
	assert.Contains(t, o.err.Message, "CLAIM_SUFFIX")
}

func TestLogLineOfAnImage(t *testing.T) {
	w := newWorld(t)
	event := w.event()
	w.bucket.Fail = func(op, key string) error {
		if op == "DELETE" {
			return kind(bucket.ErrDenied)
		}
		return nil
	}
	_, err := w.Invoke(t.Context(), retry("r1", 2), event)
	require.NoError(t, err)
	line := logged(t, w, "image done")
	assert.Equal(t, "INFO", line["level"])
	assert.EqualValues(t, 2, line["retryCount"])
	assert.Contains(t, line["claimLeft"], "access denied")
	assert.Equal(t, "cards", line["bucket"])
	assert.NotContains(t, line, "code")
	assert.NotContains(t, line, "reason")

	w = newWorld(t)
	_, err = w.Invoke(t.Context(), first("r1"), []byte("no event"))
	require.Error(t, err)
	line = logged(t, w, "event refused")
	assert.NotContains(t, line, "retryCount")
	assert.NotContains(t, line, "bucket")
	assert.NotContains(t, line, "key")
}

func TestImageThatBreaksOffIsDoneInTheLogToo(t *testing.T) {
	w := newWorld(t)
	event := w.event()
	w.bucket.Fail = func(op, key string) error {
		if op == "PUT" {
			panic("canary")
		}
		return nil
	}
	_, err := w.Invoke(t.Context(), first("r1"), event)
	require.Error(t, err)
	line := logged(t, w, "image done")
	assert.Equal(t, string(Internal), line["code"])
	assert.NotContains(t, w.log.String(), "canary\"")
	assert.Equal(t, ocrclient.Code("Internal"), AsError(err).Code)
}
