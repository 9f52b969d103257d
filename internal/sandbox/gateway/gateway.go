// Package gateway is the sandbox's stand-in for the API gateway and the ocrIdCard provider behind it: it checks every
// request as the gateway does, in the gateway's own words, and then really reads the picture. It never imports the
// client it judges, never fetches a picture from beyond loopback, and never keeps what is printed on a card.
package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"fc-idcard-ocr/internal/sandbox/ocrengine"
)

// Path is the one API this gateway publishes.
const Path = "/ocrIdCard"

// Reader reads the card in a picture. *engine.Engine is one.
type Reader interface {
	// Read returns engine.ErrUnreadable if the bytes are no picture that it can decode, and a Card with an empty
	// IDNumber if the picture shows no ID number.
	Read(ctx context.Context, image []byte) (ocrengine.Card, error)
}

// Config is what the gateway knows and how it behaves.
type Config struct {
	// Apps maps each AppKey to its AppSecret (signature authentication).
	Apps map[string]string
	// AppCodes are the accepted AppCodes (simple authentication).
	AppCodes []string
	// Reader reads the pictures. Required.
	Reader Reader

	// ErrorCodes makes the gateway answer like the newer (VPC and dedicated) instances: X-Ca-Error-Code is sent and the
	// status is the one inside the code, for example 429 instead of 403 for throttling. Classic instances send neither.
	ErrorCodes bool
	// CallsPerSecond throttles each AppKey or AppCode with "Throttled by APP Flow Control"; 0 is no limit.
	CallsPerSecond float64
	// Quota is how many charged calls may be made before "Quota Exhausted"; 0 is no limit.
	Quota int
	// MaxPicture is the largest picture the provider takes, in bytes; 0 is 10 MiB.
	MaxPicture int64

	// Intercept is asked once about every call, before any check, and may order a fault. It may block, and is called
	// from several goroutines. It can be replaced later with SetIntercept.
	Intercept func(Call) Fault
	// OnCall is called for every call when its answer is decided, with the complete record.
	OnCall func(Call)

	// Log gets one line for each refused or failed call; nil discards. No parameter value is ever logged.
	Log *slog.Logger
	// Now is the gateway's clock; nil is time.Now.
	Now func() time.Time
}

// Server is the gateway, an http.Handler. Make one with New.
type Server struct {
	// Ledger holds every call that arrived, since the start or the last Reset.
	Ledger *Ledger

	config    Config
	fetcher   *fetcher
	intercept atomic.Pointer[func(Call) Fault]

	mu       sync.Mutex
	nonces   map[nonceUse]time.Time // when it was used
	pruned   time.Time
	limiters map[string]*rate.Limiter
}

// New checks the configuration and returns the gateway.
func New(config Config) (*Server, error) {
	if config.Reader == nil {
		return nil, errors.New("gateway: Config.Reader is missing: it reads the pictures")
	}
	if len(config.Apps) == 0 && len(config.AppCodes) == 0 {
		return nil, errors.New("gateway: neither Config.Apps nor Config.AppCodes names anyone who may call")
	}
	for key, secret := range config.Apps {
		if key == "" || secret == "" {
			return nil, errors.New("gateway: Config.Apps has an empty AppKey or AppSecret")
		}
	}
	if config.CallsPerSecond < 0 || config.Quota < 0 || config.MaxPicture < 0 {
		return nil, errors.New("gateway: CallsPerSecond, Quota and MaxPicture must not be negative")
	}
	if config.MaxPicture == 0 {
		config.MaxPicture = 10 << 20
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	server := &Server{
		Ledger:   &Ledger{},
		config:   config,
		fetcher:  newFetcher(config.MaxPicture),
		nonces:   map[nonceUse]time.Time{},
		limiters: map[string]*rate.Limiter{},
	}
	server.SetIntercept(config.Intercept)
	return server, nil
}

// SetIntercept replaces Config.Intercept; nil removes it. It is safe while calls are being served.
func (s *Server) SetIntercept(intercept func(Call) Fault) {
	if intercept == nil {
		intercept = func(Call) Fault { return Fault{} }
	}
	s.intercept.Store(&intercept)
}

// Reset forgets all calls, charges, nonces and throttling, as if the gateway had just started.
func (s *Server) Reset() {
	s.Ledger.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.nonces)
	clear(s.limiters)
}

// ServeHTTP serves one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := s.config.Now()
	exchange := &exchange{server: s, w: w, r: r, arrived: arrived}
	w.Header().Set("Date", arrived.UTC().Format(http.TimeFormat))
	requestID := newRequestID()
	w.Header().Set("X-Ca-Request-Id", requestID)

	exchange.form, exchange.unreadable = readForm(w, r)
	form := exchange.form
	exchange.call = s.Ledger.open(Call{
		RequestID: requestID,
		Time:      arrived,
		AppKey:    r.Header.Get("X-Ca-Key"),
		Nonce:     r.Header.Get("X-Ca-Nonce"),
		Details:   form.Get("need_more_info") == "1",
		Source:    sourceOf(form),
		ImagePath: imagePath(form.Get("imgUrl")),
	})
	exchange.serve()

	call := s.Ledger.close(exchange.call)
	if call.Refusal != "" || call.Fault != "" {
		s.config.Log.Info("gateway call", "caRequestId", call.RequestID, "outcome", call.Outcome,
			"refusal", call.Refusal, "fault", call.Fault)
	}
	if s.config.OnCall != nil {
		s.config.OnCall(call)
	}
}

// exchange is one call being served.
type exchange struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	arrived time.Time
	form    url.Values
	// unreadable is the error of the body, if any; the gateway reports it when it processes the body.
	unreadable *Refusal
	call       Call
	fault      Fault
}

// serve takes the call through its phases.
func (e *exchange) serve() {
	e.fault = (*e.server.intercept.Load())(e.call)
	e.call.Fault = e.fault.String()
	e.server.Ledger.update(e.call)
	if e.inject(PhaseArrival, nil) {
		return
	}
	if refusal := e.check(); refusal != nil {
		e.refuse(*refusal)
		return
	}
	if e.inject(PhaseBeforeAccept, nil) {
		return
	}

	e.call.Accepted = true
	e.server.Ledger.update(e.call)
	if e.fault.Phase == PhaseNone {
		e.wait() // a caller who has left by then pays all the same
	}
	answer, refusal := e.provide()
	if refusal != nil {
		e.call.Outcome = OutcomeProviderFailed
		e.refuse(*refusal)
		return
	}
	e.call.Charged, e.call.Outcome, e.call.ResultID = answer.charged, answer.outcome, answer.resultID
	e.server.Ledger.update(e.call)
	if e.inject(PhaseAfterCharge, nil) || e.inject(PhaseMidBody, &answer) {
		return
	}
	e.debugInfo()
	answer.write(e.w)
}

// refuse answers in the gateway's way: everything is in the headers, the body is empty.
func (e *exchange) refuse(refusal Refusal) {
	e.call.Refusal = refusal.Message
	if toSign := strings.Index(refusal.Message, "`"); toSign >= 0 {
		e.call.Refusal = strings.TrimRight(refusal.Message[:toSign], ": ") // the string to sign holds the parameters
	}
	if e.call.Outcome == "" {
		e.call.Outcome = OutcomeRefused
	}
	e.server.Ledger.update(e.call) // before the caller can know of it
	e.debugInfo()
	refusal.write(e.w, e.server.config.ErrorCodes)
}

// debugInfo adds the header that callers get with X-Ca-Request-Mode: debug.
func (e *exchange) debugInfo() {
	if e.r.Header.Get("X-Ca-Request-Mode") == "debug" {
		spent := e.server.config.Now().Sub(e.arrived).Milliseconds()
		e.w.Header().Set("X-Ca-Debug-Info", fmt.Sprintf(`{"ServiceLatency":%d,"TotalLatency":%d}`, spent, spent))
	}
}

// readForm reads the body, and the parameters out of it if it is a form. The values are never nil.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *Refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return url.Values{}, &BodyTooLarge
		}
		return url.Values{}, &InvalidBody
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && mediaType == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return url.Values{}, &InvalidBody
		}
		return form, nil
	case err == nil && strings.HasPrefix(mediaType, "multipart/"):
		return url.Values{}, &UnsupportedMultipart
	}
	// Content-MD5 exists for bodies that are not forms; when it is sent it has to be right.
	if digest := r.Header.Get("Content-MD5"); digest != "" && digest != contentMD5(body) {
		return url.Values{}, &InvalidContentMD5
	}
	return url.Values{}, nil
}

// newRequestID returns an id in the gateway's form, an upper-case UUID.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// newResultID returns an id in the form of the provider's showapi_res_id, 24 hex digits.
func newResultID() string {
	var b [12]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
