package ocrclient

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const utf8BOM = "\xef\xbb\xbf"

// toUTF8 returns a body as UTF-8. UTF-16 is known by its byte-order mark or by the zero beside the first bracket; GB18030, which
// GBK and GB2312 are parts of, by what is no UTF-8, or by its name in the Content-Type if no Chinese character comes out otherwise.
// Bytes that are no text in either way become U+FFFD: an answer is more than one broken character.
func toUTF8(body []byte, contentType string) []byte {
	switch {
	case bytes.HasPrefix(body, []byte("\xff\xfe")):
		return fromUTF16(body[2:], binary.LittleEndian)
	case bytes.HasPrefix(body, []byte("\xfe\xff")):
		return fromUTF16(body[2:], binary.BigEndian)
	case len(body) > 1 && body[1] == 0 && strings.IndexByte("{[\"", body[0]) >= 0:
		return fromUTF16(body, binary.LittleEndian)
	case len(body) > 1 && body[0] == 0 && strings.IndexByte("{[\"", body[1]) >= 0:
		return fromUTF16(body, binary.BigEndian)
	}
	isUTF8 := utf8.Valid(body)
	if isUTF8 && (!saysGB(contentType) || bytes.ContainsFunc(body, func(r rune) bool { return unicode.Is(unicode.Han, r) })) {
		return body
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(body)
	if err == nil && !bytes.ContainsRune(text, utf8.RuneError) {
		return text
	}
	if isUTF8 {
		return body
	}
	return bytes.ToValidUTF8(body, []byte("\ufffd"))
}

func saysGB(contentType string) bool {
	_, params, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains([]string{"gbk", "gb2312", "gb18030", "x-gbk"}, strings.ToLower(params["charset"]))
}

func fromUTF16(body []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(body)/2)
	for i := range units {
		units[i] = order.Uint16(body[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// maxWrappings is how many arrays and strings around an object are opened.
const maxWrappings = 4

// decode reads a JSON object into an envelope, and returns the text that it has read: the object without arrays of one and strings
// around it, and with the mistakes of repaired put right.
func decode(body []byte, into *envelope) ([]byte, error) {
	for range maxWrappings {
		body = bytes.TrimSpace(body)
		if len(body) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		err := json.Unmarshal(body, into)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			body = repaired(body)
			err = json.Unmarshal(body, into)
		}
		switch {
		case errors.As(err, &syntax) && syntax.Offset >= int64(len(body)):
			return nil, io.ErrUnexpectedEOF // the text ends too early
		case err == nil:
			return body, nil
		}
		inner, ok := unwrapped(body)
		if !ok {
			return nil, err
		}
		body = inner
	}
	return nil, errUnknownBody
}

// unwrapped returns what is in an array of one element or in a string.
func unwrapped(body []byte) (inner []byte, ok bool) {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && len(list) == 1 {
		return list[0], true
	}
	var text string
	if json.Unmarshal(body, &text) == nil {
		return []byte(text), true
	}
	return nil, false
}

// repaired puts right what programs that write JSON by hand get wrong and what has one meaning only: control characters and unknown
// escapes in strings, a comma before a closing bracket, and words such as NaN or None in place of a value. All else stays.
func repaired(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			out, i = appendString(out, text, i)
		case c == ',' && closes(text[i+1:]):
			i++
		case isLetter(c) || c == '-' && i+1 < len(text) && isLetter(text[i+1]):
			end := i + 1
			for end < len(text) && isLetter(text[end]) {
				end++
			}
			out = append(out, asJSON(string(text[i:end]))...)
			i = end
		case c >= '0' && c <= '9': // with its exponent, which has a letter
			end := i + 1
			for end < len(text) && strings.IndexByte("0123456789.eE+-", text[end]) >= 0 {
				end++
			}
			out = append(out, text[i:end]...)
			i = end
		default:
			out = append(out, c)
			i++
		}
	}
	return out
}

// appendString appends the string that begins at text[i], and returns where it ends.
func appendString(out, text []byte, i int) ([]byte, int) {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return append(out, '"'), i + 1
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c == '\\' && i+1 < len(text):
			i++
			switch next := text[i]; {
			case next == '\'':
				out = append(out, '\'')
			case strings.IndexByte(`"\/bfnrtu`, next) >= 0:
				out = append(out, '\\', next)
			default:
				out = append(out, '\\', '\\')
				i-- // the character after it is read by itself
			}
		default:
			out = append(out, c)
		}
	}
	return out, i
}

// closes reports whether the next character but blanks is a closing bracket.
func closes(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && (text[0] == '}' || text[0] == ']')
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// asJSON gives the JSON of a word that other languages write in place of a value.
func asJSON(word string) string {
	switch word {
	case "NaN", "-NaN", "Infinity", "-Infinity", "None", "undefined", "nil":
		return "null"
	case "True":
		return "true"
	case "False":
		return "false"
	}
	return word
}
