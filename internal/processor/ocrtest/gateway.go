// Package ocrtest holds a fake of the API gateway with its provider, and a fixture that puts a processor between it and a bucket
// in memory. It is for tests and never part of what is deployed.
package ocrtest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"fc-idcard-ocr/ocrclient"
)

// Outcome is what happens to one call.
type Outcome struct {
	refusal  *ocrclient.Error // of a call that the gateway does not accept
	failure  *ocrclient.Error // of a call that it accepts and charges
	response string           // of a call that it accepts
	charged  bool
}

// The outcomes of a call that the gateway does not accept. Its nonce stays unused.
var (
	NotSent              = refused(ocrclient.NotSent, ocrclient.Unavailable, 0) // no connection
	LostBeforeAcceptance = refused(ocrclient.Indeterminate, ocrclient.Timeout, 0)
	Throttled            = refused(ocrclient.Refused, ocrclient.Throttled, 429)
	GatewayUnavailable   = refused(ocrclient.Refused, ocrclient.Unavailable, 503)
	QuotaExhausted       = refused(ocrclient.Configuration, ocrclient.QuotaExhausted, 403)
	WrongKey             = refused(ocrclient.Configuration, ocrclient.Unauthorized, 400)
	WrongClock           = refused(ocrclient.Configuration, ocrclient.ClockSkew, 400)
)

// GarbledBody is what Garbled answers.
const GarbledBody = "<html>canary-name"

// The outcomes of a call that the gateway accepts.
var (
	Recognized        = Outcome{charged: true, response: `{"showapi_res_code":0,"showapi_res_id":"642644970de376872d071c9f","showapi_res_body":` + cardBody + `}`}
	NotRecognized     = Outcome{response: `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"识别失败"}}`}
	PaidNotRecognized = Outcome{charged: true, response: `{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":false,"msg":"识别失败"}}`}
	Rejected          = Outcome{response: `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"错误的 imgData 或 imgUrl 参数！"}}`} // picture or URL cannot be read
	Busy              = Outcome{response: `{"showapi_res_code":-1009,"showapi_fee_num":0,"showapi_res_error":"您的调用过于频繁!"}`}                          // the provider has too many calls
	PaidFailure       = Outcome{charged: true, response: `{"showapi_res_code":-4,"showapi_fee_num":1,"showapi_res_error":"x"}`}                      // of the provider's platform

	RefusedByProvider = Outcome{failure: &ocrclient.Error{Outcome: ocrclient.Configuration, Code: ocrclient.BadRequest, StatusCode: 400, PassedOn: true}}

	LostAfterCharge = Outcome{charged: true, failure: &ocrclient.Error{Outcome: ocrclient.Indeterminate, Code: ocrclient.Timeout}}
	BrokenOff       = Outcome{charged: true, failure: &ocrclient.Error{Outcome: ocrclient.Indeterminate, Code: ocrclient.Unavailable, StatusCode: 200, Body: []byte(cardBody[:60])}}
	Garbled         = GarbledAs(GarbledBody)
)

// GarbledAs is Garbled with another body.
func GarbledAs(body string) Outcome {
	return Outcome{charged: true, failure: &ocrclient.Error{Outcome: ocrclient.Malformed, Code: ocrclient.BadAnswer, StatusCode: 200, Body: []byte(body)}}
}

// ThrottledFor is Throttled with the time after which the gateway wants to be called again.
func ThrottledFor(wait time.Duration) Outcome {
	return Outcome{refusal: &ocrclient.Error{Outcome: ocrclient.Refused, Code: ocrclient.Throttled, StatusCode: 429, RetryAfter: wait}}
}

func refused(outcome ocrclient.Outcome, code ocrclient.Code, status int) Outcome {
	return Outcome{refusal: &ocrclient.Error{Outcome: outcome, Code: code, StatusCode: status}}
}

const cardBody = `{"msg":"识别成功!","flag":true,"ret_code":0,"idNo":"11010519491231002X","name":"canary-name","sex":"女","nationality":"汉","birthday":"1949年12月31日","addr":"canary-address"}`

// nonceLife is how long the gateway knows a nonce again.
const nonceLife = 15 * time.Minute

// Gateway is a processor.OCRClient in memory. It accepts a nonce once in 15 minutes, and counts.
type Gateway struct {
	Plan []Outcome     // of the first calls; later ones are Recognized
	Slow time.Duration // how long each call takes before anything happens
	// SlowProvider is how long the provider takes after the gateway has accepted and charged a call.
	SlowProvider time.Duration
	OnCall       func(ocrclient.Request) // called for each call before anything happens to it

	mu       sync.Mutex
	seen     map[string]time.Time // by nonce
	requests []ocrclient.Request
	accepted int
	charged  int
}

// Recognize is one call.
func (g *Gateway) Recognize(ctx context.Context, r ocrclient.Request) (*ocrclient.Response, error) {
	outcome := g.next(r)
	if g.OnCall != nil {
		g.OnCall(r)
	}
	if g.Slow > 0 {
		select {
		case <-time.After(g.Slow):
		case <-ctx.Done():
			return nil, LostBeforeAcceptance.refusal
		}
	}
	if outcome.refusal != nil {
		return nil, outcome.refusal
	}
	if !g.accept(r.Nonce, outcome.charged) {
		return nil, &ocrclient.Error{Outcome: ocrclient.NonceUsed, Code: ocrclient.AnswerLost, StatusCode: 400}
	}
	if g.SlowProvider > 0 {
		select {
		case <-time.After(g.SlowProvider):
		case <-ctx.Done():
			return nil, LostAfterCharge.failure
		}
	}
	if outcome.failure != nil {
		return nil, outcome.failure
	}
	return ocrclient.ParseResponse(200, []byte(outcome.response))
}

func (g *Gateway) next(r ocrclient.Request) Outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests = append(g.requests, r)
	if n := len(g.requests); n <= len(g.Plan) {
		return g.Plan[n-1]
	}
	return Recognized
}

func (g *Gateway) accept(nonce string, charged bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, ok := g.seen[nonce]; ok && time.Since(at) < nonceLife {
		return false
	}
	if g.seen == nil {
		g.seen = map[string]time.Time{}
	}
	g.seen[nonce] = time.Now()
	g.accepted++
	if charged {
		g.charged++
	}
	return true
}

// Requests returns the calls so far.
func (g *Gateway) Requests() []ocrclient.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.requests)
}

// ForgetRequests forgets the calls so far; the plan begins anew.
func (g *Gateway) ForgetRequests() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests = nil
}

// Accepted counts the calls that were accepted.
func (g *Gateway) Accepted() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.accepted
}

// Charged counts the calls that were charged.
func (g *Gateway) Charged() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.charged
}

// Nonces returns the nonce of each call, by the order of their first use: "112" is one that was sent twice, and then another.
func (g *Gateway) Nonces() string {
	names := map[string]byte{}
	var s strings.Builder
	for _, r := range g.Requests() {
		if _, ok := names[r.Nonce]; !ok {
			names[r.Nonce] = byte('1' + len(names))
		}
		s.WriteByte(names[r.Nonce])
	}
	return s.String()
}
