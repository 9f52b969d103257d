package ossfake

import (
	"net/url"
	"strings"
)

// parameter is one decoded parameter of a query string.
type parameter struct{ name, value string }

// parameters are the parameters of a query string in their order. url.Values is not used because signing needs to know
// about repeated names, and because url.ParseQuery drops what holds a semicolon.
type parameters []parameter

func parseQuery(raw string) (parameters, error) {
	var ps parameters
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, errorf(400, "InvalidURI", "", "The query string of the request cannot be decoded.")
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return nil, errorf(400, "InvalidURI", "", "The query string of the request cannot be decoded.")
		}
		ps = append(ps, parameter{n, v})
	}
	return ps, nil
}

func (ps parameters) has(name string) bool {
	for _, p := range ps {
		if p.name == name {
			return true
		}
	}
	return false
}

func (ps parameters) get(name string) string {
	for _, p := range ps {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// percentEncode encodes every byte but the unreserved characters of RFC 3986 and those in keep.
func percentEncode(s, keep string) string {
	const upperHex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '_' || c == '.' || c == '~' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}
