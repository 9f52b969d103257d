package management

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
)

// The endpoints that a Rule can be about.
const (
	EndpointOSS     = "oss"
	EndpointGateway = "gateway"
	// EndpointFunction are the deliveries of events: Function Compute refuses to run the function.
	EndpointFunction = "function"
)

// What a Rule does to a request.
const (
	// PhaseBeforeAccept answers with Status (503 if 0) and does nothing else: nothing is stored, nothing is charged.
	PhaseBeforeAccept = "before-accept"
	// PhaseAfterCharge carries the request out; then the answer is Status with an empty body, or, if Status is 0, lost.
	PhaseAfterCharge = "after-charge"
	// PhaseMidBody carries the request out and ends the connection in the middle of the answer.
	PhaseMidBody = "mid-body"
	// PhaseLatency waits LatencyMs before the request is carried out as usual.
	PhaseLatency = "latency"
	// PhaseThrottle answers as the service does when it is called too often.
	PhaseThrottle = "throttle"
	// PhaseReset resets the connection (TCP RST) before anything is done.
	PhaseReset = "reset"
)

var (
	endpoints  = []string{EndpointOSS, EndpointGateway, EndpointFunction}
	operations = []string{"APPEND", "DELETE", "GET", "HEAD", "POST", "PUT"}
	phases     = []string{PhaseBeforeAccept, PhaseAfterCharge, PhaseMidBody, PhaseLatency, PhaseThrottle, PhaseReset}
	// A delivery that reaches the function fails by what the function does.
	deliveryPhases = []string{PhaseBeforeAccept, PhaseThrottle}
)

// maxLatencyMs is longer than any invocation of FC may take (24 h), in milliseconds.
const maxLatencyMs = 24 * 60 * 60 * 1000

// Rule is a fault that is injected into certain requests.
type Rule struct {
	// ID is given by the server, from 1.
	ID int `json:"id"`
	// Endpoint is one of the Endpoint constants.
	Endpoint string `json:"endpoint"`
	// Operation is the HTTP method, or APPEND; empty is any. Only OSS has several, so elsewhere it must be empty.
	Operation string `json:"operation,omitempty"`
	// KeySuffix is how the object key ends; for the gateway that of the image whose URL is sent, for the function that of the event. Empty is any.
	KeySuffix string `json:"keySuffix,omitempty"`
	// Nth is the first of the matching requests that gets the fault, counted from 1; 0 means 1.
	Nth int `json:"nth"`
	// Times is how many matching requests get it from there on; 0 means 1. Every means all, and excludes Times.
	Times int  `json:"times,omitempty"`
	Every bool `json:"every,omitempty"`
	// Phase is one of the Phase constants.
	Phase string `json:"phase"`
	// Status is the HTTP status (400 to 599) of PhaseBeforeAccept and PhaseAfterCharge.
	Status int `json:"status,omitempty"`
	// LatencyMs is waited first, in milliseconds; PhaseLatency needs it.
	LatencyMs int `json:"latencyMs,omitempty"`

	// Matched and Injected are how many requests matched and had the fault injected so far.
	Matched  int `json:"matched"`
	Injected int `json:"struck"`
}

// complete checks the rule and fills in what was left out. The error says what is accepted.
func (r *Rule) complete() error {
	oneOf := func(field, value string, accepted []string) error {
		if slices.Contains(accepted, value) {
			return nil
		}
		return fmt.Errorf("%s is %q; accepted are %s", field, value, strings.Join(accepted, ", "))
	}
	if err := oneOf("endpoint", r.Endpoint, endpoints); err != nil {
		return err
	}
	accepted := phases
	if r.Endpoint == EndpointFunction {
		accepted = deliveryPhases
	}
	if err := oneOf("phase", r.Phase, accepted); err != nil {
		return err
	}
	switch {
	case r.Operation != "" && r.Endpoint != EndpointOSS:
		return fmt.Errorf("operation is %q; the %s has only one operation, leave it out", r.Operation, r.Endpoint)
	case r.Operation != "":
		if err := oneOf("operation", r.Operation, operations); err != nil {
			return err
		}
	}
	switch takesStatus := r.Phase == PhaseBeforeAccept || r.Phase == PhaseAfterCharge; {
	case r.ID != 0 || r.Matched != 0 || r.Injected != 0:
		return fmt.Errorf("id, matched and struck are set by the server, leave them out")
	case r.Nth < 0:
		return fmt.Errorf("nth is %d; accepted are 1 and more", r.Nth)
	case r.Times < 0:
		return fmt.Errorf("times is %d; accepted are 1 and more, or every: true instead", r.Times)
	case r.Every && r.Times != 0:
		return fmt.Errorf("times and every exclude each other")
	case r.Status != 0 && !takesStatus:
		return fmt.Errorf("status does not go with phase %s; only %s and %s take one", r.Phase, PhaseBeforeAccept, PhaseAfterCharge)
	case r.Status != 0 && (r.Status < 400 || r.Status > 599):
		return fmt.Errorf("status is %d; accepted are 400 to 599", r.Status)
	case r.Endpoint == EndpointFunction && r.Status != 0 && r.Status != http.StatusInternalServerError && r.Status != http.StatusServiceUnavailable:
		return fmt.Errorf("status is %d; accepted for the function are 500 and 503", r.Status)
	case r.Endpoint == EndpointFunction && r.LatencyMs != 0:
		return fmt.Errorf("latencyMs does not go with the function, leave it out")
	case r.LatencyMs < 0 || r.LatencyMs > maxLatencyMs:
		return fmt.Errorf("latencyMs is %d; accepted are 0 to %d", r.LatencyMs, maxLatencyMs)
	case r.Phase == PhaseLatency && r.LatencyMs == 0:
		return fmt.Errorf("phase %s needs latencyMs, 1 to %d", PhaseLatency, maxLatencyMs)
	}
	r.Nth = max(r.Nth, 1)
	if !r.Every {
		r.Times = max(r.Times, 1)
	}
	if r.Phase == PhaseBeforeAccept && r.Status == 0 {
		r.Status = http.StatusServiceUnavailable
	}
	return nil
}

func (r *Rule) matches(endpoint, operation, key string) bool {
	return r.Endpoint == endpoint && (r.Operation == "" || r.Operation == operation) && strings.HasSuffix(key, r.KeySuffix)
}

// next counts a matching request and reports whether the fault is injected.
func (r *Rule) next() bool {
	r.Matched++
	inject := r.Matched >= r.Nth && (r.Every || r.Matched < r.Nth+r.Times)
	if inject {
		r.Injected++
	}
	return inject
}

// pick returns the rule whose fault this request gets: the oldest one that does. Every matching rule counts it.
func (s *Server) pick(endpoint, operation, key string) (picked Rule, injected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rule := range s.rules {
		if rule.matches(endpoint, operation, key) && rule.next() && !injected {
			picked, injected = *rule, true
		}
	}
	return picked, injected
}

// Intercept orders the gateway's faults; it is made for gateway.Config.Intercept.
func (s *Server) Intercept(call gateway.Call) gateway.Fault {
	image := call.ImagePath
	if decoded, err := url.PathUnescape(image); err == nil { // SDKs escape even the slashes of a key
		image = decoded
	}
	rule, injected := s.pick(EndpointGateway, "", image)
	if !injected {
		if rule, injected = s.chaosCall(image); !injected {
			return gateway.Fault{}
		}
	}
	fault := gateway.Fault{Latency: time.Duration(rule.LatencyMs) * time.Millisecond}
	switch rule.Phase {
	case PhaseBeforeAccept:
		refusal := refusalFor(rule.Status)
		fault.Phase, fault.Refusal = gateway.PhaseBeforeAccept, &refusal
	case PhaseAfterCharge:
		fault.Phase, fault.Status = gateway.PhaseAfterCharge, rule.Status
		if rule.Status == 0 {
			fault.Effect = gateway.EffectClose
		}
	case PhaseMidBody:
		fault.Phase, fault.Effect = gateway.PhaseMidBody, gateway.EffectClose
	case PhaseThrottle:
		fault.Phase, fault.Refusal = gateway.PhaseBeforeAccept, &gateway.ThrottledByAPP
	case PhaseReset:
		fault.Phase, fault.Effect = gateway.PhaseArrival, gateway.EffectReset
	}
	return fault
}

// InterceptEvent orders the faults of the delivery of an event with this key; it is made for fcfake.AsyncConfig.Intercept.
func (s *Server) InterceptEvent(key string) *fcfake.SystemError {
	rule, injected := s.pick(EndpointFunction, "", key)
	switch {
	case !injected:
		return nil
	case rule.Phase == PhaseThrottle:
		return fcfake.NewSystemError(http.StatusTooManyRequests)
	}
	return fcfake.NewSystemError(rule.Status)
}

// refusalFor is what the gateway says with this status; it has its own words for a failure of each kind.
func refusalFor(status int) gateway.Refusal {
	for _, refusal := range []gateway.Refusal{
		gateway.InternalError, gateway.ServiceUnavailable, gateway.BackendTimeout, gateway.Unauthorized, gateway.BodyTooLarge,
	} {
		if refusal.Status == status {
			return refusal
		}
	}
	return gateway.Refusal{Message: http.StatusText(status), Status: status}
}
