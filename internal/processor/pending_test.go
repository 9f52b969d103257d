package processor_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refuseAfterCall has OSS refuse whatever comes after the paid call, with an error of that kind.
func refuseAfterCall(f *ocrtest.Fixture, kind error) {
	f.Fail(kind, func(string, string) bool { return f.OCR.Accepted() > 0 })
}

func TestPaidAnswerThatOSSTakesNowhereIsWrittenByTheNextInvocationOfTheProcess(t *testing.T) {
	for name, kind := range map[string]error{"credentials end during the call": bucket.ErrCredentialsExpired, "storage down": bucket.ErrUnavailable, "no permission": bucket.ErrAccessDenied} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				refuseAfterCall(f, kind)
				o := f.Process(ocrtest.First("r1"))
				require.True(t, o.Retry())
				assert.True(t, o.Err.Retryable)
				assert.Nil(t, f.Document())
				o = f.Process(ocrtest.Retry("r1", 1))
				require.True(t, o.Retry(), "and it waits as long as it must")

				f.Bucket.Fail = nil
				o = f.Process(ocrtest.Retry("r1", 2))
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, 1, f.OCR.Accepted(), "paid once")
				assert.Len(t, f.OCR.Requests(), 1, "and not even asked again")
				d := f.Document()
				require.NotNil(t, d)
				assert.Equal(t, result.Recognized, d.Status)
				assert.Equal(t, "r1", d.RequestID)
				assert.Zero(t, d.OCR.PossibleExtraCharges)
				assert.Equal(t, 1, d.OCR.Attempts)
				assert.Nil(t, f.Bucket.Content(ocrtest.ClaimKey))
				assert.Zero(t, f.Processor().PendingCount(), "what is written is not kept in memory")
			})
		})
	}
}

func TestPaidAnswerInMemoryIsOfItsVersionAndItsProcessOnly(t *testing.T) {
	for name, test := range map[string]struct {
		replaced, otherProcess, park bool

		accepted, extra int
		status          result.Status
	}{
		"the image was replaced":   {replaced: true, accepted: 2, status: result.Recognized},
		"another process":          {otherProcess: true, accepted: 2, extra: 1, status: result.Recognized},
		"another process, parking": {otherProcess: true, park: true, accepted: 1, extra: 1, status: result.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				refuseAfterCall(f, bucket.ErrCredentialsExpired)
				o := f.Process(ocrtest.First("r1"))
				require.True(t, o.Retry())
				f.Bucket.Fail = nil
				if test.replaced {
					f.Upload("version 2")
				}
				p := f.Processor()
				if test.park {
					f.Options.OnLostAnswer = config.Park
				}
				if test.otherProcess {
					p = f.StartProcessor()
				}
				time.Sleep(time.Minute) // the lease; virtual
				o = p.Process(t.Context(), ocrtest.First("r2"), f.Request())
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, test.accepted, f.OCR.Accepted())
				assert.Equal(t, test.status, f.Document().Status)
				assert.Equal(t, test.extra, f.Document().OCR.PossibleExtraCharges)
				assert.Equal(t, f.ETag(), f.Document().Image.ETag)
			})
		})
	}
}

func TestUnpaidOutcomesAreNotKeptInMemory(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.MaxImageBytes = 1
	f.Fail(bucket.ErrCredentialsExpired, func(op, key string) bool {
		return op == "PUT" || (op == "APPEND" && f.Bucket.Content(ocrtest.ClaimKey) != nil)
	})
	o := f.Process(ocrtest.First("r1"))
	require.True(t, o.Retry())
	assert.Zero(t, f.Processor().PendingCount())
}

func TestWhatIsPaidOutlivesALookThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		refuse func(*ocrtest.Fixture)                      // so that the first delivery leaves something behind
		left   func(*testing.T, *ocrtest.Fixture)          // what that is
		next   func(*ocrtest.Fixture) *processor.Processor // nil: the same process
	}{
		"a document in the claim": {
			refuse: func(f *ocrtest.Fixture) { f.Fail(bucket.ErrUnavailable, ocrtest.Op("PUT")) },
			left: func(t *testing.T, f *ocrtest.Fixture) {
				require.Contains(t, string(f.Bucket.Content(ocrtest.ClaimKey)), `"result"`)
			},
		},
		"a document in memory": {
			refuse: func(f *ocrtest.Fixture) { refuseAfterCall(f, bucket.ErrUnavailable) },
			left:   func(t *testing.T, f *ocrtest.Fixture) { require.Equal(t, 1, f.Processor().PendingCount()) },
		},
		"an indeterminate call of which another process knows only the nonce; park never pays again": {
			refuse: func(f *ocrtest.Fixture) { refuseAfterCall(f, bucket.ErrUnavailable) },
			next: func(f *ocrtest.Fixture) *processor.Processor {
				f.Options.OnLostAnswer = config.Park
				return f.StartProcessor()
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				test.refuse(f)
				o := f.Process(ocrtest.First("r1"))
				require.True(t, o.Retry())
				if test.left != nil {
					test.left(t, f)
				}
				p := f.Processor()
				if test.next != nil {
					p = test.next(f)
				}
				f.Fail(bucket.ErrUnavailable, func(op, key string) bool { return op == "HEAD" && key == ocrtest.ImageKey })
				o = p.Process(t.Context(), ocrtest.Retry("r1", 1), f.Request())
				require.True(t, o.Retry())
				f.Bucket.Fail = nil
				o = p.Process(t.Context(), ocrtest.Retry("r1", 2), f.Request())
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, 1, f.OCR.Charged(), "paid once")
			})
		})
	}
}

// A claim that is too large is read by nobody, and the result in it would be lost.
func TestADocumentWaitsInTheClaimForAsManyDeliveriesAsItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.GarbledAs(strings.Repeat("\x01", 128<<10))) // six bytes each in JSON
		f.Fail(bucket.ErrInvalid, ocrtest.Op("PUT"))
		for i := range 12 {
			require.True(t, f.Process(ocrtest.First(fmt.Sprint("r", i))).Retry())
		}
		assert.Less(t, len(f.Bucket.Content(ocrtest.ClaimKey)), 2<<20)
		f.Bucket.Fail = nil
		o := f.Process(ocrtest.First("r12"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, result.BadAnswer, f.Document().Error.Code)
		assert.Equal(t, 1, f.OCR.Accepted())
	})
}

// The paid result of a previous holder in the claim is worth more than the final failure of a later inspection.
func TestALookThatFailsForGoodGivesUpNothingThatWasPaid(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Fail(bucket.ErrUnavailable, ocrtest.Op("PUT"))
	require.True(t, f.Process(ocrtest.First("r1")).Retry())
	f.Fail(bucket.ErrAccessDenied, func(op, key string) bool { return op == "HEAD" && key == ocrtest.ImageKey })
	o := f.Process(ocrtest.First("r2"))
	require.True(t, o.Retry())
	assert.Equal(t, result.AccessDenied, o.Err.Code)
	f.Bucket.Fail = nil
	o = f.Process(ocrtest.First("r3"))
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, 1, f.OCR.Charged())
	assert.Equal(t, result.Recognized, f.Document().Status)

	f = ocrtest.NewFixture(t)
	f.Fail(bucket.ErrAccessDenied, func(op, key string) bool { return op == "HEAD" && key == ocrtest.ImageKey })
	o = f.Process(ocrtest.First("r1"))
	assert.False(t, o.Retry(), "nothing was left, and nobody but the operator can help")
	assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
}

func TestForcedPaidDocumentIsWrittenByAnUnforcedDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		f.Fail(bucket.ErrUnavailable, ocrtest.Op("PUT"))
		forced := f.Request()
		forced.Force = true
		o = f.Processor().Process(t.Context(), ocrtest.First("r2"), forced)
		require.True(t, o.Retry())
		require.Contains(t, string(f.Bucket.Content(ocrtest.ClaimKey)), `"result"`)
		f.Bucket.Fail = nil
		o = f.Process(ocrtest.First("r3")) // a late duplicate
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, 2, f.OCR.Charged(), "one for the first, one for the forced")
		assert.Equal(t, "r3", f.Document().RequestID, "the forced answer, which was paid, is written")
	})
}

// remembering is a fixture whose process remembers a paid answer that neither the bucket nor the claim has.
func remembering(t *testing.T) *ocrtest.Fixture {
	f := ocrtest.NewFixture(t)
	refuseAfterCall(f, bucket.ErrUnavailable)
	require.True(t, f.Process(ocrtest.First("r1")).Retry())
	require.Equal(t, 1, f.Processor().PendingCount())
	f.Bucket.Fail = nil
	return f
}

// The other holder's document counts the call whose answer this process remembers.
func TestAnswerInMemoryDoesNotCoverTheDocumentOfTheHolderWhoPaidAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := remembering(t)
		o := f.StartProcessor().Process(t.Context(), ocrtest.Retry("r1", 1), f.Request())
		require.False(t, o.Retry(), o.Err)
		require.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)

		o = f.Process(ocrtest.First("r2"))
		assert.Equal(t, processor.Unchanged, o.Status)
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
		assert.Equal(t, 2, f.OCR.Charged())
		assert.Zero(t, f.Processor().PendingCount())
		assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
	})
}

// What another holder left, which knew of the call and not of its answer.
func TestAnswerInMemoryIsWorthMoreThanItsLoss(t *testing.T) {
	for name, test := range map[string]struct {
		park         bool
		attempts     int
		plan         []ocrtest.Outcome // from the second call on
		left         result.Code
		retryable    bool
		paid, extras int
	}{
		"parked":                    {park: true, attempts: 3, left: result.AnswerLost, paid: 1},
		"lost twice":                {attempts: 3, plan: []ocrtest.Outcome{ocrtest.Recognized, ocrtest.LostAfterCharge}, left: result.AnswerLost, paid: 2, extras: 1},
		"refused when asked about":  {attempts: 3, plan: []ocrtest.Outcome{ocrtest.QuotaExhausted}, left: result.QuotaExhausted, paid: 1},
		"the second call is to be":  {attempts: 1, left: result.Timeout, retryable: true, paid: 1},
		"the second call has begun": {attempts: 2, plan: []ocrtest.Outcome{ocrtest.Recognized, ocrtest.LostAfterCharge}, left: result.Timeout, retryable: true, paid: 2, extras: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := remembering(t)
				f.OCR.Plan = append([]ocrtest.Outcome{ocrtest.Recognized}, test.plan...)
				f.Options.MaxAttempts = test.attempts
				if test.park {
					f.Options.OnLostAnswer = config.Park
				}
				o := f.StartProcessor().Process(t.Context(), ocrtest.Retry("r1", 1), f.Request())
				require.Equal(t, test.retryable, o.Retry(), o.Err)
				require.Equal(t, test.left, f.Document().Error.Code)
				calls := len(f.OCR.Requests())

				o = f.Process(ocrtest.First("r2"))
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, result.Recognized, f.Document().Status)
				assert.Len(t, f.OCR.Requests(), calls)
				assert.Equal(t, test.paid, f.OCR.Charged())
				assert.Equal(t, test.extras, f.Document().OCR.PossibleExtraCharges)
				assert.Zero(t, f.Processor().PendingCount())
				assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
			})
		})
	}
}

func TestForcedAnswerInMemoryReplacesTheDocumentThatItsCallFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		require.False(t, f.Process(ocrtest.First("r1")).Retry())
		f.Fail(bucket.ErrUnavailable, func(string, string) bool { return f.OCR.Accepted() > 1 })
		forced := f.Request()
		forced.Force = true
		require.True(t, f.Processor().Process(t.Context(), ocrtest.First("r2"), forced).Retry())
		require.Equal(t, 1, f.Processor().PendingCount())
		f.Bucket.Fail = nil
		time.Sleep(time.Minute) // the lease; virtual
		o := f.Process(ocrtest.First("r3"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, 2, f.OCR.Charged(), "one for the first, one for the forced")
		assert.Equal(t, "r3", f.Document().RequestID, "the forced answer, which was paid, is written")
		assert.Zero(t, f.Document().OCR.PossibleExtraCharges)
	})
}

func TestMemoryForgetsWhatTheClaimHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		refuseAfterCall(f, bucket.ErrUnavailable)
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		f.Fail(bucket.ErrUnavailable, ocrtest.Op("PUT"))
		o = f.Process(ocrtest.Retry("r1", 1))
		require.True(t, o.Retry())
		require.Contains(t, string(f.Bucket.Content(ocrtest.ClaimKey)), `"result"`)
		assert.Zero(t, f.Processor().PendingCount(), "the claim holds it now")
		f.Bucket.Fail = nil
		o = f.StartProcessor().Process(t.Context(), ocrtest.Retry("r1", 2), f.Request())
		require.False(t, o.Retry(), o.Err)
		assert.Zero(t, f.Processor().PendingCount(), "and the document is written")
	})
}

func TestMemoryForgetsTheAnswerForAReplacedImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		refuseAfterCall(f, bucket.ErrUnavailable)
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		f.Bucket.Fail = nil
		f.Upload("version 2")
		time.Sleep(time.Minute) // the lease; virtual
		o = f.Process(ocrtest.First("r2"))
		require.False(t, o.Retry(), o.Err)
		assert.Zero(t, f.Processor().PendingCount())
	})
}

func TestLookThatFailsReplacesNoDocument(t *testing.T) {
	for name, kind := range map[string]error{"transient": bucket.ErrUnavailable, "denied": bucket.ErrAccessDenied} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				o := f.Process(ocrtest.First("r1"))
				require.False(t, o.Retry(), o.Err)
				f.Fail(kind, func(op, key string) bool { return op == "HEAD" && key == ocrtest.ImageKey })
				f.Process(ocrtest.First("r2")) // a duplicate
				assert.Equal(t, result.Recognized, f.Document().Status, "the paid document is still there")
				f.Bucket.Fail = nil
				o = f.Process(ocrtest.First("r3"))
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, 1, f.OCR.Charged())
			})
		})
	}
}
