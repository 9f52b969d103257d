package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
		f := newFixture(t)
		f.OCR.Slow = 40 * time.Millisecond
		for i, key := range keys {
			require.NoError(t, f.Bucket.Put(t.Context(), key, fmt.Append(nil, "picture ", i), bucket.PutOptions{ContentType: "image/jpeg"}))
		}
		rounds := 0
		for last := 0; ; rounds++ {
			require.Less(t, rounds, 5, "each delivery gets further")
			f.restart()
			f.Log.Reset()
			inv := ocrtest.Retry("r1", rounds)
			report, err := f.handler().Invoke(t.Context(), inv, event)
			assert.True(t, time.Now().Before(inv.Deadline), "answered before the platform ends it")
			open := 0
			for _, key := range keys {
				var d result.Document
				body := f.Bucket.Content(key + ".ocr.json")
				if body == nil || json.Unmarshal(body, &d) != nil || !d.Final() {
					open++
				} else if f.Bucket.Content(key+".ocr.claim") != nil {
					t.Errorf("%s is settled, and its claim is left", key)
				}
			}
			assert.Equal(t, images-open, f.OCR.Accepted())
			if err == nil {
				assert.Zero(t, open)
				assert.Less(t, len(report), destinationBytes/2)
				break
			}
			failed := result.AsError(err)
			assert.True(t, failed.Retryable)
			assert.Equal(t, result.Timeout, failed.Code)
			assert.Contains(t, failed.Message, fmt.Sprintf("%d of %d images can succeed later", open, images), "every image that was not reached")
			assert.Less(t, len(failed.Message), 1024)
			assert.Greater(t, f.OCR.Accepted(), last)
			last = f.OCR.Accepted()
			f.Bucket.Requests()
		}
		assert.Positive(t, rounds, "one invocation was not enough")
		assert.Equal(t, images, f.OCR.Charged())
	})
}

func TestEventOfTenThousandRecordsOfOneImageIsOneImage(t *testing.T) {
	f := newFixture(t)
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = ocrtest.ImageKey
	}
	report, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), eventOf(keys...))
	require.NoError(t, err)
	assert.JSONEq(t, `{"images":[{"bucket":"cards","key":"2026/a.jpg","status":"recognized"}],"skipped":9999}`, string(report))
	assert.Len(t, f.Bucket.Requests(), 6, "one more, as these records do not tell the version")
	assert.Equal(t, 1, f.OCR.Charged())
}

// A key has up to 1,023 bytes, of which each may take six in JSON.
func TestAnswerToThePlatformFitsIntoADestination(t *testing.T) {
	for name, letter := range map[string]string{"plain": "a", "escaped": "\x01", "three bytes": "证"} {
		t.Run(name, func(t *testing.T) {
			keys := make([]string, 300)
			for i := range keys {
				keys[i] = fmt.Sprint(i, strings.Repeat(letter, 1000/len(letter)), ".jpg")
			}
			f := newFixture(t)
			body, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), eventOf(keys...))
			require.NoError(t, err)
			assert.LessOrEqual(t, len(body), destinationBytes*5/8)
			var report Report
			require.NoError(t, json.Unmarshal(body, &report))
			assert.Positive(t, len(report.Images))
			assert.Equal(t, 300, len(report.Images)+report.Omitted)

			f.Bucket.Fail = func(op, key string) error { return fmt.Errorf("down") }
			_, err = f.handler().Invoke(t.Context(), ocrtest.First("r2"), eventOf(keys...))
			require.Error(t, err)
			encoded, _ := json.Marshal(result.AsError(err).Message)
			assert.Less(t, len(encoded), destinationBytes/4)
		})
	}
}

func TestImagesOfOneEventDoNotStopEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.OCR.Slow = time.Second
		var records []string
		for i := range 20 {
			key := fmt.Sprintf("%02d.jpg", i)
			require.NoError(t, f.Bucket.Put(t.Context(), key, []byte(key), bucket.PutOptions{ContentType: "image/jpeg"}))
			records = append(records, strings.TrimSuffix(strings.TrimPrefix(string(ocrtest.Event(key, "")), `{"events":[`), "]}"))
		}
		records = append(records, records[0], strings.Replace(records[1], "PutObject", "AppendObject", 1), strings.Replace(records[2], "02.jpg", "02.jpg.ocr.json", 1))
		f.Fail(bucket.ErrUnavailable, func(op, key string) bool { return key == "07.jpg" })
		started := time.Now()
		_, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), []byte(`{"events":[`+strings.Join(records, ",")+`]}`))
		assert.Equal(t, result.Unavailable, result.AsError(err).Code)
		assert.ErrorContains(t, err, "1 of 20 images can succeed later; first cards/07.jpg")
		assert.Equal(t, 19, f.OCR.Accepted())
		assert.Equal(t, 3*time.Second, time.Since(started), "8 side by side")
	})
}

func TestSuccessReportIsBounded(t *testing.T) {
	f := newFixture(t)
	keys := make([]string, 300)
	for i := range keys {
		keys[i] = fmt.Sprint(i, ".jpg")
	}
	body, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), eventOf(keys...))
	require.NoError(t, err)
	var report Report
	require.NoError(t, json.Unmarshal(body, &report))
	assert.Len(t, report.Images, 100)
	assert.Equal(t, 200, report.Omitted)
}

func TestInvocationAfterAPauseDropsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		resumed := 0
		f.Options.OnResume = func() { resumed++ }
		for _, pause := range []time.Duration{0, time.Second, 6 * time.Second} {
			time.Sleep(pause) // virtual
			_, err := f.handler().Invoke(t.Context(), ocrtest.First("r"), []byte(`{"events":[]}`))
			require.NoError(t, err)
		}
		assert.Equal(t, 1, resumed)
	})
}

func TestLogLineOfARefusedEvent(t *testing.T) {
	f := newFixture(t)
	_, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), []byte("no event"))
	require.Error(t, err)
	line := f.LogLine("event refused")
	assert.NotContains(t, line, "retryCount")
	assert.NotContains(t, line, "bucket")
	assert.NotContains(t, line, "key")
}

func TestBucketThatCannotBeOpenedIsRetried(t *testing.T) {
	f := newFixture(t)
	event := f.Event()
	f.Options.Open = func(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) {
		return nil, errors.New("no credentials")
	}
	_, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), event)
	assert.Equal(t, result.AccessDenied, result.AsError(err).Code)
	assert.True(t, result.AsError(err).Retryable)
	answer := f.get("/recognitions?bucket=cards&key=" + url.QueryEscape(ocrtest.ImageKey))
	assert.Equal(t, http.StatusBadGateway, answer.Code)
	assert.Contains(t, answer.Body.String(), "no credentials")
}

func TestInvocationWithoutItsDeadlineHasAMinute(t *testing.T) {
	for name, deadline := range map[string]time.Time{"none": {}, "one that no function has": time.UnixMilli(math.MaxInt64)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, ocrtest.LostAfterCharge)
				f.OCR.Slow = 19500 * time.Millisecond
				inv := ocrtest.First("r1")
				inv.Deadline = deadline
				_, err := f.handler().Invoke(t.Context(), inv, f.Event())
				require.Error(t, err)
				assert.Len(t, f.OCR.Requests(), 2, "a third would begin after the 38th second")
				assert.Equal(t, result.Timeout, f.Document().Error.Code, "the time is over; what is lost is lost for a next call only")
			})
		})
	}
}

func TestInvocationWhoseDeadlineHasPassedPaysNothing(t *testing.T) {
	f := newFixture(t)
	inv := ocrtest.First("r1")
	inv.Deadline = time.UnixMilli(1)
	_, err := f.handler().Invoke(t.Context(), inv, f.Event())
	require.Error(t, err)
	assert.Equal(t, result.Timeout, result.AsError(err).Code)
	assert.Empty(t, f.OCR.Requests())
	assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
}
