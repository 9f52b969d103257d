package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneImageTakesSixRequests(t *testing.T) {
	w := newWorld(t)
	report, err := w.Invoke(t.Context(), first("r1"), w.event())
	require.NoError(t, err)
	assert.JSONEq(t, `{"images":[{"bucket":"cards","key":"2026/a.jpg","status":"recognized"}]}`, string(report))
	requests := w.bucket.Requests()
	require.Len(t, requests, 5)
	assert.Equal(t, "APPEND "+claimKey, requests[0])
	assert.ElementsMatch(t, []string{"HEAD " + imageKey, "HEAD " + resultKey}, requests[1:3])
	assert.Equal(t, []string{"PUT " + resultKey, "DELETE " + claimKey}, requests[3:])
	assert.Len(t, w.ocr.requests, 1)
	assert.True(t, w.ocr.requests[0].Details)
	assert.Contains(t, w.ocr.requests[0].ImageURL, "x-oss-expires=300")
	assert.NotContains(t, w.ocr.requests[0].ImageURL, "process=image", "a small JPEG is sent as it is")
}

func TestDocumentHasItsFieldsInOrder(t *testing.T) {
	w := newWorld(t)
	_, err := w.Invoke(t.Context(), first("request-1"), w.event())
	require.NoError(t, err)
	d := w.document()
	assert.WithinDuration(t, time.Now(), d.CompletedAt, 5*time.Second)
	want := `{
  "schemaVersion": 1,
  "status": "recognized",
  "image": {
    "bucket": "cards",
    "key": "2026/a.jpg",
    "etag": "` + w.etag() + `",
    "size": 9
  },
  "card": {
    "name": "canary-name",
    "sex": "女",
    "ethnicity": "汉",
    "birthDate": "1949-12-31",
    "address": "canary-address",
    "idNumber": "11010519491231002X"
  },
  "validation": {
    "valid": true,
    "checkDigit": true,
    "region": true,
    "birthDate": true,
    "sex": true
  },
  "ocr": {
    "requestId": "642644970de376872d071c9f",
    "charged": true,
    "message": "识别成功!",
    "imageSource": "url",
    "details": true,
    "attempts": 1,
    "possibleExtraCharges": 0
  },
  "raw": {
    "msg": "识别成功!",
    "flag": true,
    "ret_code": 0,
    "idNo": "11010519491231002X",
    "name": "canary-name",
    "sex": "女",
    "nationality": "汉",
    "birthday": "1949年12月31日",
    "addr": "canary-address"
  },
  "requestId": "request-1",
  "completedAt": "` + d.CompletedAt.Format(time.RFC3339) + `"
}
`
	assert.Equal(t, want, string(w.bucket.Content(resultKey)))
	o, err := w.bucket.Stat(t.Context(), resultKey)
	require.NoError(t, err)
	assert.Equal(t, "application/json; charset=utf-8", o.ContentType)
	assert.Equal(t, map[string]string{"source-etag": w.etag(), "status": "recognized"}, o.Meta)
}

func TestValidation(t *testing.T) {
	yes, no := true, false
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		card Card
		want Validation
	}{
		"everything fits":          {Card{IDNumber: "11010519491231002X", BirthDate: "1949-12-31", Sex: "女"}, Validation{true, &yes, &yes, &yes, &yes}},
		"number alone":             {Card{IDNumber: "11010519491231002X"}, Validation{true, &yes, &yes, nil, nil}},
		"wrong check digit":        {Card{IDNumber: "110105194912310021"}, Validation{false, &no, &yes, nil, nil}},
		"unknown region":           {Card{IDNumber: "990105194912310025"}, Validation{false, nil, &no, nil, nil}},
		"other birth date":         {Card{IDNumber: "11010519491231002X", BirthDate: "1949-12-30"}, Validation{false, &yes, &yes, &no, nil}},
		"unreadable birth date":    {Card{IDNumber: "11010519491231002X", BirthDate: "198X-0X-XX"}, Validation{true, &yes, &yes, nil, nil}},
		"other sex":                {Card{IDNumber: "11010519491231002X", Sex: "男"}, Validation{false, &yes, &yes, nil, &no}},
		"not a date in the number": {Card{IDNumber: "110105194913310020"}, Validation{false, nil, &yes, &no, nil}},
		"born in the future":       {Card{IDNumber: "110105209012310024"}, Validation{false, nil, &yes, &no, nil}},
		"not a number":             {Card{IDNumber: "*********01211122"}, Validation{false, &no, nil, nil, nil}},
	} {
		got := validate(test.card, now)
		if test.want.CheckDigit == nil { // not what the case is about
			test.want.CheckDigit = got.CheckDigit
		}
		assert.Equal(t, test.want, *got, name)
	}
}

func TestDatesAreWrittenAsISO(t *testing.T) {
	for in, want := range map[string]string{"1980-01-31": "1980-01-31", "1980-1-3": "1980-01-03", "1980年1月31日": "1980-01-31", "1980 年 1 月 31 日": "1980-01-31",
		"19800131": "1980-01-31", "1980/1/31": "1980-01-31", "1980.01.31": "1980-01-31", "198X-0X-XX": "198X-0X-XX", "1980-02-30": "1980-02-30", "": ""} {
		assert.Equal(t, want, isoDate(in), in)
	}
}

func TestRedeliveryPaysNothing(t *testing.T) {
	for name, plan := range map[string][]string{"recognised": nil, "unrecognised": {"paidnone"}, "failed for good": {"quota"}, "parked": {"garbled"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plan...)
			_, err := w.Invoke(t.Context(), first("r1"), w.event())
			require.NoError(t, err)
			before := string(w.bucket.Content(resultKey))
			calls := len(w.ocr.requests)
			for i := range 3 {
				report, err := w.Invoke(t.Context(), first(fmt.Sprint("again", i)), w.event())
				require.NoError(t, err)
				assert.Contains(t, string(report), "unchanged")
			}
			assert.Len(t, w.ocr.requests, calls)
			assert.Equal(t, before, string(w.bucket.Content(resultKey)))
			assert.Nil(t, w.bucket.Content(claimKey))
		})
	}
}

func TestRetryableDocumentIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "throttled", "throttled", "throttled")
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.Error(t, err)
		assert.True(t, w.document().Error.Retryable)
		_, err = w.Invoke(t.Context(), retry("r1", 1), w.event())
		require.NoError(t, err)
		assert.Equal(t, Recognized, w.document().Status)
		assert.Equal(t, 1, w.ocr.accepted)
	})
}

func TestReplacedImageIsPaidOnceMore(t *testing.T) {
	w := newWorld(t)
	old := w.event()
	_, err := w.Invoke(t.Context(), first("r1"), old)
	require.NoError(t, err)
	w.upload("version 2")
	_, err = w.Invoke(t.Context(), first("r2"), w.event())
	require.NoError(t, err)
	assert.Equal(t, 2, w.ocr.accepted)
	assert.Equal(t, w.etag(), w.document().Image.ETag)
	_, err = w.Invoke(t.Context(), first("r3"), old)
	require.NoError(t, err)
	assert.Equal(t, 2, w.ocr.accepted, "an event for an older version finds the current one settled")
}

func TestStaleEventRecognisesTheCurrentVersion(t *testing.T) {
	w := newWorld(t)
	stale := w.event()
	w.upload("version 2")
	_, err := w.Invoke(t.Context(), first("r1"), stale)
	require.NoError(t, err)
	assert.Equal(t, w.etag(), w.document().Image.ETag)
	_, err = w.Invoke(t.Context(), first("r2"), w.event())
	require.NoError(t, err)
	assert.Equal(t, 1, w.ocr.accepted)
	record, ok := lastRecord([]byte(strings.Join(w.bucket.Requests(), ""))) // the claim is gone, nothing to see
	assert.False(t, ok, record)
}

func TestManyDeliveriesAtOncePayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ocr.slow = 3 * time.Second
		event := w.event()
		var group sync.WaitGroup
		var inProgress atomic.Int32
		for process := range 8 {
			h := w.handler()
			for i := range 8 {
				group.Go(func() {
					_, err := h.Invoke(t.Context(), first(fmt.Sprint(process, "-", i)), event)
					if err != nil {
						assert.Equal(t, InProgress, AsError(err).Code)
						assert.True(t, AsError(err).Retryable)
						inProgress.Add(1)
					}
				})
			}
		}
		group.Wait()
		assert.Equal(t, 1, w.ocr.accepted)
		assert.Positive(t, inProgress.Load())
		assert.Equal(t, Recognized, w.document().Status)
		assert.Nil(t, w.bucket.Content(claimKey))
	})
}

func TestDeadOwner(t *testing.T) {
	// The dead process leaves its claim and has, or has not, made its call.
	die := func(t *testing.T, w *world, called bool) {
		event := w.event()
		w.bucket.Fail = func(op, key string) error {
			if (op == "HEAD" && !called) || (op == "PUT" && called) || op == "DELETE" {
				panic("killed") // caught, and then nothing more is written: the claim stays
			}
			return nil
		}
		_, err := w.Invoke(t.Context(), first("r1"), event)
		require.Error(t, err)
		w.bucket.Fail = nil
		require.NotNil(t, w.bucket.Content(claimKey))
	}
	for name, test := range map[string]struct {
		called, park bool
		after        time.Duration
		inv          func() Invocation

		accepted, extra int
		status          Status
		nonces          string
	}{
		"before its call, next attempt":               {inv: func() Invocation { return retry("r1", 1) }, accepted: 1, status: Recognized, nonces: "1"},
		"before its call, lease over":                 {after: time.Minute, inv: func() Invocation { return first("r2") }, accepted: 1, status: Recognized, nonces: "1"},
		"after its call, next attempt":                {called: true, inv: func() Invocation { return retry("r1", 1) }, accepted: 2, extra: 1, status: Recognized, nonces: "112"},
		"after its call, parked":                      {called: true, park: true, after: time.Minute, inv: func() Invocation { return first("r2") }, accepted: 1, extra: 1, status: Failed, nonces: "11"},
		"before its call, nonce forgotten, once more": {after: 16 * time.Minute, inv: func() Invocation { return first("r2") }, accepted: 1, extra: 1, status: Recognized, nonces: "1"},
		"before its call, nonce forgotten, parked":    {park: true, after: 16 * time.Minute, inv: func() Invocation { return first("r2") }, accepted: 0, extra: 1, status: Failed, nonces: ""},
		"after its call, nonce forgotten, parked":     {called: true, park: true, after: 16 * time.Minute, inv: func() Invocation { return first("r2") }, accepted: 1, extra: 1, status: Failed, nonces: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.ParkLost = test.park
				if test.called {
					die(t, w, true)
				} else {
					event := w.event()
					w.bucket.Fail = func(op, key string) error { // all ends after the claim
						if op != "APPEND" {
							return fmt.Errorf("killed: %w", bucket.ErrTransient)
						}
						return nil
					}
					_, err := w.Invoke(t.Context(), first("r1"), event)
					require.Error(t, err)
					require.NotNil(t, w.bucket.Content(claimKey))
					w.bucket.Fail = nil
				}
				time.Sleep(test.after) // virtual
				_, err := w.Invoke(t.Context(), test.inv(), w.event())
				require.NoError(t, err)
				assert.Equal(t, test.accepted, w.ocr.accepted)
				assert.Equal(t, test.status, w.document().Status)
				assert.Equal(t, test.extra, w.document().OCR.PossibleExtraCharges)
				assert.Equal(t, test.nonces, numbered(w.ocr.nonces()))
				if test.status == Failed {
					assert.Equal(t, AnswerLost, w.document().Error.Code)
					assert.False(t, w.document().Error.Retryable)
				}
			})
		})
	}
}

func TestResultThatCannotBeWrittenIsNotPaidAgain(t *testing.T) {
	for name, kind := range map[string]error{"storage down": bucket.ErrTransient, "no permission": bucket.ErrDenied} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			event := w.event()
			w.bucket.Fail = func(op, key string) error {
				if op == "PUT" {
					return fmt.Errorf("memory: %w", kind)
				}
				return nil
			}
			_, err := w.Invoke(t.Context(), first("r1"), event)
			require.Error(t, err)
			assert.True(t, AsError(err).Retryable)
			assert.Equal(t, errors.Is(kind, bucket.ErrDenied), AsError(err).Code == AccessDenied)
			assert.Contains(t, string(w.bucket.Content(claimKey)), "canary-name", "the paid answer waits in the claim")
			_, err = w.Invoke(t.Context(), first("r2"), event)
			require.Error(t, err, "and is kept as long as it cannot be written")
			w.bucket.Fail = nil
			_, err = w.Invoke(t.Context(), first("r3"), event)
			require.NoError(t, err)
			assert.Equal(t, 1, w.ocr.accepted)
			d := w.document()
			assert.Equal(t, Recognized, d.Status)
			assert.Equal(t, "r3", d.RequestID)
			assert.Equal(t, 1, d.OCR.Attempts)
			assert.Nil(t, w.bucket.Content(claimKey))
		})
	}
}

func TestOpenFateIsAskedByTheNextDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "lost", "lost", "swallowed") // two calls of open fate, one of them charged
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.Error(t, err)
		assert.Equal(t, 2, w.document().OCR.PossibleExtraCharges)
		_, err = w.Invoke(t.Context(), retry("r1", 1), w.event())
		require.NoError(t, err)
		assert.Equal(t, "1122", numbered(w.ocr.nonces()), "asked with the nonce that was open, and not paid a third time")
		assert.Equal(t, AnswerLost, w.document().Error.Code)
		assert.Equal(t, 1, w.ocr.charged)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "lost", "lost", "lost") // nothing arrived
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.Error(t, err)
		_, err = w.Invoke(t.Context(), retry("r1", 1), w.event())
		require.NoError(t, err)
		assert.Equal(t, Recognized, w.document().Status)
		assert.Equal(t, 1, w.document().OCR.PossibleExtraCharges, "the first nonce; the second one's fate is known now")
		assert.Equal(t, 1, w.ocr.charged)
	})
}

func TestOpenFateIsAskedOncePerDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "lost", "lost", "lost", "lost")
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.Error(t, err)
		_, err = w.Invoke(t.Context(), retry("r1", 1), w.event())
		require.NoError(t, err)
		assert.Len(t, w.ocr.requests, 4, "lost once more: the same nonce is not asked about a third time")
		assert.Equal(t, AnswerLost, w.document().Error.Code)
	})
}

func TestPossibleChargesAreRememberedBetweenDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "swallowed", "ok", "swallowed")
		w.MaxAttempts = 2
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.Error(t, err)
		assert.Equal(t, 1, w.document().OCR.PossibleExtraCharges)
		_, err = w.Invoke(t.Context(), retry("r1", 1), w.event())
		require.NoError(t, err)
		assert.Equal(t, "112", numbered(w.ocr.nonces()))
		assert.Equal(t, 2, w.ocr.charged, "once more, and never again")
		assert.Equal(t, AnswerLost, w.document().Error.Code)
		assert.Equal(t, 2, w.document().OCR.PossibleExtraCharges)
	})
}

func TestKeptResultIsOfItsVersionOnly(t *testing.T) {
	w := newWorld(t)
	event := w.event()
	w.bucket.Fail = func(op, key string) error {
		if op == "PUT" {
			return fmt.Errorf("memory: %w", bucket.ErrTransient)
		}
		return nil
	}
	_, err := w.Invoke(t.Context(), first("r1"), event)
	require.Error(t, err)
	w.bucket.Fail = nil
	w.upload("version 2")
	_, err = w.Invoke(t.Context(), first("r2"), w.event())
	require.NoError(t, err)
	assert.Equal(t, 2, w.ocr.accepted)
	assert.Equal(t, w.etag(), w.document().Image.ETag)
}

func TestNoCallWithoutItsNonceInTheClaim(t *testing.T) {
	for _, kind := range []error{bucket.ErrDenied, bucket.ErrTransient} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "throttled")
			event := w.event()
			appends := 0
			w.bucket.Fail = func(op, key string) error {
				if op == "APPEND" {
					if appends++; appends == 2 {
						return fmt.Errorf("memory: %w", kind)
					}
				}
				return nil
			}
			_, err := w.Invoke(t.Context(), first("r1"), event)
			assert.True(t, AsError(err).Retryable)
			assert.True(t, w.document().Error.Retryable)
			assert.Len(t, w.ocr.requests, 1)
			assert.Nil(t, w.bucket.Content(claimKey), "nothing is open, so nothing is left behind")
		})
	}
}

func TestPanicIsTheFateOfItsImageOnly(t *testing.T) {
	w := newWorld(t)
	w.Open = func(string, string, bucket.Credentials, *slog.Logger) (Store, error) { panic("canary-name") }
	_, err := w.Invoke(t.Context(), first("r1"), w.event())
	assert.Equal(t, Internal, AsError(err).Code)
	assert.Contains(t, w.log.String(), "panic")
	assert.NotContains(t, w.log.String()+err.Error(), "canary")
}

func TestServerSaysHowLongToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "later")
		started := time.Now()
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(started), 7*time.Second)
	})
}

func TestMalformedRecordDoesNotStopTheOthersAndIsTold(t *testing.T) {
	w := newWorld(t)
	event := strings.Replace(string(w.event()), `{"events":[`, `{"events":[{"eventName":"ObjectCreated:PutObject"},`, 1)
	_, err := w.Invoke(t.Context(), first("r1"), []byte(event))
	assert.Equal(t, BadRequest, AsError(err).Code)
	assert.ErrorContains(t, err, "record 1 of 2")
	assert.Equal(t, Recognized, w.document().Status)
}

func TestNoCallStartsThatTheTimeLeftDoesNotCover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		inv := first("r1")
		inv.Deadline = time.Now().Add(w.Timeout + writeReserve - time.Millisecond)
		_, err := w.Invoke(t.Context(), inv, w.event())
		assert.Equal(t, Timeout, AsError(err).Code)
		assert.Empty(t, w.ocr.requests)
		assert.Equal(t, Timeout, w.document().Error.Code)
		assert.True(t, w.document().Error.Retryable)
		assert.Nil(t, w.bucket.Content(claimKey))

		inv = first("r2")
		inv.Deadline = time.Now().Add(writeReserve / 2)
		_, err = w.Invoke(t.Context(), inv, w.event())
		assert.Equal(t, Timeout, AsError(err).Code)

		w.ocr.slow = time.Hour
		started := time.Now()
		inv = first("r3")
		_, err = w.Invoke(t.Context(), inv, w.event())
		assert.Equal(t, Timeout, AsError(err).Code)
		assert.LessOrEqual(t, time.Since(started), time.Minute, "the invocation ends before its deadline")
		assert.Equal(t, 2, w.document().OCR.Attempts, "20 s each; a third call would not fit")
	})
}

func TestRateLimitIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.RateLimit = 0.5
		w.Handler = New(w.Options)
		started := time.Now()
		for i := range 4 {
			w.upload(fmt.Sprint("version ", i))
			_, err := w.Invoke(t.Context(), first(fmt.Sprint(i)), w.event())
			require.NoError(t, err)
		}
		assert.Equal(t, 6*time.Second, time.Since(started).Round(time.Second))
	})
}

func TestImagesThatCostNothing(t *testing.T) {
	for name, test := range map[string]struct {
		content []byte
		code    Code
	}{
		"too large": {make([]byte, 20<<20+1), ImageTooLarge},
		"empty":     {nil, ImageUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.upload(string(test.content))
			_, err := w.Invoke(t.Context(), first("r1"), w.event())
			require.NoError(t, err, "a repetition would not help")
			assert.Equal(t, test.code, w.document().Error.Code)
			assert.False(t, w.document().OCR.Charged)
			assert.Empty(t, w.ocr.requests)
		})
	}
	t.Run("gone", func(t *testing.T) {
		w := newWorld(t)
		event := w.event()
		require.NoError(t, w.bucket.Remove(t.Context(), imageKey))
		report, err := w.Invoke(t.Context(), first("r1"), event)
		require.NoError(t, err)
		assert.Contains(t, string(report), "missing")
		assert.Nil(t, w.document(), "nothing is written")
		assert.Nil(t, w.bucket.Content(claimKey))
		assert.Empty(t, w.ocr.requests)
	})
}

func TestProcessingOnlyWhereItIsNeeded(t *testing.T) {
	for key, want := range map[string]bool{"a.jpg": false, "a.JPEG": false, "a.png": false, "a.bmp": false, "a.webp": true, "a.HEIC": true, "a": true} {
		assert.Equal(t, want, processing(key, 1_500_000) != "", key)
		assert.NotEmpty(t, processing(key, 1_500_001), key)
	}
}

func TestImagesOfOneEventDoNotStopEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ocr.slow = time.Second
		var records []string
		for i := range 20 {
			key := fmt.Sprintf("%02d.jpg", i)
			require.NoError(t, w.bucket.Write(t.Context(), key, "image/jpeg", nil, []byte(key)))
			records = append(records, strings.TrimSuffix(strings.TrimPrefix(string(eventFor(key, "")), `{"events":[`), "]}"))
		}
		records = append(records, records[0], strings.Replace(records[1], "PutObject", "AppendObject", 1), strings.Replace(records[2], "02.jpg", "02.jpg.ocr.json", 1))
		w.bucket.Fail = func(op, key string) error {
			if key == "07.jpg" {
				return fmt.Errorf("memory: %w", bucket.ErrTransient)
			}
			return nil
		}
		started := time.Now()
		_, err := w.Invoke(t.Context(), first("r1"), []byte(`{"events":[`+strings.Join(records, ",")+`]}`))
		assert.Equal(t, Unavailable, AsError(err).Code)
		assert.ErrorContains(t, err, "1 of 20 images can succeed later; first cards/07.jpg")
		assert.Equal(t, 19, w.ocr.accepted)
		assert.Equal(t, 3*time.Second, time.Since(started), "8 side by side")
	})
}

func TestSuccessReportIsBounded(t *testing.T) {
	w := newWorld(t)
	outcomes, images := make([]string, 0, 300), 300
	for i := range images {
		outcomes = append(outcomes, strings.TrimSuffix(strings.TrimPrefix(string(eventFor(fmt.Sprint(i, ".jpg"), "")), `{"events":[`), "]}"))
	}
	body, err := w.Invoke(t.Context(), first("r1"), []byte(`{"events":[`+strings.Join(outcomes, ",")+`]}`))
	require.NoError(t, err)
	var report Report
	require.NoError(t, json.Unmarshal(body, &report))
	assert.Len(t, report.Images, 100)
	assert.Equal(t, 200, report.Omitted)
}

func TestForceIsTheOnlyWayToPayAgain(t *testing.T) {
	w := newWorld(t)
	image := namedImage{Image: Image{Bucket: "cards", Key: imageKey}}
	for i, test := range []struct {
		force bool
		paid  int
	}{{false, 1}, {false, 1}, {true, 2}, {false, 2}} {
		o := w.object(t.Context(), first(fmt.Sprint(i)), image, test.force)
		assert.Nil(t, o.err)
		assert.Equal(t, test.paid, w.ocr.accepted)
	}
}

func TestUnclaimedImageStillGetsItsDocument(t *testing.T) {
	for name, test := range map[string]struct {
		kind  error
		code  Code
		again bool
	}{
		"no permission": {bucket.ErrDenied, AccessDenied, false},
		"storage down":  {bucket.ErrTransient, Unavailable, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			event := w.event()
			w.bucket.Fail = func(op, key string) error {
				if op == "APPEND" {
					return fmt.Errorf("memory: %w", test.kind)
				}
				return nil
			}
			_, err := w.Invoke(t.Context(), first("r1"), event)
			assert.Equal(t, test.again, err != nil)
			require.NotNil(t, w.document())
			assert.Equal(t, test.code, w.document().Error.Code)
			assert.Empty(t, w.ocr.requests, "nothing is paid without a claim")

			w.bucket.Fail = nil
			_, err = w.Invoke(t.Context(), first("r2"), event)
			require.NoError(t, err)
		})
	}
	t.Run("a document that is there is not overwritten", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.NoError(t, err)
		event := w.event()
		w.bucket.Fail = func(op, key string) error {
			if op == "APPEND" {
				return fmt.Errorf("memory: %w", bucket.ErrDenied)
			}
			return nil
		}
		_, err = w.Invoke(t.Context(), first("r2"), event)
		require.Error(t, err, "as nothing beside the image tells, the platform must hear it")
		assert.Equal(t, Recognized, w.document().Status)
	})
}

func TestImageThatVanishesDuringTheCallLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.ImageSource = SourceData
	event := w.event()
	w.bucket.Fail = func(op, key string) error {
		if op == "GET" && key == imageKey {
			return fmt.Errorf("memory: %w", bucket.ErrNotFound)
		}
		return nil
	}
	_, err := w.Invoke(t.Context(), first("r1"), event)
	require.NoError(t, err)
	assert.Nil(t, w.document())
	assert.Nil(t, w.bucket.Content(claimKey))
}

func TestClaimLostBetweenCallsEndsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "throttled")
		event := w.event()
		stolen := false
		w.bucket.Fail = func(op, key string) error {
			if op == "APPEND" && stolen {
				return fmt.Errorf("memory: %w", bucket.ErrPosition)
			}
			stolen = stolen || op == "HEAD"
			return nil
		}
		_, err := w.Invoke(t.Context(), first("r1"), event)
		assert.Equal(t, InProgress, AsError(err).Code)
		assert.Len(t, w.ocr.requests, 1, "no call without its nonce in the claim")
		assert.Nil(t, w.document(), "whoever holds the claim writes the document")
	})
}

func TestOneLogLineTellsHowAnImageEnded(t *testing.T) {
	w := newWorld(t)
	key := "cards of 11010519491231002X.jpg"
	require.NoError(t, w.bucket.Write(t.Context(), key, "image/jpeg", nil, []byte("x")))
	_, err := w.Invoke(t.Context(), first("r1"), eventFor(key, ""))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	require.Len(t, lines, 1)
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &line))
	assert.NotContains(t, lines[0], "19491231")
	for name, want := range map[string]any{"level": "INFO", "msg": "image done", "requestId": "r1", "bucket": "cards", "status": "recognized", "charged": true,
		"attempts": 1.0, "possibleExtraCharges": 0.0, "source": "url"} {
		assert.Equal(t, want, line[name], name)
	}
	for _, step := range []string{"claimMs", "lookMs", "recognizeMs", "writeMs", "releaseMs", "totalMs"} {
		assert.Contains(t, line, step)
	}
}

func TestWakeAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		woken := 0
		w.Wake = func() { woken++ }
		for _, pause := range []time.Duration{0, time.Second, 6 * time.Second} {
			time.Sleep(pause) // virtual
			_, err := w.Invoke(t.Context(), first("r"), []byte(`{"events":[]}`))
			require.NoError(t, err)
		}
		assert.Equal(t, 1, woken)
	})
}

var _ Recognizer = (*ocrclient.Client)(nil)

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
		"HEAD document: denied":                     {on: "HEAD " + resultKey, kind: bucket.ErrDenied, code: AccessDenied, again: true},
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
			settled := w.bucket.Content(resultKey)
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
			if test.calls > 0 {
				return
			}
			assert.Equal(t, string(settled), string(w.bucket.Content(resultKey)), "what is settled stays")
			w.bucket.Fail = nil
			_, err = w.Invoke(t.Context(), first("r3"), event)
			require.NoError(t, err)
			assert.Equal(t, before, len(w.ocr.requests), "and is not paid again")
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
