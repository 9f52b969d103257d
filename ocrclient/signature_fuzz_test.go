package ocrclient

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// naive is the string to sign by the letter of the documentation, without any of the client's code.
func naive(method, accept, contentType string, headers map[string]string, path string, parameters map[string]string) string {
	lines := []string{method, accept, "", contentType, ""}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		lines = append(lines, name+":"+headers[name])
	}
	var pairs []string
	names = nil
	for name := range parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if parameters[name] == "" {
			pairs = append(pairs, name)
		} else {
			pairs = append(pairs, name+"="+parameters[name])
		}
	}
	last := path
	if len(pairs) > 0 {
		last += "?" + strings.Join(pairs, "&")
	}
	return strings.Join(append(lines, last), "\n")
}

// The query of the endpoint and the form are signed together; of one name the first counts, and the form comes first.
func FuzzStringToSign(f *testing.F) {
	f.Add("/ocrIdCard", "a=1&b=&c", "https://b.example/a.jpg?x=1&y=%2F", []byte(nil), "key", " secret ", "`POST#x#")
	f.Add("/", "imgUrl=other&need_more_info=2", "x", []byte(nil), "203753385", "s+/=&?", "")
	f.Add("/%E8%AF%81", "z=%20+%2B&z=2&a=身份证", "", []byte("\x00\xff\xfe"), "", "", "Invalid Signature, Server StringToSign:`POST#application/json; charset=utf-8##`")
	f.Add("/a b", "need_more_info", "", make([]byte, rawChunk+1), "k", "\x00", "Server StringToSign:`#`")
	f.Add("/x", "=1&==2&#=3", "#\n", []byte(nil), "k#", "s", "StringToSign:"+strings.Repeat("#", 600))
	f.Fuzz(func(t *testing.T, path, query, imageURL string, image []byte, key, secret, server string) {
		form, err := newForm(Request{ImageURL: imageURL, Image: image, Details: true})
		values, queryErr := url.ParseQuery(query)
		if err != nil || queryErr != nil {
			return
		}
		s := &canonicalRequest{method: "POST", accept: acceptHeader, contentType: contentTypeHeader, path: path,
			headers: []param{{name: "x-ca-timestamp", value: "1"}, {name: "x-ca-nonce", value: "n"}}, params: append(form.params, queryParams(values)...)}
		header := http.Header{}
		AppKey{Key: key, Secret: secret}.authorize(header, s)

		parameters := map[string]string{}
		for name := range values {
			parameters[name] = values.Get(name)
		}
		parameters["need_more_info"] = "1"
		if imageURL != "" {
			parameters["imgUrl"] = imageURL
		} else {
			parameters["imgData"] = base64.StdEncoding.EncodeToString(image)
		}
		want := naive("POST", acceptHeader, contentTypeHeader,
			map[string]string{"x-ca-key": strings.TrimSpace(key), "x-ca-nonce": "n", "x-ca-timestamp": "1"}, path, parameters)
		var got strings.Builder
		s.writeTo(&got)
		assert.Equal(t, want, got.String())
		mac := hmac.New(sha256.New, []byte(strings.TrimSpace(secret)))
		mac.Write([]byte(want))
		assert.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), header.Get("X-Ca-Signature"))
		assert.Equal(t, "x-ca-key,x-ca-nonce,x-ca-timestamp", header.Get("X-Ca-Signature-Headers"))

		told := s.diffStringToSign(server) // whatever the server says it signed: a part is named, none is quoted
		assert.Regexp(t, `^the gateway (did not say what it signed|signed the same string, so the AppSecret is wrong|signed another string, so something on the way changed the request \(first difference in (the method|Accept|Content-MD5|Content-Type|Date|x-ca-[a-z]+|path or parameters)\))$`, told)
		assert.Equal(t, "the gateway signed the same string, so the AppSecret is wrong", s.diffStringToSign("Server StringToSign:`"+strings.ReplaceAll(strings.Trim(want, "`"), "\n", "#")+"`"), "%q", want)
	})
}
