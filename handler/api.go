package handler

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

//go:embed openapi.yaml
var openAPI []byte

// API returns the HTTP API as a plain http.Handler. Each request's context must carry its Invocation (see WithInvocation).
// Every answer is JSON (or the API's own description); every error is an RFC 9457 problem document with a code.
func (h *Handler) API() http.Handler {
	mux := http.NewServeMux()
	route := func(path string, methods map[string]http.HandlerFunc) {
		allowed := make([]string, 0, len(methods)+1)
		for method, serve := range methods {
			mux.HandleFunc(method+" "+path, serve)
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead) // the mux serves it as GET
			}
		}
		slices.Sort(allowed)
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			problem(w, r, http.StatusMethodNotAllowed, failure(BadRequest, false, "%s takes %s", path, strings.Join(allowed, ", ")))
		})
	}
	route("/recognitions", map[string]http.HandlerFunc{http.MethodPost: h.postRecognition, http.MethodGet: h.getRecognition})
	route("/healthz", map[string]http.HandlerFunc{http.MethodGet: h.getHealth})
	route("/openapi.yaml", map[string]http.HandlerFunc{http.MethodGet: getOpenAPI})
	mux.HandleFunc("/", notFound)
	return h.guarded(exact(mux))
}

func notFound(w http.ResponseWriter, r *http.Request) {
	problem(w, r, http.StatusNotFound, failure(BadRequest, false, "no such path; there are /recognitions, /healthz and /openapi.yaml"))
}

// exact keeps paths such as //recognitions and /healthz/.. from the mux, which would answer them with a redirect in HTML.
// A client would lose its POST body on the way.
func exact(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) != r.URL.Path {
			notFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// guarded makes a panic a problem document, and keeps answers with people's data out of caches.
func (h *Handler) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil { // its value may hold anything: only the place is told
				h.logger(invocation(r.Context()), Image{}).Error("panic", "stack", string(debug.Stack()))
				problem(w, r, http.StatusInternalServerError, failure(Internal, true, "the function broke off"))
			}
		}()
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

type invocationKey struct{}

// WithInvocation returns a context that carries inv to the API.
func WithInvocation(ctx context.Context, inv Invocation) context.Context {
	if inv.Deadline.IsZero() {
		inv.Deadline = time.Now().Add(assumedTime)
	}
	return context.WithValue(ctx, invocationKey{}, inv)
}

func invocation(ctx context.Context) Invocation {
	inv, _ := ctx.Value(invocationKey{}).(Invocation)
	return inv
}

func (h *Handler) getHealth(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, "application/json", map[string]any{
		"status": "ok", "version": h.Version, "uptimeSeconds": int(time.Since(h.started).Seconds()), "configuration": h.Settings,
	})
}

func getOpenAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(openAPI)
}

// statusOf is the HTTP status of a failed recognition.
var statusOf = map[Code]int{
	ImageTooLarge:    http.StatusRequestEntityTooLarge,
	ImageUnsupported: http.StatusUnsupportedMediaType,
	ImageNotFound:    http.StatusNotFound,
	NotAllowed:       http.StatusForbidden,
	InProgress:       http.StatusConflict,
	Throttled:        http.StatusTooManyRequests,
	Unavailable:      http.StatusServiceUnavailable,
	Timeout:          http.StatusGatewayTimeout,
	AnswerLost:       http.StatusGatewayTimeout,
	Internal:         http.StatusInternalServerError,
	// Upstream refuses what only the operator can change; the caller's request was fine.
	AccessDenied:   http.StatusBadGateway,
	QuotaExhausted: http.StatusBadGateway,
	Unauthorized:   http.StatusBadGateway,
	ClockSkew:      http.StatusBadGateway,
	BadAnswer:      http.StatusBadGateway,
	BadRequest:     http.StatusBadGateway,
}

// retryAfter is what a caller is asked to wait, in seconds.
var retryAfter = map[Code]string{InProgress: "5", Throttled: "10", Unavailable: "10"}

// problemDocument is an error in the form of RFC 9457.
type problemDocument struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      Code   `json:"code"`
	Retryable bool   `json:"retryable"`
	RequestID string `json:"requestId,omitempty"`
}

func problem(w http.ResponseWriter, r *http.Request, status int, e *Error) {
	if seconds, ok := retryAfter[e.Code]; ok {
		w.Header().Set("Retry-After", seconds)
	}
	writeJSON(w, status, "application/problem+json", problemDocument{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: e.Message, Code: e.Code, Retryable: e.Retryable, RequestID: invocation(r.Context()).RequestID,
	})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.Encode(v)
}

// writeDocument answers with a result document, or with a problem if it tells of a failure.
func writeDocument(w http.ResponseWriter, r *http.Request, d *Document) {
	switch {
	case d.Status == Recognized:
		writeBytes(w, http.StatusOK, d.encode())
	case d.Status == Unrecognized:
		writeBytes(w, http.StatusUnprocessableEntity, d.encode())
	case d.Error != nil:
		writeFailure(w, r, &Error{Code: d.Error.Code, Message: d.Error.Message, Retryable: d.Error.Retryable})
	default:
		writeFailure(w, r, failure(Internal, false, "the stored document has no known status"))
	}
}

func writeBytes(w http.ResponseWriter, status int, document []byte) {
	w.Header().Set("Content-Type", documentType)
	w.WriteHeader(status)
	w.Write(document)
}

func writeFailure(w http.ResponseWriter, r *http.Request, e *Error) {
	status, ok := statusOf[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	problem(w, r, status, e)
}
