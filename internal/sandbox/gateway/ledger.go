package gateway

import (
	"sync"
	"time"
)

// How a call was authenticated.
const (
	AuthSignature = "signature"
	AuthAppCode   = "appcode"
)

// How a call ended.
const (
	// OutcomeRefused: the gateway answered itself; the provider never saw the call.
	OutcomeRefused = "refused"
	// OutcomeRecognized: an ID number was read; charged.
	OutcomeRecognized = "recognized"
	// OutcomeUnrecognized: the picture shows no ID number; not charged.
	OutcomeUnrecognized = "unrecognized"
	// OutcomeRejected: the provider could not get or decode the picture; not charged.
	OutcomeRejected = "rejected"
	// OutcomeScripted: a fault answered for the provider.
	OutcomeScripted = "scripted"
	// OutcomeProviderFailed: the provider failed; not charged.
	OutcomeProviderFailed = "provider-failed"
	// OutcomeFault: a fault ended the call before the provider saw it.
	OutcomeFault = "fault"
)

// Call is the record of one request that reached the gateway. What is printed on the card, the AppCode, the secret and
// the signed query of a picture's URL are not in it.
type Call struct {
	// Seq numbers the calls in the order of their arrival, from 1.
	Seq int `json:"seq"`
	// RequestID is the X-Ca-Request-Id of the answer.
	RequestID string `json:"requestId"`
	// Time is when the call arrived.
	Time time.Time `json:"time"`
	// AppKey is the caller's X-Ca-Key, empty with an AppCode.
	AppKey string `json:"appKey,omitempty"`
	// Auth is AuthSignature or AuthAppCode; empty if the caller was refused before.
	Auth string `json:"auth,omitempty"`
	// Nonce is the caller's X-Ca-Nonce.
	Nonce string `json:"nonce,omitempty"`
	// Details reports whether need_more_info was 1.
	Details bool `json:"details"`
	// Source is "url" or "data", empty if the caller sent neither or both.
	Source string `json:"source,omitempty"`
	// ImagePath is the path of imgUrl, without host and query.
	ImagePath string `json:"imagePath,omitempty"`
	// ImageSHA256 is the digest of the picture that the provider got, in hex, and ImageSize its size in bytes.
	ImageSHA256 string `json:"imageSha256,omitempty"`
	ImageSize   int    `json:"imageSize,omitempty"`
	// Accepted reports whether the call passed all checks and went to the provider.
	Accepted bool `json:"accepted"`
	// Charged reports whether the caller pays for it.
	Charged bool `json:"charged"`
	// Outcome is one of the Outcome constants, empty while the call is under way.
	Outcome string `json:"outcome,omitempty"`
	// Refusal is the gateway's text if it refused, without the string to sign.
	Refusal string `json:"refusal,omitempty"`
	// ResultID is the showapi_res_id of the answer.
	ResultID string `json:"resultId,omitempty"`
	// Fault describes the fault that was ordered, empty for none.
	Fault string `json:"fault,omitempty"`
	// Done reports whether the call has ended.
	Done bool `json:"done"`
}

// Ledger records the calls. It is safe for use by several goroutines; a call is in it from its arrival, so a caller
// that was killed in the middle has left its trace.
type Ledger struct {
	mu    sync.Mutex
	calls []Call
}

// Calls returns a copy of all records, in the order of arrival.
func (l *Ledger) Calls() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Call(nil), l.calls...)
}

// Accepted returns how many calls passed all checks.
func (l *Ledger) Accepted() int { return l.count(func(c Call) bool { return c.Accepted }) }

// Charged returns how many calls have to be paid.
func (l *Ledger) Charged() int { return l.count(func(c Call) bool { return c.Charged }) }

// Reset forgets all calls. Numbering starts again at 1; calls still under way are not recorded any more.
func (l *Ledger) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = nil
}

func (l *Ledger) count(counts func(Call) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, call := range l.calls {
		if counts(call) {
			n++
		}
	}
	return n
}

// open records an arrived call and numbers it.
func (l *Ledger) open(call Call) Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	call.Seq = len(l.calls) + 1
	l.calls = append(l.calls, call)
	return call
}

// update replaces the record of the call, unless it was forgotten meanwhile.
func (l *Ledger) update(call Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := call.Seq - 1; i < len(l.calls) && l.calls[i].RequestID == call.RequestID {
		l.calls[i] = call
	}
}

// close marks the call as ended and returns the complete record.
func (l *Ledger) close(call Call) Call {
	call.Done = true
	l.update(call)
	return call
}
