// Package billing adds up what the documents of a bucket say was paid: for a month's report, and to compare it with the
// provider's meter. It never writes to the bucket.
package billing

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/budget"
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// writtenLate is how much the clocks of the function and of OSS may differ where documents are left out by the time at which
// OSS says that they were written.
const writtenLate = 15 * time.Minute

// Month is a calendar month in China.
type Month struct{ first time.Time }

// ParseMonth reads a month such as 2026-11.
func ParseMonth(text string) (Month, error) {
	first, err := time.ParseInLocation("2006-01", text, budget.Zone)
	if err != nil {
		return Month{}, message.Errorf("%q: accepted is a month such as 2026-11", text)
	}
	return Month{first}, nil
}

// String returns the month as ParseMonth reads it.
func (m Month) String() string { return m.first.Format("2006-01") }

// Contains reports whether the time is in the month.
func (m Month) Contains(t time.Time) bool {
	return !t.Before(m.first) && t.Before(m.first.AddDate(0, 1, 0))
}

// Totals are the counts of some documents.
type Totals struct {
	Images       int64 `json:"images"` // documents completed
	Recognized   int64 `json:"recognized"`
	Unrecognized int64 `json:"unrecognized"`
	Failed       int64 `json:"failed"`
	Charged      int64 `json:"charged"`              // responses that were paid
	Extra        int64 `json:"possibleExtraCharges"` // other calls that may have been paid
	Reused       int64 `json:"reused"`               // images whose answer is that of another one
}

// Add counts a document.
func (t *Totals) Add(d *result.Document) {
	t.Images++
	switch d.Status {
	case result.Recognized:
		t.Recognized++
	case result.Unrecognized:
		t.Unrecognized++
	case result.Failed:
		t.Failed++
	}
	if d.OCR.Charged {
		t.Charged++
	}
	if d.OCR.ReusedFrom != "" {
		t.Reused++
	}
	t.Extra += int64(max(d.OCR.PossibleExtraCharges, 0))
}

// Group is one line of a report.
type Group struct {
	Name string `json:"name"` // a folder with its slash, or a day; empty for images in no folder
	Totals
}

// Report is what was paid in a month.
type Report struct {
	Groups     []Group `json:"groups"` // by name
	Total      Totals  `json:"total"`
	Unreadable int64   `json:"unreadable"` // no documents of this program
}

// By names the group of a document.
type By func(s inventory.Stored) string

// ByDay groups by the day of completion in China.
func ByDay(s inventory.Stored) string { return budget.Day(s.Document.CompletedAt) }

// ByFolder groups by the first path segment after the folder in which prefix ends.
func ByFolder(prefix string) By {
	base := prefix[:strings.LastIndexByte(prefix, '/')+1]
	return func(s inventory.Stored) string {
		segment, _, inFolder := strings.Cut(strings.TrimPrefix(s.Key, base), "/")
		if !inFolder {
			return ""
		}
		return base + segment + "/"
	}
}

// Monthly adds up the documents that were completed in the month. Each, if not nil, receives the number of documents so far.
func Monthly(ctx context.Context, b inventory.Bucket, o inventory.DocumentOptions, m Month, by By, each func(n int64)) (Report, error) {
	r := Report{Groups: []Group{}}
	groups := map[string]Totals{}
	o.Since = m.first.Add(-writtenLate)
	for s, err := range inventory.Documents(ctx, b, o) {
		switch {
		case err != nil:
			return r, err
		case s.Document == nil:
			r.Unreadable++
		case m.Contains(s.Document.CompletedAt):
			totals := groups[by(s)]
			totals.Add(s.Document)
			groups[by(s)] = totals
			r.Total.Add(s.Document)
		}
		if each != nil {
			each(r.Total.Images)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		r.Groups = append(r.Groups, Group{name, groups[name]})
	}
	return r, nil
}
