package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// eventOf is one event of many.
func eventOf(keys ...string) []byte {
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = strings.TrimSuffix(strings.TrimPrefix(string(eventFor(key, "")), `{"events":[`), "]}")
	}
	return []byte(`{"events":[` + strings.Join(list, ",") + `]}`)
}

// destinationBytes is what a destination of FC takes: message queues, EventBridge.
const destinationBytes = 64 << 10

// Ten thousand images do not fit into one invocation. What was not reached is told, retried, and paid once in the end.
func TestEventOfTenThousandImagesIsPaidOnceEachOverItsRetries(t *testing.T) {
	const images = 10_000
	keys := make([]string, images)
	for i := range keys {
		keys[i] = fmt.Sprintf("bulk/%04d.jpg", i)
	}
	event := eventOf(keys...)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ocr.slow = 40 * time.Millisecond
		for i, key := range keys {
			require.NoError(t, w.bucket.Write(t.Context(), key, "image/jpeg", nil, fmt.Append(nil, "picture ", i)))
		}
		rounds := 0
		for last := 0; ; rounds++ {
			require.Less(t, rounds, 5, "each delivery gets further")
			h := w.handler()
			h.Log = newWorld(t).Log // of one delivery only
			inv := retry("r1", rounds)
			report, err := h.Invoke(t.Context(), inv, event)
			assert.True(t, time.Now().Before(inv.Deadline), "answered before the platform ends it")
			open := 0
			for _, key := range keys {
				var d Document
				body := w.bucket.Content(key + ".ocr.json")
				if body == nil || json.Unmarshal(body, &d) != nil || !d.final() {
					open++
				}
				assert.Nil(t, w.bucket.Content(key+".ocr.claim"))
			}
			assert.Equal(t, images-open, w.ocr.accepted)
			if err == nil {
				assert.Zero(t, open)
				assert.Less(t, len(report), destinationBytes/2)
				break
			}
			failed := AsError(err)
			assert.True(t, failed.Retryable)
			assert.Equal(t, Timeout, failed.Code)
			assert.Contains(t, failed.Message, fmt.Sprintf("%d of %d images can succeed later", open, images), "every image that was not reached")
			assert.Less(t, len(failed.Message), 1024)
			assert.Greater(t, w.ocr.accepted, last)
			last = w.ocr.accepted
			w.bucket.Requests()
		}
		assert.Positive(t, rounds, "one invocation was not enough")
		assert.Equal(t, images, w.ocr.charged)
	})
}

func TestEventOfTenThousandRecordsOfOneImageIsOneImage(t *testing.T) {
	w := newWorld(t)
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = imageKey
	}
	report, err := w.Invoke(t.Context(), first("r1"), eventOf(keys...))
	require.NoError(t, err)
	assert.JSONEq(t, `{"images":[{"bucket":"cards","key":"2026/a.jpg","status":"recognized"}],"skipped":9999}`, string(report))
	assert.Len(t, w.bucket.Requests(), 6, "one more, as these records do not tell the version")
	assert.Equal(t, 1, w.ocr.charged)
}

// A key has up to 1,023 bytes, of which each may take six in JSON.
func TestAnswerToThePlatformFitsIntoADestination(t *testing.T) {
	for name, letter := range map[string]string{"plain": "a", "escaped": "\x01", "three bytes": "证"} {
		t.Run(name, func(t *testing.T) {
			keys := make([]string, 300)
			for i := range keys {
				keys[i] = fmt.Sprint(i, strings.Repeat(letter, 1000/len(letter)), ".jpg")
			}
			w := newWorld(t)
			body, err := w.Invoke(t.Context(), first("r1"), eventOf(keys...))
			require.NoError(t, err)
			assert.LessOrEqual(t, len(body), destinationBytes*5/8)
			var report Report
			require.NoError(t, json.Unmarshal(body, &report))
			assert.Positive(t, len(report.Images))
			assert.Equal(t, 300, len(report.Images)+report.Omitted)

			w.bucket.Fail = func(op, key string) error { return fmt.Errorf("down") }
			_, err = w.Invoke(t.Context(), first("r2"), eventOf(keys...))
			require.Error(t, err)
			encoded, _ := json.Marshal(AsError(err).Message)
			assert.Less(t, len(encoded), destinationBytes/4)
		})
	}
}

func TestBucketThatCannotBeOpenedIsRetried(t *testing.T) {
	w := newWorld(t)
	event := w.event()
	w.Open = func(string, string, bucket.Credentials, *slog.Logger) (Store, error) {
		return nil, errors.New("no credentials")
	}
	_, err := w.Invoke(t.Context(), first("r1"), event)
	assert.Equal(t, AccessDenied, AsError(err).Code)
	assert.True(t, AsError(err).Retryable)
	answer := w.get("/recognitions?bucket=cards&key=" + url.QueryEscape(imageKey))
	assert.Equal(t, http.StatusBadGateway, answer.Code)
	assert.Contains(t, answer.Body.String(), "no credentials")
}

func TestRegionIsTheEventsElseTheInvocationsElseTheFunctions(t *testing.T) {
	for _, test := range []struct{ event, invocation, function, want string }{
		{"a", "b", "c", "a"}, {"", "b", "c", "b"}, {"", "", "c", "c"}, {"", "", "", ""},
	} {
		h := New(Options{Region: test.function})
		assert.Equal(t, test.want, h.region(Invocation{Region: test.invocation}, test.event))
	}
}

func TestInvocationWithoutDeadlineHasAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "swallowed")
		w.ocr.slow = 19500 * time.Millisecond
		inv := first("r1")
		inv.Deadline = time.Time{}
		_, err := w.Invoke(t.Context(), inv, w.event())
		require.Error(t, err)
		assert.Len(t, w.ocr.requests, 2, "a third would begin after the 38th second")
		assert.Equal(t, Timeout, w.document().Error.Code, "the time is over; what is lost is lost for a next call only")
	})
}
