package export

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/result"
)

// jsonWriter writes each document on a line of its own.
type jsonWriter struct{ buffer *bufio.Writer }

// NewJSONLines writes JSON lines: the documents as they are, without line breaks in them. A document that does not name the key
// beside which it lies gets a member listedKey.
func NewJSONLines(w io.Writer) Writer { return &jsonWriter{bufio.NewWriter(w)} }

func (j *jsonWriter) Write(key string, d *result.Document) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	listed := ""
	if d.Image.Key != key || encodeKey(key) != key {
		listed = encodeKey(key)
	}
	if err := encoder.Encode(struct {
		*result.Document
		ListedKey string `json:"listedKey,omitempty"`
	}{d, listed}); err != nil {
		return err
	}
	_, err := j.buffer.Write(display.JSON(line.Bytes()))
	return err
}

func (j *jsonWriter) End() error { return j.buffer.Flush() }

// base64Prefix marks keys that JSON cannot hold.
const base64Prefix = "base64:"

func encodeKey(key string) string {
	if utf8.ValidString(key) && !strings.HasPrefix(key, base64Prefix) {
		return key
	}
	return base64Prefix + base64.StdEncoding.EncodeToString([]byte(key))
}

func decodeKey(text string) (string, error) {
	encoded, ok := strings.CutPrefix(text, base64Prefix)
	if !ok {
		return text, nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	return string(key), err
}

// beginning is that of every line.
const beginning = `{"schemaVersion":`

// lastJSON returns the key of the last complete line of a file that was written before, and where that line ends.
func lastJSON(r io.Reader) (key string, end int64, err error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // also a line that was cut off
			if n := min(len(line), len(beginning)); end == 0 && string(line[:n]) != beginning[:n] {
				return "", 0, errForeign
			}
			return key, end, nil
		}
		if err != nil {
			return "", 0, err
		}
		var d struct {
			Image     struct{ Key string }
			ListedKey string
		}
		if !bytes.HasPrefix(line, []byte(beginning)) || json.Unmarshal(line, &d) != nil {
			return "", 0, errForeign
		}
		key = d.Image.Key
		if d.ListedKey != "" {
			if key, err = decodeKey(d.ListedKey); err != nil {
				return "", 0, errForeign
			}
		}
		if key == "" {
			return "", 0, errForeign
		}
		end += int64(len(line))
	}
}
