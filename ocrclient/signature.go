package ocrclient

import (
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// signable is what a signature covers. Layout and rules: Alibaba Cloud document 29475 ("使用摘要签名认证方式调用API").
type signable struct {
	method, accept, contentMD5, contentType, date string
	headers                                       map[string]string // names in lower case
	path                                          string            // percent-encoded, as on the request line
	params                                        []param           // of query and form together
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

func (s *signable) headerNames() []string { return slices.Sorted(maps.Keys(s.headers)) }

// writeTo writes the string to sign; w must not fail (a hash or a strings.Builder). The picture is encoded on the way.
func (s *signable) writeTo(w io.Writer) {
	write := func(parts ...string) {
		for _, part := range parts {
			io.WriteString(w, part)
		}
	}
	write(s.method, "\n", s.accept, "\n", s.contentMD5, "\n", s.contentType, "\n", s.date, "\n")
	for _, name := range s.headerNames() {
		write(name, ":", s.headers[name], "\n")
	}
	write(s.path)
	params := slices.Clone(s.params)
	slices.SortStableFunc(params, func(a, b param) int { return strings.Compare(a.name, b.name) })
	separator := "?"
	for i, p := range params {
		if i > 0 && params[i-1].name == p.name {
			continue
		}
		write(separator, p.name)
		separator = "&"
		switch {
		case p.picture != nil:
			write("=")
			p.picture.writeTo(w)
		case p.value != "": // an empty value is signed as the name alone
			write("=", p.value)
		}
	}
}

const invalidSignature = "Invalid Signature"

// compareWithServer tells a wrong secret from a changed request: the gateway prints the string it signed, with "#" for a
// line feed. That string holds the image or its signed URL, so only the name of the first part that differs is told.
func (s *signable) compareWithServer(text string) string {
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

func (s *signable) firstDifference(local, server string) string {
	parts := append([]string{"the method", "Accept", "Content-MD5", "Content-Type", "Date"}, s.headerNames()...)
	ours, theirs := strings.Split(local, "#"), strings.Split(server, "#")
	for i, name := range parts {
		if i >= len(theirs) || ours[i] != theirs[i] {
			return name
		}
	}
	return "path or parameters"
}
