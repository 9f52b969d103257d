// Package management is the sandbox's management port: it shows what reached the services, what was charged, and orders
// faults, for tests in any language. It listens on loopback only, and never shows a signature, a token or a card.
package management

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"fc-idcard-ocr/internal/idnumber"
	"fc-idcard-ocr/internal/loopback"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/ossfake"
)

// Config is what the management port manages.
type Config struct {
	// ExpireCredentials ends the temporary credentials given out so far and returns how many there were.
	ExpireCredentials func() int
	// Bucket is the watched bucket.
	Bucket Bucket
	// Chaos, if set, lets things go wrong at random from the start.
	Chaos *Chaos
	// Failures lists the events that Function Compute gave up; nil: there are none.
	Failures func() ([]Failure, error)
	// HoldTime is how long a reordered event waits for its successor, 2 s by default.
	HoldTime time.Duration
}

// Bucket is a bucket whose settings can be changed.
type Bucket interface {
	Settings() ossfake.BucketSettings
	// Change changes the settings, or returns an error that says what is accepted.
	Change(func(*ossfake.BucketSettings)) error
	// ApplyLifecycle carries out the lifecycle rules as they stand at a time.
	ApplyLifecycle(at time.Time) (ossfake.LifecycleReport, error)
}

// Server is the management port. Make one with New, put Wrap, Intercept, OnCall and Deliver where they belong, and serve
// Handler.
type Server struct {
	config Config

	mu          sync.Mutex
	rules       []*Rule
	lastRule    int
	requests    map[string][]Request // by service and caller
	subscribers map[chan Notice]struct{}
	events      Events
	held        *heldEvent
	chaos       *Chaos
	rolled      map[string]int
}

// Failure is an event that Function Compute gave up. Key is masked.
type Failure struct {
	File  string `json:"file"` // in the failure folder
	Key   string `json:"key"`
	Error string `json:"error"`
}

// New returns a management port without rules.
func New(config Config) (*Server, error) {
	if config.ExpireCredentials == nil || config.Bucket == nil {
		return nil, errors.New("management: Config.ExpireCredentials and Config.Bucket are required")
	}
	if config.HoldTime == 0 {
		config.HoldTime = holdTime
	}
	return &Server{
		config: config, chaos: config.Chaos, requests: map[string][]Request{}, subscribers: map[chan Notice]struct{}{}, rolled: map[string]int{},
	}, nil
}

// Ledger is the answer of GET /ledger.
type Ledger struct {
	Calls    []gateway.Call `json:"calls"`
	Accepted int            `json:"accepted"`
	Charged  int            `json:"charged"`
	// Nonces are the different nonces that were sent, in the order of their first use.
	Nonces []string `json:"nonces"`
}

// Handler serves the management port for this gateway; everything that is no management path goes to fallback.
func (s *Server) Handler(server *gateway.Server, fallback http.Handler) http.Handler {
	mux := http.NewServeMux()
	resource := func(path string, methods map[string]http.HandlerFunc) {
		var allowed []string
		for method, handle := range methods {
			mux.HandleFunc(method+" "+path, handle)
			allowed = append(allowed, method)
		}
		slices.Sort(allowed)
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			writeError(w, http.StatusMethodNotAllowed, fmt.Errorf("%s is not possible on %s; accepted are %s", r.Method, path, strings.Join(allowed, ", ")))
		})
	}
	resource("/ledger", map[string]http.HandlerFunc{
		"GET":    func(w http.ResponseWriter, _ *http.Request) { respond(w, http.StatusOK, ledger(server)) },
		"DELETE": func(w http.ResponseWriter, _ *http.Request) { server.Reset(); w.WriteHeader(http.StatusNoContent) },
	})
	resource("/requests", map[string]http.HandlerFunc{"GET": s.getRequests})
	resource("/faults", map[string]http.HandlerFunc{"GET": s.getFaults, "POST": s.postFault, "DELETE": s.deleteFaults})
	resource("/faults/{id}", map[string]http.HandlerFunc{"DELETE": s.deleteFault})
	resource("/events", map[string]http.HandlerFunc{"GET": s.getEvents})
	resource("/events/duplicate", map[string]http.HandlerFunc{"POST": s.toggle(func(e *Events, on bool) { e.Duplicate = on })})
	resource("/events/reorder", map[string]http.HandlerFunc{"POST": s.toggle(func(e *Events, on bool) { e.Reorder = on })})
	resource("/credentials/expire", map[string]http.HandlerFunc{"POST": s.expire})
	resource("/versioning", map[string]http.HandlerFunc{"PUT": s.putVersioning})
	resource("/bucket", map[string]http.HandlerFunc{"GET": s.getBucket, "PATCH": s.patchBucket})
	resource("/lifecycle", map[string]http.HandlerFunc{"POST": s.postLifecycle})
	resource("/chaos", map[string]http.HandlerFunc{"GET": s.getChaos, "PUT": s.putChaos})
	resource("/failures", map[string]http.HandlerFunc{"GET": s.getFailures})
	if fallback == nil {
		fallback = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			writeError(w, http.StatusNotFound, errors.New("there is nothing here; accepted are /ledger, /requests, /faults, /events, "+
				"/events/duplicate, /events/reorder, /credentials/expire, /versioning, /bucket, /lifecycle, /chaos and /failures"))
		})
	}
	mux.Handle("/", fallback)
	return loopback.RequireSameOrigin(mux, func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusForbidden, loopback.ErrHost)
	})
}

func (s *Server) getFailures(w http.ResponseWriter, _ *http.Request) {
	failures := []Failure{}
	if s.config.Failures != nil {
		listed, err := s.config.Failures()
		if err != nil {
			writeError(w, http.StatusInternalServerError, err)
			return
		}
		failures = append(failures, listed...)
	}
	for n := range failures {
		failures[n].Key = idnumber.MaskDigits(failures[n].Key)
	}
	respond(w, http.StatusOK, map[string]any{"failures": failures})
}

func ledger(server *gateway.Server) Ledger {
	l := Ledger{Calls: server.Ledger.Calls(), Nonces: []string{}}
	if l.Calls == nil {
		l.Calls = []gateway.Call{}
	}
	for n, call := range l.Calls {
		l.Calls[n].ImagePath = idnumber.MaskDigits(call.ImagePath)
		if call.Accepted {
			l.Accepted++
		}
		if call.Charged {
			l.Charged++
		}
		if call.Nonce != "" && !slices.Contains(l.Nonces, call.Nonce) {
			l.Nonces = append(l.Nonces, call.Nonce)
		}
	}
	return l
}

func (s *Server) getRequests(w http.ResponseWriter, r *http.Request) {
	service := r.URL.Query().Get("service")
	accepted := []string{"", ServiceOSS, ServiceGateway, ServiceTrigger}
	if !slices.Contains(accepted, service) {
		writeError(w, http.StatusBadRequest, fmt.Errorf("service is %q; accepted are %s", service, strings.Join(accepted[1:], ", ")))
		return
	}
	requests := []Request{}
	for _, request := range s.Requests() {
		if service == "" || request.Service == service {
			request.Path = idnumber.MaskDigits(request.Path)
			requests = append(requests, request)
		}
	}
	respond(w, http.StatusOK, map[string]any{"requests": requests})
}

func (s *Server) getFaults(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	rules := make([]Rule, len(s.rules))
	for n, rule := range s.rules {
		rules[n] = *rule
	}
	s.mu.Unlock()
	respond(w, http.StatusOK, map[string]any{"faults": rules})
}

func (s *Server) postFault(w http.ResponseWriter, r *http.Request) {
	var rule Rule
	err := decode(http.MaxBytesReader(w, r.Body, maxBody), &rule)
	if err == nil {
		err = rule.complete()
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	s.mu.Lock()
	s.lastRule++
	rule.ID = s.lastRule
	added := rule
	s.rules = append(s.rules, &added)
	s.mu.Unlock()
	w.Header().Set("Location", "/faults/"+strconv.Itoa(rule.ID))
	respond(w, http.StatusCreated, rule)
}

func (s *Server) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.rules = nil
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) deleteFault(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := slices.IndexFunc(s.rules, func(rule *Rule) bool { return strconv.Itoa(rule.ID) == r.PathValue("id") })
	if n < 0 {
		writeError(w, http.StatusNotFound, fmt.Errorf("there is no fault %q; GET /faults lists their ids", r.PathValue("id")))
		return
	}
	s.rules = slices.Delete(s.rules, n, n+1)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) getEvents(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	events := s.events
	s.mu.Unlock()
	respond(w, http.StatusOK, events)
}

// toggle switches one property of the delivery of events.
func (s *Server) toggle(set func(*Events, bool)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Enabled *bool `json:"enabled"`
		}
		err := decode(http.MaxBytesReader(w, r.Body, maxBody), &body)
		if err == nil && body.Enabled == nil {
			err = errors.New(`enabled is missing; accepted are {"enabled":true} and {"enabled":false}`)
		}
		if err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		s.mu.Lock()
		set(&s.events, *body.Enabled)
		reorder := s.events.Reorder
		s.mu.Unlock()
		if !reorder {
			s.release(nil)
		}
		s.getEvents(w, r)
	}
}

func (s *Server) expire(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, map[string]int{"expired": s.config.ExpireCredentials()})
}

func (s *Server) putVersioning(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Status *string `json:"status"`
	}
	err := decode(http.MaxBytesReader(w, r.Body, maxBody), &body)
	if err == nil && (body.Status == nil || !slices.Contains([]string{"", "Enabled", "Suspended"}, *body.Status)) {
		err = errors.New(`status is missing or unknown; accepted are {"status":"Enabled"}, {"status":"Suspended"} and {"status":""} (never enabled)`)
	}
	if err == nil {
		err = s.config.Bucket.Change(func(b *ossfake.BucketSettings) { b.Versioning = *body.Status })
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	respond(w, http.StatusOK, body)
}

func (s *Server) getBucket(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, s.config.Bucket.Settings())
}

// patchBucket changes the members that the body has; the others keep their values.
func (s *Server) patchBucket(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		var decodeErr error
		err = s.config.Bucket.Change(func(b *ossfake.BucketSettings) {
			changed := *b
			if decodeErr = decode(bytes.NewReader(body), &changed); decodeErr == nil {
				*b = changed
			}
		})
		err = cmp.Or(decodeErr, err)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	s.getBucket(w, r)
}

// postLifecycle runs the lifecycle rules as they stand after a number of days, and answers with what they did.
func (s *Server) postLifecycle(w http.ResponseWriter, r *http.Request) {
	var body struct {
		AfterDays int `json:"afterDays"`
	}
	err := decode(http.MaxBytesReader(w, r.Body, maxBody), &body)
	if err == nil && body.AfterDays < 0 {
		err = errors.New(`afterDays is negative; accepted is {"afterDays":N} with N of 0 or more`)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	report, err := s.config.Bucket.ApplyLifecycle(time.Now().Add(time.Duration(body.AfterDays) * 24 * time.Hour))
	if err != nil {
		writeError(w, http.StatusInternalServerError, err)
		return
	}
	respond(w, http.StatusOK, report)
}

// maxBody is the largest body that is read, in bytes; none of them needs more than a few hundred.
const maxBody = 64 << 10

// decode reads a JSON object strictly: a misspelt member would otherwise have no effect.
func decode(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, more := decoder.Token(); more != io.EOF {
			err = errors.New("there is more after the first object")
		}
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty")
	}
	if err != nil {
		return fmt.Errorf("the body is not the JSON object that is expected: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	encoder.Encode(body) //nolint:errcheck // the caller has left
}

// writeError answers with {"error": …}.
func writeError(w http.ResponseWriter, status int, err error) {
	respond(w, status, map[string]string{"error": err.Error()})
}
