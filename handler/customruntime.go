package handler

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
)

// maxEventBytes is the most that FC sends in one synchronous invocation.
const maxEventBytes = 32 << 20

// httpInvoke is the x-fc-control-path of requests that came through an HTTP trigger. Their path is the caller's: without
// this word anybody could send events to /invoke, past HTTP_ALLOW.
// (help.aliyun.com/en/functioncompute/fc-2-0/user-guide/custom-runtime-specification-details)
const httpInvoke = "/http-invoke"

// controlPaths are the values of x-fc-control-path. That of the PreStop hook is not documented: it is taken to be the hook's path,
// as that of the Initializer is.
var controlPaths = []string{"/invoke", "/initialize", "/pre-stop", httpInvoke}

// CustomRuntime returns the HTTP side of a custom runtime: POST /invoke takes an event, POST /initialize and GET /pre-stop
// are the instance's life cycle, and every other path, and every request of an HTTP trigger, is the HTTP API. FC's x-fc-*
// headers say the rest of an invocation; a request in which they are doubled or malformed gets 400.
func (h *Handler) CustomRuntime() http.Handler {
	api := h.API()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A body left unread would break the connection off before the answer is read.
		defer io.Copy(io.Discard, io.LimitReader(r.Body, maxEventBytes))
		refused := h.checkPlatformHeaders(r)
		var inv processor.Invocation
		if refused == nil {
			inv = invocationOf(r.Header)
		}
		// Everything below ends by the invocation's deadline. net/http's context is the connection's: once reading has
		// reached its deadline it is cancelled for every later request on it.
		r = r.WithContext(WithInvocation(context.WithoutCancel(r.Context()), inv))
		// A sender that stalls holds nothing after the deadline; one that comes late has a second.
		http.NewResponseController(w).SetReadDeadline(maxTime(invocation(r.Context()).Deadline, time.Now().Add(time.Second)))
		route := r.Method + " " + r.URL.EscapedPath() // FC escapes nothing in its own paths
		switch fromTrigger := r.Header.Get("x-fc-control-path") == httpInvoke; {
		case refused != nil:
			h.refuseHeaders(w, r, refused)
		case route == "POST /invoke" && !fromTrigger:
			h.serveInvoke(w, r, inv)
		case route == "POST /initialize" && !fromTrigger:
			h.Initialize(r.Context())
		case route == "GET /pre-stop" && !fromTrigger:
			// Images under way are finished when the platform ends the process.
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// headersRead are the headers of FC that the function reads.
var headersRead = []string{"x-fc-control-path", "x-fc-request-id", "x-fc-region", "x-fc-access-key-id", "x-fc-access-key-secret", "x-fc-security-token",
	"x-fc-retry-count", "x-fc-function-deadline", "x-fc-function-timeout"}

// checkPlatformHeaders refuses a request whose x-fc-* headers FC alone cannot have written. FC documents that callers of an HTTP
// trigger cannot send any, but not what becomes of those they send all the same: dropped, replaced, or passed on
// beside FC's own, so that a first x-fc-control-path of the caller's would make an event of a request.
func (h *Handler) checkPlatformHeaders(r *http.Request) *result.Error {
	refuse := func(format string, args ...any) *result.Error {
		return result.Errorf(result.BadRequest, false, format, args...)
	}
	for _, name := range headersRead {
		values := r.Header.Values(name)
		if len(values) > 1 {
			return refuse("the header %s is there %d times", name, len(values))
		}
		if len(values) == 1 && strings.ContainsFunc(values[0], func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }) {
			return refuse("the header %s has a value that Function Compute does not send", name)
		}
	}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Fc-") && len(values) > 1 {
			return refuse("a header x-fc-* is there %d times", len(values)) // its name is the caller's
		}
	}
	control, path := r.Header.Values("x-fc-control-path"), r.URL.EscapedPath()
	switch {
	case len(control) == 0 && h.options.RequireControlPath && (path == "/invoke" || path == "/initialize"):
		return refuse("the header x-fc-control-path is missing")
	case len(control) == 0:
		return nil
	case !slices.Contains(controlPaths, control[0]):
		return refuse("the header x-fc-control-path is none of %s", strings.Join(controlPaths, ", "))
	case control[0] != httpInvoke && control[0] != path:
		return refuse("the header x-fc-control-path is %s, and the path is another", control[0])
	}
	return nil
}

func (h *Handler) refuseHeaders(w http.ResponseWriter, r *http.Request, e *result.Error) {
	h.processor.Logger(invocation(r.Context()), result.Image{}).Warn("request refused", "code", string(e.Code), "reason", e.Message)
	if control := r.Header.Values("x-fc-control-path"); !slices.Equal(control, []string{httpInvoke}) {
		w.Header().Set("x-fc-status", "404") // an event is not to count as processed
	}
	withSecurityHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { problem(w, r, http.StatusBadRequest, e) })).ServeHTTP(w, r)
}

func (h *Handler) serveInvoke(w http.ResponseWriter, r *http.Request, inv processor.Invocation) {
	answer, err := h.invokeBody(r, inv)
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		w.Write(answer)
		return
	}
	e := result.AsError(err)
	// Without this header FC counts every answer as a success, whatever its status, and does not retry.
	w.Header().Set("x-fc-status", "404")
	w.WriteHeader(http.StatusNotFound)
	json.NewEncoder(w).Encode(map[string]string{"errorType": string(e.Code), "errorMessage": e.Message})
}

func (h *Handler) invokeBody(r *http.Request, inv processor.Invocation) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // its value may hold anything: only the place is logged
			h.processor.Logger(inv, result.Image{}).Error("panic", "stack", string(debug.Stack()))
			err = result.Errorf(result.Internal, true, "the function broke off")
		}
	}()
	payload, release, e, err := h.readBody(r, maxEventBytes)
	defer release()
	switch {
	case e != nil:
		return nil, e
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, result.Errorf(result.Timeout, true, "the event did not arrive within the invocation")
	case err != nil:
		return nil, result.Errorf(result.BadRequest, false, "the event broke off")
	case len(payload) > maxEventBytes:
		return nil, result.Errorf(result.BadRequest, false, "the event has more than %d bytes", maxEventBytes)
	}
	return h.Invoke(r.Context(), inv, payload)
}

// invocationOf reads FC's headers. Missing ones, and numbers that are none, leave their part empty. The time-out counts where the
// deadline cannot be FC's.
func invocationOf(header http.Header) processor.Invocation {
	inv := processor.Invocation{
		RequestID: header.Get("x-fc-request-id"), Region: header.Get("x-fc-region"),
		Credentials: bucket.Credentials{AccessKeyID: header.Get("x-fc-access-key-id"), AccessKeySecret: header.Get("x-fc-access-key-secret"),
			SecurityToken: header.Get("x-fc-security-token")},
	}
	if count, err := strconv.Atoi(header.Get("x-fc-retry-count")); err == nil && count > 0 {
		inv.RetryCount = count
	}
	if ms, err := strconv.ParseInt(header.Get("x-fc-function-deadline"), 10, 64); err == nil && ms > 0 {
		inv.Deadline = time.UnixMilli(ms)
	}
	if seconds, err := strconv.Atoi(header.Get("x-fc-function-timeout")); err == nil && seconds > 0 && seconds <= int(maxTimeout.Seconds()) {
		inv.Deadline = deadlineOr(inv.Deadline, time.Duration(seconds)*time.Second)
	}
	return inv
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
