package export

import (
	"fmt"
	"io"
	"text/tabwriter"

	"fc-idcard-ocr/internal/result"
)

// flushEvery is how many rows share their column widths; a table of any length is written in such blocks.
const flushEvery = 500

type tableWriter struct {
	tabs *tabwriter.Writer
	rows int
}

// NewTable writes a table for eyes.
func NewTable(w io.Writer) Writer {
	t := &tableWriter{tabs: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	fmt.Fprintln(t.tabs, "KEY\tSTATUS\tNAME\tID NUMBER\tVALID\tCODE")
	return t
}

func (t *tableWriter) Write(key string, d *result.Document) error {
	c, valid, code := result.Card{}, "", ""
	if d.Card != nil {
		c = *d.Card
	}
	if d.Validation != nil {
		valid = "no"
		if d.Validation.Valid {
			valid = "yes"
		}
	}
	if d.Error != nil {
		code = string(d.Error.Code)
	}
	if _, err := fmt.Fprintf(t.tabs, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(key), d.Status, printable(c.Name), printable(c.IDNumber), valid, code); err != nil {
		return err
	}
	if t.rows++; t.rows%flushEvery == 0 {
		return t.tabs.Flush()
	}
	return nil
}

func (t *tableWriter) End() error { return t.tabs.Flush() }

// printable keeps what a key or card holds from moving the cursor or breaking the table.
func printable(s string) string {
	quoted := fmt.Sprintf("%+q", s)
	for _, r := range s {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x202e || r == 0xfffd {
			return quoted
		}
	}
	return s
}
