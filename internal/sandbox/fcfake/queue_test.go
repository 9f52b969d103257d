package fcfake

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The delays are those that Function Compute documents, to the nanosecond, on a virtual clock.
func TestAttemptsComeWhenTheDocumentationSays(t *testing.T) {
	t.Parallel()
	const second, hour = time.Second, time.Hour
	failure := &FunctionError{Type: ErrorUnhandled, Payload: []byte(`{}`)}
	throttled, internal, exhausted := NewSystemError(429), NewSystemError(500), NewSystemError(503)
	// Half a second, doubled each time, as long as the next attempt is within five hours of the first.
	refusedFor5Hours := []time.Duration{0}
	for pause := second / 2; refusedFor5Hours[len(refusedFor5Hours)-1]+pause <= 5*hour; pause *= 2 {
		refusedFor5Hours = append(refusedFor5Hours, refusedFor5Hours[len(refusedFor5Hours)-1]+pause)
	}
	require.Len(t, refusedFor5Hours, 16)
	always := func(err error) func(int) error { return func(int) error { return err } }
	for name, test := range map[string]struct {
		config   AsyncConfig
		outcome  func(attempt int) error // from 0
		takes    time.Duration           // an attempt
		attempts []time.Duration         // since the event was accepted
		retries  []int                   // x-fc-retry-count of each attempt that reached the function
		given    string                  // condition
		status   int
		runs     int
		at       time.Duration // when it was given up, or delivered
	}{
		"a function that works": {outcome: always(nil), attempts: []time.Duration{0}, retries: []int{0}, status: 200, runs: 1},
		"three retries of a failed function": {
			outcome: always(failure), takes: second, attempts: []time.Duration{0, 1500 * time.Millisecond, 3500 * time.Millisecond, 6500 * time.Millisecond},
			retries: []int{0, 1, 2, 3}, given: ErrorUnhandled, status: 200, runs: 4, at: 7500 * time.Millisecond,
		},
		"eight at most": {
			config: AsyncConfig{MaxRetries: 8}, outcome: always(failure),
			attempts: []time.Duration{0, second / 2, 3 * second / 2, 7 * second / 2, 15 * second / 2, 31 * second / 2, 63 * second / 2, 127 * second / 2, 255 * second / 2},
			retries:  []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, given: ErrorUnhandled, status: 200, runs: 9, at: 255 * second / 2,
		},
		"none":                      {config: AsyncConfig{MaxRetries: NoRetries}, outcome: always(failure), attempts: []time.Duration{0}, retries: []int{0}, given: ErrorUnhandled, status: 200, runs: 1},
		"throttling for five hours": {outcome: always(throttled), attempts: refusedFor5Hours, given: "FunctionResourceExhausted", status: 429, at: refusedFor5Hours[15]},
		"an error of the platform":  {outcome: always(internal), attempts: refusedFor5Hours, given: "InternalServerError", status: 500, at: refusedFor5Hours[15]},
		"no resources":              {outcome: always(exhausted), attempts: refusedFor5Hours, given: "ServiceUnavailable", status: 503, at: refusedFor5Hours[15]},
		"an error that nobody knows is one of the platform": {
			outcome: always(errors.New("?")), attempts: refusedFor5Hours, retries: make([]int, 16), given: "InternalServerError", status: 500, at: refusedFor5Hours[15],
		},
		"throttling that passes": {
			outcome: func(attempt int) error {
				if attempt < 2 {
					return throttled
				}
				return nil
			},
			attempts: []time.Duration{0, second / 2, 3 * second / 2}, retries: []int{0}, status: 200, runs: 1, at: 3 * second / 2,
		},
		"throttling does not count as a retry": {
			outcome: func(attempt int) error {
				if attempt%2 == 0 {
					return throttled
				}
				return failure
			},
			attempts: []time.Duration{0, second / 2, second, 3 * second / 2, 5 * second / 2, 3 * second, 5 * second, 11 * second / 2},
			retries:  []int{0, 1, 2, 3}, given: ErrorUnhandled, status: 200, runs: 4, at: 11 * second / 2,
		},
		"an event of a day": {
			config: AsyncConfig{MaxRetries: 8}, outcome: always(failure), takes: 10 * hour, attempts: []time.Duration{0, 10*hour + second/2, 20*hour + 3*second/2},
			retries: []int{0, 1, 2}, given: "Expired", status: 200, runs: 3, at: 30*hour + 7*second/2,
		},
		"the age counts when the turn of the event comes": {
			config: AsyncConfig{MaxAge: 2 * second}, outcome: always(failure), attempts: []time.Duration{0, second / 2, 3 * second / 2},
			retries: []int{0, 1, 2}, given: "Expired", status: 200, runs: 3, at: 7 * second / 2,
		},
		"throttling ends with the age too": {
			config: AsyncConfig{MaxAge: 2 * second}, outcome: always(throttled), attempts: []time.Duration{0, second / 2, 3 * second / 2},
			given: "Expired", status: 429, at: 7 * second / 2,
		},
		"ten times as fast": {
			config: AsyncConfig{Speedup: 10}, outcome: always(failure), attempts: []time.Duration{0, second / 20, 3 * second / 20, 7 * second / 20},
			retries: []int{0, 1, 2, 3}, given: ErrorUnhandled, status: 200, runs: 4, at: 7 * second / 20,
		},
		"a day in a second": {
			config: AsyncConfig{Speedup: MaxSpeedup}, outcome: always(failure), takes: 2 * second, attempts: []time.Duration{0}, retries: []int{0},
			given: "Expired", status: 200, runs: 1, at: 2*second + second/2/MaxSpeedup,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				accepted := time.Now()
				var attempts []time.Duration
				var retries []int
				var got []Destination
				var at time.Duration
				end := func(d Destination) { got, at = append(got, d), time.Since(accepted) }
				test.config.OnSuccess, test.config.OnFailure = end, end
				test.config.Intercept = func([]byte) (refused *SystemError) {
					attempts = append(attempts, time.Since(accepted))
					errors.As(test.outcome(len(attempts)-1), &refused)
					return refused
				}
				require.Empty(t, test.config.problems())
				q := newAsyncQueue(test.config, "arn", func(payload []byte, options Options, expired func() bool) (Result, error) {
					if expired() {
						return Result{}, errExpired
					}
					retries = append(retries, options.RetryCount)
					time.Sleep(test.takes)
					return Result{RequestID: options.RequestID, Payload: []byte(strconv.Itoa(len(attempts)))}, test.outcome(len(attempts) - 1)
				})
				q.add([]byte("event"), Options{RequestID: "1-a"})
				q.wait()

				assert.Equal(t, test.attempts, attempts)
				assert.Equal(t, test.retries, retries)
				assert.Equal(t, test.at, at)
				require.Len(t, got, 1)
				assert.Equal(t, RequestContext{RequestID: "1-a", FunctionARN: "arn", Condition: test.given, ApproximateInvokeCount: test.runs}, got[0].RequestContext)
				assert.Equal(t, test.status, got[0].ResponseContext.StatusCode)
				assert.Equal(t, "event", got[0].RequestPayload)
				if test.runs > 0 {
					assert.Equal(t, strconv.Itoa(len(attempts)), got[0].ResponsePayload, "of the last attempt")
				}
				assert.Zero(t, q.pending)
			})
		})
	}
}
