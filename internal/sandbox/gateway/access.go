package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	// timestampValidity is how far X-Ca-Timestamp may be from the gateway's clock, either way, and how long a nonce
	// stays used (help.aliyun.com/document_detail/29475.html).
	timestampValidity = 15 * time.Minute

	// maxRequestBody is the gateway's limit on a request body, in bytes; over it the answer is 413 I413RL.
	maxRequestBody = 32 << 20
)

// check applies the gateway's checks in its order: route, caller, time, signature, body, nonce, flow control.
func (e *exchange) check() *Refusal {
	if e.r.URL.Path != Path {
		return &InvalidURL
	}
	if e.r.Method != http.MethodPost {
		return &InvalidMethod
	}
	if stage := e.r.Header.Get("X-Ca-Stage"); stage != "" && !strings.EqualFold(stage, "RELEASE") {
		return &InvalidURL // the API is published to RELEASE only
	}
	caller, refusal := e.authenticate()
	if refusal != nil {
		return refusal
	}
	return e.flowControl(caller)
}

// authenticate checks the AppCode, or the AppKey with timestamp, signature, body digest and nonce. It returns whom flow
// control counts.
func (e *exchange) authenticate() (caller string, refusal *Refusal) {
	header := e.r.Header
	if header.Get("X-Ca-Key") == "" {
		authorization := header.Get("Authorization")
		code, isCode := strings.CutPrefix(authorization, "APPCODE ")
		switch {
		case authorization == "":
			return "", &MissingCredentials
		case !isCode || !contains(e.server.config.AppCodes, code):
			return "", &InvalidAppCode
		}
		// The anti-replay rule is documented for AppKey + API + nonce; nothing says that simple authentication has it,
		// so a nonce sent with an AppCode protects nobody here.
		e.call.Auth = AuthAppCode
		if e.unreadable != nil {
			return "", e.unreadable
		}
		return "APPCODE " + code, nil
	}

	key := header.Get("X-Ca-Key")
	secret, known := e.server.config.Apps[key]
	if !known {
		return "", &InvalidAppKey
	}
	e.call.Auth = AuthSignature
	if refusal := e.checkTimestamp(header.Get("X-Ca-Timestamp")); refusal != nil {
		return "", refusal
	}
	if e.unreadable != nil {
		return "", e.unreadable
	}
	if header.Get("X-Ca-Signature") == "" {
		return "", &EmptySignature
	}
	if toSign, ok := verifySignature(e.r, e.form, secret); !ok {
		return "", invalidSignature(toSign)
	}
	if refusal := e.useNonce(key, header.Get("X-Ca-Nonce")); refusal != nil {
		return "", refusal
	}
	return key, nil
}

func (e *exchange) checkTimestamp(timestamp string) *Refusal {
	if timestamp == "" {
		return nil // optional
	}
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return &InvalidTimestamp
	}
	if e.arrived.Sub(time.UnixMilli(ms)).Abs() > timestampValidity {
		return &TimestampExpired
	}
	return nil
}

type nonceUse struct{ appKey, nonce string }

// useNonce marks the nonce as used, or refuses one used before by the same AppKey.
func (e *exchange) useNonce(appKey, nonce string) *Refusal {
	if nonce == "" {
		return nil // optional
	}
	s := e.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.arrived.Sub(s.pruned) > time.Minute {
		for use, at := range s.nonces {
			if e.arrived.Sub(at) > timestampValidity {
				delete(s.nonces, use)
			}
		}
		s.pruned = e.arrived
	}
	use := nonceUse{appKey, nonce}
	if at, used := s.nonces[use]; used && e.arrived.Sub(at) <= timestampValidity {
		return &NonceUsed
	}
	s.nonces[use] = e.arrived
	return nil
}

func (e *exchange) flowControl(caller string) *Refusal {
	s := e.server
	if quota := s.config.Quota; quota > 0 && s.Ledger.Charged() >= quota {
		return &MarketQuotaExhausted
	}
	if s.config.CallsPerSecond == 0 {
		return nil
	}
	s.mu.Lock()
	limiter := s.limiters[caller]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(s.config.CallsPerSecond), max(1, int(s.config.CallsPerSecond)))
		s.limiters[caller] = limiter
	}
	s.mu.Unlock()
	if !limiter.AllowN(e.arrived, 1) {
		return &ThrottledByAPP
	}
	return nil
}

// contains compares AppCodes in constant time.
func contains(codes []string, code string) bool {
	found := false
	for _, known := range codes {
		found = found || equal(known, code)
	}
	return found
}
