package result

import (
	"slices"

	"fc-idcard-ocr/internal/config"
)

// Retention says what of a card a document keeps. Its zero value keeps everything.
type Retention struct {
	DropRaw bool     // the provider's answer as it came, in which each field stands once more
	Fields  []string // of the card, by the names in config.CardFields; empty: all. If not all, the raw answer is dropped too
}

// Apply removes from the document what is not kept. The checks were made before, with every field.
func (r Retention) Apply(d *Document) {
	some := len(r.Fields) > 0 && slices.ContainsFunc(config.CardFields, func(name string) bool { return !slices.Contains(r.Fields, name) })
	if r.DropRaw || some { // it has every field
		d.Raw, d.RawText = nil, ""
	}
	if d.Card == nil || !some {
		return
	}
	for name, field := range map[string]*string{"name": &d.Card.Name, "sex": &d.Card.Sex, "ethnicity": &d.Card.Ethnicity,
		"birthDate": &d.Card.BirthDate, "address": &d.Card.Address, "idNumber": &d.Card.IDNumber} {
		if !slices.Contains(r.Fields, name) {
			*field = ""
		}
	}
}
