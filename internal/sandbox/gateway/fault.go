package gateway

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Phase is the point of a call at which a Fault is injected.
type Phase string

// The phases, in the order in which a call goes through them.
const (
	// PhaseNone: no fault, except that Fault.Latency makes the provider slow (accepted, then the wait, then the reading).
	PhaseNone Phase = ""
	// PhaseArrival: before every check. Nothing is accepted, and the nonce stays unused.
	PhaseArrival Phase = "arrival"
	// PhaseBeforeAccept: all checks passed, the nonce is used; the provider does not see the call and nothing is charged.
	PhaseBeforeAccept Phase = "before-accept"
	// PhaseProvider: accepted; Status, Header and Body are the provider's answer, and Charge says whether it is charged.
	PhaseProvider Phase = "provider"
	// PhaseAfterCharge: accepted, read and charged as usual, but the answer is replaced by Effect.
	PhaseAfterCharge Phase = "after-charge"
	// PhaseMidBody: as PhaseAfterCharge, but status, headers and the first CutAfter bytes of the answer are sent before.
	PhaseMidBody Phase = "mid-body"
)

// Effect is what the caller sees of a Fault.
type Effect string

// The effects.
const (
	// EffectRespond answers with Refusal if it is set, else with Status, Header and Body. Not possible in PhaseMidBody,
	// where it means EffectClose.
	EffectRespond Effect = ""
	// EffectReset resets the connection (TCP RST).
	EffectReset Effect = "reset"
	// EffectClose closes the connection in order (TCP FIN), in the middle of an answer in PhaseMidBody.
	EffectClose Effect = "close"
	// EffectHang says nothing more until the caller leaves.
	EffectHang Effect = "hang"
)

// Fault is something that goes wrong with one call. The zero Fault is none.
type Fault struct {
	Phase  Phase
	Effect Effect
	// Latency is waited at the phase, before Hook and Effect. A caller who leaves meanwhile ends the call there.
	Latency time.Duration
	// Hook is run at the phase, after Latency and before Effect, with the call as recorded so far: the place to kill the
	// caller, for example. With PhaseNone it is not run.
	Hook func(Call)

	// Refusal is an answer in the gateway's own words, for EffectRespond.
	Refusal *Refusal
	// Status (0 is 200), Header and Body are any other answer.
	Status int
	Header http.Header
	Body   []byte
	// Charge is whether the answer of PhaseProvider is charged.
	Charge bool
	// CutAfter is how many bytes of the body PhaseMidBody lets through; 0 is half of it.
	CutAfter int
}

// String describes the fault in a few words, without its body.
func (f Fault) String() string {
	text := string(f.Phase)
	switch {
	case f.Phase == PhaseNone:
		if f.Latency == 0 {
			return ""
		}
		text = "slow"
	case f.Effect != EffectRespond:
		text += " " + string(f.Effect)
	case f.Refusal != nil:
		text += " " + f.Refusal.Message
	case f.Phase != PhaseMidBody:
		text += " " + strconv.Itoa(f.status())
	}
	if f.Latency > 0 {
		text += " after " + f.Latency.String()
	}
	return text
}

func (f Fault) status() int {
	if f.Status == 0 {
		return http.StatusOK
	}
	return f.Status
}

// Refuse is a gateway refusal after the checks: throttling, an exhausted quota, an internal error.
func Refuse(refusal Refusal) Fault { return Fault{Phase: PhaseBeforeAccept, Refusal: &refusal} }

// LoseAnswer lets the provider read and charge, and then does what effect says instead of answering.
func LoseAnswer(effect Effect) Fault { return Fault{Phase: PhaseAfterCharge, Effect: effect} }

// AnswerAs lets the provider answer with this status and body instead of reading the picture.
func AnswerAs(status int, body string, charge bool) Fault {
	return Fault{Phase: PhaseProvider, Status: status, Body: []byte(body), Charge: charge}
}

// Script is an Intercept that gives the nth call the nth fault, and no fault to the calls after the last.
func Script(faults ...Fault) func(Call) Fault {
	var mu sync.Mutex
	return func(Call) Fault {
		mu.Lock()
		defer mu.Unlock()
		if len(faults) == 0 {
			return Fault{}
		}
		next := faults[0]
		faults = faults[1:]
		return next
	}
}

// inject carries out the ordered fault if it belongs to this phase, and reports whether the call is over. answer is what
// the caller would get, for PhaseMidBody.
func (e *exchange) inject(phase Phase, answer *answer) (over bool) {
	if e.fault.Phase != phase {
		return false
	}
	defer func() {
		if e.call.Outcome == "" {
			e.call.Outcome = OutcomeFault
		}
	}()
	if !e.wait() {
		return true
	}
	if e.fault.Hook != nil {
		e.fault.Hook(e.call)
	}
	if e.call.Outcome == "" && (e.fault.Effect != EffectRespond || e.fault.Refusal == nil) {
		e.call.Outcome = OutcomeFault
	}
	e.server.Ledger.update(e.call) // before the caller can know of it
	if phase == PhaseMidBody {
		cut := e.fault.CutAfter
		if cut <= 0 {
			cut = len(answer.body) / 2
		}
		answer.writePart(e.w, min(cut, len(answer.body)))
	}
	switch effect := e.fault.Effect; {
	case effect == EffectHang:
		<-e.r.Context().Done()
	case effect == EffectReset, effect == EffectClose, phase == PhaseMidBody:
		drop(e.w, effect == EffectReset)
	case e.fault.Refusal != nil:
		e.refuse(*e.fault.Refusal)
	default:
		e.respond()
	}
	return true
}

// respond sends the fault's own answer.
func (e *exchange) respond() {
	for name, values := range e.fault.Header {
		e.w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	e.w.Header().Set("Content-Length", strconv.Itoa(len(e.fault.Body)))
	e.w.WriteHeader(e.fault.status())
	e.w.Write(e.fault.Body) //nolint:errcheck // the caller has left
}

// wait lets the fault's latency pass. It returns false if the caller left meanwhile.
func (e *exchange) wait() bool {
	if e.fault.Latency <= 0 {
		return true
	}
	timer := time.NewTimer(e.fault.Latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-e.r.Context().Done():
		return false
	}
}

// drop ends the connection without an answer, or in the middle of one.
func drop(w http.ResponseWriter, reset bool) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// Not a plain HTTP/1 connection; net/http then cuts it in its own way.
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := connection.(*net.TCPConn); ok && reset {
		if err := tcp.SetLinger(0); err != nil {
			panic(fmt.Errorf("gateway: reset a connection: %w", err))
		}
	}
	connection.Close()
}
