package gateway

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// neverSigned are the headers that take no part in the signed-headers block, whatever the caller lists
// (help.aliyun.com/document_detail/29475.html): they have their own line, or describe the signature.
var neverSigned = []string{"x-ca-signature", "x-ca-signature-headers", "accept", "content-md5", "content-type", "date"}

// verifySignature recomputes the signature of the request from what came over the wire. It returns the string to sign
// as the gateway sees it, for the error message.
func verifySignature(r *http.Request, form url.Values, secret string) (toSign string, ok bool) {
	signed := signedHeaders(r.Header.Get("X-Ca-Signature-Headers"))
	toSign = stringToSign(r, form, signed)

	newHash := sha256.New
	for _, name := range signed {
		if strings.EqualFold(name, "X-Ca-Signature-Method") && r.Header.Get(name) == "HmacSHA1" {
			newHash = func() hash.Hash { return sha1.New() }
		}
	}
	mac := hmac.New(newHash, []byte(secret))
	mac.Write([]byte(toSign))
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return toSign, equal(want, r.Header.Get("X-Ca-Signature"))
}

// signedHeaders reads X-Ca-Signature-Headers: the names in the caller's letter case, sorted.
func signedHeaders(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name != "" && !slices.Contains(neverSigned, strings.ToLower(name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// stringToSign builds the string both sides sign: method, four fixed headers, the listed headers, path and parameters.
func stringToSign(r *http.Request, form url.Values, signed []string) string {
	var b strings.Builder
	b.WriteString(strings.ToUpper(r.Method) + "\n")
	for _, name := range []string{"Accept", "Content-MD5", "Content-Type", "Date"} {
		b.WriteString(r.Header.Get(name) + "\n")
	}
	for _, name := range signed {
		value := r.Header.Get(name)
		if strings.EqualFold(name, "Host") {
			value = r.Host // net/http keeps it apart from the others
		}
		b.WriteString(name + ":" + value + "\n")
	}
	b.WriteString(r.URL.EscapedPath())

	// Parameters of query and form together, by name; the first value of a name counts, and the form's before the
	// query's, as in the official clients. Names and values are the decoded ones.
	params := map[string]string{}
	for _, values := range []url.Values{r.URL.Query(), form} {
		for name, all := range values {
			params[name] = all[0]
		}
	}
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	separator := "?"
	for _, name := range names {
		b.WriteString(separator + name)
		if value := params[name]; value != "" {
			b.WriteString("=" + value)
		}
		separator = "&"
	}
	return b.String()
}

func contentMD5(body []byte) string {
	sum := md5.Sum(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
