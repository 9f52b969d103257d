package acsauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const algorithm = "ACS3-HMAC-SHA256"

// parseAuthorization takes "ACS3-HMAC-SHA256 Credential=<id>,SignedHeaders=<a;b>,Signature=<hex>" apart.
func parseAuthorization(header string) (id string, signed []string, signature string, ok bool) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			id = value
		case "SignedHeaders":
			signed = strings.Split(value, ";")
		case "Signature":
			signature = value
		}
	}
	return id, signed, signature, id != "" && len(signed) > 0 && signature != ""
}

// verify checks a V3 signature (help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature): HMAC-SHA256 with
// the secret over the algorithm's name and the hash of the canonical request. All x-acs-* headers, host and content-type
// must be signed.
func verify(r *http.Request, payloadHash string, signed []string, signature, secret string) bool {
	for name := range r.Header {
		lower := strings.ToLower(name)
		if (strings.HasPrefix(lower, "x-acs-") || lower == "content-type") && !slices.Contains(signed, lower) {
			return false
		}
	}
	if !slices.Contains(signed, "host") || !slices.IsSorted(signed) {
		return false
	}
	var headers strings.Builder
	for _, name := range signed {
		value := strings.TrimSpace(strings.Join(r.Header.Values(name), ","))
		if name == "host" {
			value = r.Host
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	canonical := strings.Join([]string{r.Method, r.URL.EscapedPath(), canonicalQuery(r.URL.Query()), headers.String(), strings.Join(signed, ";"), payloadHash}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(algorithm + "\n" + hex.EncodeToString(hash[:])))
	return hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(signature))
}

// canonicalQuery sorts the parameters and encodes them by RFC 3986.
func canonicalQuery(query url.Values) string {
	var parts []string
	for name, values := range query {
		for _, value := range values {
			parts = append(parts, encode(name)+"="+encode(value))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

func encode(s string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
}
