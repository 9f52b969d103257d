package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"fc-idcard-ocr/internal/result"
)

// Query says which images are shown, and in which order.
type Query struct {
	Search string `json:"search"` // in key, name and ID number
	// Filter is a State, or one of the Filter constants; empty shows all.
	Filter string `json:"filter"`
	// Code restricts to documents with this error code.
	Code   result.Code `json:"code"`
	Sort   string      `json:"sort"` // uploaded (default), key, state or name
	Up     bool        `json:"up"`   // the smallest first
	Offset int         `json:"offset"`
	Limit  int         `json:"limit"` // at most MaxPage
}

// Filters beside the states.
const (
	FilterRecognized = "recognized" // those with a card
	FilterAttention  = "attention"  // those that need somebody
	FilterReviewed   = "reviewed"
	FilterCharged    = "charged"
)

// MaxPage is how many images a page has at most.
const MaxPage = 200

var sorts = map[string]func(c *Config, a, b *row) int{
	"uploaded": func(_ *Config, a, b *row) int { return a.entry.Image.LastModified.Compare(b.entry.Image.LastModified) },
	"key":      func(_ *Config, a, b *row) int { return cmp.Compare(a.entry.Key, b.entry.Key) },
	"state":    func(c *Config, a, b *row) int { return cmp.Compare(a.state(c), b.state(c)) },
	"name":     func(_ *Config, a, b *row) int { return cmp.Compare(a.facts.name, b.facts.name) },
}

// matches reports whether the query shows the row.
func (q *Query) matches(c *Config, r *row) bool {
	if q.Code != "" && r.facts.code != q.Code {
		return false
	}
	switch q.Filter {
	case "":
	case FilterRecognized:
		if !r.state(c).recognized() {
			return false
		}
	case FilterReviewed:
		if !r.reviewed() {
			return false
		}
	case FilterCharged:
		if !r.facts.charged {
			return false
		}
	case FilterAttention:
		if cause, _ := r.cause(c); cause == "" {
			return false
		}
	default:
		if string(r.state(c)) != q.Filter {
			return false
		}
	}
	return q.Search == "" || r.contains(q.Search)
}

// Page is one page of the table.
type Page struct {
	Rows     []Row    `json:"rows"`
	Total    int      `json:"total"` // that match
	Progress Progress `json:"progress"`
}

// postImages answers with one page of the images.
func (s *Server) postImages(w http.ResponseWriter, r *http.Request) {
	var q Query
	if !decode(w, r, &q) {
		return
	}
	if q.Sort == "" {
		q.Sort = "uploaded"
	}
	if sorts[q.Sort] == nil || q.Offset < 0 || q.Limit < 1 || q.Limit > MaxPage {
		refuse(w, http.StatusBadRequest, "BadRequest", "accepted are sort uploaded, key, state or name, an offset from 0, and a limit from 1 to 200")
		return
	}
	q.Search = strings.ToLower(strings.TrimSpace(q.Search))
	page, shown := s.index.page(q)
	if slices.ContainsFunc(page.Rows, func(row Row) bool { return row.State == StateUnread }) {
		if err := s.index.read(r.Context(), shown); err != nil { // what somebody looks at is read first
			s.fail(w, r, err)
			return
		}
		page, _ = s.index.page(q)
	}
	respond(w, http.StatusOK, page)
}

// page finds the page's rows. Besides it returns the rows themselves, for which the index has to be held.
func (x *index) page(q Query) (Page, []*row) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	found := make([]*row, 0, len(x.rows))
	page := Page{Rows: []Row{}, Progress: x.progress}
	for _, r := range x.rows {
		if r.unread() {
			page.Progress.Unread++
		}
		if q.matches(x.config, r) {
			found = append(found, r)
		}
	}
	page.Total, page.Progress.Listed = len(found), len(x.rows)
	by := sorts[q.Sort]
	slices.SortFunc(found, func(a, b *row) int {
		order := by(x.config, a, b)
		if !q.Up {
			order = -order
		}
		return cmp.Or(order, cmp.Compare(a.entry.Key, b.entry.Key))
	})
	found = found[min(q.Offset, len(found)):min(q.Offset+q.Limit, len(found))]
	for _, r := range found {
		page.Rows = append(page.Rows, r.view(x.config))
	}
	return page, slices.Clone(found)
}
