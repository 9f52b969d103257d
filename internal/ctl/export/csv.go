package export

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// bom tells spreadsheets that the file is UTF-8; without it Excel takes it for the local code page.
const bom = "\ufeff"

// columns are the header of the CSV. Text columns are quoted, and kept from being taken for numbers and formulas.
var columns = []struct {
	name string
	text bool
	of   func(key string, d *result.Document) string
}{
	{"key", true, func(key string, d *result.Document) string { return key }},
	{"status", true, func(_ string, d *result.Document) string { return string(d.Status) }},
	{"name", true, card(func(c *result.Card) string { return c.Name })},
	{"sex", true, card(func(c *result.Card) string { return c.Sex })},
	{"ethnicity", true, card(func(c *result.Card) string { return c.Ethnicity })},
	{"birthDate", true, card(func(c *result.Card) string { return c.BirthDate })},
	{"address", true, card(func(c *result.Card) string { return c.Address })},
	{"idNumber", true, card(func(c *result.Card) string { return c.IDNumber })},
	{"valid", false, func(_ string, d *result.Document) string {
		if d.Validation == nil {
			return ""
		}
		return strconv.FormatBool(d.Validation.Valid)
	}},
	{"errorCode", true, func(_ string, d *result.Document) string {
		if d.Error == nil {
			return ""
		}
		return string(d.Error.Code)
	}},
	{"charged", false, func(_ string, d *result.Document) string { return strconv.FormatBool(d.OCR.Charged) }},
	{"possibleExtraCharges", false, func(_ string, d *result.Document) string { return strconv.Itoa(d.OCR.PossibleExtraCharges) }},
	{"imageBytes", false, func(_ string, d *result.Document) string { return strconv.FormatInt(d.Image.Size, 10) }},
	{"etag", true, func(_ string, d *result.Document) string { return d.Image.ETag }},
	{"requestId", true, func(_ string, d *result.Document) string { return d.RequestID }},
	{"completedAt", true, func(_ string, d *result.Document) string { return d.CompletedAt.UTC().Format(time.RFC3339) }},
}

func card(field func(*result.Card) string) func(string, *result.Document) string {
	return func(_ string, d *result.Document) string {
		if d.Card == nil {
			return ""
		}
		return field(d.Card)
	}
}

// csvHeader is how every CSV begins.
var csvHeader = func() string {
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.name
	}
	return bom + strings.Join(names, ",") + "\r\n"
}()

// csvWriter writes CSV as spreadsheets read it: byte order mark, CRLF, quoted and guarded text. (encoding/csv would drop carriage
// returns in cells, by which resuming could not find the row again.)
type csvWriter struct{ buffer *bufio.Writer }

// NewCSV writes CSV. headed says that the header is there already.
func NewCSV(w io.Writer, headed bool) Writer {
	c := &csvWriter{bufio.NewWriter(w)}
	if !headed {
		c.buffer.WriteString(csvHeader) //nolint:errcheck // End returns the error
	}
	return c
}

// NewSheet begins a CSV file of other columns as spreadsheets read it. Text goes through Cell first.
func NewSheet(w io.Writer) (*csv.Writer, error) {
	_, err := io.WriteString(w, bom)
	rows := csv.NewWriter(w)
	rows.UseCRLF = true
	return rows, err
}

func (c *csvWriter) Write(key string, d *result.Document) error {
	var err error
	for i, column := range columns {
		if i > 0 {
			c.buffer.WriteByte(',') //nolint:errcheck // as below
		}
		value := column.of(key, d)
		if column.text {
			value = `"` + strings.ReplaceAll(Cell(value), `"`, `""`) + `"`
		}
		_, err = c.buffer.WriteString(value) // an error stays
	}
	c.buffer.WriteString("\r\n") //nolint:errcheck // as above
	return err
}

func (c *csvWriter) End() error { return c.buffer.Flush() }

var errForeign = message.Error("the file is no export of this kind, so nothing can be added to it")

// lastCSV returns the key of the last complete row of a file that was written before, and where that row ends.
func lastCSV(r io.Reader) (key string, end int64, err error) {
	s := &scanner{r: bufio.NewReader(r)}
	for i := range len(csvHeader) {
		if b, ok := s.next(); !ok {
			return "", 0, s.err // not even the header is whole
		} else if b != csvHeader[i] {
			return "", 0, errForeign
		}
	}
	for {
		end = s.read
		first, complete := s.row()
		switch {
		case s.err != nil:
			return "", 0, s.err
		case !complete:
			return key, end, nil
		}
		key = decodeCell(first)
	}
}

// scanner reads rows that csvWriter has written.
type scanner struct {
	r    *bufio.Reader
	read int64
	err  error // errForeign, or of the reader; never io.EOF
}

func (s *scanner) next() (b byte, ok bool) {
	b, err := s.r.ReadByte()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			s.err = err
		}
		return 0, false
	}
	s.read++
	return b, true
}

// row reads a row up to its line end and returns its first cell. complete is false where the file ends.
func (s *scanner) row() (first string, complete bool) {
	for i, column := range columns {
		var cell strings.Builder
		b, ok := s.next()
		if ok && column.text {
			if b != '"' {
				s.err = errForeign
				return "", false
			}
			for {
				if b, ok = s.next(); !ok {
					return "", false
				}
				if b == '"' {
					if b, ok = s.next(); !ok || b != '"' {
						break
					}
				}
				if i == 0 {
					cell.WriteByte(b)
				}
			}
		}
		for ok && !column.text && b != ',' && b != '\r' && b != '"' {
			b, ok = s.next()
		}
		if !ok {
			return "", false
		}
		last := i == len(columns)-1
		if !last && b != ',' || last && b != '\r' {
			s.err = errForeign
			return "", false
		}
		if i == 0 {
			first = cell.String()
		}
	}
	b, ok := s.next()
	if ok && b != '\n' {
		s.err = errForeign
	}
	return first, ok && b == '\n'
}
