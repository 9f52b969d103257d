package result

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxRawBytes bounds the raw answer in a document, as it is written: with its lines indented, or as text. A card's has 1 KB. Ten
// thousand levels of brackets, which are 20 KB on the wire, would become 200 MB.
const maxRawBytes = 128 << 10

// dropOversizedRaw returns raw, or nil if it is too large to be kept: the card beside it is what was paid for.
func dropOversizedRaw(raw json.RawMessage) json.RawMessage {
	if indentedLength(raw) > maxRawBytes {
		return nil
	}
	return raw
}

// indentedLength is how long a valid JSON text is at most after json.Indent with two blanks a level.
func indentedLength(raw []byte) int {
	length, depth, quoted, escaped := len(raw), 1, false, false // in a document it begins one level down
	for _, c := range raw {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = quoted
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			length += 1 + 2*depth
		case c == '}' || c == ']':
			depth--
			length += 1 + 2*depth
		case c == ',':
			length += 1 + 2*depth
		case c == ':':
			length++
		}
	}
	return length
}

// base64Prefix begins a raw text that is base64.
const base64Prefix = "base64:"

// KeepAnswer puts an answer that is no JSON into the document as text, or as base64 behind "base64:" if it is no UTF-8 text or
// begins like that itself. What is over the bound is cut off. It may have been paid for, and somebody may be able to read it.
func (d *Document) KeepAnswer(body []byte) {
	text := body
	if len(body) > maxRawBytes {
		text = body[:maxRawBytes]
		for i := 1; i < utf8.UTFMax && !utf8.Valid(text); i++ { // the cut may be within a character
			text = body[:maxRawBytes-i]
		}
	}
	if utf8.Valid(text) && !strings.HasPrefix(string(text), base64Prefix) {
		d.RawText = string(text)
		return
	}
	d.RawText = base64Prefix + base64.StdEncoding.EncodeToString(body[:min(len(body), (maxRawBytes-len(base64Prefix))/4*3)])
}
