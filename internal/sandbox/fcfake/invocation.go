package fcfake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Options are what the caller of an invocation may set; the zero value is a fresh invocation.
type Options struct {
	// RequestID is made up if empty. A retry carries that of the first attempt.
	RequestID string
	// RetryCount is 0 for the first attempt.
	RetryCount int
	// Deadline is when the instance is killed; zero is Config.Timeout after the instance is ready.
	Deadline time.Time
}

// Result is what came of an invocation.
type Result struct {
	RequestID  string
	InstanceID string
	// Payload is the function's answer, or the error document of a *FunctionError.
	Payload  []byte
	Duration time.Duration
}

// The error types that FC reports in X-Fc-Error-Type and in destinations.
const (
	// ErrorUnhandled: the function returned an error or panicked.
	ErrorUnhandled = "UnhandledInvocationError"
	// ErrorTimeout: the function was killed at its deadline.
	ErrorTimeout = "FunctionTimedOut"
	// ErrorExited: the function's process ended during the invocation.
	ErrorExited = "FunctionExited"
	// ErrorInitialization: the function's process did not start, or its Initializer hook failed.
	ErrorInitialization = "InitializationError"
)

// FunctionError says that an invocation failed in the function.
type FunctionError struct {
	// Type is one of the Error constants.
	Type string
	// ErrorType and Message are what the function itself says: errorType and errorMessage of its error document.
	ErrorType, Message string
	// Payload is the error document as FC hands it to the caller.
	Payload []byte
}

func (e *FunctionError) Error() string {
	if e.ErrorType == "" || e.ErrorType == e.Type {
		return e.Type + ": " + e.Message
	}
	return fmt.Sprintf("%s: %s: %s", e.Type, e.ErrorType, e.Message)
}

// errorDocument is the form of an error of a function (messages.InvokeResponse_Error of the SDK).
type errorDocument struct {
	Message    string          `json:"errorMessage"`
	Type       string          `json:"errorType"`
	StackTrace json.RawMessage `json:"stackTrace,omitempty"`
}

// reportedError is an error that the function reported with its own document.
func reportedError(payload []byte) *FunctionError {
	failure := &FunctionError{Type: ErrorUnhandled, Payload: payload}
	var document errorDocument
	if err := json.Unmarshal(payload, &document); err != nil {
		failure.Message = "the function reported an error that is not an error document"
	} else {
		failure.ErrorType, failure.Message = document.Type, document.Message
	}
	return failure
}

// platformError is an error that FC itself states about the function.
func platformError(kind, message string) *FunctionError {
	payload, err := json.Marshal(errorDocument{Message: message, Type: kind})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return &FunctionError{Type: kind, ErrorType: kind, Message: message, Payload: payload}
}

// Record describes an invocation that ended, for displays and tests.
type Record struct {
	RequestID, InstanceID string
	RetryCount            int
	Async                 bool
	Started               time.Time
	Duration              time.Duration
	// Err is nil, a *FunctionError, or an error of the runtime.
	Err error
}

// What an invocation is for, as x-fc-function-type says it to the Go runtime.
const (
	typeInvoke      = 0
	typeInitializer = 1
	typePreStop     = 2
)

// What an invocation is for, as x-fc-control-path says it to a custom runtime: only with this header can it tell an
// event from an HTTP caller who asks for the path /invoke
// (alibabacloud.com/help/en/functioncompute/fc-2-0/user-guide/custom-runtime-specification-details).
const (
	pathInvoke     = "/invoke"
	pathHTTP       = "/http-invoke"
	pathInitialize = "/initialize"
	pathPreStop    = "/pre-stop"
)

// invocation is one unit of work on its way to an instance.
type invocation struct {
	requestID   string
	kind        int
	retryCount  int
	deadline    time.Time
	timeout     time.Duration
	credentials Credentials
	payload     []byte
	// expired is set for asynchronous invocations only: it says whether the event is too old to be delivered.
	expired func() bool
}

// headers are the common headers of every invocation.
func (r *Runtime) headers(v *invocation) http.Header {
	c := r.config
	h := http.Header{}
	for name, value := range map[string]string{
		"x-fc-request-id":        v.requestID,
		"x-fc-function-deadline": strconv.FormatInt(v.deadline.UnixMilli(), 10),
		"x-fc-function-timeout":  strconv.Itoa(int((v.timeout + time.Second - 1) / time.Second)),
		"x-fc-access-key-id":     v.credentials.AccessKeyID,
		"x-fc-access-key-secret": v.credentials.AccessKeySecret,
		"x-fc-security-token":    v.credentials.SecurityToken,
		"x-fc-function-type":     strconv.Itoa(v.kind),
		"x-fc-function-name":     c.FunctionName,
		"x-fc-function-handler":  functionHandler,
		"x-fc-function-memory":   memoryMB,
		"x-fc-region":            c.Region,
		"x-fc-account-id":        c.AccountID,
		"x-fc-qualifier":         qualifier,
		"x-fc-version-id":        "",
		"x-fc-retry-count":       strconv.Itoa(v.retryCount),
	} {
		h.Set(name, value)
	}
	return h
}

const (
	functionHandler = "main"
	memoryMB        = "512"
	qualifier       = "LATEST"
)

func (r *Runtime) newInvocation(payload []byte, options Options) *invocation {
	v := &invocation{
		requestID: options.RequestID, retryCount: options.RetryCount, deadline: options.Deadline,
		timeout: r.config.Timeout, payload: payload,
	}
	if v.requestID == "" {
		v.requestID = newRequestID()
	}
	return v
}

// Invoke runs the function once and waits for its answer. A failure of the function is a *FunctionError (then
// Result.Payload is its document), anything else an error of the runtime. If ctx ends first, the instance is killed.
func (r *Runtime) Invoke(ctx context.Context, payload []byte, options Options) (Result, error) {
	if len(payload) > maxPayload {
		return Result{}, ErrPayloadTooLarge
	}
	return r.invoke(ctx, r.newInvocation(payload, options))
}

func (r *Runtime) invoke(ctx context.Context, v *invocation) (Result, error) {
	var answer []byte
	result, err := r.run(ctx, v, func(ctx context.Context, i *instance) error {
		var err error
		answer, err = i.driver.invoke(ctx, v)
		return err
	})
	result.Payload = answer
	var failure *FunctionError
	if errors.As(err, &failure) {
		result.Payload = failure.Payload
	}
	return result, err
}

// errNotDelivered says that an instance was found dead before it got the invocation, which so may go to another.
var errNotDelivered = errors.New("the instance ended before the invocation reached it")

// run does work on an instance, under FC's rules of time and death.
func (r *Runtime) run(ctx context.Context, v *invocation, work func(context.Context, *instance) error) (Result, error) {
	result := Result{RequestID: v.requestID}
	err := r.enter(ctx)
	if err != nil {
		return result, err
	}
	defer r.leave()
	if v.expired != nil && v.expired() {
		return result, errExpired
	}
	started := time.Now()
	for range 3 {
		var i *instance
		if i, err = r.acquire(ctx); err != nil {
			break
		}
		started = time.Now()
		result.InstanceID = i.id
		v.credentials = r.config.Credentials()
		if v.deadline.IsZero() {
			v.deadline = started.Add(v.timeout)
		}
		err = r.runOn(ctx, i, v, work)
		if !errors.Is(err, errNotDelivered) {
			break
		}
	}
	if errors.Is(err, errNotDelivered) {
		err = platformError(ErrorExited, "the function's process ends again and again before it takes an invocation")
	}
	result.Duration = time.Since(started)
	if r.config.OnInvocation != nil {
		r.config.OnInvocation(Record{RequestID: v.requestID, InstanceID: result.InstanceID, RetryCount: v.retryCount,
			Async: v.expired != nil, Started: started, Duration: result.Duration, Err: err})
	}
	return result, err
}

func (r *Runtime) runOn(ctx context.Context, i *instance, v *invocation, work func(context.Context, *instance) error) error {
	defer r.release(i) // also if work panics, as an HTTP proxy does when its caller leaves
	limited, cancel := context.WithDeadline(ctx, v.deadline)
	defer cancel()
	err := work(limited, i)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		r.retire(i) // nobody waits for it any more, but it is not free either
		return err
	case errors.Is(err, context.DeadlineExceeded):
		r.retire(i)
		return platformError(ErrorTimeout, fmt.Sprintf("Function timed out after %v (requestId: %s)", v.timeout, v.requestID))
	}
	return err
}
