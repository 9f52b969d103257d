package handler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"fc-idcard-ocr/internal/result"
)

const maxJSONBytes = 16 << 10

// objectRequest is the JSON body of POST /recognitions.
type objectRequest struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Force  bool   `json:"force"` // recognise, and pay, although a final document is there
}

// decodeObjectRequest reads one JSON object whose members are known, of the right type and there once. Package json alone
// would take "BUCKET" for "bucket" and the last of two keys: then what one reader of the body checks is not what another uses.
func decodeObjectRequest(body io.Reader) (o objectRequest, e *result.Error) {
	text, err := io.ReadAll(io.LimitReader(body, maxJSONBytes+1))
	switch {
	case err != nil:
		return o, result.Errorf(result.BadRequest, false, "the body broke off")
	case len(text) > maxJSONBytes:
		return o, result.Errorf(result.ImageTooLarge, false, "the JSON body has more than %d bytes; send pictures with Content-Type image/*", maxJSONBytes)
	case !utf8.Valid(text):
		return o, badBody("the body is not UTF-8")
	}
	var object json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(text))
	if decoder.Decode(&object) != nil || object[0] != '{' {
		return o, badBody("the body is not a JSON object")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return o, badBody("there is something after the JSON object")
	}
	return o, o.decode(object)
}

// decode takes the members of a valid JSON object.
func (o *objectRequest) decode(object []byte) *result.Error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.Token() // the brace
	seen := make(map[string]bool)
	for decoder.More() {
		token, _ := decoder.Token()
		name, _ := token.(string)
		var value any
		if decoder.Decode(&value) != nil {
			return badBody("the body is not a JSON object")
		}
		if seen[name] {
			return badBody("member %s is there twice", quoteTruncated(name))
		}
		seen[name] = true
		known, ok := true, false
		switch name {
		case "bucket":
			o.Bucket, ok = value.(string)
		case "key":
			o.Key, ok = value.(string)
		case "force":
			o.Force, ok = value.(bool)
		default:
			known = false
		}
		switch {
		case !known:
			return badBody("member %s is not known", quoteTruncated(name))
		case !ok:
			return badBody("member %q has the wrong type", name)
		}
	}
	return nil
}

func badBody(format string, args ...any) *result.Error {
	return result.Errorf(result.BadRequest, false, "%s", fmt.Sprintf(format, args...)+`; expected {"bucket":"...","key":"...","force":false}`)
}

// quoteTruncated quotes a caller's word.
func quoteTruncated(s string) string {
	const limit = 64
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strconv.Quote(s)
}
