package result

import (
	"cmp"
	"slices"

	"fc-idcard-ocr/internal/config"
)

// Retention says what of a card a document keeps. Its zero value keeps everything.
type Retention struct {
	DropRaw bool     // the provider's answer as it came, in which each field stands once more
	Fields  []string // of the card, by the names in config.CardFields; empty: all. If not all, the raw answer is dropped too
}

// NewRetention returns what a configuration keeps.
func NewRetention(c config.Config) Retention {
	return Retention{DropRaw: !c.Raw, Fields: c.ResultFields}
}

// keptRaw is the raw answer among the names that Kept returns.
const keptRaw = "raw"

// Kept returns the names of what is kept: fields by the names in config.CardFields, and "raw".
func (r Retention) Kept() []string {
	var kept []string
	for _, name := range config.CardFields {
		if len(r.Fields) == 0 || slices.Contains(r.Fields, name) {
			kept = append(kept, name)
		}
	}
	if !r.DropRaw && len(kept) == len(config.CardFields) { // it has every field
		kept = append(kept, keptRaw)
	}
	return kept
}

// Apply removes from the document what is not kept. The checks were made before, with every field.
func (r Retention) Apply(d *Document) {
	kept := r.Kept()
	if !slices.Contains(kept, keptRaw) {
		d.Raw, d.RawText = nil, ""
	}
	if d.Card == nil {
		return
	}
	for name, field := range d.Card.fields() {
		if !slices.Contains(kept, name) {
			*field = ""
		}
	}
}

// Satisfied reports whether a document, as another Retention left it, has everything that this one keeps. A field that is not there may
// have been dropped, unless it is among the names that are known to have been kept, or the raw answer is there, which is dropped with
// any field.
func (r Retention) Satisfied(d *Document, known []string) bool {
	raw := len(d.Raw) > 0 || d.RawText != ""
	for _, name := range r.Kept() {
		there := raw || slices.Contains(known, name)
		if name != keptRaw {
			there = there || d.Card == nil || *d.Card.fields()[name] != ""
		}
		if !there {
			return false
		}
	}
	return true
}

// Reuse returns the document for an image with the bytes of another one, whose key and document are given; nil if that one was left with
// less than is kept now: what was dropped would look like what was not read. known is as for Satisfied.
func (r Retention) Reuse(paid *Document, known []string, key string, image Image) *Document {
	if !r.Satisfied(paid, known) {
		return nil
	}
	d := *paid
	if paid.Card != nil {
		card := *paid.Card
		d.Card = &card
	}
	r.Apply(&d)
	d.Image = image
	d.OCR.Charged, d.OCR.Attempts, d.OCR.PossibleExtraCharges = false, 0, 0
	d.OCR.ReusedFrom = cmp.Or(paid.OCR.ReusedFrom, key)
	return &d
}

// fields returns the card's fields by the names in config.CardFields.
func (c *Card) fields() map[string]*string {
	return map[string]*string{"name": &c.Name, "sex": &c.Sex, "ethnicity": &c.Ethnicity, "birthDate": &c.BirthDate, "address": &c.Address, "idNumber": &c.IDNumber}
}
