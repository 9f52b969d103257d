package parallel

import (
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func numbers(n int, end error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if end != nil {
			yield(0, end)
		}
	}
}

func TestResultsKeepTheOrderOfTheItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		for v, err := range Map(numbers(100, nil), 8, func(i int) int {
			time.Sleep(time.Duration((i*37)%11) * time.Millisecond) // virtual
			return i * i
		}) {
			require.NoError(t, err)
			got = append(got, v)
		}
		require.Len(t, got, 100)
		for i, v := range got {
			assert.Equal(t, i*i, v)
		}
	})
}

func TestNoMoreThanTheWorkersAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		for range Map(numbers(200, nil), 5, func(int) int {
			if now := running.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(time.Millisecond) // virtual
			running.Add(-1)
			return 0
		}) {
			assert.LessOrEqual(t, running.Load(), int64(5))
		}
		assert.EqualValues(t, 5, most.Load())
	})
}

func TestAnErrorOfTheSourceComesAfterTheResultsBeforeIt(t *testing.T) {
	broken := errors.New("broken")
	var got []int
	var failed error
	for v, err := range Map(numbers(3, broken), 2, func(i int) int { return i }) {
		if err != nil {
			failed = err
			continue
		}
		got = append(got, v)
	}
	assert.Equal(t, []int{0, 1, 2}, got)
	assert.ErrorIs(t, failed, broken)
}

func TestLeavingTheLoopWaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started, ended atomic.Int64
		for range Map(numbers(1000, nil), 4, func(int) int {
			started.Add(1)
			time.Sleep(time.Second) // virtual
			ended.Add(1)
			return 0
		}) {
			break
		}
		assert.Equal(t, started.Load(), ended.Load())
		assert.LessOrEqual(t, started.Load(), int64(8), "the first round of the workers, and perhaps a second")
	})
}

func TestOneSlowItemDoesNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const items, workers = 4737, 16
		took := func(i int) time.Duration {
			if i%50 == 0 {
				return 300 * time.Millisecond
			}
			return 20 * time.Millisecond
		}
		var work time.Duration
		for i := range items {
			work += took(i)
		}
		began := time.Now()
		for range Map(numbers(items, nil), workers, func(i int) int {
			time.Sleep(took(i)) // virtual
			return i
		}) {
		}
		assert.LessOrEqual(t, time.Since(began), work/workers*11/10)
	})
}

func TestNoMoreThanTheWindowIsAheadOfTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started atomic.Int64
		for i := range Map(numbers(1000, nil), 4, func(i int) int {
			started.Add(1)
			return i
		}) {
			synctest.Wait()
			assert.LessOrEqual(t, started.Load(), int64(i+1+windowFactor*4))
		}
	})
}
