package processor_test

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
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneImageTakesSevenRequests(t *testing.T) {
	f := ocrtest.NewFixture(t)
	o := f.Process(ocrtest.First("r1"))
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, result.Recognized, o.Status)
	requests := f.Bucket.Requests()
	require.Len(t, requests, 6)
	assert.Equal(t, "APPEND "+ocrtest.ClaimKey, requests[0])
	assert.ElementsMatch(t, []string{"HEAD " + ocrtest.ImageKey, "HEAD " + ocrtest.ResultKey}, requests[1:3])
	assert.Equal(t, []string{"HEAD " + ocrtest.ImageKey, "PUT " + ocrtest.ResultKey, "DELETE " + ocrtest.ClaimKey}, requests[3:])
	assert.Len(t, f.OCR.Requests(), 1)
	assert.True(t, f.OCR.Requests()[0].Details)
	assert.Contains(t, f.OCR.Requests()[0].ImageURL, "x-oss-expires=300")
	assert.NotContains(t, f.OCR.Requests()[0].ImageURL, "process=image", "a small JPEG is sent as it is")
}

func TestDocumentHasItsFieldsInOrder(t *testing.T) {
	f := ocrtest.NewFixture(t)
	o := f.Process(ocrtest.First("request-1"))
	require.False(t, o.Retry(), o.Err)
	d := f.Document()
	assert.WithinDuration(t, time.Now(), d.CompletedAt, 5*time.Second)
	want := `{
  "schemaVersion": 1,
  "status": "recognized",
  "image": {
    "bucket": "cards",
    "key": "2026/a.jpg",
    "etag": "` + f.ETag() + `",
    "size": 9,
    "lastModified": "` + f.Version().LastModified.Format(time.RFC3339) + `"
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
    "verdict": "consistent",
    "numberKind": "resident",
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
	assert.Equal(t, want, string(f.Bucket.Content(ocrtest.ResultKey)))
	object, err := f.Bucket.Head(t.Context(), ocrtest.ResultKey)
	require.NoError(t, err)
	assert.Equal(t, "application/json; charset=utf-8", object.ContentType)
	assert.Equal(t, map[string]string{"source-etag": f.ETag(), "status": "recognized"}, object.Meta)
}

func TestRedeliveryPaysNothing(t *testing.T) {
	for name, plan := range map[string][]ocrtest.Outcome{"recognised": nil, "unrecognised": {ocrtest.PaidNotRecognized}, "failed for good": {ocrtest.QuotaExhausted}, "malformed": {ocrtest.Garbled}} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t, plan...)
			o := f.Process(ocrtest.First("r1"))
			require.False(t, o.Retry(), o.Err)
			before := string(f.Bucket.Content(ocrtest.ResultKey))
			calls := len(f.OCR.Requests())
			for i := range 3 {
				o := f.Process(ocrtest.First(fmt.Sprint("again", i)))
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, processor.Unchanged, o.Status)
			}
			assert.Len(t, f.OCR.Requests(), calls)
			assert.Equal(t, before, string(f.Bucket.Content(ocrtest.ResultKey)))
			assert.Nil(t, f.Bucket.Content(ocrtest.ClaimKey))
		})
	}
}

func TestRetryableDocumentIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.Throttled, ocrtest.Throttled, ocrtest.Throttled)
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		assert.True(t, f.Document().Error.Retryable)
		o = f.Process(ocrtest.Retry("r1", 1))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, result.Recognized, f.Document().Status)
		assert.Equal(t, 1, f.OCR.Accepted())
		assert.Equal(t, "1234", f.OCR.Nonces(), "a nonce that was refused is not sent again by the next delivery")
	})
}

func TestReplacedImageIsPaidOnceMore(t *testing.T) {
	f := ocrtest.NewFixture(t)
	old := f.Request()
	o := f.Processor().Process(t.Context(), ocrtest.First("r1"), old)
	require.False(t, o.Retry(), o.Err)
	f.Upload("version 2")
	o = f.Process(ocrtest.First("r2"))
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, 2, f.OCR.Accepted())
	assert.Equal(t, f.ETag(), f.Document().Image.ETag)
	o = f.Processor().Process(t.Context(), ocrtest.First("r3"), old)
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, 2, f.OCR.Accepted(), "an event for an older version finds the current one settled")
}

func TestStaleEventRecognisesTheCurrentVersion(t *testing.T) {
	f := ocrtest.NewFixture(t)
	stale := f.Request()
	f.Upload("version 2")
	o := f.Processor().Process(t.Context(), ocrtest.First("r1"), stale)
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, f.ETag(), f.Document().Image.ETag)
	o = f.Process(ocrtest.First("r2"))
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, 1, f.OCR.Accepted())
	assert.Nil(t, f.Bucket.Content(ocrtest.ClaimKey))
}

func TestManyDeliveriesAtOncePayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.OCR.Slow = 3 * time.Second
		request := f.Request()
		var group sync.WaitGroup
		var inProgress atomic.Int32
		for process := range 8 {
			p := f.StartProcessor()
			for i := range 8 {
				group.Go(func() {
					o := p.Process(t.Context(), ocrtest.First(fmt.Sprint(process, "-", i)), request)
					if o.Retry() {
						assert.Equal(t, result.InProgress, o.Err.Code)
						assert.True(t, o.Err.Retryable)
						inProgress.Add(1)
					}
				})
			}
		}
		group.Wait()
		assert.Equal(t, 1, f.OCR.Accepted())
		assert.Positive(t, inProgress.Load())
		assert.Equal(t, result.Recognized, f.Document().Status)
		assert.Nil(t, f.Bucket.Content(ocrtest.ClaimKey))
	})
}

func TestDeadOwner(t *testing.T) {
	// The dead process leaves its claim and has, or has not, made its call.
	die := func(t *testing.T, f *ocrtest.Fixture, called bool) {
		f.Bucket.Fail = func(op, key string) error {
			if (op == "HEAD" && !called) || (op == "PUT" && called) || op == "DELETE" {
				panic("killed") // caught, and then nothing more is written: the claim stays
			}
			return nil
		}
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		f.Bucket.Fail = nil
		require.NotNil(t, f.Bucket.Content(ocrtest.ClaimKey))
	}
	for name, test := range map[string]struct {
		called, park bool
		after        time.Duration
		inv          func() processor.Invocation

		accepted, extra int
		status          result.Status
		nonces          string
	}{
		"before its call, next attempt":               {inv: func() processor.Invocation { return ocrtest.Retry("r1", 1) }, accepted: 1, status: result.Recognized, nonces: "1"},
		"before its call, lease over":                 {after: time.Minute, inv: func() processor.Invocation { return ocrtest.First("r2") }, accepted: 1, status: result.Recognized, nonces: "1"},
		"after its call, next attempt":                {called: true, inv: func() processor.Invocation { return ocrtest.Retry("r1", 1) }, accepted: 2, extra: 1, status: result.Recognized, nonces: "112"},
		"after its call, parked":                      {called: true, park: true, after: time.Minute, inv: func() processor.Invocation { return ocrtest.First("r2") }, accepted: 1, extra: 1, status: result.Failed, nonces: "11"},
		"before its call, nonce forgotten, once more": {after: 16 * time.Minute, inv: func() processor.Invocation { return ocrtest.First("r2") }, accepted: 1, extra: 1, status: result.Recognized, nonces: "1"},
		"before its call, nonce forgotten, parked":    {park: true, after: 16 * time.Minute, inv: func() processor.Invocation { return ocrtest.First("r2") }, accepted: 0, extra: 1, status: result.Failed, nonces: ""},
		"after its call, nonce forgotten, parked":     {called: true, park: true, after: 16 * time.Minute, inv: func() processor.Invocation { return ocrtest.First("r2") }, accepted: 1, extra: 1, status: result.Failed, nonces: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				if test.park {
					f.Options.OnLostAnswer = config.Park
				}
				if test.called {
					die(t, f, true)
				} else {
					f.Fail(bucket.ErrUnavailable, func(string, string) bool { // all ends after the claim
						return f.Bucket.Content(ocrtest.ClaimKey) != nil
					})
					o := f.Process(ocrtest.First("r1"))
					require.True(t, o.Retry())
					require.NotNil(t, f.Bucket.Content(ocrtest.ClaimKey))
					f.Bucket.Fail = nil
				}
				time.Sleep(test.after) // virtual
				o := f.Process(test.inv())
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, test.accepted, f.OCR.Accepted())
				assert.Equal(t, test.status, f.Document().Status)
				assert.Equal(t, test.extra, f.Document().OCR.PossibleExtraCharges)
				assert.Equal(t, test.nonces, f.OCR.Nonces())
				if test.status == result.Failed {
					assert.Equal(t, result.AnswerLost, f.Document().Error.Code)
					assert.False(t, f.Document().Error.Retryable)
				}
			})
		})
	}
}

func TestResultThatCannotBeWrittenIsNotPaidAgain(t *testing.T) {
	for name, kind := range map[string]error{"storage down": bucket.ErrUnavailable, "no permission": bucket.ErrAccessDenied} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t)
			f.Fail(kind, ocrtest.Op("PUT"))
			o := f.Process(ocrtest.First("r1"))
			require.True(t, o.Retry())
			assert.True(t, o.Err.Retryable)
			assert.Equal(t, errors.Is(kind, bucket.ErrAccessDenied), o.Err.Code == result.AccessDenied)
			assert.Contains(t, string(f.Bucket.Content(ocrtest.ClaimKey)), "canary-name", "the paid answer waits in the claim")
			o = f.Process(ocrtest.First("r2"))
			require.True(t, o.Retry(), "and is kept as long as it cannot be written")
			f.Bucket.Fail = nil
			o = f.Process(ocrtest.First("r3"))
			require.False(t, o.Retry(), o.Err)
			assert.Equal(t, 1, f.OCR.Accepted())
			d := f.Document()
			assert.Equal(t, result.Recognized, d.Status)
			assert.Equal(t, "r3", d.RequestID)
			assert.Equal(t, 1, d.OCR.Attempts)
			assert.Nil(t, f.Bucket.Content(ocrtest.ClaimKey))
		})
	}
}

func TestOpenFateIsAskedByTheNextDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance, ocrtest.LostAfterCharge) // two indeterminate calls, one of them charged
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		assert.Equal(t, 2, f.Document().OCR.PossibleExtraCharges)
		o = f.Process(ocrtest.Retry("r1", 1))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, "1122", f.OCR.Nonces(), "asked with the nonce that was open, and not paid a third time")
		assert.Equal(t, result.AnswerLost, f.Document().Error.Code)
		assert.Equal(t, 1, f.OCR.Charged())
	})
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance) // nothing arrived
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		o = f.Process(ocrtest.Retry("r1", 1))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, result.Recognized, f.Document().Status)
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges, "the first nonce; the outcome of the second is known now")
		assert.Equal(t, 1, f.OCR.Charged())
	})
}

func TestOpenFateIsAskedOncePerDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance)
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		o = f.Process(ocrtest.Retry("r1", 1))
		require.False(t, o.Retry(), o.Err)
		assert.Len(t, f.OCR.Requests(), 4, "lost once more: the same nonce is not asked about a third time")
		assert.Equal(t, result.AnswerLost, f.Document().Error.Code)
	})
}

func TestPossibleChargesAreRememberedBetweenDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge, ocrtest.Recognized, ocrtest.LostAfterCharge)
		f.Options.MaxAttempts = 2
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
		o = f.Process(ocrtest.Retry("r1", 1))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, "1122", f.OCR.Nonces())
		assert.Equal(t, 2, f.OCR.Charged(), "once more, and never again")
		assert.Equal(t, result.AnswerLost, f.Document().Error.Code)
		assert.Equal(t, 2, f.Document().OCR.PossibleExtraCharges)
	})
}

func TestKeptResultIsOfItsVersionOnly(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Fail(bucket.ErrUnavailable, ocrtest.Op("PUT"))
	o := f.Process(ocrtest.First("r1"))
	require.True(t, o.Retry())
	f.Bucket.Fail = nil
	f.Upload("version 2")
	o = f.Process(ocrtest.First("r2"))
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, 2, f.OCR.Accepted())
	assert.Equal(t, f.ETag(), f.Document().Image.ETag)
}

func TestNoCallWithoutItsNonceInTheClaim(t *testing.T) {
	for _, kind := range []error{bucket.ErrAccessDenied, bucket.ErrUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			f := ocrtest.NewFixture(t, ocrtest.Throttled)
			appends := 0
			f.Bucket.Fail = func(op, key string) error {
				if op == "APPEND" {
					if appends++; appends == 2 {
						return fmt.Errorf("memory: %w", kind)
					}
				}
				return nil
			}
			o := f.Process(ocrtest.First("r1"))
			assert.True(t, o.Err.Retryable)
			assert.True(t, f.Document().Error.Retryable)
			assert.Len(t, f.OCR.Requests(), 1)
			assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState())
			f.Bucket.Fail = nil
			o = f.Process(ocrtest.First("r2"))
			require.False(t, o.Retry(), o.Err)
			assert.Equal(t, "12", f.OCR.Nonces(), "the next delivery goes on with the next generation")
		})
	}
}

func TestPanicIsTheFateOfItsImageOnly(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.Open = func(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) { panic("canary-name") }
	o := f.Process(ocrtest.First("r1"))
	assert.Equal(t, result.Internal, o.Err.Code)
	assert.Contains(t, f.Log.String(), "panic")
	assert.NotContains(t, f.Log.String()+o.Err.Error(), "canary")
}

func TestServerSaysHowLongToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.ThrottledFor(7*time.Second))
		started := time.Now()
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.GreaterOrEqual(t, time.Since(started), 7*time.Second)
	})
}

func TestNoCallStartsThatTheTimeLeftDoesNotCover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		inv := ocrtest.First("r1")
		inv.Deadline = time.Now().Add(f.Options.Timeout + processor.WriteReserve - time.Millisecond)
		o := f.Process(inv)
		assert.Equal(t, result.Timeout, o.Err.Code)
		assert.Empty(t, f.OCR.Requests())
		assert.Equal(t, result.Timeout, f.Document().Error.Code)
		assert.True(t, f.Document().Error.Retryable)
		assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState())

		inv = ocrtest.First("r2")
		inv.Deadline = time.Now().Add(processor.WriteReserve / 2)
		o = f.Process(inv)
		assert.Equal(t, result.Timeout, o.Err.Code)

		f.OCR.Slow = time.Hour
		started := time.Now()
		inv = ocrtest.First("r3")
		o = f.Process(inv)
		assert.Equal(t, result.Timeout, o.Err.Code)
		assert.LessOrEqual(t, time.Since(started), time.Minute, "the invocation ends before its deadline")
		assert.Equal(t, 2, f.Document().OCR.Attempts, "20 s each; a third call would not fit")
	})
}

func TestRateLimitIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Options.RateLimit = 0.5
		started := time.Now()
		for i := range 4 {
			f.Upload(fmt.Sprint("version ", i))
			o := f.Process(ocrtest.First(fmt.Sprint(i)))
			require.False(t, o.Retry(), o.Err)
		}
		assert.Equal(t, 6*time.Second, time.Since(started).Round(time.Second))
	})
}

func TestImagesThatCostNothing(t *testing.T) {
	for name, test := range map[string]struct {
		content []byte
		code    result.Code
	}{
		"too large": {make([]byte, 20<<20+1), result.ImageTooLarge},
		"empty":     {nil, result.ImageUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t)
			f.Upload(string(test.content))
			o := f.Process(ocrtest.First("r1"))
			require.False(t, o.Retry(), "a repetition would not help")
			assert.Equal(t, test.code, f.Document().Error.Code)
			assert.False(t, f.Document().OCR.Charged)
			assert.Empty(t, f.OCR.Requests())
		})
	}
	t.Run("gone", func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		require.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ImageKey))
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, processor.Missing, o.Status)
		assert.Nil(t, f.Document(), "nothing is written")
		assert.Nil(t, f.Bucket.Content(ocrtest.ClaimKey))
		assert.Empty(t, f.OCR.Requests())
	})
}

func TestForceIsTheOnlyWayToPayAgain(t *testing.T) {
	f := ocrtest.NewFixture(t)
	for i, test := range []struct {
		force bool
		paid  int
	}{{false, 1}, {false, 1}, {true, 2}, {false, 2}} {
		request := f.Request()
		request.Force = test.force
		o := f.Processor().Process(t.Context(), ocrtest.First(fmt.Sprint(i)), request)
		assert.Nil(t, o.Err)
		assert.Equal(t, test.paid, f.OCR.Accepted())
	}
}

// The forced call pays in any case; what is not known of the calls before it is told.
func TestAForcedCallDoesNotAskAboutTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge, ocrtest.LostAfterCharge)
		f.Options.MaxAttempts = 1
		require.True(t, f.Process(ocrtest.First("r1")).Retry())
		f.Options.MaxAttempts = 3
		f.Restart()
		forced := f.Request()
		forced.Force = true
		o := f.Processor().Process(t.Context(), ocrtest.First("r2"), forced)
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, "1223", f.OCR.Nonces(), "it has its own second chance")
		assert.Equal(t, result.Recognized, f.Document().Status)
		assert.Equal(t, 2, f.Document().OCR.PossibleExtraCharges)
		assert.Equal(t, 3, f.OCR.Charged())
	})
}

// The last chance to get what may be paid twice has all the time that is left.
func TestTheCallAfterALostAnswerHasAllTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge)
		calls := 0
		f.OCR.OnCall = func(ocrclient.Request) {
			if calls++; calls == 3 {
				f.OCR.Slow = f.Options.Timeout + 10*time.Second
			}
		}
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, "112", f.OCR.Nonces())
		assert.Equal(t, result.Recognized, f.Document().Status)
	})
}

func TestUnclaimedImageStillGetsItsDocument(t *testing.T) {
	for name, test := range map[string]struct {
		kind  error
		code  result.Code
		again bool
	}{
		"no permission": {bucket.ErrAccessDenied, result.AccessDenied, false},
		"storage down":  {bucket.ErrUnavailable, result.Unavailable, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t)
			f.Fail(test.kind, ocrtest.Op("APPEND"))
			o := f.Process(ocrtest.First("r1"))
			assert.Equal(t, test.again, o.Retry())
			require.NotNil(t, f.Document())
			assert.Equal(t, test.code, f.Document().Error.Code)
			assert.Empty(t, f.OCR.Requests(), "nothing is paid without a claim")

			f.Bucket.Fail = nil
			o = f.Process(ocrtest.First("r2"))
			require.False(t, o.Retry(), o.Err)
		})
	}
	t.Run("a document that is there is not overwritten", func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		f.Fail(bucket.ErrAccessDenied, ocrtest.Op("APPEND"))
		o = f.Process(ocrtest.First("r2"))
		require.True(t, o.Retry(), "as nothing beside the image tells, the platform must hear it")
		assert.Equal(t, result.Recognized, f.Document().Status)
	})
}

func TestImageThatVanishesDuringTheCallLeavesNothing(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.ImageSource = config.Data
	f.Fail(bucket.ErrNotFound, func(op, key string) bool { return op == "GET" && key == ocrtest.ImageKey })
	o := f.Process(ocrtest.First("r1"))
	require.False(t, o.Retry(), o.Err)
	assert.Nil(t, f.Document())
	assert.Nil(t, f.Bucket.Content(ocrtest.ClaimKey))
}

func TestClaimLostBetweenCallsEndsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.Throttled)
		stolen := false
		f.Bucket.Fail = func(op, key string) error {
			if op == "APPEND" && stolen {
				return fmt.Errorf("memory: %w", bucket.ErrPositionMismatch)
			}
			stolen = stolen || op == "HEAD"
			return nil
		}
		o := f.Process(ocrtest.First("r1"))
		assert.Equal(t, result.InProgress, o.Err.Code)
		assert.Len(t, f.OCR.Requests(), 1, "no call without its nonce in the claim")
		assert.Nil(t, f.Document(), "whoever holds the claim writes the document")
	})
}

func TestOneLogLineTellsHowAnImageEnded(t *testing.T) {
	f := ocrtest.NewFixture(t)
	key := "cards of 11010519491231002X.jpg"
	require.NoError(t, f.Bucket.Put(t.Context(), key, []byte("x"), bucket.PutOptions{ContentType: "image/jpeg"}))
	o := f.Processor().Process(t.Context(), ocrtest.First("r1"), processor.Request{Image: result.Image{Bucket: "cards", Key: key}})
	require.False(t, o.Retry(), o.Err)
	lines := strings.Split(strings.TrimSpace(f.Log.String()), "\n")
	require.Len(t, lines, 1)
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &line))
	assert.NotContains(t, lines[0], "19491231")
	for name, want := range map[string]any{"level": "INFO", "msg": "image done", "requestId": "r1", "bucket": "cards", "status": "recognized", "charged": true,
		"attempts": 1.0, "possibleExtraCharges": 0.0, "source": "url"} {
		assert.Equal(t, want, line[name], name)
	}
	for _, step := range []string{"claimMs", "inspectMs", "recognizeMs", "writeMs", "releaseMs", "totalMs"} {
		assert.Contains(t, line, step)
	}
}

// Not knowing whether an image is settled is no reason to pay.
func TestDocumentThatCannotBeSeenIsNoReasonToPay(t *testing.T) {
	for name, test := range map[string]struct {
		plan []ocrtest.Outcome
		on   string
		kind error

		code        result.Code
		again       bool
		calls       int // more
		stillFailed bool
	}{
		"HEAD document: down":                       {on: "HEAD " + ocrtest.ResultKey, kind: bucket.ErrUnavailable, code: result.Unavailable, again: true},
		"HEAD document: denied":                     {on: "HEAD " + ocrtest.ResultKey, kind: bucket.ErrAccessDenied, code: result.AccessDenied, again: true},
		"HEAD image: down":                          {on: "HEAD " + ocrtest.ImageKey, kind: bucket.ErrUnavailable, code: result.Unavailable, again: true},
		"GET failed document: down":                 {plan: []ocrtest.Outcome{ocrtest.QuotaExhausted}, on: "GET " + ocrtest.ResultKey, kind: bucket.ErrUnavailable, code: result.Unavailable, again: true},
		"GET failed document: gone in the meantime": {plan: []ocrtest.Outcome{ocrtest.QuotaExhausted}, on: "GET " + ocrtest.ResultKey, kind: bucket.ErrNotFound, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t, test.plan...)
			o := f.Process(ocrtest.First("r1"))
			require.False(t, o.Retry(), o.Err)
			before := len(f.OCR.Requests())
			settled := f.Bucket.Content(ocrtest.ResultKey)
			f.Fail(test.kind, func(op, key string) bool { return op+" "+key == test.on })
			o = f.Process(ocrtest.First("r2"))
			assert.Equal(t, before+test.calls, len(f.OCR.Requests()))
			switch {
			case test.again:
				assert.Equal(t, test.code, o.Err.Code)
			case test.code != "":
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, test.code, o.Err.Code)
			default:
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, result.Recognized, o.Status)
			}
			if test.calls > 0 {
				return
			}
			assert.Equal(t, string(settled), string(f.Bucket.Content(ocrtest.ResultKey)), "what is settled stays")
			f.Bucket.Fail = nil
			o = f.Process(ocrtest.First("r3"))
			require.False(t, o.Retry(), o.Err)
			assert.Equal(t, before, len(f.OCR.Requests()), "and is not paid again")
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
			f := ocrtest.NewFixture(t)
			require.NoError(t, f.Bucket.Put(t.Context(), ocrtest.ResultKey, []byte(test.body), bucket.PutOptions{ContentType: "application/json", Meta: map[string]string{"source-etag": f.ETag(), "status": test.status}}))
			o := f.Process(ocrtest.First("r1"))
			require.False(t, o.Retry(), o.Err)
			assert.Equal(t, result.Recognized, o.Status)
			assert.Equal(t, 1, f.OCR.Charged())
		})
	}
	f := ocrtest.NewFixture(t)
	require.NoError(t, f.Bucket.Put(t.Context(), ocrtest.ResultKey, nil, bucket.PutOptions{ContentType: "application/json", Meta: map[string]string{"source-etag": "OLD", "status": "recognized"}}))
	o := f.Process(ocrtest.First("r1"))
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, 1, f.OCR.Charged(), "a document of another version settles nothing")
}

func TestMaxImageBytesIsTheLastSizeTaken(t *testing.T) {
	for limit, paid := range map[int64]int{9: 1, 8: 0} {
		f := ocrtest.NewFixture(t)
		f.Options.MaxImageBytes = limit
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, paid, f.OCR.Charged(), limit)
	}
}

func TestUnwrittenResultIsToldAsSuch(t *testing.T) {
	for k, code := range map[error]result.Code{bucket.ErrUnavailable: result.Unavailable, bucket.ErrInvalid: result.StorageRefused, bucket.ErrWrongEndpoint: result.AccessDenied, bucket.ErrCredentialsExpired: result.AccessDenied} {
		f := ocrtest.NewFixture(t)
		f.Fail(k, ocrtest.Op("PUT"))
		o := f.Process(ocrtest.First("r1"))
		assert.Equal(t, code, o.Err.Code)
		assert.True(t, o.Err.Retryable)
		assert.Contains(t, o.Err.Message, "the result could not be written: ")
		line := f.LogLine("image done")
		assert.Equal(t, "WARN", line["level"])
		assert.Equal(t, string(code), line["code"])
		assert.Equal(t, true, line["retryable"])
		assert.Contains(t, line["reason"], "could not be written")
		assert.Contains(t, line, "releaseMs")
		assert.NotContains(t, line, "claimLeft")
		assert.Equal(t, true, line["charged"], "the call is told all the same")
		assert.EqualValues(t, 1, line["attempts"])
		assert.Zero(t, f.Processor().PendingCount(), "what the claim holds is not held in memory")
	}
}

func TestOutcomeHasTheDocumentOnlyIfItIsWritten(t *testing.T) {
	f := ocrtest.NewFixture(t, ocrtest.QuotaExhausted, ocrtest.Throttled, ocrtest.Throttled, ocrtest.Throttled)
	require.NotNil(t, f.Process(ocrtest.First("r1")).Document)
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.Throttled, ocrtest.Throttled, ocrtest.Throttled)
		f.Fail(bucket.ErrUnavailable, ocrtest.Op("PUT"))
		o := f.Process(ocrtest.First("r1"))
		assert.Nil(t, o.Document)
		assert.Equal(t, result.Throttled, o.Err.Code)
		assert.True(t, o.Err.Retryable)
	})
	f = ocrtest.NewFixture(t)
	f.AppendClaim("somebody's own")
	o := f.Process(ocrtest.First("r1"))
	require.NotNil(t, o.Document, "the claim's place is taken, the document's is not")
	assert.Equal(t, result.StorageRefused, o.Err.Code)
	assert.True(t, o.Err.Retryable)
	assert.Contains(t, o.Err.Message, "CLAIM_SUFFIX")
}

// Whatever somebody put into the claim's place, the document says what to do about it, and the picture is not blamed.
func TestObjectInTheClaimsPlaceIsBlamedAndNotThePicture(t *testing.T) {
	for name, put := range map[string]func(f *ocrtest.Fixture) error{
		"not appendable": func(f *ocrtest.Fixture) error {
			return f.Bucket.Put(t.Context(), ocrtest.ClaimKey, []byte("mine"), bucket.PutOptions{ContentType: "text/plain"})
		},
		"not appendable, empty": func(f *ocrtest.Fixture) error {
			return f.Bucket.Put(t.Context(), ocrtest.ClaimKey, nil, bucket.PutOptions{ContentType: "text/plain"})
		},
		"too large": func(f *ocrtest.Fixture) error {
			_, err := f.Bucket.Append(t.Context(), ocrtest.ClaimKey, 0, make([]byte, 4<<20+1))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t)
			require.NoError(t, put(f))
			before := f.Bucket.Content(ocrtest.ClaimKey)
			o := f.Process(ocrtest.First("r1"))
			require.True(t, o.Retry(), "once it is removed, the image can be recognised")
			assert.Equal(t, result.StorageRefused, f.Document().Error.Code)
			assert.True(t, f.Document().Error.Retryable)
			assert.Contains(t, f.Document().Error.Message, "CLAIM_SUFFIX")
			assert.Equal(t, name != "too large", strings.Contains(f.Document().Error.Message, "remove"), "a claim may hold a paid result")
			assert.Equal(t, before, f.Bucket.Content(ocrtest.ClaimKey))
			assert.Empty(t, f.OCR.Requests())
		})
	}
}
