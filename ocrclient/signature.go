package ocrclient

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// canonicalRequest is what a signature covers. Layout and rules: Alibaba Cloud document 29475 ("使用摘要签名认证方式调用API").
type canonicalRequest struct {
	method, accept, contentMD5, contentType, date string
	headers                                       []param // names in lower case
	path                                          string  // percent-encoded, as on the request line
	params                                        []param // of query and form together
}

// param is one parameter with its value as it is before URL encoding.
type param struct {
	name, value string
	picture     *picture // instead of value
}

func queryParams(query url.Values) []param {
	params := make([]param, 0, len(query)+2)
	for name, values := range query {
		params = append(params, param{name: name, value: values[0]}) // of several values the gateway signs the first
	}
	return params
}

// sort puts headers and parameters into the order in which they are signed. Of parameters with one name the first counts.
func (s *canonicalRequest) sort() {
	byName := func(a, b param) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(s.headers, byName)
	slices.SortStableFunc(s.params, byName)
	s.params = slices.CompactFunc(s.params, func(a, b param) bool { return a.name == b.name })
}

func (s *canonicalRequest) setHeaders(to http.Header) {
	for _, h := range s.headers {
		to.Set(h.name, h.value)
	}
}

func (s *canonicalRequest) headerNames() []string {
	names := make([]string, len(s.headers))
	for i, h := range s.headers {
		names[i] = h.name
	}
	return names
}

// writeTo writes the string to sign, after sort; w must not fail (a hash or a strings.Builder). The picture is encoded on
// the way, everything else is collected first: a hash takes long writes much faster than short ones.
func (s *canonicalRequest) writeTo(w io.Writer) {
	scratch := bufPool.Get().(*[]byte)
	defer bufPool.Put(scratch)
	b := (*scratch)[:0]
	for _, part := range [...]string{s.method, s.accept, s.contentMD5, s.contentType, s.date} {
		b = append(append(b, part...), '\n')
	}
	for _, h := range s.headers {
		b = append(append(append(append(b, h.name...), ':'), h.value...), '\n')
	}
	b = append(b, s.path...)
	separator := byte('?')
	for _, p := range s.params {
		b = append(append(b, separator), p.name...)
		separator = '&'
		switch {
		case p.picture != nil:
			b = append(b, '=')
			w.Write(b)
			p.picture.writeTo(w)
			b = b[:0]
		case p.value != "": // an empty value is signed as the name alone
			b = append(append(b, '='), p.value...)
		}
	}
	w.Write(b)
	*scratch = b
}

// bufPool hold strings to sign while they are written; a signed URL makes them 2 KB long.
var bufPool = sync.Pool{New: func() any { return new([]byte) }}

const invalidSignature = "Invalid Signature"

// diffStringToSign distinguishes a wrong secret from a changed request: the gateway prints the string it signed, with "#" for a
// line feed. That string holds the image or its signed URL, so only the name of the first part that differs is returned.
func (s *canonicalRequest) diffStringToSign(text string) string {
	_, server, found := strings.Cut(text, "StringToSign:")
	server = strings.Trim(strings.TrimSpace(server), "`")
	if !found || server == "" {
		return "the gateway did not say what it signed"
	}
	var b strings.Builder
	s.writeTo(&b)
	local := strings.ReplaceAll(b.String(), "\n", "#")
	if server == local || (len(server) >= 512 && strings.HasPrefix(local, server)) { // long headers may be cut
		return "the gateway signed the same string, so the AppSecret is wrong"
	}
	return "the gateway signed another string, so something on the way changed the request (first difference in " + s.firstDifference(local, server) + ")"
}

func (s *canonicalRequest) firstDifference(local, server string) string {
	parts := append([]string{"the method", "Accept", "Content-MD5", "Content-Type", "Date"}, s.headerNames()...)
	ours, theirs := strings.Split(local, "#"), strings.Split(server, "#")
	for i, name := range parts {
		if i >= len(theirs) || ours[i] != theirs[i] {
			return name
		}
	}
	return "path or parameters"
}
