package processor_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/budget"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// invocation is a delivery with two minutes of time.
func invocation(id string) processor.Invocation {
	return processor.Invocation{RequestID: id, Deadline: time.Now().Add(2 * time.Minute), Region: "cn-hangzhou"}
}

func request(key, etag string) processor.Request {
	return processor.Request{Image: result.Image{Bucket: "cards", Key: key, ETag: etag}}
}

// put stores n images and returns their requests.
func put(f *ocrtest.Fixture, n int) (list []processor.Request) {
	for i := range n {
		key := fmt.Sprintf("2026/%03d.jpg", i)
		f.Put(key, "picture "+key)
		list = append(list, request(key, ""))
	}
	return list
}

func documentOf(t *testing.T, f *ocrtest.Fixture, key string) *result.Document {
	d, err := result.Parse(f.Bucket.Content(key + ".ocr.json"))
	require.NoError(t, err)
	return d
}

func TestASlowProviderIsGivenTheTimeThatIsThere(t *testing.T) {
	for name, test := range map[string]struct {
		latency  time.Duration
		accepted int
		extra    int
	}{
		"within OCR_TIMEOUT":            {22 * time.Second, 1, 0},
		"the second call has the rest":  {60 * time.Second, 2, 1},
		"nearly all the rest of 2 min.": {70 * time.Second, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				f.Options.Timeout = 45 * time.Second
				f.OCR.SlowProvider = test.latency
				o := f.Process(invocation("r1"))
				assert.Equal(t, result.Recognized, o.Status)
				assert.Equal(t, test.accepted, f.OCR.Accepted())
				assert.Equal(t, test.extra, o.Document.OCR.PossibleExtraCharges)
			})
		})
	}
}

func TestNothingIsPaidTwiceWhileNoAnswerComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		for range 100 {
			f.OCR.Plan = append(f.OCR.Plan, ocrtest.LostAfterCharge)
		}
		images := put(f, 20)
		p := f.Processor()
		for i, image := range images {
			o := p.Process(t.Context(), invocation(fmt.Sprint(i)), image)
			assert.Equal(t, result.Failed, o.Status)
		}
		assert.LessOrEqual(t, f.OCR.Charged(), len(images)+1, "only the first image is paid twice")
		assert.Equal(t, processor.Health{Breaker: "open", LostInARow: p.Health().LostInARow}, p.Health())
		last := documentOf(t, f, images[19].Image.Key)
		assert.True(t, last.Error.Retryable, "its event stays in the queue")
		assert.Equal(t, 1, last.OCR.PossibleExtraCharges, "the charge is told")
		charged := f.OCR.Charged()

		// An hour later the provider answers again, which shows with a first call only.
		time.Sleep(time.Hour)
		f.OCR.Plan = nil
		o := p.Process(t.Context(), invocation("still open"), images[19])
		assert.True(t, o.Retry())
		assert.Equal(t, charged, f.OCR.Charged())
		f.Put("first.jpg", "another image")
		images = append(images, request("first.jpg", ""))
		o = p.Process(t.Context(), invocation("first"), images[20])
		require.False(t, o.Retry(), "%v", o.Err)
		charged++
		for i, image := range images {
			o := p.Process(t.Context(), invocation(fmt.Sprint("later", i)), image)
			require.False(t, o.Retry(), "%v", o.Err)
		}
		assert.Equal(t, "closed", p.Health().Breaker)
		told := 0
		for _, image := range images {
			d := documentOf(t, f, image.Image.Key)
			told += d.OCR.PossibleExtraCharges
			if d.OCR.Charged {
				told++
			}
		}
		assert.GreaterOrEqual(t, told, f.OCR.Charged(), "every charge is told")
		assert.Greater(t, f.OCR.Charged(), charged)
		assert.Equal(t, 1, strings.Count(f.Log.String(), `"msg":"breaker open"`))
		assert.Equal(t, 1, strings.Count(f.Log.String(), `"msg":"breaker closed"`))
	})
}

// openBreaker has the answers of three other images be lost.
func openBreaker(t *testing.T, f *ocrtest.Fixture) {
	f.OCR.OnCall = nil // it looks for the claim of the fixture's image
	f.OCR.ForgetRequests()
	f.OCR.Plan = slices.Repeat([]ocrtest.Outcome{ocrtest.LostAfterCharge}, 100)
	for i, image := range put(f, 3) {
		f.Processor().Process(t.Context(), invocation(fmt.Sprint("other", i)), image)
	}
	require.Equal(t, "open", f.Processor().Health().Breaker)
	f.OCR.ForgetRequests()
}

// The second call that a delivery leaves to the next one is a second call, too.
func TestASecondCallOfALaterDeliveryWaitsForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge, ocrtest.LostAfterCharge)
		f.Options.MaxAttempts = 2
		require.True(t, f.Process(ocrtest.First("r1")).Retry())
		assert.Contains(t, f.Document().Error.Message, "the next attempt calls once more")
		openBreaker(t, f)
		f.OCR.Plan = nil
		for i := range 3 {
			time.Sleep(10 * time.Minute)
			require.True(t, f.Process(ocrtest.Retry("r1", i+1)).Retry())
		}
		assert.Empty(t, f.OCR.Requests())
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)

		f.Put("first.jpg", "another image")
		o := f.Processor().Process(t.Context(), invocation("first"), request("first.jpg", ""))
		require.False(t, o.Retry(), "%v", o.Err)
		o = f.Process(ocrtest.Retry("r1", 9))
		require.False(t, o.Retry(), "%v", o.Err)
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
		assert.Equal(t, result.Recognized, f.Document().Status)
	})
}

// Without another image no call shows that answers come again. The image waits for the next process.
func TestALoneImageWhoseAnswerIsLostEndsWithTheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		openBreaker(t, f)
		for i := range 3 {
			require.True(t, f.Process(ocrtest.Retry("r1", i)).Retry(), "its first call is made, and its nonce asked about")
			time.Sleep(6 * time.Minute)
		}
		assert.Equal(t, "1111", f.OCR.Nonces())
		time.Sleep(15 * time.Minute)
		require.True(t, f.Process(ocrtest.Retry("r1", 4)).Retry())
		assert.Len(t, f.OCR.Requests(), 4, "the gateway has forgotten the nonce")
		f.OCR.Plan = nil
		f.Restart()
		o := f.Process(ocrtest.First("r2"))
		require.False(t, o.Retry(), "%v", o.Err)
		assert.Equal(t, result.Recognized, f.Document().Status)
		assert.Equal(t, 1, f.Document().OCR.PossibleExtraCharges)
	})
}

// A forced call is no second one: somebody asks for it.
func TestAForcedCallIsMadeWhileNoAnswersCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		openBreaker(t, f)
		require.True(t, f.Process(ocrtest.First("r1")).Retry())
		f.OCR.Plan = nil
		forced := f.Request()
		forced.Force = true
		o := f.Processor().Process(t.Context(), ocrtest.First("r2"), forced)
		require.False(t, o.Retry(), "%v", o.Err)
		assert.Equal(t, "closed", f.Processor().Health().Breaker)
	})
}

func TestDailyLimitHoldsOverProcessesAndRetries(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.DailyLimit = 10
	images := put(f, 16)
	done := make(chan processor.Outcome)
	for i := range 64 {
		p := f.StartProcessor()
		go func() { done <- p.Process(t.Context(), invocation(fmt.Sprint(i)), images[i%16]) }()
	}
	for range 64 {
		if o := <-done; o.Err != nil {
			assert.Contains(t, []result.Code{result.BudgetExhausted, result.InProgress}, o.Err.Code)
			assert.True(t, o.Err.Retryable)
		}
	}
	assert.Equal(t, 10, f.OCR.Accepted())
	exhausted := 0
	for _, image := range images {
		if d := documentOf(t, f, image.Image.Key); d.Error != nil {
			assert.Equal(t, result.BudgetExhausted, d.Error.Code)
			assert.True(t, d.Error.Retryable)
			exhausted++
		}
	}
	assert.Equal(t, 6, exhausted)
}

func TestWithoutABudgetObjectNothingIsCalled(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.DailyLimit = 10
	f.Bucket.Fail = func(op, key string) error {
		if strings.HasPrefix(key, budget.Prefix) {
			return fmt.Errorf("memory: %w", bucket.ErrAccessDenied)
		}
		return nil
	}
	o := f.Process(invocation("r1"))
	assert.Equal(t, result.AccessDenied, o.Err.Code)
	assert.True(t, o.Retry())
	assert.Empty(t, f.OCR.Requests())
}

// hangingBudget is a bucket in which the requests for the day's object hang until their context ends.
type hangingBudget struct{ processor.Bucket }

func (b hangingBudget) Read(ctx context.Context, key string, o bucket.ReadOptions) ([]byte, bucket.Object, error) {
	if !strings.HasPrefix(key, budget.Prefix) {
		return b.Bucket.Read(ctx, key, o)
	}
	<-ctx.Done()
	return nil, bucket.Object{}, fmt.Errorf("%w: %w", bucket.ErrUnavailable, ctx.Err())
}

func TestABudgetThatHangsLeavesTimeForTheDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Options.DailyLimit = 10
		f.Options.Open = func(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) {
			return hangingBudget{f.Bucket}, nil
		}
		images := put(f, 6)
		p := f.StartProcessor()
		inv := invocation("r1")
		var group sync.WaitGroup
		for _, image := range images {
			group.Go(func() { p.Process(t.Context(), inv, image) })
		}
		group.Wait()
		assert.GreaterOrEqual(t, time.Until(inv.Deadline), processor.WriteReserve)
		for _, image := range images {
			d := documentOf(t, f, image.Image.Key)
			require.NotNil(t, d.Error)
			assert.Equal(t, result.Unavailable, d.Error.Code)
			assert.True(t, d.Error.Retryable)
		}
		assert.Empty(t, f.OCR.Requests())
	})
}

func TestCallsThatWereNotAcceptedAreNotSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.NotSent, ocrtest.Throttled)
		f.Options.DailyLimit = 1
		assert.Equal(t, result.Recognized, f.Process(invocation("r1")).Status)
	})
}

func TestACallThatTheProviderRefusesIsSpent(t *testing.T) {
	f := ocrtest.NewFixture(t, ocrtest.RefusedByProvider)
	f.Options.DailyLimit = 1
	images := put(f, 2)
	for i, code := range []result.Code{result.BadRequest, result.BudgetExhausted} {
		o := f.Processor().Process(t.Context(), invocation("r1"), images[i])
		require.NotNil(t, o.Err)
		assert.Equal(t, code, o.Err.Code)
	}
	assert.Equal(t, 1, f.OCR.Accepted())
}

func TestNoLimitCostsNoRequest(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Process(invocation("r1"))
	assert.Len(t, f.Bucket.Requests(), 6)
}

func TestPicturesInRequestsNeedABucketForTheBudget(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.DailyLimit = 1
	o := f.Processor().ProcessPicture(t.Context(), invocation("r1"), processor.Picture{Image: []byte("x"), Size: 1})
	assert.Equal(t, result.BudgetExhausted, o.Err.Code)
	assert.Contains(t, o.Err.Message, "OCR_BUDGET_BUCKET")
	f.Options.BudgetBucket = "cards"
	f.Restart()
	for i, want := range []result.Status{result.Recognized, result.Failed} {
		o := f.Processor().ProcessPicture(t.Context(), invocation("r1"), processor.Picture{Image: []byte("x"), Size: 1})
		assert.Equal(t, want, o.Status, i)
	}
	assert.Equal(t, 1, f.OCR.Accepted())
}

func TestSecondLookCanBeSwitchedOff(t *testing.T) {
	for second, calls := range map[bool]int{true: 2, false: 1} {
		f := ocrtest.NewFixture(t, ocrtest.NotRecognized, ocrtest.NotRecognized)
		f.Options.SecondLook = second
		assert.Equal(t, result.Unrecognized, f.Process(invocation("r1")).Status)
		assert.Equal(t, calls, f.OCR.Accepted())
	}
}

func TestEqualBytesArePaidOnceIfThatIsAskedFor(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.Reuse = true
	f.Put("2026/a.jpg", "the same")
	f.Put("2026/b.jpg", "the same")
	f.Put("2026/c.jpg", "another one")
	for _, key := range []string{"2026/a.jpg", "2026/b.jpg", "2026/c.jpg", "2026/b.jpg"} {
		o := f.Processor().Process(t.Context(), invocation(key), request(key, ""))
		require.Nil(t, o.Err)
	}
	assert.Equal(t, 2, f.OCR.Accepted())
	a, b := documentOf(t, f, "2026/a.jpg"), documentOf(t, f, "2026/b.jpg")
	assert.Equal(t, "2026/a.jpg", b.OCR.ReusedFrom)
	assert.False(t, b.OCR.Charged)
	assert.Equal(t, a.Card, b.Card)
	assert.Equal(t, "2026/b.jpg", b.Image.Key)
	assert.Equal(t, a.Image.ETag, b.Image.ETag)

	// The document it was taken from is about another picture by now: nothing is taken from it.
	f.Put("2026/a.jpg", "replaced")
	require.Nil(t, f.Processor().Process(t.Context(), invocation("r5"), request("2026/a.jpg", "")).Err)
	f.Put("2026/d.jpg", "the same")
	require.Nil(t, f.Processor().Process(t.Context(), invocation("r6"), request("2026/d.jpg", "")).Err)
	assert.Empty(t, documentOf(t, f, "2026/d.jpg").OCR.ReusedFrom)
	assert.Equal(t, 4, f.OCR.Accepted())
	require.Nil(t, f.Processor().Process(t.Context(), invocation("r7"), processor.Request{Image: result.Image{Bucket: "cards", Key: "2026/b.jpg"}, Force: true}).Err)
	assert.Equal(t, 5, f.OCR.Accepted(), "force pays")
}

// RESULT_FIELDS and OCR_RAW may have changed since a document was stored.
func TestAReusedDocumentHasWhatIsKeptNow(t *testing.T) {
	numberOnly, everything := result.Retention{Fields: []string{"idNumber"}}, result.Retention{}
	f := ocrtest.NewFixture(t)
	f.Options.Reuse = true
	recognize := func(key string, kept result.Retention) *result.Document {
		f.Options.Retention = kept
		f.Restart()
		f.Put(key, "the same")
		require.Nil(t, f.Processor().Process(t.Context(), invocation(key), request(key, "")).Err)
		return documentOf(t, f, key)
	}
	a := recognize("2026/a.jpg", numberOnly)
	b := recognize("2026/b.jpg", everything)
	assert.Empty(t, b.OCR.ReusedFrom, "fields that a does not keep are not shown as not read")
	assert.NotEmpty(t, b.Card.Name)
	assert.NotEmpty(t, b.Raw)
	c := recognize("2026/c.jpg", numberOnly)
	assert.Equal(t, "2026/b.jpg", c.OCR.ReusedFrom)
	assert.Equal(t, a.Card, c.Card, "of b's fields only the one that is kept")
	assert.Empty(t, c.Raw)
	d := recognize("2026/d.jpg", everything)
	assert.Equal(t, "2026/b.jpg", d.OCR.ReusedFrom)
	assert.Equal(t, b.Card, d.Card)
	assert.Equal(t, 2, f.OCR.Accepted())
}

// With OCR_RAW=false only the index can tell a field that was not read from one that was dropped.
func TestACardWithAFieldThatWasNotReadIsPaidOnce(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.Reuse, f.Options.Retention.DropRaw = true, true
	f.Put("2026/a.jpg", "the same")
	require.Nil(t, f.Processor().Process(t.Context(), invocation("r1"), request("2026/a.jpg", "")).Err)
	a := documentOf(t, f, "2026/a.jpg")
	a.Card.Address = ""
	f.PutResult(nil, string(a.Encode()))
	f.Put("2026/b.jpg", "the same")
	require.Nil(t, f.Processor().Process(t.Context(), invocation("r2"), request("2026/b.jpg", "")).Err)
	assert.Equal(t, "2026/a.jpg", documentOf(t, f, "2026/b.jpg").OCR.ReusedFrom)

	a.OCR.RequestID = "another answer, which came while OCR_REUSE was off"
	f.PutResult(nil, string(a.Encode()))
	f.Put("2026/c.jpg", "the same")
	require.Nil(t, f.Processor().Process(t.Context(), invocation("r3"), request("2026/c.jpg", "")).Err)
	assert.Empty(t, documentOf(t, f, "2026/c.jpg").OCR.ReusedFrom)
	assert.Equal(t, 2, f.OCR.Accepted())
}

func TestAReusedDocumentTellsWhatAnEarlierHolderMayHavePaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Options.Reuse = true
		f.Put("2026/b.jpg", "version 1")
		require.Nil(t, f.Process(invocation("r1")).Err)
		f.OCR.OnCall = func(ocrclient.Request) { panic("the process dies") }
		f.Options.Reuse = false // the one that dies calls without looking
		f.Restart()
		f.Processor().Process(t.Context(), invocation("r2"), request("2026/b.jpg", ""))
		time.Sleep(3 * time.Minute)
		f.OCR.OnCall = nil
		f.Options.Reuse = true
		f.Restart()
		o := f.Processor().Process(t.Context(), invocation("r3"), request("2026/b.jpg", ""))
		require.Nil(t, o.Err)
		assert.Equal(t, "2026/a.jpg", o.Document.OCR.ReusedFrom)
		assert.Equal(t, 1, o.Document.OCR.PossibleExtraCharges)
	})
}

func TestACallAfterAFreeAnswerHasTheTimeThatIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		left     time.Duration // of the invocation
		accepted int
		status   result.Status
		details  bool
	}{
		"enough for a call as long as the one before": {16 * time.Second, 2, result.Recognized, false},
		"too little: the free answer stands":          {11 * time.Second, 1, result.Unrecognized, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, ocrtest.NotRecognized)
				f.Options.Timeout, f.OCR.SlowProvider = 8*time.Second, 5*time.Second
				inv := invocation("r1")
				inv.Deadline = time.Now().Add(test.left)
				o := f.Process(inv)
				assert.Equal(t, test.status, o.Status)
				assert.Equal(t, test.accepted, f.OCR.Accepted())
				assert.Equal(t, test.details, o.Document.OCR.Details)
				assert.Zero(t, o.Document.OCR.PossibleExtraCharges)
			})
		})
	}
}

func TestACallAfterARefusalHasTheTimeThatIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		outcomes []ocrtest.Outcome
		slow     time.Duration // each call
		left     time.Duration // of the invocation, without the time for writing
		requests int
		code     result.Code
	}{
		"refused, and less than OCR_TIMEOUT left":        {[]ocrtest.Outcome{ocrtest.Throttled}, time.Second, 10 * time.Second, 2, ""},
		"not sent, and less than OCR_TIMEOUT left":       {[]ocrtest.Outcome{ocrtest.NotSent}, time.Second, 10 * time.Second, 2, ""},
		"refused late: a call as long does not fit":      {[]ocrtest.Outcome{ocrtest.Throttled}, 6 * time.Second, 10 * time.Second, 1, result.Throttled},
		"told to wait, and a third is left":              {[]ocrtest.Outcome{ocrtest.ThrottledFor(6 * time.Second)}, 0, 10 * time.Second, 2, ""},
		"told to wait, and less than a third would be":   {[]ocrtest.Outcome{ocrtest.ThrottledFor(8 * time.Second)}, 0, 10 * time.Second, 1, result.Throttled},
		"the call before may have been paid":             {[]ocrtest.Outcome{ocrtest.LostBeforeAcceptance}, time.Second, 10 * time.Second, 1, result.Timeout},
		"refused, but the one before may have been paid": {[]ocrtest.Outcome{ocrtest.LostBeforeAcceptance, ocrtest.Throttled}, time.Second, 11 * time.Second, 2, result.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, test.outcomes...)
				f.Options.Timeout, f.OCR.Slow = 9*time.Second, test.slow
				inv := invocation("r1")
				inv.Deadline = time.Now().Add(test.left + processor.WriteReserve)
				o := f.Process(inv)
				assert.Len(t, f.OCR.Requests(), test.requests)
				if test.code == "" {
					assert.Equal(t, result.Recognized, o.Status)
					return
				}
				assert.Equal(t, test.code, o.Err.Code)
				assert.True(t, o.Err.Retryable)
			})
		})
	}
}

func TestNothingIsReadForACallThatHasNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, reuse := range []bool{false, true} {
			f := ocrtest.NewFixture(t)
			f.Options.ImageSource, f.Options.Reuse = config.Data, reuse
			inv := invocation("r1")
			inv.Deadline = time.Now().Add(f.Options.Timeout)
			o := f.Process(inv)
			assert.Equal(t, result.Timeout, o.Err.Code)
			assert.True(t, o.Err.Retryable)
			assert.NotContains(t, f.Bucket.Requests(), "GET "+ocrtest.ImageKey)
		}
	})
}

// slowBudget has each request for the day's budget take so long.
func slowBudget(f *ocrtest.Fixture, length time.Duration) {
	f.Options.DailyLimit = 10
	f.Bucket.Fail = func(_, key string) error {
		if strings.HasPrefix(key, budget.Prefix) {
			time.Sleep(length)
		}
		return nil
	}
}

func TestANonceIsJudgedAfterTheWaitForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.LostAfterCharge)
		f.Options.MaxAttempts = 1
		assert.Equal(t, result.Failed, f.Process(invocation("r1")).Status)
		f.Options.MaxAttempts = 3
		time.Sleep(13*time.Minute + 50*time.Second)
		slowBudget(f, 80*time.Second)
		inv := invocation("r2")
		inv.Deadline = time.Now().Add(time.Hour)
		o := f.StartProcessor().Process(t.Context(), inv, request(ocrtest.ImageKey, ""))
		require.Equal(t, result.Recognized, o.Status, "%v", o.Err)
		assert.Equal(t, 2, f.OCR.Charged())
		assert.Equal(t, 1, o.Document.OCR.PossibleExtraCharges)
	})
}

func TestNoCallBeginsTooLateAfterTheWaitForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		slowBudget(f, 5*time.Second)
		inv := invocation("r1")
		inv.Deadline = time.Now().Add(f.Options.Timeout + 6*time.Second)
		o := f.Process(inv)
		require.NotNil(t, o.Err)
		assert.Equal(t, result.Timeout, o.Err.Code)
		assert.Empty(t, f.OCR.Requests())
		assert.NotContains(t, strings.Join(f.Bucket.Requests(), " "), "SIGN", "a URL is signed last")
	})
}
