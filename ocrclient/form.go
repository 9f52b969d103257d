package ocrclient

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// form is the request's body. Field names and values are those of the provider's market page.
type form struct {
	params []param // sorted by name
}

func newForm(r Request) (*form, error) {
	given := 0
	for _, set := range []bool{r.ImageURL != "", len(r.Image) > 0, r.ImageBase64 != ""} {
		if set {
			given++
		}
	}
	if given != 1 {
		return nil, fmt.Errorf("%w: a Request needs exactly one of ImageURL, Image and ImageBase64, not %d", ErrInvalid, given)
	}
	image := param{name: "imgUrl", value: r.ImageURL}
	if r.ImageURL == "" {
		image = param{name: "imgData", picture: &picture{raw: r.Image, encoded: r.ImageBase64}}
		if i := strings.IndexFunc(r.ImageBase64, notBase64); i >= 0 {
			return nil, fmt.Errorf("%w: Request.ImageBase64 is not standard base64 at byte %d", ErrInvalid, i)
		}
	}
	details := "0"
	if r.Details {
		details = "1"
	}
	return &form{params: []param{image, {name: "need_more_info", value: details}}}, nil
}

// checkImageURL refuses what the provider cannot fetch. The URL is not repeated: a signed one is a secret.
func checkImageURL(raw string) error {
	if raw == "" {
		return nil
	}
	if u, err := url.Parse(raw); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" {
		return fmt.Errorf("%w: Request.ImageURL is not an http:// or https:// URL with a host", ErrInvalid)
	}
	return nil
}

func notBase64(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '='
}

// parts returns the encoded form around its picture.
func (f *form) parts() (before string, p *picture, after string) {
	var b strings.Builder
	for i, field := range f.params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(field.name + "=")
		if field.picture != nil {
			before, p = b.String(), field.picture
			b.Reset()
			continue
		}
		// A blank as %20 and a plus as %2B read the same whether or not the server turns "+" into a blank.
		b.WriteString(strings.ReplaceAll(url.QueryEscape(field.value), "+", "%20"))
	}
	return before, p, b.String()
}

func (f *form) length() int64 {
	before, p, after := f.parts()
	return int64(len(before)+len(after)) + p.escapedLength()
}

func (f *form) reader() io.Reader {
	before, p, after := f.parts()
	if p == nil {
		return strings.NewReader(after)
	}
	return io.MultiReader(strings.NewReader(before), &escapedPicture{picture: p}, strings.NewReader(after))
}

// picture is an image in base64, encoded anew in chunks each time it is needed: once for the signature, once for the wire.
type picture struct {
	raw     []byte
	encoded string // instead of raw: encoded already
	escaped int64  // length on the wire, 0 until writeTo has passed over the picture
}

const (
	rawChunk    = 3 * 4096 // a multiple of 3, so that only the last chunk is padded
	base64Chunk = rawChunk / 3 * 4
)

// chunk appends the i-th piece of the base64 form to buf[:0]; the piece after the last is empty.
func (p *picture) chunk(i int, buf []byte) []byte {
	if p.encoded != "" {
		start := min(i*base64Chunk, len(p.encoded))
		return append(buf[:0], p.encoded[start:min(start+base64Chunk, len(p.encoded))]...)
	}
	start := min(i*rawChunk, len(p.raw))
	return base64.StdEncoding.AppendEncode(buf[:0], p.raw[start:min(start+rawChunk, len(p.raw))])
}

// writeTo writes the base64 form, and notes on the way how long it is on the wire, where each "+", "/" and "=" takes three
// bytes.
func (p *picture) writeTo(w io.Writer) {
	p.escaped = 0
	buf := make([]byte, 0, base64Chunk)
	for i := 0; ; i++ {
		if buf = p.chunk(i, buf); len(buf) == 0 {
			return
		}
		w.Write(buf)
		p.escaped += int64(len(buf) + 2*(bytes.Count(buf, []byte{'+'})+bytes.Count(buf, []byte{'/'})+bytes.Count(buf, []byte{'='})))
	}
}

// escapedLength is the length on the wire.
func (p *picture) escapedLength() int64 {
	if p == nil {
		return 0
	}
	if p.escaped == 0 { // not signed, so nobody has passed over it
		p.writeTo(io.Discard)
	}
	return p.escaped
}

// escapedPicture reads a picture as base64 in URL encoding.
type escapedPicture struct {
	picture *picture
	next    int
	plain   []byte // scratch
	escaped []byte // scratch
	pending []byte // not read yet
}

func (e *escapedPicture) Read(b []byte) (int, error) {
	if len(e.pending) == 0 {
		e.plain = e.picture.chunk(e.next, e.plain)
		if len(e.plain) == 0 {
			return 0, io.EOF
		}
		e.next++
		e.escaped = appendEscaped(e.escaped[:0], e.plain)
		e.pending = e.escaped
	}
	n := copy(b, e.pending)
	e.pending = e.pending[n:]
	return n, nil
}

// appendEscaped appends base64 text in URL encoding.
func appendEscaped(to, text []byte) []byte {
	for {
		i := bytes.IndexAny(text, "+/=")
		if i < 0 {
			return append(to, text...)
		}
		to = append(to, text[:i]...)
		switch text[i] {
		case '+':
			to = append(to, "%2B"...)
		case '/':
			to = append(to, "%2F"...)
		default:
			to = append(to, "%3D"...)
		}
		text = text[i+1:]
	}
}
