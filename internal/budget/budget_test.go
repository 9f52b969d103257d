package budget_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/bucket/buckettest"
	"fc-idcard-ocr/internal/budget"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const suffix = ".ocr.claim"

func today() string { return budget.Key(budget.Day(time.Now()), suffix) }

// spend takes calls until the budget says no.
func spend(t *testing.T, b *budget.Budget, store budget.Store) (n int) {
	for {
		err := b.Take(t.Context(), store)
		if err != nil {
			require.ErrorIs(t, err, budget.ErrExhausted)
			return n
		}
		n++
	}
}

func TestExactlyTheLimitIsSpentByManyInstances(t *testing.T) {
	for _, limit := range []int{1, 10, 64, 1000} {
		store := &buckettest.Memory{}
		var taken atomic.Int64
		var group sync.WaitGroup
		for range 8 {
			b := budget.New(limit, suffix)
			for range 4 {
				group.Go(func() { taken.Add(int64(spend(t, b, store))) })
			}
		}
		group.Wait()
		assert.EqualValues(t, limit, taken.Load(), "limit %d", limit)
		ledger, err := budget.Read(t.Context(), store, today())
		require.NoError(t, err)
		assert.Equal(t, limit, ledger.Reserved)
	}
}

func TestDeadInstancesLoseTheirBlockAndNothingIsOverspent(t *testing.T) {
	store := &buckettest.Memory{}
	taken := 0
	for range 1000 { // each instance dies after one call
		err := budget.New(200, suffix).Take(t.Context(), store)
		if errors.Is(err, budget.ErrExhausted) {
			break
		}
		require.NoError(t, err)
		taken++
	}
	assert.LessOrEqual(t, taken, 200)
	assert.Greater(t, taken, 20, "the blocks become smaller, so that the dead do not take the whole day with them")
}

func TestALostResponseToAReservationIsNoSecondReservation(t *testing.T) {
	store := &buckettest.Memory{}
	var appends atomic.Int32
	store.After = func(op, key string) error {
		if op == "APPEND" && appends.Add(1)%2 == 1 {
			return fmt.Errorf("memory: %w", bucket.ErrPositionMismatch) // what the adapter's second attempt is told
		}
		return nil
	}
	assert.Equal(t, 10, spend(t, budget.New(10, suffix), store))
}

func TestWithoutTheDaysObjectNoCallIsMade(t *testing.T) {
	for _, op := range []string{"GET", "APPEND"} {
		synctest.Test(t, func(t *testing.T) {
			store := &buckettest.Memory{Fail: func(o, key string) error {
				if o == op {
					return fmt.Errorf("memory: %w", bucket.ErrUnavailable)
				}
				return nil
			}}
			b := budget.New(10, suffix)
			assert.ErrorIs(t, b.Take(t.Context(), store), bucket.ErrUnavailable, op)
			store.Fail = nil
			time.Sleep(5 * time.Second)
			assert.Equal(t, 10, spend(t, b, store), "nothing was spent by failures")
		})
	}
}

// hanging is a store whose requests end with their context, or as unavailable after a time.
type hanging struct {
	after    time.Duration
	requests atomic.Int32
}

func (h *hanging) hang(ctx context.Context) error {
	h.requests.Add(1)
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", bucket.ErrUnavailable, ctx.Err())
	case <-time.After(h.after):
		return fmt.Errorf("hanging: %w", bucket.ErrUnavailable)
	}
}

func (h *hanging) Read(ctx context.Context, _ string, _ bucket.ReadOptions) ([]byte, bucket.Object, error) {
	return nil, bucket.Object{}, h.hang(ctx)
}

func (h *hanging) Append(ctx context.Context, _ string, _ int64, _ []byte) (bucket.Appended, error) {
	return bucket.Appended{}, h.hang(ctx)
}

func TestManyWaitForOneRequestThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hanging{after: 15 * time.Second}
		b := budget.New(100, suffix)
		started := time.Now()
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				assert.ErrorIs(t, b.Take(t.Context(), store), bucket.ErrUnavailable)
				assert.Equal(t, store.after, time.Since(started))
			})
		}
		group.Wait()
		assert.EqualValues(t, 1, store.requests.Load())
		time.Sleep(5 * time.Second)
		assert.NoError(t, b.Take(t.Context(), &buckettest.Memory{}), "the failure is forgotten")
	})
}

func TestNobodyWaitsLongerThanHisContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hanging{after: time.Hour}
		b := budget.New(100, suffix)
		started := time.Now()
		var group sync.WaitGroup
		for _, patience := range []time.Duration{8 * time.Second, time.Second, 20 * time.Second, 20 * time.Second} {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				err := b.Take(ctx, store)
				assert.ErrorIs(t, err, bucket.ErrUnavailable)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, patience, time.Since(started))
			})
			synctest.Wait()
		}
		b.GiveBack() // does not wait
		assert.Equal(t, started, time.Now())
		group.Wait()
		assert.NoError(t, b.Take(t.Context(), &buckettest.Memory{}), "a context's end is no failure of the store")
	})
}

// The credentials are those of one invocation.
func TestAccessThatIsDeniedToOneIsNotDeniedToTheOthers(t *testing.T) {
	denied := &buckettest.Memory{Fail: func(string, string) error { return fmt.Errorf("memory: %w", bucket.ErrCredentialsExpired) }}
	b := budget.New(10, suffix)
	require.ErrorIs(t, b.Take(t.Context(), denied), bucket.ErrCredentialsExpired)
	assert.NoError(t, b.Take(t.Context(), &buckettest.Memory{}))
}

func TestADayEndsAtMidnightInChina(t *testing.T) {
	assert.Equal(t, "2026-11-25", budget.Day(time.Date(2026, 11, 25, 15, 59, 59, 0, time.UTC)))
	assert.Equal(t, "2026-11-26", budget.Day(time.Date(2026, 11, 25, 16, 0, 0, 0, time.UTC)))
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		b := budget.New(10, suffix)
		assert.Equal(t, 10, spend(t, b, store))
		time.Sleep(24 * time.Hour)
		assert.Equal(t, 10, spend(t, b, store), "a new day has its own calls")
	})
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		b := budget.New(1000, suffix)
		require.NoError(t, b.Take(t.Context(), store)) // and 49 more are reserved
		time.Sleep(24 * time.Hour)
		assert.Equal(t, 1000, spend(t, b, store), "yesterday's block is not spent today")
	})
}

func TestAnOperatorsOrderActsWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		b := budget.New(1000, suffix)
		require.NoError(t, b.Take(t.Context(), store))
		yes, no, none, more := true, false, 0, 2000
		order := func(e budget.Entry) {
			_, err := budget.Order(t.Context(), store, today(), e)
			require.NoError(t, err)
			time.Sleep(15 * time.Second)
		}
		order(budget.Entry{By: "operator", Paused: &yes})
		require.ErrorIs(t, b.Take(t.Context(), store), budget.ErrPaused)
		order(budget.Entry{By: "operator", Paused: &no})
		require.NoError(t, b.Take(t.Context(), store))
		order(budget.Entry{By: "operator", Limit: &none})
		require.ErrorIs(t, b.Take(t.Context(), store), budget.ErrExhausted)
		order(budget.Entry{By: "operator", Limit: &more})
		assert.Equal(t, 1998, spend(t, b, store))
	})
}

func TestBudgetCostsFewRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		b := budget.New(10_000, suffix)
		for range 1000 { // one a second
			require.NoError(t, b.Take(t.Context(), store))
			time.Sleep(time.Second)
		}
		assert.Less(t, len(store.Requests()), 100, "requests for 1000 calls")
	})
}

func TestACallThatWasNotAcceptedIsGivenBack(t *testing.T) {
	store := &buckettest.Memory{}
	b := budget.New(3, suffix)
	for range 20 {
		require.NoError(t, b.Take(t.Context(), store))
		b.GiveBack()
	}
	assert.Equal(t, 3, spend(t, b, store))
	b.GiveBack()
	b.GiveBack()
	b.GiveBack()
	b.GiveBack()
	assert.LessOrEqual(t, spend(t, b, store), 3, "no more is given back than was taken")
}

func TestTheObjectTellsWhatWasSpentByHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) // virtual time starts at midnight UTC, 8 o'clock in China
		store := &buckettest.Memory{}
		b := budget.New(100, suffix)
		for range 40 {
			require.NoError(t, b.Take(t.Context(), store))
		}
		ledger, err := budget.Read(t.Context(), store, today())
		require.NoError(t, err)
		assert.Greater(t, ledger.SpentByHour["09"], 20)
		assert.LessOrEqual(t, ledger.SpentByHour["09"], 40)
	})
}

func TestOtherLinesArePassedOver(t *testing.T) {
	store := &buckettest.Memory{}
	_, err := store.Append(t.Context(), today(), 0, []byte("hello\n{\"reserved\":-5,\"limit\":-1}\n[]\n"))
	require.NoError(t, err)
	assert.Equal(t, 7, spend(t, budget.New(7, suffix), store))
}

func TestALineThatIsTornTakesNoOtherWithIt(t *testing.T) {
	for name, torn := range map[string]string{"broken": `{"id":"x","reserved":9`, "whole": `{"id":"x","reserved":3}`} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			_, err := store.Append(t.Context(), today(), 0, []byte(torn))
			require.NoError(t, err)
			before, err := budget.Read(t.Context(), store, today())
			require.NoError(t, err)
			taken := 0
			for range 14 { // a new instance each time
				if budget.New(10, suffix).Take(t.Context(), store) == nil {
					taken++
				}
			}
			assert.Equal(t, 10-before.Reserved, taken)
			assert.NotContains(t, string(store.Content(today())), "\n\n", "one line feed")
			yes, key := true, budget.Key("2000-01-01", suffix)
			_, err = store.Append(t.Context(), key, 0, []byte(torn))
			require.NoError(t, err)
			_, err = budget.Order(t.Context(), store, key, budget.Entry{By: "operator", Paused: &yes})
			require.NoError(t, err)
			ledger, err := budget.Read(t.Context(), store, key)
			require.NoError(t, err)
			assert.True(t, ledger.Paused, "nor an operator's order")
		})
	}
}
