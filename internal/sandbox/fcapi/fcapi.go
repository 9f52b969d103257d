// Package fcapi is the sandbox's API of Function Compute 3.0 (version 2023-03-30), as far as the project's tools call it:
// InvokeFunction, GetFunction, ListTriggers, GetAsyncInvokeConfig, GetConcurrencyConfig, PutConcurrencyConfig. It checks the ACS3-HMAC-SHA256 signature of every request, is meant for loopback only, and knows
// one function.
package fcapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"fc-idcard-ocr/internal/sandbox/acsauth"
	"fc-idcard-ocr/internal/sandbox/fcfake"
)

// Prefix is that of all paths served.
const Prefix = "/" + version + "/"

const (
	version  = "2023-03-30"
	maxSync  = 32 << 20  // bytes of an event
	maxAsync = 128 << 10 // likewise, asynchronously
)

// Function runs events; *fcfake.Runtime is the sandbox's.
type Function interface {
	Invoke(ctx context.Context, payload []byte, options fcfake.Options) (fcfake.Result, error)
	InvokeAsync(payload []byte, options fcfake.Options) (requestID string, err error)
}

// Config says what is served.
type Config struct {
	Name     string // of the function
	Function Function
	// Keys are the AccessKeys that may call, ID to secret.
	Keys map[string]string
	// Description is what GetFunction answers, and Triggers what ListTriggers does.
	Description map[string]any
	Triggers    []map[string]any
	// Async is what GetAsyncInvokeConfig answers, and Concurrency what GetConcurrencyConfig does; nil answers that nothing was set.
	Async, Concurrency map[string]any
	// Reserve is told the reserved concurrency that PutConcurrencyConfig sets; nil: there is no such operation.
	Reserve func(instances int)
}

// Server serves the API.
type Server struct {
	config   Config
	verifier *acsauth.Verifier

	mu sync.Mutex // guards config.Concurrency
}

// New returns a Server.
func New(config Config) *Server {
	return &Server{config: config, verifier: &acsauth.Verifier{Version: version, Keys: config.Keys}}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := newRequestID()
	w.Header().Set("X-Fc-Request-Id", requestID)
	limit, async := int64(maxSync), strings.EqualFold(r.Header.Get("X-Fc-Invocation-Type"), "Async")
	if async {
		limit = maxAsync
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return // the caller has left
	}
	if int64(len(body)) > limit {
		answerError(w, requestID, acsauth.Refusal{Status: http.StatusBadRequest, Code: "InvalidArgument", Message: "the event is larger than FC takes: 32 MB, or 128 KB asynchronously"})
		return
	}
	if refused := s.verifier.CheckHeaders(r, body); refused != nil {
		answerError(w, requestID, *refused)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), Prefix+"functions/")
	name, operation, _ := strings.Cut(rest, "/")
	switch {
	case !ok:
		answerError(w, requestID, acsauth.Refusal{Status: http.StatusNotFound, Code: "InvalidAction.NotFound", Message: "the sandbox knows no such operation"})
	case name != s.config.Name:
		answerError(w, requestID, acsauth.Refusal{Status: http.StatusNotFound, Code: "FunctionNotFound", Message: "function '" + name + "' does not exist"})
	case r.Method == http.MethodGet && operation == "":
		answerJSON(w, http.StatusOK, s.config.Description)
	case r.Method == http.MethodGet && operation == "triggers":
		answerJSON(w, http.StatusOK, map[string]any{"triggers": s.config.Triggers})
	case r.Method == http.MethodGet && operation == "async-invoke-config":
		answerIfSet(w, requestID, s.config.Async, "AsyncConfigNotExists")
	case r.Method == http.MethodGet && operation == "concurrency":
		s.mu.Lock()
		concurrency := s.config.Concurrency
		s.mu.Unlock()
		answerIfSet(w, requestID, concurrency, "ConcurrencyConfigNotFound")
	case r.Method == http.MethodPut && operation == "concurrency" && s.config.Reserve != nil:
		s.reserve(w, requestID, body)
	case r.Method == http.MethodPost && operation == "invocations" && async:
		if _, err := s.config.Function.InvokeAsync(body, fcfake.Options{RequestID: requestID}); err != nil {
			answerError(w, requestID, acsauth.Refusal{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: err.Error()})
			return
		}
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPost && operation == "invocations":
		s.invoke(w, r, requestID, body)
	default:
		answerError(w, requestID, acsauth.Refusal{Status: http.StatusNotFound, Code: "InvalidAction.NotFound", Message: "the sandbox knows no such operation"})
	}
}

// invoke runs an event and answers with what the function did. An error of the function is a 200 with X-Fc-Error-Type.
func (s *Server) invoke(w http.ResponseWriter, r *http.Request, requestID string, body []byte) {
	result, err := s.config.Function.Invoke(context.WithoutCancel(r.Context()), body, fcfake.Options{RequestID: requestID})
	var failed *fcfake.FunctionError
	var system *fcfake.SystemError
	switch {
	case errors.As(err, &system):
		answerError(w, requestID, acsauth.Refusal{Status: system.Status, Code: system.Code, Message: "the function was not run"})
	case errors.As(err, &failed):
		w.Header().Set("X-Fc-Error-Type", failed.Type)
		w.Header().Set("Content-Type", "application/json")
		w.Write(failed.Payload) //nolint:errcheck // the caller has left
	case err != nil:
		answerError(w, requestID, acsauth.Refusal{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: err.Error()})
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(result.Payload) //nolint:errcheck // the caller has left
	}
}

// reserve sets how many instances the function may have.
func (s *Server) reserve(w http.ResponseWriter, requestID string, body []byte) {
	var in struct {
		Instances *int `json:"reservedConcurrency"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Instances == nil || *in.Instances < 0 {
		answerError(w, requestID, acsauth.Refusal{Status: http.StatusBadRequest, Code: "InvalidArgument", Message: "reservedConcurrency must be 0 or more"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.Reserve(*in.Instances)
	s.config.Concurrency = map[string]any{"reservedConcurrency": *in.Instances}
	answerJSON(w, http.StatusOK, s.config.Concurrency)
}

func answerIfSet(w http.ResponseWriter, requestID string, config map[string]any, missing string) {
	if config == nil {
		answerError(w, requestID, acsauth.Refusal{Status: http.StatusNotFound, Code: missing, Message: "the function has no such configuration"})
		return
	}
	answerJSON(w, http.StatusOK, config)
}

func answerError(w http.ResponseWriter, requestID string, e acsauth.Refusal) {
	answerJSON(w, e.Status, map[string]string{"Code": e.Code, "Message": e.Message, "RequestId": requestID})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the caller has left
}

func newRequestID() string {
	var b [12]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	return "1-" + hex.EncodeToString(b[:4]) + "-" + hex.EncodeToString(b[4:])
}
