package export

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fc-idcard-ocr/internal/result"
)

// bom tells spreadsheets that the file is UTF-8; without it Excel takes it for the local code page.
const bom = "\ufeff"

// columns are the header of the CSV; text columns are kept from being taken for numbers and formulas.
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

// csvWriter writes CSV as spreadsheets read it: byte order mark, CRLF, guarded cells.
type csvWriter struct {
	csv *csv.Writer
	row []string
}

// NewCSV writes CSV. headed says that the header is there already.
func NewCSV(w io.Writer, headed bool) (Writer, error) {
	c := &csvWriter{csv: newRows(w), row: make([]string, len(columns))}
	if headed {
		return c, nil
	}
	for i, column := range columns {
		c.row[i] = column.name
	}
	if _, err := io.WriteString(w, bom); err != nil {
		return nil, err
	}
	return c, c.csv.Write(c.row)
}

// NewSheet begins a CSV file of other columns as spreadsheets read it. Text goes through Cell first.
func NewSheet(w io.Writer) (*csv.Writer, error) {
	_, err := io.WriteString(w, bom)
	return newRows(w), err
}

func newRows(w io.Writer) *csv.Writer {
	rows := csv.NewWriter(w)
	rows.UseCRLF = true
	return rows
}

func (c *csvWriter) Write(key string, d *result.Document) error {
	for i, column := range columns {
		c.row[i] = column.of(key, d)
		if column.text {
			c.row[i] = Cell(c.row[i])
		}
	}
	if err := c.csv.Write(c.row); err != nil {
		return err
	}
	return nil
}

func (c *csvWriter) End() error {
	c.csv.Flush()
	return c.csv.Error()
}

// Cell keeps text from being taken for something else. What begins like a formula gets an apostrophe in front (OWASP, "CSV
// Injection"); what is a number to a spreadsheet, such as an ID number without X, gets a tab, without which 18 digits
// would be rounded to 15.
func Cell(s string) string {
	if s == "" {
		return s
	}
	if first, _ := utf8.DecodeRuneInString(s); strings.ContainsRune("=+-@\t\r\n＝＋－＠'", first) {
		return "'" + s
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return "\t" + s
	}
	return s
}

// decodeCell undoes Cell.
func decodeCell(s string) string {
	if rest, ok := strings.CutPrefix(s, "'"); ok {
		return rest
	}
	return strings.TrimPrefix(s, "\t")
}

// lastCSV returns the key of the last complete row of a file that was written before, and where that row ends.
func lastCSV(r io.Reader) (key string, end int64, err error) {
	if head := make([]byte, len(bom)); true {
		if n, err := io.ReadFull(r, head); err != nil || string(head[:n]) != bom {
			return "", 0, errForeign
		}
	}
	tail := &tailed{r: r}
	rows := csv.NewReader(tail)
	rows.ReuseRecord, rows.FieldsPerRecord = true, len(columns)
	for n := 0; ; n++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) && n > 0 {
			return key, end, nil
		}
		if err != nil {
			if n > 0 && tail.ended { // the last row was cut off
				return key, end, nil
			}
			return "", 0, errForeign
		}
		if n == 0 {
			for i, column := range columns {
				if row[i] != column.name {
					return "", 0, errForeign
				}
			}
		} else if tail.ended && rows.InputOffset() == tail.read && tail.last != '\n' {
			return key, end, nil // a row without its line end may lack a part of its last cell
		} else {
			key = strings.Clone(decodeCell(row[0]))
		}
		end = int64(len(bom)) + rows.InputOffset()
	}
}

var errForeign = fmt.Errorf("the file is no export of this kind, so nothing can be added to it")

// tailed notes what came last.
type tailed struct {
	r     io.Reader
	read  int64
	last  byte
	ended bool
}

func (t *tailed) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		t.read, t.last = t.read+int64(n), p[n-1]
	}
	t.ended = t.ended || errors.Is(err, io.EOF)
	return n, err
}
