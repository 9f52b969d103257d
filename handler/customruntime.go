package handler

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
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

// CustomRuntime returns the HTTP side of a custom runtime: POST /invoke takes an event, POST /initialize and GET /pre-stop
// are the instance's life cycle, and every other path, and every request of an HTTP trigger, is the HTTP API. FC's x-fc-*
// headers say the rest of an invocation.
func (h *Handler) CustomRuntime() http.Handler {
	api := h.API()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A body left unread would break the connection off before the answer is read.
		defer io.Copy(io.Discard, io.LimitReader(r.Body, maxEventBytes))
		inv := invocationOf(r.Header)
		// Everything below ends by the invocation's deadline. net/http's context is the connection's: once reading has
		// reached its deadline it is cancelled for every later request on it.
		r = r.WithContext(WithInvocation(context.WithoutCancel(r.Context()), inv))
		// A sender that stalls holds nothing after the deadline; one that comes late has a second.
		http.NewResponseController(w).SetReadDeadline(maxTime(invocation(r.Context()).Deadline, time.Now().Add(time.Second)))
		route := r.Method + " " + r.URL.Path
		switch fromTrigger := r.Header.Get("x-fc-control-path") == httpInvoke; {
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

// invocationOf reads FC's headers. Missing or malformed ones leave their part empty.
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
	} else if seconds, err := strconv.Atoi(header.Get("x-fc-function-timeout")); err == nil && seconds > 0 {
		inv.Deadline = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	return inv
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
