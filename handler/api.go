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

	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
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
			problem(w, r, http.StatusMethodNotAllowed, result.Errorf(result.BadRequest, false, "%s takes %s", path, strings.Join(allowed, ", ")))
		})
	}
	route("/recognitions", map[string]http.HandlerFunc{http.MethodPost: h.postRecognition, http.MethodGet: h.getRecognition})
	route("/healthz", map[string]http.HandlerFunc{http.MethodGet: h.getHealth})
	route("/openapi.yaml", map[string]http.HandlerFunc{http.MethodGet: getOpenAPI})
	mux.HandleFunc("/", notFound)
	return h.withRecovery(withSecurityHeaders(rejectUncleanPaths(mux)))
}

func notFound(w http.ResponseWriter, r *http.Request) {
	problem(w, r, http.StatusNotFound, result.Errorf(result.BadRequest, false, "no such path; there are /recognitions, /healthz and /openapi.yaml"))
}

// rejectUncleanPaths keeps paths such as //recognitions and /healthz/.. from the mux, which would answer them with a redirect in HTML.
// A client would lose its POST body on the way.
func rejectUncleanPaths(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) != r.URL.Path {
			notFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// withRecovery makes a panic a problem document.
func (h *Handler) withRecovery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil { // its value may hold anything: only the place is logged
				h.processor.Logger(invocation(r.Context()), result.Image{}).Error("panic", "stack", string(debug.Stack()))
				problem(w, r, http.StatusInternalServerError, result.Errorf(result.Internal, true, "the function broke off"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// withSecurityHeaders keeps responses with people's data out of caches.
func withSecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

type invocationKey struct{}

// WithInvocation returns a context that carries inv to the API.
func WithInvocation(ctx context.Context, inv processor.Invocation) context.Context {
	inv.Deadline = deadlineOr(inv.Deadline, defaultTimeout)
	return context.WithValue(ctx, invocationKey{}, inv)
}

func invocation(ctx context.Context) processor.Invocation {
	inv, _ := ctx.Value(invocationKey{}).(processor.Invocation)
	return inv
}

func (h *Handler) getHealth(w http.ResponseWriter, r *http.Request) {
	problems, status := h.processor.Problems(invocation(r.Context())), "ok"
	if len(problems) > 0 {
		status = "misconfigured"
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{
		"status": status, "problems": problems, "version": h.options.Version, "uptimeSeconds": int(time.Since(h.started).Seconds()), "calls": h.processor.Health(), "configuration": h.options.PublicConfig,
	})
}

func getOpenAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(openAPI)
}

// statusOf is the HTTP status of a failed recognition.
var statusOf = map[result.Code]int{
	result.ImageTooLarge:    http.StatusRequestEntityTooLarge,
	result.ImageUnsupported: http.StatusUnsupportedMediaType,
	result.ImageNotFound:    http.StatusNotFound,
	result.NotAllowed:       http.StatusForbidden,
	result.InProgress:       http.StatusConflict,
	result.Throttled:        http.StatusTooManyRequests,
	result.BudgetExhausted:  http.StatusTooManyRequests,
	result.Unavailable:      http.StatusServiceUnavailable,
	result.ImageReplaced:    http.StatusServiceUnavailable,
	result.Timeout:          http.StatusGatewayTimeout,
	result.AnswerLost:       http.StatusGatewayTimeout,
	result.Internal:         http.StatusInternalServerError,
	// Upstream refuses what only the operator can change; the caller's request was fine.
	result.AccessDenied:   http.StatusBadGateway,
	result.QuotaExhausted: http.StatusBadGateway,
	result.Unauthorized:   http.StatusBadGateway,
	result.ClockSkew:      http.StatusBadGateway,
	result.BadAnswer:      http.StatusBadGateway,
	result.BadRequest:     http.StatusBadGateway,
	result.StorageRefused: http.StatusBadGateway,
	result.ImageArchived:  http.StatusBadGateway,
}

// retryAfter is what a caller is asked to wait, in seconds.
var retryAfter = map[result.Code]string{result.InProgress: "5", result.Throttled: "10", result.Unavailable: "10", result.ImageReplaced: "5",
	result.BudgetExhausted: "3600"}

// problemDocument is an error in the form of RFC 9457.
type problemDocument struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Detail    string      `json:"detail"`
	Code      result.Code `json:"code"`
	Retryable bool        `json:"retryable"`
	RequestID string      `json:"requestId,omitempty"`
}

func problem(w http.ResponseWriter, r *http.Request, status int, e *result.Error) {
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

// writeDocument responds with a result document, or with a problem document for a failure.
func writeDocument(w http.ResponseWriter, r *http.Request, d *result.Document) {
	switch {
	case d.Status == result.Recognized:
		writeBytes(w, http.StatusOK, d.Encode())
	case d.Status == result.Unrecognized:
		writeBytes(w, http.StatusUnprocessableEntity, d.Encode())
	case d.Error != nil:
		writeFailure(w, r, d.Error)
	default:
		writeFailure(w, r, result.Errorf(result.Internal, false, "the stored document has no known status"))
	}
}

func writeBytes(w http.ResponseWriter, status int, document []byte) {
	w.Header().Set("Content-Type", result.ContentType)
	w.WriteHeader(status)
	w.Write(document)
}

func writeFailure(w http.ResponseWriter, r *http.Request, e *result.Error) {
	status, ok := statusOf[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	problem(w, r, status, e)
}
