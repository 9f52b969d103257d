package handler

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"fc-idcard-ocr/internal/bucket"
)

// maxEventBytes is the most that FC sends in one synchronous invocation.
const maxEventBytes = 32 << 20

// CustomRuntime returns the HTTP side of a custom runtime: POST /invoke takes an event, POST /initialize and GET /pre-stop
// are the instance's life cycle, and every other path is the HTTP API. FC's x-fc-* headers say the rest of an invocation.
func (h *Handler) CustomRuntime() http.Handler {
	api := h.API()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inv := invocationOf(r.Header)
		r = r.WithContext(WithInvocation(r.Context(), inv))
		switch r.Method + " " + r.URL.Path {
		case "POST /invoke":
			h.serveInvoke(w, r, inv)
		case "POST /initialize", "GET /pre-stop":
			w.WriteHeader(http.StatusOK)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

func (h *Handler) serveInvoke(w http.ResponseWriter, r *http.Request, inv Invocation) {
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxEventBytes+1))
	switch {
	case err != nil:
		err = failure(BadRequest, false, "the event broke off")
	case len(payload) > maxEventBytes:
		err = failure(BadRequest, false, "the event has more than %d bytes", maxEventBytes)
	default:
		payload, err = h.Invoke(r.Context(), inv, payload)
	}
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		w.Write(payload)
		return
	}
	e := AsError(err)
	// Without this header FC counts every answer as a success, whatever its status, and does not retry.
	w.Header().Set("x-fc-status", "404")
	w.WriteHeader(http.StatusNotFound)
	json.NewEncoder(w).Encode(map[string]string{"errorType": string(e.Code), "errorMessage": e.Message})
}

// AsError returns the *Error in err, or one that tells nothing but that there was one.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return failure(Internal, true, "the function failed")
}

// invocationOf reads FC's headers. Missing or malformed ones leave their part empty.
func invocationOf(header http.Header) Invocation {
	inv := Invocation{
		RequestID: header.Get("x-fc-request-id"), Region: header.Get("x-fc-region"),
		Credentials: bucket.Credentials{AccessKeyID: header.Get("x-fc-access-key-id"), AccessKeySecret: header.Get("x-fc-access-key-secret"),
			SecurityToken: header.Get("x-fc-security-token")},
	}
	inv.RetryCount, _ = strconv.Atoi(header.Get("x-fc-retry-count"))
	if ms, err := strconv.ParseInt(header.Get("x-fc-function-deadline"), 10, 64); err == nil && ms > 0 {
		inv.Deadline = time.UnixMilli(ms)
	} else if seconds, err := strconv.Atoi(header.Get("x-fc-function-timeout")); err == nil && seconds > 0 {
		inv.Deadline = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	return inv
}
