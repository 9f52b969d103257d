// Package fcapi is the sandbox's API of Function Compute 3.0 (version 2023-03-30), as far as the project's tools call it:
// InvokeFunction, GetFunction, ListTriggers. It checks the ACS3-HMAC-SHA256 signature of every request, is meant for loopback only, and knows
// one function.
package fcapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"fc-idcard-ocr/internal/sandbox/fcfake"
)

// Prefix is that of all paths served.
const Prefix = "/" + version + "/"

const (
	version  = "2023-03-30"
	maxSync  = 32 << 20  // bytes of an event
	maxAsync = 128 << 10 // likewise, asynchronously
	// window is how far a request's time stamp may be off, and how long its nonce is remembered.
	window = 15 * time.Minute
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
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server serves the API.
type Server struct {
	config Config

	mu     sync.Mutex
	nonces map[string]time.Time
}

// New returns a Server.
func New(config Config) *Server {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Server{config: config, nonces: make(map[string]time.Time)}
}

// refusal is an error of the API.
type refusal struct {
	status        int
	code, message string
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
		answerError(w, requestID, refusal{http.StatusBadRequest, "InvalidArgument", "the event is larger than FC takes: 32 MB, or 128 KB asynchronously"})
		return
	}
	if refused := s.authenticate(r, body); refused != nil {
		answerError(w, requestID, *refused)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), Prefix+"functions/")
	name, operation, _ := strings.Cut(rest, "/")
	switch {
	case !ok:
		answerError(w, requestID, refusal{http.StatusNotFound, "InvalidAction.NotFound", "the sandbox knows no such operation"})
	case name != s.config.Name:
		answerError(w, requestID, refusal{http.StatusNotFound, "FunctionNotFound", "function '" + name + "' does not exist"})
	case r.Method == http.MethodGet && operation == "":
		answerJSON(w, http.StatusOK, s.config.Description)
	case r.Method == http.MethodGet && operation == "triggers":
		answerJSON(w, http.StatusOK, map[string]any{"triggers": s.config.Triggers})
	case r.Method == http.MethodPost && operation == "invocations" && async:
		if _, err := s.config.Function.InvokeAsync(body, fcfake.Options{RequestID: requestID}); err != nil {
			answerError(w, requestID, refusal{http.StatusServiceUnavailable, "ServiceUnavailable", err.Error()})
			return
		}
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPost && operation == "invocations":
		s.invoke(w, r, requestID, body)
	default:
		answerError(w, requestID, refusal{http.StatusNotFound, "InvalidAction.NotFound", "the sandbox knows no such operation"})
	}
}

// invoke runs an event and answers with what the function did. An error of the function is a 200 with X-Fc-Error-Type.
func (s *Server) invoke(w http.ResponseWriter, r *http.Request, requestID string, body []byte) {
	result, err := s.config.Function.Invoke(context.WithoutCancel(r.Context()), body, fcfake.Options{RequestID: requestID})
	var failed *fcfake.FunctionError
	switch {
	case errors.As(err, &failed):
		w.Header().Set("X-Fc-Error-Type", failed.Type)
		w.Header().Set("Content-Type", "application/json")
		w.Write(failed.Payload) //nolint:errcheck // the caller has left
	case err != nil:
		answerError(w, requestID, refusal{http.StatusServiceUnavailable, "ServiceUnavailable", err.Error()})
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(result.Payload) //nolint:errcheck // the caller has left
	}
}

// authenticate checks signature, time stamp and nonce.
func (s *Server) authenticate(r *http.Request, body []byte) *refusal {
	sum := sha256.Sum256(body)
	if r.Header.Get("x-acs-content-sha256") != hex.EncodeToString(sum[:]) {
		return &refusal{http.StatusBadRequest, "InvalidContentSha256", "x-acs-content-sha256 is not the SHA-256 of the body in hex"}
	}
	if r.Header.Get("x-acs-version") != version {
		return &refusal{http.StatusNotFound, "InvalidVersion", "x-acs-version is not " + version}
	}
	stamp, err := time.Parse("2006-01-02T15:04:05Z", r.Header.Get("x-acs-date"))
	now := s.config.Now()
	if err != nil || now.Sub(stamp).Abs() > window {
		return &refusal{http.StatusBadRequest, "InvalidTimeStamp.Expired", "x-acs-date is missing or more than 15 minutes off"}
	}
	id, signed, signature, ok := parseAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return &refusal{http.StatusForbidden, "MissingAuthorization", "there is no Authorization of the form ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…"}
	}
	secret, known := s.config.Keys[id]
	if !known {
		return &refusal{http.StatusNotFound, "InvalidAccessKeyId.NotFound", "the AccessKey ID is unknown"}
	}
	if !verify(r, hex.EncodeToString(sum[:]), signed, signature, secret) {
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "the signature is not that of the request with this AccessKey"}
	}
	nonce := r.Header.Get("x-acs-signature-nonce")
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, seen := range s.nonces {
		if len(s.nonces) > 10_000 && now.Sub(seen) > window {
			delete(s.nonces, old)
		}
	}
	if _, again := s.nonces[nonce]; nonce == "" || again {
		return &refusal{http.StatusBadRequest, "SignatureNonceUsed", "x-acs-signature-nonce is missing or was used before"}
	}
	s.nonces[nonce] = now
	return nil
}

func answerError(w http.ResponseWriter, requestID string, e refusal) {
	answerJSON(w, e.status, map[string]string{"Code": e.code, "Message": e.message, "RequestId": requestID})
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
