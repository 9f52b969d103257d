package ocrclienttest

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fc-idcard-ocr/ocrclient"
)

func isAppCode(r *http.Request, code ocrclient.AppCode) bool {
	return r.Header.Get("Authorization") == "APPCODE "+strings.TrimSpace(string(code))
}

// checkSignature returns the gateway's words for a request that is not signed with this key, and nothing for one that is.
func checkSignature(r *http.Request, form url.Values, key ocrclient.AppKey) string {
	if r.Header.Get("X-Ca-Key") != strings.TrimSpace(key.Key) {
		return "Invalid AppKey"
	}
	text := stringToSign(r, form)
	if !hmac.Equal([]byte(sign(text, r.Header.Get("X-Ca-Signature-Method"), strings.TrimSpace(key.Secret))), []byte(r.Header.Get("X-Ca-Signature"))) {
		return "Invalid Signature, Server StringToSign:`" + strings.ReplaceAll(text, "\n", "#") + "`"
	}
	return ""
}

func sign(text, method, secret string) string {
	newHash := sha256.New
	if method == string(ocrclient.HmacSHA1) {
		newHash = func() hash.Hash { return sha1.New() }
	}
	mac := hmac.New(newHash, []byte(secret))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// stringToSign makes the string from what came, by the letter of Alibaba Cloud document 29475 and without the client's code: four
// headers in their places, the headers that the request lists, the path, and the parameters of query and form, each with its first
// value.
func stringToSign(r *http.Request, form url.Values) string {
	lines := []string{r.Method}
	for _, name := range []string{"Accept", "Content-Md5", "Content-Type", "Date"} {
		lines = append(lines, r.Header.Get(name))
	}
	names := strings.Split(r.Header.Get("X-Ca-Signature-Headers"), ",")
	slices.Sort(names)
	for _, name := range names {
		lines = append(lines, name+":"+r.Header.Get(name))
	}
	parameters := r.URL.Query()
	maps.Copy(parameters, form) // on a clash the form is signed
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		pair := name
		if value := parameters.Get(name); value != "" {
			pair += "=" + value
		}
		pairs = append(pairs, pair)
	}
	path := r.URL.EscapedPath()
	if len(pairs) > 0 {
		path += "?" + strings.Join(pairs, "&")
	}
	return strings.Join(append(lines, path), "\n")
}
