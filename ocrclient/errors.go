package ocrclient

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrInvalid is wrapped by errors about a Client or Request that cannot be sent. Nothing was sent.
var ErrInvalid = errors.New("ocrclient: invalid call")

// Outcome says what a failed call means for the next one: can the request have reached the paid provider?
type Outcome int

const (
	// NotSent: no connection was made (DNS, dial, TLS). Sending again is free.
	NotSent Outcome = iota + 1
	// Refused: the gateway turned the request away for the moment (throttling, its own 5xx). Sending again later is free;
	// use a new nonce, as the gateway may have noted this one.
	Refused
	// Configuration: the gateway will turn every such request away until somebody changes something (key, signature,
	// quota, address). Sending again is useless.
	Configuration
	// Indeterminate: the request may have arrived and may have been charged, but there is no answer. Send it again with the same
	// nonce: accepted means that the first never arrived, NonceUsed that it did.
	Indeterminate
	// NonceUsed: an earlier request with this nonce was accepted. Its answer is gone.
	NonceUsed
	// Malformed: an answer came, in full, and cannot be parsed. It may have been charged.
	Malformed
)

var classNames = [...]string{NotSent: "never sent", Refused: "refused", Configuration: "configuration", Indeterminate: "lost",
	NonceUsed: "nonce used", Malformed: "unreadable"}

// String names the class in lower case.
func (c Outcome) String() string {
	if c < NotSent || int(c) >= len(classNames) {
		return "unknown"
	}
	return classNames[c]
}

// Code names what went wrong, for programs. It is one of the constants below.
type Code string

// The codes of failed calls and of answers without a card.
const (
	NotRecognized  Code = "NotRecognized"  // the provider found no ID number in the picture
	ImageRejected  Code = "ImageRejected"  // the provider cannot read the picture or fetch its URL
	ImageTooLarge  Code = "ImageTooLarge"  // the gateway does not take a request of this size
	Throttled      Code = "Throttled"      // too many requests
	QuotaExhausted Code = "QuotaExhausted" // the purchased calls are used up or have expired
	Unauthorized   Code = "Unauthorized"   // the gateway refuses key, code or signature
	ClockSkew      Code = "ClockSkew"      // the request's time stamp is more than 15 minutes off
	Unavailable    Code = "Unavailable"    // gateway or provider out of order
	Timeout        Code = "Timeout"        // no answer in time
	BadAnswer      Code = "BadAnswer"      // the answer cannot be parsed
	AnswerLost     Code = "AnswerLost"     // the call was made earlier, its answer never arrived
	BadRequest     Code = "BadRequest"     // the gateway knows no such address, or refuses the form of the request
)

// Error is a call that brought no usable answer. Its text never holds a secret, a URL's query or card data, whatever the
// server wrote.
type Error struct {
	Outcome Outcome
	Code    Code
	// StatusCode is the HTTP status, 0 if no answer came.
	StatusCode int
	// GatewayCode is X-Ca-Error-Code, which newer gateways send: a letter, the status and two letters. Often empty.
	GatewayCode string
	// RequestID is X-Ca-Request-Id, which the operator of the gateway asks for. Empty: the gateway was not reached.
	RequestID string
	// RetryAfter is what the server asked to wait, 0 if it did not say.
	RetryAfter time.Duration
	// PassedOn reports that the gateway accepted the call, and that the error status is the provider's: a refusal of the gateway itself
	// comes with its words or code.
	PassedOn bool
	// Body is what came of an answer that was not understood, or broke off, and may have been charged: up to 1 MiB, as it came. It
	// can hold card data; no text of the error shows it.
	Body []byte `json:"-"`

	message string
	err     error
}

// Error returns class, reason, status and gateway request ID.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ocrIdCard call %s: %s", e.Outcome, e.message)
	if e.err != nil {
		fmt.Fprintf(&b, ": %v", e.err)
	}
	for _, detail := range []struct{ name, value string }{{"gateway code", e.GatewayCode}, {"gateway request", e.RequestID}} {
		if detail.value != "" {
			fmt.Fprintf(&b, ", %s %s", detail.name, detail.value)
		}
	}
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, ", status %d", e.StatusCode)
	}
	return b.String()
}

// GoString returns the text of Error: %#v would otherwise show the body.
func (e *Error) GoString() string { return e.Error() }

// Unwrap returns the transport's error, if there is one.
func (e *Error) Unwrap() error { return e.err }

// MayHaveCharged reports whether the call can have been charged although it brought nothing.
func (e *Error) MayHaveCharged() bool {
	return e.Outcome == Indeterminate || e.Outcome == NonceUsed || e.Outcome == Malformed
}

// OutcomeOf returns the class of the *Error in err's chain, 0 if there is none.
func OutcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return 0
}

func (e *Error) set(class Outcome, code Code, message string) {
	e.Outcome, e.Code, e.message = class, code, message
}

// gatewayMessages are the texts of X-Ca-Error-Message (the gateway's "错误代码表"), the more specific first.
var gatewayMessages = []struct {
	prefix string
	class  Outcome
	code   Code
}{
	{"Throttled by DOMAIN", Configuration, Throttled}, // the 1,000 calls a day of a second-level test domain
	{"Throttled", Refused, Throttled},
	{"Quota Exhausted", Configuration, QuotaExhausted},
	{"Quota Expired", Configuration, QuotaExhausted},
	{"Api Market Subscription", Configuration, QuotaExhausted},
	{"Expiry of Authorization", Configuration, QuotaExhausted},
	{"User Arrears", Configuration, QuotaExhausted},
	{"Unauthorized", Configuration, Unauthorized},
	{"Invalid AppKey", Configuration, Unauthorized},
	{"Invalid AppSecret", Configuration, Unauthorized},
	{"Invalid AppCode", Configuration, Unauthorized},
	{invalidSignature, Configuration, Unauthorized},
	{"Empty Signature", Configuration, Unauthorized},
	{"Timestamp Expired", Configuration, ClockSkew},
	{"Invalid Timestamp", Configuration, ClockSkew},
	{"Nonce Used", NonceUsed, AnswerLost},
	{"Async Service", Indeterminate, Timeout},
	{"Internal Error", Refused, Unavailable},
	{"Failed To Invoke Backend Service", Refused, Unavailable},
	{"Service Unavailable", Refused, Unavailable},
}

// gateway sorts an error by the gateway's own words, its code's letter and status if the words are unknown. Only words
// from the table are repeated: free text can echo the request.
func (e *Error) gateway(code, text string) {
	e.GatewayCode = plainWord(code)
	for _, m := range gatewayMessages {
		if hasPrefixFold(text, m.prefix) {
			e.set(m.class, m.code, m.prefix)
			break
		}
	}
	if e.Outcome == 0 {
		e.byGatewayCode()
	}
	if timedOut(e.StatusCode) {
		e.Outcome, e.Code = Indeterminate, Timeout // whatever the words: the provider may have been reached
	}
}

// timedOut reports whether a status says that somebody on the way waited in vain.
func timedOut(status int) bool {
	return status == http.StatusGatewayTimeout || status == http.StatusRequestTimeout
}

// byGatewayCode uses the scheme of the six-character codes: a letter for the area, three digits for the status.
func (e *Error) byGatewayCode() {
	letter := byte(0)
	if len(e.GatewayCode) == 6 {
		letter = e.GatewayCode[0]
	}
	switch {
	case letter == 'T' || e.StatusCode == http.StatusTooManyRequests:
		e.set(Refused, Throttled, "throttled")
	case e.StatusCode >= 500:
		e.set(Refused, Unavailable, "the gateway is out of order")
	case e.GatewayCode == "S403NU":
		e.set(NonceUsed, AnswerLost, "Nonce Used")
	case e.GatewayCode == "S403TE":
		e.set(Configuration, ClockSkew, "Timestamp Expired")
	case letter == 'B':
		e.set(Configuration, QuotaExhausted, "the subscription is used up, expired or in arrears")
	case letter == 'A' || letter == 'S' || e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden:
		e.set(Configuration, Unauthorized, "the gateway refuses key, code or signature")
	case e.StatusCode == http.StatusRequestEntityTooLarge:
		e.set(Configuration, ImageTooLarge, "the request is larger than the gateway takes")
	default:
		e.set(Configuration, BadRequest, "the gateway refuses the request")
	}
}

func gatewayRequestID(h http.Header) string { return plainWord(h.Get("X-Ca-Request-Id")) }

// plainWord returns s if it is a short word of ASCII letters, digits and dashes, as codes and request IDs are.
func plainWord(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(c rune) bool { return c != '-' && (notBase64(c) || c == '+' || c == '/' || c == '=') }) {
		return ""
	}
	return s
}

func hasPrefixFold(s, prefix string) bool {
	s = strings.TrimSpace(s)
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
