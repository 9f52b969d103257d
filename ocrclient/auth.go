package ocrclient

import (
	"crypto/hmac"
	"crypto/sha1" // the gateway offers HmacSHA1 beside HmacSHA256
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"net/http"
	"strings"
)

// Auth puts credentials on a request. It is implemented by AppKey and AppCode.
type Auth interface {
	authorize(http.Header, *canonicalRequest)
	check() error
}

// SignatureMethod names the HMAC of a signature.
type SignatureMethod string

// The two methods of the gateway. The empty method means HmacSHA256, which the gateway takes unannounced.
const (
	HmacSHA256 SignatureMethod = "HmacSHA256"
	HmacSHA1   SignatureMethod = "HmacSHA1"
)

// AppKey authenticates by signature: the secret itself never travels. Printing an AppKey shows neither part.
type AppKey struct {
	// Key and Secret are those of the application that bought the API ("云市场 > 已购买的服务"), not of a RAM user.
	// Surrounding blanks are ignored: they are a common cause of "Invalid AppKey".
	Key, Secret string
	// Method is the HMAC; empty means HmacSHA256.
	Method SignatureMethod
}

func (k AppKey) check() error {
	if !isCredential(k.Key) || !isCredential(k.Secret) {
		return fmt.Errorf("%w: AppKey.Key or AppKey.Secret is empty or holds a character other than letters, digits and signs of ASCII", ErrInvalid)
	}
	return nil
}

// isCredential reports whether s can be a key, code or secret. Anything else was copied wrongly.
func isCredential(s string) bool {
	s = strings.TrimSpace(s)
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

func (k AppKey) authorize(h http.Header, s *canonicalRequest) {
	s.headers = append(s.headers, param{name: "x-ca-key", value: strings.TrimSpace(k.Key)})
	if k.Method != "" {
		s.headers = append(s.headers, param{name: "x-ca-signature-method", value: string(k.Method)})
	}
	s.setHeaders(h)
	h.Set("X-Ca-Signature", k.sign(s))
	h.Set("X-Ca-Signature-Headers", strings.Join(s.headerNames(), ","))
}

func (k AppKey) sign(s *canonicalRequest) string {
	newHash := sha256.New
	if k.Method == HmacSHA1 {
		newHash = func() hash.Hash { return sha1.New() }
	}
	mac := hmac.New(newHash, []byte(strings.TrimSpace(k.Secret)))
	s.sort()
	s.writeTo(mac)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// String hides the key; so does every other way of printing one.
func (AppKey) String() string { return "AppKey(hidden)" }

// GoString hides the key from %#v.
func (k AppKey) GoString() string { return k.String() }

// MarshalText hides the key from encoders and structured logs.
func (k AppKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// AppCode authenticates by a bearer code ("Authorization: APPCODE …"): simpler than AppKey, but the code itself travels
// with every request. Surrounding blanks are ignored. Printing an AppCode does not show it.
type AppCode string

func (c AppCode) check() error {
	if !isCredential(string(c)) {
		return fmt.Errorf("%w: the AppCode is empty or holds a character other than letters, digits and signs of ASCII", ErrInvalid)
	}
	return nil
}

func (c AppCode) authorize(h http.Header, s *canonicalRequest) {
	s.setHeaders(h)
	h.Set("Authorization", "APPCODE "+strings.TrimSpace(string(c)))
}

// String hides the code; so does every other way of printing one.
func (AppCode) String() string { return "AppCode(hidden)" }

// GoString hides the code from %#v.
func (c AppCode) GoString() string { return c.String() }

// MarshalText hides the code from encoders and structured logs.
func (c AppCode) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
