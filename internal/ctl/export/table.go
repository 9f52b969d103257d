package export

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// tableColumns have fixed widths, so that one long key pads no other row and rows can be written as they come.
var tableColumns = []struct {
	name  message.Key
	width int
}{{"KEY", 40}, {"STATUS", 12}, {"NAME", 16}, {"ID NUMBER", 18}, {"VALID", 5}, {"CODE", 0}}

type tableWriter struct{ buffer *bufio.Writer }

// NewTable writes a table for eyes.
func NewTable(w io.Writer) Writer {
	return newTable(w, message.Current())
}

func newTable(w io.Writer, l message.Language) Writer {
	t := &tableWriter{bufio.NewWriter(w)}
	names := make([]string, len(tableColumns))
	for i, c := range tableColumns {
		names[i] = message.In(l, c.name)
	}
	t.row(names...) //nolint:errcheck // End returns the error
	return t
}

// tableHeaders are how tables begin: one for each language, as the language of the terminal may change between two runs.
func tableHeaders() (headers []string) {
	for _, l := range message.Languages {
		var b strings.Builder
		newTable(&b, l).End() //nolint:errcheck // a builder takes everything
		headers = append(headers, b.String())
	}
	return headers
}

func (t *tableWriter) row(cells ...string) error {
	var b strings.Builder
	for i, cell := range cells {
		if width := tableColumns[i].width; width > 0 {
			b.WriteString(display.Fit(cell, width) + "  ")
		} else {
			b.WriteString(display.Printable(cell))
		}
	}
	_, err := fmt.Fprintln(t.buffer, strings.TrimRight(b.String(), " "))
	return err
}

func (t *tableWriter) Write(key string, d *result.Document) error {
	c, valid, code := result.Card{}, "", ""
	if d.Card != nil {
		c = *d.Card
	}
	if d.Validation != nil {
		valid = message.Text("no")
		if d.Validation.Valid {
			valid = message.Text("yes")
		}
	}
	if d.Error != nil {
		code = string(d.Error.Code)
	}
	return t.row(key, string(d.Status), c.Name, c.IDNumber, valid, code)
}

func (t *tableWriter) End() error { return t.buffer.Flush() }
