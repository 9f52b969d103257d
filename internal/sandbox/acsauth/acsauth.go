// Package acsauth checks the two signatures of Alibaba Cloud's OpenAPI as its gateway does: ACS3-HMAC-SHA256 in headers, and the
// older one of RPC-style APIs in parameters. It answers nothing and knows no operation.
package acsauth

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the older signature is HMAC-SHA1 by definition
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// window is how far a request's time stamp may be off, and how long its nonce is remembered.
const window = 15 * time.Minute

// Refusal is why a request is not accepted, in the words of the service.
type Refusal struct {
	Status        int
	Code, Message string
}

// Verifier checks the requests of one API. Version and Keys must be set; it must not be copied after its first use.
type Verifier struct {
	// Version is that of the API, such as "2023-03-30".
	Version string
	// Keys are the AccessKeys that may call, ID to secret.
	Keys map[string]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu     sync.Mutex
	nonces map[string]time.Time
}

// CheckHeaders checks an ACS3-HMAC-SHA256 signature, its time stamp and its nonce.
func (v *Verifier) CheckHeaders(r *http.Request, body []byte) *Refusal {
	sum := sha256.Sum256(body)
	if r.Header.Get("x-acs-content-sha256") != hex.EncodeToString(sum[:]) {
		return &Refusal{http.StatusBadRequest, "InvalidContentSha256", "x-acs-content-sha256 is not the SHA-256 of the body in hex"}
	}
	if r.Header.Get("x-acs-version") != v.Version {
		return &Refusal{http.StatusNotFound, "InvalidVersion", "x-acs-version is not " + v.Version}
	}
	if !v.isFresh(r.Header.Get("x-acs-date")) {
		return &Refusal{http.StatusBadRequest, "InvalidTimeStamp.Expired", "x-acs-date is missing or more than 15 minutes off"}
	}
	id, signed, signature, ok := parseAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return &Refusal{http.StatusForbidden, "MissingAuthorization", "there is no Authorization of the form ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…"}
	}
	secret, known := v.Keys[id]
	if !known {
		return &Refusal{http.StatusNotFound, "InvalidAccessKeyId.NotFound", "the AccessKey ID is unknown"}
	}
	if !verify(r, hex.EncodeToString(sum[:]), signed, signature, secret) {
		return &Refusal{http.StatusForbidden, "SignatureDoesNotMatch", "the signature is not that of the request with this AccessKey"}
	}
	return v.use(r.Header.Get("x-acs-signature-nonce"), "x-acs-signature-nonce")
}

// CheckParameters checks the signature among the parameters of an RPC-style request, of query and form together
// (https://help.aliyun.com/zh/sdk/product-overview/rpc-mechanism).
func (v *Verifier) CheckParameters(method string, parameters url.Values) *Refusal {
	if got := parameters.Get("Version"); got != v.Version {
		return &Refusal{http.StatusBadRequest, "InvalidVersion", "Version is not " + v.Version}
	}
	if parameters.Get("SignatureMethod") != "HMAC-SHA1" || parameters.Get("SignatureVersion") != "1.0" {
		return &Refusal{http.StatusBadRequest, "InvalidParameter", "SignatureMethod must be HMAC-SHA1 and SignatureVersion 1.0"}
	}
	if !v.isFresh(parameters.Get("Timestamp")) {
		return &Refusal{http.StatusBadRequest, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."}
	}
	secret, known := v.Keys[parameters.Get("AccessKeyId")]
	if !known {
		return &Refusal{http.StatusNotFound, "InvalidAccessKeyId.NotFound", "Specified access key is not found."}
	}
	signed := url.Values{}
	for name, values := range parameters {
		if name != "Signature" {
			signed[name] = values
		}
	}
	toSign := method + "&%2F&" + encode(canonicalQuery(signed))
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(toSign))
	if !hmac.Equal([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(parameters.Get("Signature"))) {
		return &Refusal{http.StatusBadRequest, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:" + toSign}
	}
	return v.use(parameters.Get("SignatureNonce"), "SignatureNonce")
}

func (v *Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

// isFresh reports whether a time stamp is not too far from the clock.
func (v *Verifier) isFresh(text string) bool {
	stamp, err := time.Parse("2006-01-02T15:04:05Z", text)
	return err == nil && v.now().Sub(stamp).Abs() <= window
}

// use accepts a nonce once.
func (v *Verifier) use(nonce, name string) *Refusal {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	for old, seen := range v.nonces {
		if len(v.nonces) > 10_000 && now.Sub(seen) > window {
			delete(v.nonces, old)
		}
	}
	if _, again := v.nonces[nonce]; nonce == "" || again {
		return &Refusal{http.StatusBadRequest, "SignatureNonceUsed", name + " is missing or was used before"}
	}
	if v.nonces == nil {
		v.nonces = map[string]time.Time{}
	}
	v.nonces[nonce] = now
	return nil
}
