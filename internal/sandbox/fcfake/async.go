package fcfake

import (
	"context"
	"errors"
	"sync"
	"time"
)

// NoRetries is the AsyncConfig.MaxRetries that means none.
const NoRetries = -1

// AsyncConfig is how asynchronous invocations are delivered (asyncInvokeConfig of the function).
type AsyncConfig struct {
	// MaxRetries is how often a failed invocation is repeated: 1 to 8, 0 means FC's default of 3, NoRetries none.
	MaxRetries int
	// MaxAge is how old an event may be at an attempt, 24 h by default.
	MaxAge time.Duration
	// Backoff is the pause before the nth retry (from 1); default 1 s, doubled each time, at most a minute.
	Backoff func(retry int) time.Duration
	// Speed makes time pass faster for MaxAge and Backoff, which are divided by it, so that a day of retries can be tried in seconds;
	// 0 means 1. Neither timeouts nor the function's own clock are touched.
	Speed float64
	// OnSuccess and OnFailure are the destinations: they get the outcome of each event that was delivered, or given up.
	// They may be called from several goroutines.
	OnSuccess, OnFailure func(Destination)
}

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
	// Condition is the kind of the error, empty for a success.
	Condition string `json:"condition"`
	// ApproximateInvokeCount is the number of attempts.
	ApproximateInvokeCount int `json:"approximateInvokeCount"`
}

// ResponseContext is how the last attempt of a Destination ended.
type ResponseContext struct {
	// StatusCode is 200 if the function was run, whatever came of it.
	StatusCode int `json:"statusCode"`
	// FunctionError is the type of the function's error, empty for a success.
	FunctionError string `json:"functionError"`
}

// asyncQueue holds the events that are under way. Each has a goroutine; the instances' slots make them wait their turn.
type asyncQueue struct {
	runtime *Runtime
	config  AsyncConfig
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu      sync.Mutex
	pending int
	idle    chan struct{} // closed while pending is 0
}

func (q *asyncQueue) init(r *Runtime, config AsyncConfig) {
	switch {
	case config.MaxRetries == 0:
		config.MaxRetries = 3
	case config.MaxRetries == NoRetries:
		config.MaxRetries = 0
	}
	setDefault(&config.MaxAge, 24*time.Hour)
	if config.Backoff == nil {
		config.Backoff = func(retry int) time.Duration { return min(time.Second<<(retry-1), time.Minute) }
	}
	if config.Speed > 0 {
		compress := func(d time.Duration) time.Duration { return time.Duration(float64(d) / config.Speed) }
		backoff := config.Backoff
		config.MaxAge, config.Backoff = compress(config.MaxAge), func(retry int) time.Duration { return compress(backoff(retry)) }
	}
	q.runtime, q.config = r, config
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.idle = make(chan struct{})
	close(q.idle)
}

// InvokeAsync takes the event, returns its request id at once, and delivers it with retries. Options.Deadline is not
// used: each attempt has Config.Timeout.
func (r *Runtime) InvokeAsync(payload []byte, options Options) (requestID string, err error) {
	if len(payload) > maxAsyncPayload {
		return "", ErrPayloadTooLarge
	}
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
	first := options.RetryCount
	for {
		// Not bound to q.ctx: when the runtime closes, a running instance gets its grace.
		result, err := q.runtime.invoke(context.Background(), q.runtime.newInvocation(payload, options), true)
		attempts := options.RetryCount - first + 1
		if err == nil {
			q.report(q.config.OnSuccess, payload, result, nil, attempts)
			return
		}
		if q.ctx.Err() != nil {
			return
		}
		retry := attempts
		pause := q.config.Backoff(retry)
		if retry > q.config.MaxRetries || time.Since(accepted)+pause > q.config.MaxAge {
			q.report(q.config.OnFailure, payload, result, err, attempts)
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-q.ctx.Done():
			timer.Stop()
			return
		}
		options.RetryCount++
	}
}

func (q *asyncQueue) report(to func(Destination), payload []byte, result Result, err error, attempts int) {
	if to == nil {
		return
	}
	c := q.runtime.config
	destination := Destination{
		Timestamp: time.Now().UnixMilli(),
		RequestContext: RequestContext{
			RequestID:              result.RequestID,
			FunctionARN:            "acs:fc:" + c.Region + ":" + c.AccountID + ":functions/" + c.FunctionName,
			ApproximateInvokeCount: attempts,
		},
		RequestPayload:  string(payload),
		ResponseContext: ResponseContext{StatusCode: 200},
		ResponsePayload: string(result.Payload),
	}
	var failure *FunctionError
	switch {
	case errors.As(err, &failure):
		destination.RequestContext.Condition = failure.Type
		destination.ResponseContext.FunctionError = failure.Type
	case err != nil:
		destination.RequestContext.Condition = "ServerError"
		destination.ResponseContext.StatusCode = 500
	}
	to(destination)
}

func (q *asyncQueue) stop() { q.cancel() }
func (q *asyncQueue) wait() { q.workers.Wait() }
