package acsapi

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/credentials"

	"github.com/alibabacloud-go/openapi-util/service"
	"github.com/alibabacloud-go/tea/tea"
)

// algorithm is the "V3 request signature" (help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature).
const algorithm = "ACS3-HMAC-SHA256"

// sign adds the headers of a call of an action of a version of an API, and its signature over method, path, query, headers and
// body. The vendor's own library computes it.
func sign(r *http.Request, action, version string, body []byte, key credentials.Credentials, now time.Time) {
	sum := sha256.Sum256(body)
	var nonce [16]byte
	rand.Read(nonce[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	r.Header.Set("x-acs-action", action)
	r.Header.Set("x-acs-version", version)
	r.Header.Set("x-acs-date", now.UTC().Format("2006-01-02T15:04:05Z"))
	r.Header.Set("x-acs-signature-nonce", hex.EncodeToString(nonce[:]))
	r.Header.Set("x-acs-content-sha256", hex.EncodeToString(sum[:]))
	if key.SecurityToken != "" {
		r.Header.Set("x-acs-security-token", key.SecurityToken)
	}
	headers := map[string]*string{"host": tea.String(r.URL.Host)}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-acs-") || lower == "content-type" {
			headers[lower] = tea.String(r.Header.Get(name))
		}
	}
	query := map[string]*string{}
	for name, values := range r.URL.Query() {
		query[name] = tea.String(values[0])
	}
	path := r.URL.EscapedPath()
	request := &tea.Request{Method: &r.Method, Pathname: &path, Headers: headers, Query: query}
	r.Header.Set("Authorization", tea.StringValue(service.GetAuthorization(request, tea.String(algorithm), tea.String(hex.EncodeToString(sum[:])),
		&key.AccessKeyID, &key.AccessKeySecret)))
}
