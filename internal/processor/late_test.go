package processor_test

import (
	"fmt"
	"slices"
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

// once has something happen after the next request of an operation took effect, whose response is lost.
func once(f *ocrtest.Fixture, op string, act func()) {
	f.Bucket.After = func(got, _ string) error {
		if got != op {
			return nil
		}
		f.Bucket.After = nil
		act()
		return fmt.Errorf("memory: %w", bucket.ErrUnavailable)
	}
}

func TestARepeatedDeleteRemovesNobodyElsesClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		once(f, "DELETE", func() {
			f.Upload("version 2")
			f.HoldClaim("r2")
		})
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, ocrtest.ClaimHeld, f.ClaimState())
		o = f.Process(ocrtest.First("r3"))
		require.True(t, o.Retry())
		assert.Equal(t, result.InProgress, o.Err.Code)
		assert.Equal(t, 1, f.OCR.Accepted(), "the other one's call is its own")
	})
}

func TestAClaimWhoseDeleteIsNotAnsweredIsRemovedOnce(t *testing.T) {
	f := ocrtest.NewFixture(t)
	once(f, "DELETE", func() {})
	o := f.Process(ocrtest.First("r1"))
	require.False(t, o.Retry(), o.Err)
	deletes := 0
	for _, r := range f.Bucket.Requests() {
		if r == "DELETE "+ocrtest.ClaimKey {
			deletes++
		}
	}
	assert.Equal(t, 1, deletes)
	assert.NotContains(t, f.LogLine("image done"), "claimLeft")
}

// However two owners of one version came about, the gateway accepts one of their calls.
func TestTwoOwnersPayOnce(t *testing.T) {
	for name, test := range map[string]struct {
		plan []ocrtest.Outcome
		park bool

		accepted int
		status   result.Status
	}{
		"answered":         {accepted: 1, status: result.Recognized},
		"answered, parked": {park: true, accepted: 1, status: result.Recognized},
		"the first call is lost before it arrives": {plan: []ocrtest.Outcome{ocrtest.LostBeforeAcceptance}, accepted: 1, status: result.Recognized},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, test.plan...)
				if test.park {
					f.Options.OnLostAnswer = config.Park
				}
				var second processor.Outcome
				duringCall(f, func() { // somebody deletes the claim, and a duplicate arrives
					require.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ClaimKey))
					second = f.StartProcessor().Process(t.Context(), ocrtest.First("r2"), f.Request())
				})
				first := f.Process(ocrtest.First("r1"))
				require.False(t, second.Retry(), second.Err)
				assert.Equal(t, test.accepted, f.OCR.Accepted())
				assert.Equal(t, test.status, f.Document().Status, "the second one's")
				assert.Equal(t, "r2", f.Document().RequestID)
				assert.Zero(t, f.Document().OCR.PossibleExtraCharges)
				if first.Retry() {
					o := f.Process(ocrtest.Retry("r1", 1))
					require.False(t, o.Retry(), o.Err)
					assert.Equal(t, processor.Unchanged, o.Status)
				}
				assert.Equal(t, test.accepted, f.OCR.Accepted())
				assert.Equal(t, test.status, f.Document().Status)
			})
		})
	}
}

// The nonce was used by somebody whose claim is not there any more. Until its document is seen the image waits; then the call
// counts as lost.
func TestANonceThatIsUsedWithoutAClaimWaitsOnce(t *testing.T) {
	for name, test := range map[string]struct {
		park          bool
		wait          time.Duration // between the first and the second delivery
		status        result.Status
		charged       int
		extra         int
		documentComes bool
	}{
		"the document comes":                           {documentComes: true, status: result.Recognized, charged: 1},
		"it does not come":                             {status: result.Recognized, charged: 2, extra: 1},
		"it does not come, parked":                     {park: true, status: result.Failed, charged: 1, extra: 1},
		"the gateway has forgotten the nonce":          {wait: 5 * time.Minute, status: result.Recognized, charged: 2, extra: 1},
		"the gateway has forgotten the nonce, parking": {wait: 5 * time.Minute, park: true, status: result.Failed, charged: 1, extra: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				if test.park {
					f.Options.OnLostAnswer = config.Park
				}
				time.Sleep(time.Hour) // the image has been there for long
				o := f.Process(ocrtest.First("r0"))
				require.False(t, o.Retry(), o.Err)
				document := f.Bucket.Content(ocrtest.ResultKey)
				require.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ResultKey))
				time.Sleep(12 * time.Minute)

				o = f.Process(ocrtest.First("r1"))
				require.True(t, o.Retry())
				assert.Equal(t, result.InProgress, o.Err.Code)
				assert.Nil(t, f.Document(), "the document is the other holder's to write")
				if test.documentComes {
					f.PutResult(nil, string(document))
				}
				time.Sleep(test.wait)
				o = f.Process(ocrtest.Retry("r1", 1))
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, test.status, f.Document().Status)
				assert.Equal(t, test.charged, f.OCR.Charged())
				assert.Equal(t, test.extra, f.Document().OCR.PossibleExtraCharges)
				assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
			})
		})
	}
}

// The nonces of all calls of an earlier holder are used. It lost no answer, whatever it had to call for.
func TestAnImageOfSeveralCallsWhoseDocumentIsDeletedIsRecognisedAgain(t *testing.T) {
	for name, plan := range map[string][]ocrtest.Outcome{
		"nothing on it":              {ocrtest.NotRecognized, ocrtest.NotRecognized},
		"recognised without details": {ocrtest.NotRecognized, ocrtest.Recognized},
		"the URL could not be read":  {ocrtest.Rejected, ocrtest.Recognized},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, plan...)
				time.Sleep(time.Hour) // the image has been there for long
				require.False(t, f.Process(ocrtest.First("r1")).Retry())
				first := f.Document()
				require.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ResultKey))
				f.OCR.Plan = slices.Concat(plan, []ocrtest.Outcome{ocrtest.Recognized}, plan) // in between the used nonce is sent

				o := f.Process(ocrtest.First("r2"))
				require.True(t, o.Retry())
				assert.Equal(t, result.InProgress, o.Err.Code)
				o = f.Process(ocrtest.Retry("r2", 1))
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, first.Status, f.Document().Status)
				assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges, "nobody remembers that the call was free")
				assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
			})
		})
	}
}

// A document that was not seen may be paid.
func TestAFailureCoversNoDocumentThatWasNotSeen(t *testing.T) {
	const paid = `{"schemaVersion":1,"status":"recognized","image":{"etag":"E"},"card":{"idNumber":"1"}}`
	throttled := []ocrtest.Outcome{ocrtest.Throttled, ocrtest.Throttled, ocrtest.Throttled}
	for name, test := range map[string]struct {
		before string // a document that is there at first
		when   string // a paid one appears before this request
		covers bool
	}{
		"before the last HEAD":                         {when: "HEAD"},
		"between the last HEAD and the document":       {when: "PUT"},
		"over one that was seen, before the last HEAD": {before: `{"schemaVersion":1,"status":"failed","error":{"code":"Timeout","retryable":true}}`, when: "HEAD"},
		"never":                       {covers: true},
		"never, over one that is old": {before: `{"schemaVersion":1,"status":"failed","error":{"code":"Timeout","retryable":true}}`, covers: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, throttled...)
				if test.before != "" {
					f.PutResult(nil, test.before)
				}
				appeared := false
				f.Bucket.Fail = func(op, key string) error {
					if !appeared && op == test.when && key == ocrtest.ResultKey && len(f.OCR.Requests()) > 0 {
						appeared = true
						f.PutResult(nil, paid)
					}
					return nil
				}
				o := f.Process(ocrtest.First("r1"))
				require.True(t, o.Retry(), "the platform hears of it in any case")
				assert.Equal(t, result.Throttled, o.Err.Code)
				if test.covers {
					assert.Equal(t, result.Throttled, f.Document().Error.Code)
					assert.NotNil(t, o.Document)
				} else {
					assert.Equal(t, paid, string(f.Bucket.Content(ocrtest.ResultKey)))
					assert.Nil(t, o.Document)
				}
				assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState())
			})
		})
	}
}

// Where OSS ignores the condition on a PUT, not knowing is a reason not to write.
func TestAFailureCoversNothingWhereItCannotBeSeen(t *testing.T) {
	const seen = `{"schemaVersion":1,"status":"failed","error":{"code":"Timeout","retryable":true}}`
	f := ocrtest.NewFixture(t, ocrtest.GatewayUnavailable)
	f.Options.MaxAttempts = 1
	f.Bucket.Versioned = true
	f.Upload("version 1")
	f.PutResult(nil, seen)
	f.Fail(bucket.ErrUnavailable, func(op, key string) bool {
		return op == "HEAD" && key == ocrtest.ResultKey && len(f.OCR.Requests()) > 0
	})
	require.True(t, f.Process(ocrtest.First("r1")).Retry())
	assert.Equal(t, seen, string(f.Bucket.Content(ocrtest.ResultKey)))
}

// A final failure is told to the platform if no document tells it.
func TestAFinalFailureWithoutADocumentIsNotSettled(t *testing.T) {
	f := ocrtest.NewFixture(t, ocrtest.QuotaExhausted)
	f.Bucket.Fail = func(op, key string) error {
		if op == "HEAD" && key == ocrtest.ResultKey && len(f.OCR.Requests()) > 0 {
			f.Bucket.Fail = nil
			f.PutResult(nil, `{"schemaVersion":1,"status":"recognized"}`)
		}
		return nil
	}
	o := f.Process(ocrtest.First("r1"))
	require.True(t, o.Retry())
	assert.Equal(t, result.QuotaExhausted, o.Err.Code)
	assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState())
	assert.Equal(t, result.Recognized, f.Document().Status)
}

// A PUT that OSS carries out after a newer one is no promise of this program. What follows is told.
func TestADocumentOfAnOlderVersionSettlesNothingAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		late := f.Bucket.Content(ocrtest.ResultKey)
		old := f.ETag()
		f.Upload("version 2")
		o = f.Process(ocrtest.First("r2"))
		require.False(t, o.Retry(), o.Err)
		f.PutResult(map[string]string{"source-etag": old, "status": "recognized"}, string(late))

		o = f.Process(ocrtest.First("r3"))
		require.True(t, o.Retry())
		assert.Equal(t, 2, f.OCR.Charged(), "the nonce of the version is used")
		o = f.Process(ocrtest.Retry("r3", 1))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, f.ETag(), f.Document().Image.ETag)
		assert.Equal(t, 3, f.OCR.Charged())
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
	})
}

// A nonce is judged immediately before it is sent, however long the call had to wait.
func TestTheAgeOfANonceIsJudgedWhenItIsSent(t *testing.T) {
	for _, policy := range []config.LostAnswer{config.Retry, config.Park} {
		for name, wait := range map[string]func(f *ocrtest.Fixture, length time.Duration){
			"the rate limit holds the call back": func(f *ocrtest.Fixture, length time.Duration) {
				f.Options.RateLimit = 1 / length.Seconds()
				f.Restart()
				f.Processor().TakeRateLimit()
			},
			"the picture comes slowly": func(f *ocrtest.Fixture, length time.Duration) {
				f.Options.ImageSource = config.Data
				f.Restart()
				whenRead(f, func(int) error { time.Sleep(length); return nil })
			},
		} {
			for old, fresh := range map[time.Duration]bool{3 * time.Minute: false, time.Minute - time.Second: true} {
				t.Run(fmt.Sprint(name, ", ", policy, ", ", old), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge)
						f.Options.OnLostAnswer, f.Options.MaxAttempts = policy, 1
						o := f.Process(ocrtest.First("r1"))
						require.True(t, o.Retry())
						require.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
						f.Options.MaxAttempts = 3
						time.Sleep(13 * time.Minute)
						wait(f, old)
						inv := ocrtest.Retry("r1", 1)
						inv.Deadline = time.Now().Add(time.Hour)
						o = f.Process(inv)
						require.False(t, o.Retry(), o.Err)
						nonces := map[bool]string{true: "11", false: "1"}[fresh]
						if policy == config.Retry {
							nonces += "2"
						}
						assert.Equal(t, nonces, f.OCR.Nonces())
						d := f.Document()
						assert.Equal(t, 1, d.OCR.PossibleExtraCharges)
						if policy == config.Park {
							assert.Equal(t, result.AnswerLost, d.Error.Code)
							assert.Equal(t, 1, f.OCR.Charged())
						} else {
							assert.Equal(t, result.Recognized, d.Status)
							assert.Equal(t, 2, f.OCR.Charged())
						}
					})
				})
			}
		}
	}
}

// Sending a nonce again makes it no younger.
func TestANonceIsAsOldAsItsFirstSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge, ocrtest.NotSent, ocrtest.NotSent)
		slow := true
		f.OCR.OnCall = func(ocrclient.Request) {
			if slow {
				time.Sleep(10 * time.Minute) // until the first response is given up
			}
			slow = false
		}
		f.Options.Timeout, f.Options.MaxAttempts = 9*time.Minute, 3
		inv := ocrtest.First("r1")
		inv.Deadline = time.Now().Add(time.Hour)
		o := f.Process(inv)
		require.True(t, o.Retry())
		assert.Equal(t, "111", f.OCR.Nonces())
		time.Sleep(5 * time.Minute) // 15 minutes after the first sending
		inv = ocrtest.Retry("r1", 1)
		inv.Deadline = time.Now().Add(time.Hour)
		o = f.Process(inv)
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, "1112", f.OCR.Nonces(), "the gateway may have forgotten it")
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
	})
}
