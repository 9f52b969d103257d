package ocrclient

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// form is the request's body. Field names and values are those of the provider's market page.
type form struct {
	params []param // sorted by name

	mu    sync.Mutex
	ended bool // the call is over: see end
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
		if i := strings.IndexFunc(strings.TrimRight(r.ImageBase64, "="), notBase64); i >= 0 {
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
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/'
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
	return io.MultiReader(strings.NewReader(before), &escapedPicture{raw: p.raw, text: p.encoded}, strings.NewReader(after))
}

// body returns the form as a request's body.
func (f *form) body() (io.ReadCloser, error) {
	return io.NopCloser(&formBody{form: f, reader: f.reader()}), nil
}

// end makes all bodies of the form fail from now on. net/http may still read from a body when it has returned the response,
// and the picture then belongs to the caller again.
func (f *form) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
}

type formBody struct {
	form   *form
	reader io.Reader
}

func (b *formBody) Read(to []byte) (int, error) {
	b.form.mu.Lock()
	defer b.form.mu.Unlock()
	if b.form.ended {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.reader.Read(to)
}

// picture is an image in base64, encoded anew in chunks each time it is needed: once for the signature, once for the wire.
type picture struct {
	raw     []byte
	encoded string // instead of raw: encoded already
	escaped int64  // length on the wire, 0 until writeTo has passed over the picture
}

const (
	rawChunk    = 3 * 2048 // a multiple of 3, so that only the last chunk is padded
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
		escapes := bytes.Count(buf, []byte{'+'}) + bytes.Count(buf, []byte{'/'})
		if buf[len(buf)-1] == '=' { // nowhere but at the end
			escapes += bytes.Count(buf, []byte{'='})
		}
		p.escaped += int64(len(buf) + 2*escapes)
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

// escapedPicture reads a picture as base64 in URL encoding, which it makes in one pass, in the reader's own buffer.
type escapedPicture struct {
	raw     []byte // not encoded yet, or
	text    string // in base64, not escaped yet
	pending []byte // not read yet, of small
	small   [2 * maxEscaped]byte
}

// maxEscaped is the most that three bytes become, with room for one table entry's eight bytes at the place of the last.
const maxEscaped = 6 + 8

func (e *escapedPicture) Read(b []byte) (int, error) {
	if len(e.pending) == 0 {
		if len(b) >= maxEscaped {
			if n := e.encode(b); n > 0 {
				return n, nil
			}
			return 0, io.EOF
		}
		e.pending = e.small[:e.encode(e.small[:])]
		if len(e.pending) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(b, e.pending)
	e.pending = e.pending[n:]
	return n, nil
}

// encode fills b as far as it goes, and returns 0 at the end only. b has at least maxEscaped bytes.
func (e *escapedPicture) encode(b []byte) (n int) {
	tables, raw := escapes(), e.raw
	for len(raw) >= 3 && len(b)-n >= maxEscaped {
		v := uint32(raw[0])<<16 | uint32(raw[1])<<8 | uint32(raw[2])
		n += tables.pairs[v>>12].put(b[n:])
		n += tables.pairs[v&0xfff].put(b[n:])
		raw = raw[3:]
	}
	if e.raw = raw; len(raw) >= 3 {
		return n
	}
	if len(raw) > 0 {
		e.raw, e.text = nil, base64.StdEncoding.EncodeToString(raw)
	}
	text := e.text
	for len(text) > 0 && len(b)-n >= maxEscaped {
		n += tables.digits[text[0]].put(b[n:])
		text = text[1:]
	}
	e.text = text
	return n
}

// escaped is text of up to seven bytes in URL encoding, the first in the lowest bits, and its length in the highest byte.
type escaped uint64

// put writes eight bytes, of which the returned number counts.
func (e escaped) put(to []byte) int {
	binary.LittleEndian.PutUint64(to, uint64(e))
	return int(e >> 56)
}

func (e escaped) append(digit byte) escaped {
	for _, c := range []byte(url.QueryEscape(string(rune(digit)))) {
		e += escaped(c)<<(e>>56*8) + 1<<56
	}
	return e
}

// escapes is what base64 becomes in URL encoding. The first picture makes the tables, not the start of the process.
var escapes = sync.OnceValue(func() *escapeTables {
	var t escapeTables
	for _, digit := range []byte(base64Digits + "=") {
		t.digits[digit] = escaped(0).append(digit)
	}
	for i := range t.pairs {
		t.pairs[i] = escaped(0).append(base64Digits[i>>6]).append(base64Digits[i&63])
	}
	return &t
})

type escapeTables struct {
	digits [256]escaped     // by character
	pairs  [1 << 12]escaped // by the twelve bits that two characters stand for
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
