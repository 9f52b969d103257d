package fcfake_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox/fcfake"
)

// destinations collects what destinations got.
type destinations struct {
	mu               sync.Mutex
	success, failure []fcfake.Destination
}

func (d *destinations) config(c *fcfake.Config) {
	c.Async.Speedup = 100 // pauses of milliseconds; an event is still good for a quarter of an hour
	c.Async.OnSuccess = func(x fcfake.Destination) { d.mu.Lock(); defer d.mu.Unlock(); d.success = append(d.success, x) }
	c.Async.OnFailure = func(x fcfake.Destination) { d.mu.Lock(); defer d.mu.Unlock(); d.failure = append(d.failure, x) }
}

func TestAFailedEventIsRetriedUnderItsRequestID(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode fcfake.Mode) {
		var got destinations
		f := start(t, mode, got.config)
		id, err := f.InvokeAsync([]byte(`{"do":"fail until","okOn":3}`), fcfake.Options{})
		require.NoError(t, err)
		require.NoError(t, f.Wait(t.Context()))

		require.Len(t, f.records, 4)
		for n, record := range f.records {
			assert.Equal(t, id, record.RequestID)
			assert.Equal(t, n, record.RetryCount)
			assert.True(t, record.Async)
		}
		assert.Empty(t, got.failure)
		require.Len(t, got.success, 1)
		assert.Equal(t, 4, got.success[0].RequestContext.ApproximateInvokeCount)
		var last seen
		require.NoError(t, json.Unmarshal([]byte(got.success[0].ResponsePayload), &last))
		assert.Equal(t, 3, last.RetryCount, "the function is told")
	})
}

func TestAnEventThatKeepsFailingGoesToTheFailureDestination(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		order    string
		change   func(*fcfake.Config)
		attempts int
		kind     string
		payload  string
	}{
		"after three retries": {`{"do":"fail"}`, nil, 4, fcfake.ErrorUnhandled, `{"errorMessage":"as ordered","errorType":"errorString"}`},
		"after none":          {`{"do":"fail"}`, func(c *fcfake.Config) { c.Async.MaxRetries = fcfake.NoRetries }, 1, fcfake.ErrorUnhandled, ""},
		"after one":           {`{"do":"exit"}`, func(c *fcfake.Config) { c.Async.MaxRetries = 1 }, 2, fcfake.ErrorExited, ""},
		"when nothing starts": {`{"do":"echo"}`, func(c *fcfake.Config) { c.Env = []string{"START=fail"} }, 4, fcfake.ErrorInitialization, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got destinations
			f := start(t, fcfake.ModeGo1, func(c *fcfake.Config) {
				got.config(c)
				if test.change != nil {
					test.change(c)
				}
			})
			id, err := f.InvokeAsync([]byte(test.order), fcfake.Options{})
			require.NoError(t, err)
			require.NoError(t, f.Wait(t.Context()))
			assert.Zero(t, f.Pending())
			assert.Empty(t, got.success)
			require.Len(t, got.failure, 1)
			failure := got.failure[0]
			assert.InDelta(t, time.Now().UnixMilli(), failure.Timestamp, 60_000)
			if test.payload != "" {
				assert.JSONEq(t, test.payload, failure.ResponsePayload)
			}
			failure.Timestamp, failure.ResponsePayload = 0, ""
			assert.Equal(t, fcfake.Destination{
				RequestContext: fcfake.RequestContext{RequestID: id, Condition: test.kind, ApproximateInvokeCount: test.attempts,
					FunctionARN: "acs:fc:cn-hangzhou:1234567890123456:functions/idcard-ocr"},
				RequestPayload:  test.order,
				ResponseContext: fcfake.ResponseContext{StatusCode: 200, FunctionError: test.kind},
			}, failure)
		})
	}
}

func TestManyEventsAreAllDelivered(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode fcfake.Mode) {
		var got destinations
		f := start(t, mode, got.config)
		const events = 200
		for n := range events {
			_, err := f.InvokeAsync(fmt.Appendf(nil, `{"do":"echo","millis":%d}`, n), fcfake.Options{})
			require.NoError(t, err)
		}
		require.NoError(t, f.Wait(t.Context()))
		answers := map[string]bool{}
		for _, destination := range got.success {
			answers[destination.ResponsePayload] = true
		}
		assert.Len(t, answers, events)
		assert.LessOrEqual(t, len(f.Instances()), 2)
	})
}

func TestCloseDropsWaitingEvents(t *testing.T) {
	t.Parallel()
	var got destinations
	f := start(t, fcfake.ModeGo1, func(c *fcfake.Config) {
		got.config(c)
		c.Async.Speedup, c.Async.MaxRetries = 1, 8 // the pauses before the last retries are longer than a minute
	})
	_, err := f.InvokeAsync([]byte(`{"do":"fail"}`), fcfake.Options{})
	require.NoError(t, err)
	_, err = f.InvokeAsync([]byte(`{"do":"sleep","millis":600000}`), fcfake.Options{})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	assert.Empty(t, got.failure)
	_, err = f.InvokeAsync([]byte(`{"do":"echo"}`), fcfake.Options{})
	assert.ErrorIs(t, err, fcfake.ErrClosed)
}

func TestAnEventThatWaitsTooLongForAnInstanceIsGivenUpWithoutBeingRun(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode fcfake.Mode) {
		var got destinations
		f := start(t, mode, func(c *fcfake.Config) {
			got.config(c)
			c.MaxInstances, c.Concurrency = 1, 1
			c.Async.Speedup = fcfake.MaxSpeedup // a day is a second
		})
		require.NoError(t, f.Warm(t.Context()))
		slow, late := `{"do":"sleep","millis":1500}`, `{"do":"echo"}`
		_, err := f.InvokeAsync([]byte(slow), fcfake.Options{})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return f.Instances()[0].Busy == 1 }, 10*time.Second, time.Millisecond)
		id, err := f.InvokeAsync([]byte(late), fcfake.Options{})
		require.NoError(t, err)
		require.NoError(t, f.Wait(t.Context()))

		require.Len(t, got.success, 1)
		assert.Equal(t, slow, got.success[0].RequestPayload, "a running invocation has its whole time-out")
		require.Len(t, got.failure, 1)
		failure := got.failure[0]
		failure.Timestamp = 0
		assert.Equal(t, fcfake.Destination{
			RequestContext:  fcfake.RequestContext{RequestID: id, Condition: "Expired", FunctionARN: "acs:fc:cn-hangzhou:1234567890123456:functions/idcard-ocr"},
			RequestPayload:  late,
			ResponseContext: fcfake.ResponseContext{StatusCode: 200},
		}, failure)
		assert.Len(t, f.records, 1)
	})
}
