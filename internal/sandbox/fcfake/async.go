package fcfake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// NoRetries is the AsyncConfig.MaxRetries that means none.
const NoRetries = -1

// What Function Compute documents about asynchronous invocations (help.aliyun.com/document_detail/2513612.html, and the structure
// PutAsyncInvokeConfigInput of the API for the range of the age). An error of the function is retried a number of times. Throttling (429)
// and errors of the platform (500, 503) do not count: they are retried for five hours. (Of the pages in English some say that 500 and 503
// are not retried: there, the cells that the original joins are empty.)
const (
	defaultRetries = 3
	maxRetries     = 8
	defaultAge     = 24 * time.Hour
	maxAge         = 7 * 24 * time.Hour
	refusalLimit   = 5 * time.Hour
	// firstPause is the pause before the first retry; each further one is twice as long. This is documented for 429, 500 and 503; for
	// errors of the function no pause is, so they have the same.
	firstPause = 500 * time.Millisecond
)

// MaxSpeedup is the largest AsyncConfig.Speedup: with it, a day is a second.
const MaxSpeedup = 86_400

// AsyncConfig is how asynchronous invocations are delivered (asyncInvokeConfig of the function).
type AsyncConfig struct {
	// MaxRetries is how often an invocation is repeated in which the function failed: 1 to 8, 0 means FC's default of 3, NoRetries none.
	MaxRetries int
	// MaxAge is how old an event may be when its turn comes, at each attempt: 1 s to 7 days, 24 h by default.
	MaxAge time.Duration
	// Speedup divides the pauses between attempts, the five hours of 429, 500 and 503, and MaxAge, so that seconds show what takes hours
	// on FC: 1 (as on FC) to MaxSpeedup, 0 means 1. The time-out of an invocation and the function's own clock are not changed.
	Speedup float64
	// Intercept, if set, is asked before each attempt; an error is FC's own and keeps the event from the function.
	Intercept func(payload []byte) *SystemError
	// OnSuccess and OnFailure are the destinations: they get the outcome of each event that was delivered, or given up.
	// They may be called from several goroutines.
	OnSuccess, OnFailure func(Destination)
}

// problems lists what is wrong with the configuration.
func (c AsyncConfig) problems() (problems []error) {
	if c.MaxRetries < NoRetries || c.MaxRetries > maxRetries {
		problems = append(problems, fmt.Errorf("fcfake: Async.MaxRetries is %d; FC takes 0 to %d, here NoRetries to %d", c.MaxRetries, maxRetries, maxRetries))
	}
	if c.MaxAge != 0 && (c.MaxAge < time.Second || c.MaxAge > maxAge) {
		problems = append(problems, fmt.Errorf("fcfake: Async.MaxAge is %v; FC takes 1 s to %v", c.MaxAge, maxAge))
	}
	if c.Speedup != 0 && !(c.Speedup >= 1 && c.Speedup <= MaxSpeedup) {
		problems = append(problems, fmt.Errorf("fcfake: Async.Speedup is %v; accepted are 1 to %d", c.Speedup, MaxSpeedup))
	}
	return problems
}

// complete fills in the defaults. Then MaxRetries is the number of retries, without the special meaning of 0 and NoRetries.
func (c AsyncConfig) complete() AsyncConfig {
	switch c.MaxRetries {
	case 0:
		c.MaxRetries = defaultRetries
	case NoRetries:
		c.MaxRetries = 0
	}
	setDefault(&c.MaxAge, defaultAge)
	setDefault(&c.Speedup, 1)
	return c
}

// compress is how long something takes here that takes d on FC.
func (c AsyncConfig) compress(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.Speedup)
}

// pause is the pause before the nth retry, from 1.
func (c AsyncConfig) pause(retry int) time.Duration {
	return c.compress(firstPause << (retry - 1))
}

// SystemError is an error of Function Compute itself: the function was not run.
type SystemError struct {
	// Status is 429 if the function has too many instances, 500 or 503.
	Status int
	// Code is the error code, such as FunctionResourceExhausted.
	Code string
}

// NewSystemError returns the error with this status: 429, 500 or 503.
func NewSystemError(status int) *SystemError {
	code := map[int]string{
		http.StatusTooManyRequests: "FunctionResourceExhausted", http.StatusInternalServerError: "InternalServerError", http.StatusServiceUnavailable: "ServiceUnavailable",
	}[status]
	return &SystemError{Status: status, Code: code}
}

func (e *SystemError) Error() string { return fmt.Sprintf("%s (%d)", e.Code, e.Status) }

// errExpired says that an event was too old when its turn came.
var errExpired = errors.New("fcfake: the event is older than its maximum age")

// conditionExpired is the Condition of an event that was too old. FC counts such events (FunctionAsyncEventExpiredDropped) and calls their
// state Expired, but does not document whether they reach the failure destination. Here they do: otherwise nobody would see them.
const conditionExpired = "Expired"

// Destination is what FC sends to a destination
// (alibabacloud.com/help/en/functioncompute/fc-2-0/user-guide/result-callback).
type Destination struct {
	// Timestamp is in milliseconds since 1970.
	Timestamp       int64           `json:"timestamp"`
	RequestContext  RequestContext  `json:"requestContext"`
	RequestPayload  string          `json:"requestPayload"`
	ResponseContext ResponseContext `json:"responseContext"`
	ResponsePayload string          `json:"responsePayload"`
}

// RequestContext identifies the event of a Destination.
type RequestContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	// Condition is the code of the error, or conditionExpired; empty for a success.
	Condition string `json:"condition"`
	// ApproximateInvokeCount is how often the function was run.
	ApproximateInvokeCount int `json:"approximateInvokeCount"`
}

// ResponseContext is how the last attempt of a Destination ended.
type ResponseContext struct {
	// StatusCode is 200 unless the last attempt ended with an error of FC itself.
	StatusCode int `json:"statusCode"`
	// FunctionError is the type of the function's error, empty for a success.
	FunctionError string `json:"functionError"`
}

// asyncQueue holds the events that are under way. Each has a goroutine; invoke makes them wait their turn.
type asyncQueue struct {
	config AsyncConfig // complete
	arn    string      // of the function
	// invoke runs the function once there is room for the event. It returns errExpired if expired says then that the event is too old.
	invoke  func(payload []byte, options Options, expired func() bool) (Result, error)
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu      sync.Mutex
	pending int
	idle    chan struct{} // closed while pending is 0
}

func newAsyncQueue(config AsyncConfig, arn string, invoke func([]byte, Options, func() bool) (Result, error)) *asyncQueue {
	q := &asyncQueue{config: config.complete(), arn: arn, invoke: invoke, idle: make(chan struct{})}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	close(q.idle)
	return q
}

// InvokeAsync takes the event, returns its request id at once, and delivers it with retries. Options.Deadline is not
// used: each attempt has Config.Timeout.
func (r *Runtime) InvokeAsync(payload []byte, options Options) (requestID string, err error) {
	if len(payload) > maxAsyncPayload {
		return "", ErrPayloadTooLarge
	}
	return r.enqueue(payload, options)
}

// enqueue is InvokeAsync for an event whose size was checked.
func (r *Runtime) enqueue(payload []byte, options Options) (requestID string, err error) {
	if options.RequestID == "" {
		options.RequestID = newRequestID()
	}
	options.Deadline = time.Time{}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return "", ErrClosed
	}
	r.async.add(payload, options)
	return options.RequestID, nil
}

// Wait returns when no asynchronous event is under way, waiting for retries too.
func (r *Runtime) Wait(ctx context.Context) error {
	for {
		r.async.mu.Lock()
		idle := r.async.idle
		r.async.mu.Unlock()
		select {
		case <-idle:
			r.async.mu.Lock()
			pending := r.async.pending
			r.async.mu.Unlock()
			if pending == 0 {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Pending returns how many asynchronous events are under way.
func (r *Runtime) Pending() int {
	r.async.mu.Lock()
	defer r.async.mu.Unlock()
	return r.async.pending
}

func (q *asyncQueue) add(payload []byte, options Options) {
	q.mu.Lock()
	if q.pending == 0 {
		q.idle = make(chan struct{})
	}
	q.pending++
	q.mu.Unlock()
	accepted := time.Now()
	q.workers.Go(func() {
		q.deliver(payload, options, accepted)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.pending--
		if q.pending == 0 {
			close(q.idle)
		}
	})
}

// deliver makes all attempts for one event.
func (q *asyncQueue) deliver(payload []byte, options Options, accepted time.Time) {
	expired := func() bool { return time.Since(accepted) > q.config.compress(q.config.MaxAge) }
	last, lastErr := Result{RequestID: options.RequestID}, error(nil)
	runs := 0     // of the function
	refusals := 0 // by FC itself, since the last run
	var refused time.Time
	for {
		result, err := q.attempt(payload, options, expired)
		result.RequestID = options.RequestID
		var pause time.Duration
		var giveUp bool
		var failure *FunctionError
		switch {
		case err == nil:
			q.report(q.config.OnSuccess, payload, result, nil, runs+1)
			return
		case q.ctx.Err() != nil || errors.Is(err, ErrClosed):
			return
		case errors.Is(err, errExpired):
			q.report(q.config.OnFailure, payload, last, errors.Join(err, lastErr), runs)
			return
		case errors.As(err, &failure):
			runs, refusals = runs+1, 0
			options.RetryCount++
			pause, giveUp = q.config.pause(runs), runs > q.config.MaxRetries
		default:
			if refusals++; refusals == 1 {
				refused = time.Now()
			}
			pause = q.config.pause(refusals)
			giveUp = time.Since(refused)+pause > q.config.compress(refusalLimit)
		}
		if giveUp {
			q.report(q.config.OnFailure, payload, result, err, runs)
			return
		}
		last, lastErr = result, err
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-q.ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (q *asyncQueue) attempt(payload []byte, options Options, expired func() bool) (Result, error) {
	if q.config.Intercept != nil && !expired() {
		if refused := q.config.Intercept(payload); refused != nil {
			return Result{}, refused
		}
	}
	result, err := q.invoke(payload, options, expired)
	var failure *FunctionError
	var system *SystemError
	if err != nil && !errors.As(err, &failure) && !errors.As(err, &system) && !errors.Is(err, errExpired) && !errors.Is(err, ErrClosed) {
		err = NewSystemError(http.StatusInternalServerError) // something of the sandbox itself
	}
	return result, err
}

func (q *asyncQueue) report(to func(Destination), payload []byte, result Result, err error, runs int) {
	if to == nil {
		return
	}
	destination := Destination{
		Timestamp:       time.Now().UnixMilli(),
		RequestContext:  RequestContext{RequestID: result.RequestID, FunctionARN: q.arn, ApproximateInvokeCount: runs},
		RequestPayload:  string(payload),
		ResponseContext: ResponseContext{StatusCode: http.StatusOK},
		ResponsePayload: string(result.Payload),
	}
	var failure *FunctionError
	var system *SystemError
	switch {
	case errors.As(err, &failure):
		destination.RequestContext.Condition = failure.Type
		destination.ResponseContext.FunctionError = failure.Type
	case errors.As(err, &system):
		destination.RequestContext.Condition = system.Code
		destination.ResponseContext.StatusCode = system.Status
	}
	if errors.Is(err, errExpired) {
		destination.RequestContext.Condition = conditionExpired
	}
	to(destination)
}

func (q *asyncQueue) stop() { q.cancel() }
func (q *asyncQueue) wait() { q.workers.Wait() }
