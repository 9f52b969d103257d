package management

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"fc-idcard-ocr/internal/sandbox/gateway"
)

// The services whose requests are recorded.
const (
	ServiceOSS     = "oss"
	ServiceGateway = "gateway"
	ServiceTrigger = "trigger"
)

// Who made a request to OSS.
const (
	CallerFunction  = "function"  // temporary credentials in a header
	CallerPresigned = "presigned" // the holder of a presigned URL: the OCR provider
	CallerClient    = "client"    // anybody else
)

// RingSize is how many requests of each service are kept, for OSS of each kind of caller: somebody who looks at many
// objects does not push out what the function did.
const RingSize = 1000

// Request is the record of a request that ended. It holds no query, header or body, so neither signature nor token.
type Request struct {
	Time    time.Time `json:"time"`
	Service string    `json:"service"`
	Method  string    `json:"method"`
	// Operation is Method, or APPEND.
	Operation string `json:"operation"`
	// Path is decoded, without query.
	Path string `json:"path"`
	// Caller is one of the Caller constants, for OSS only.
	Caller string `json:"caller,omitempty"`
	// Status is 0 if the connection ended without an answer.
	Status     int     `json:"status"`
	DurationMs float64 `json:"durationMs"`
}

// Notice is something that happened: a request that ended, or the gateway's record of a call.
type Notice struct {
	Request *Request
	Call    *gateway.Call
}

// Requests returns the recorded requests, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Request
	for _, ring := range s.requests {
		all = append(all, ring...)
	}
	slices.SortStableFunc(all, func(a, b Request) int { return a.Time.Compare(b.Time) })
	return all
}

// Subscribe hands over what happens from now on, until cancel is called. A subscriber who does not keep up misses some.
func (s *Server) Subscribe() (notices <-chan Notice, cancel func()) {
	channel := make(chan Notice, 256)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers[channel] = struct{}{}
	return channel, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subscribers, channel)
	}
}

// OnCall passes the gateway's record of a call on; it is made for gateway.Config.OnCall.
func (s *Server) OnCall(call gateway.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish(Notice{Call: &call})
}

// publish notifies the subscribers. The caller holds s.mu.
func (s *Server) publish(notice Notice) {
	for subscriber := range s.subscribers {
		select {
		case subscriber <- notice:
		default:
		}
	}
}

func (s *Server) record(request Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := request.Service + " " + request.Caller
	ring := append(s.requests[from], request)
	s.requests[from] = ring[max(0, len(ring)-RingSize):]
	s.publish(Notice{Request: &request})
}

// Wrap records the requests of a service and injects the faults of the rules for it.
func (s *Server) Wrap(service string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		request := Request{Time: began, Service: service, Method: r.Method, Operation: r.Method, Path: r.URL.Path}
		query := r.URL.Query()
		if service == ServiceOSS {
			request.Caller = caller(r, query)
			if query.Has("append") && r.Method == http.MethodPost {
				request.Operation = "APPEND"
			}
		}
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() { // also if the handler gives the connection up with a panic
			request.Status, request.DurationMs = recorder.status, float64(time.Since(began).Microseconds())/1000
			s.record(request)
		}()
		if service == ServiceOSS { // the gateway's faults are its own, see Intercept
			s.serveOSS(recorder, r, request, next)
			return
		}
		next.ServeHTTP(recorder, r)
	})
}

func caller(r *http.Request, query url.Values) string {
	for name := range query {
		if strings.EqualFold(name, "security-token") || strings.EqualFold(name, "x-oss-security-token") {
			return CallerPresigned
		}
	}
	if r.Header.Get("x-oss-security-token") != "" {
		return CallerFunction
	}
	return CallerClient
}

// serveOSS carries out a request to OSS, or what a rule makes of it.
func (s *Server) serveOSS(w http.ResponseWriter, r *http.Request, request Request, next http.Handler) {
	rule, injected := s.pick(EndpointOSS, request.Operation, request.Path)
	if !injected {
		if rule, injected = s.chaosRequest(request); !injected {
			next.ServeHTTP(w, r)
			return
		}
	}
	if rule.LatencyMs > 0 {
		timer := time.NewTimer(time.Duration(rule.LatencyMs) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	switch rule.Phase {
	case PhaseLatency:
		next.ServeHTTP(w, r)
	case PhaseReset:
		drop(w, true)
	case PhaseThrottle:
		// OSS has a code for each thing there can be too much of; callers go by the status.
		refuseOSS(w, r, http.StatusServiceUnavailable, "DownloadTrafficRateLimitExceeded", "Please reduce your request rate.")
	case PhaseBeforeAccept:
		refuseOSS(w, r, rule.Status, errorCode(rule.Status), "A fault that was ordered at the management port.")
	case PhaseAfterCharge, PhaseMidBody:
		answer := &bufferedAnswer{header: http.Header{}}
		next.ServeHTTP(answer, r)
		switch {
		case rule.Phase == PhaseMidBody:
			answer.sendHalf(w)
			drop(w, false)
		case rule.Status == 0:
			drop(w, false)
		default:
			refuseOSS(w, r, rule.Status, errorCode(rule.Status), "A fault that was ordered at the management port.")
		}
	}
}

// errorCode is the code of OSS that callers expect with this status.
func errorCode(status int) string {
	switch {
	case status == http.StatusForbidden:
		return "AccessDenied"
	case status == http.StatusInternalServerError:
		return "InternalError"
	case status > http.StatusInternalServerError:
		return "ServiceUnavailable"
	}
	return "BadRequest"
}

func refuseOSS(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("x-oss-request-id", "000000000000000000000000")
	w.Header().Set("Connection", "close") // the body of the request may be unread
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
			`<Error><Code>%s</Code><Message>%s</Message><RequestId>000000000000000000000000</RequestId></Error>`, code, message)
	}
}

// drop ends the connection, in order (FIN) or by a reset (RST).
func drop(w http.ResponseWriter, reset bool) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // no plain HTTP/1 connection; net/http then cuts it in its own way
	}
	if tcp, ok := connection.(*net.TCPConn); ok && reset {
		if err := tcp.SetLinger(0); err != nil {
			connection.Close()
			panic(http.ErrAbortHandler)
		}
	}
	connection.Close()
}

// bufferedAnswer holds an answer back.
type bufferedAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *bufferedAnswer) Header() http.Header { return a.header }

func (a *bufferedAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *bufferedAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// sendHalf sends the head and half of the body. A body promised but cut after nothing is what remains of an empty one.
func (a *bufferedAnswer) sendHalf(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(max(1, a.body.Len())))
	w.WriteHeader(max(a.status, http.StatusOK))
	w.Write(a.body.Bytes()[:a.body.Len()/2]) //nolint:errcheck // the caller has left
	http.NewResponseController(w).Flush()    //nolint:errcheck // the connection ends next anyway
}

// statusRecorder remembers the status.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *statusRecorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
