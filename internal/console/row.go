package console

import (
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/result"
)

// State is the state of an image on the page. Every image has exactly one.
type State string

// The states.
const (
	StateWorking       State = "working"       // the function is at it
	StateWaiting       State = "waiting"       // neither document nor claim
	StateStale         State = "stale"         // the document is older than the image, or a claim was left behind
	StateConsistent    State = "consistent"    // recognised, and all checks pass
	StateContradictory State = "contradictory" // recognised, and a check fails
	StateDoubtful      State = "doubtful"      // recognised, and something could not be checked
	StateUnrecognized  State = "unrecognized"
	StateRetrying      State = "retrying" // failed, and Function Compute tries again
	StateFailed        State = "failed"   // failed for good, or given up
	StateForeign       State = "foreign"  // what lies beside the image is no result document
	StateUnread        State = "unread"   // the document has not been read yet
)

// facts are what the console keeps of a document.
type facts struct {
	read           bool
	foreign        bool
	status         result.Status
	verdict        result.Verdict
	code           result.Code
	retryable      bool
	charged        bool
	extra          int
	name, idNumber string
	completed      time.Time
}

func factsOf(d *result.Document) facts {
	if d == nil {
		return facts{read: true, foreign: true}
	}
	f := facts{read: true, status: d.Status, charged: d.OCR.Charged, extra: d.OCR.PossibleExtraCharges, completed: d.CompletedAt}
	card := cardOf(d)
	f.name, f.idNumber = card.Name, card.IDNumber
	if d.Validation != nil {
		f.verdict = d.Validation.Verdict
		if f.verdict == "" { // written before there were verdicts
			f.verdict = result.Contradictory
			if d.Validation.Valid {
				f.verdict = result.Consistent
			}
		}
	}
	if d.Error != nil {
		f.code, f.retryable = d.Error.Code, d.Error.Retryable
	}
	return f
}

// row is an image.
type row struct {
	id      string
	entry   inventory.Entry // Image is never nil
	facts   facts           // of the document, if there is one
	touched time.Time       // when the entry was listed
}

// state returns the state of the image.
func (r *row) state(c *Config) State {
	e, now := r.entry, c.Now()
	gaveUp := c.Activity != nil && c.Activity.GaveUp(e.Key)
	if !e.UpToDate() {
		switch {
		case gaveUp:
			return StateFailed
		case e.Claim != nil && now.Sub(e.Claim.LastModified) < c.ClaimAge:
			return StateWorking
		case e.Claim != nil, e.Document != nil:
			return StateStale
		}
		return StateWaiting
	}
	f := r.facts
	switch {
	case !f.read:
		return StateUnread
	case f.foreign:
		return StateForeign
	case f.retryable:
		if gaveUp || (c.Activity == nil && now.Sub(f.completed) > c.GiveUpAge) {
			return StateFailed
		}
		return StateRetrying
	case e.Claim != nil && e.Claim.LastModified.After(e.Document.LastModified) && now.Sub(e.Claim.LastModified) < c.ClaimAge:
		return StateWorking // somebody asked for it again
	}
	switch f.status {
	case result.Unrecognized:
		return StateUnrecognized
	case result.Failed:
		return StateFailed
	}
	return State(f.verdict)
}

// reviewed reports whether a person has reviewed the current document.
func (r *row) reviewed() bool {
	e := r.entry
	return e.Review != nil && e.Document != nil && !e.Review.LastModified.Before(e.Document.LastModified)
}

// recognized reports whether there is a card.
func (s State) recognized() bool {
	return s == StateConsistent || s == StateContradictory || s == StateDoubtful
}

// Row is a line of the table. What is personal in it is masked.
type Row struct {
	ID        string      `json:"id"`
	Key       string      `json:"key"`
	State     State       `json:"state"`
	Code      result.Code `json:"code,omitempty"`
	Retryable bool        `json:"retryable,omitempty"`
	Name      string      `json:"name,omitempty"`
	IDNumber  string      `json:"idNumber,omitempty"`
	Charged   bool        `json:"charged,omitempty"`
	Reviewed  bool        `json:"reviewed,omitempty"`
	Uploaded  time.Time   `json:"uploaded"`
	Size      int64       `json:"size"`
}

func (r *row) view(c *Config) Row {
	card := result.Card{Name: r.facts.name, IDNumber: r.facts.idNumber}.Mask()
	return Row{ID: r.id, Key: result.MaskKey(r.entry.Key), State: r.state(c), Code: r.facts.code, Retryable: r.facts.retryable,
		Name: card.Name, IDNumber: card.IDNumber, Charged: r.facts.charged, Reviewed: r.reviewed(), Uploaded: r.entry.Image.LastModified, Size: r.entry.Image.Size}
}

// contains reports whether the key, the name or the ID number contains the search words, in lower case.
func (r *row) contains(words string) bool {
	return strings.Contains(strings.ToLower(r.entry.Key), words) || strings.Contains(strings.ToLower(r.facts.name), words) ||
		strings.Contains(strings.ToLower(r.facts.idNumber), strings.ReplaceAll(words, " ", ""))
}
