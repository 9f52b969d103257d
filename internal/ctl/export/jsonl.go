package export

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"

	"fc-idcard-ocr/internal/result"
)

// jsonWriter writes each document on a line of its own.
type jsonWriter struct {
	buffer  *bufio.Writer
	encoder *json.Encoder
}

// NewJSONLines writes JSON lines: the documents as they are, without line breaks in them.
func NewJSONLines(w io.Writer) Writer {
	buffer := bufio.NewWriter(w)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	return &jsonWriter{buffer, encoder}
}

func (j *jsonWriter) Write(_ string, d *result.Document) error { return j.encoder.Encode(d) }
func (j *jsonWriter) End() error                               { return j.buffer.Flush() }

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
		var d result.Document
		if json.Unmarshal(line, &d) != nil || d.Image.Key == "" {
			return "", 0, errForeign
		}
		key, end = d.Image.Key, end+int64(len(line))
	}
}
