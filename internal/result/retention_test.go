package result

import (
	"testing"

	"fc-idcard-ocr/internal/config"

	"github.com/stretchr/testify/assert"
)

func TestOnlyWhatIsKeptStays(t *testing.T) {
	full := func() *Document {
		return &Document{Raw: []byte(`{"name":"canary"}`), RawText: "canary", Card: &Card{Name: "1", Sex: "2", Ethnicity: "3", BirthDate: "4", Address: "5", IDNumber: "6"}}
	}
	d := full()
	Retention{}.Apply(d)
	assert.Equal(t, full(), d)
	Retention{DropRaw: true, Fields: []string{"name", "idNumber"}}.Apply(d)
	assert.Equal(t, &Document{Card: &Card{Name: "1", IDNumber: "6"}}, d)
	for _, name := range config.CardFields {
		d := full()
		Retention{Fields: []string{name}}.Apply(d)
		assert.Empty(t, d.Raw, "each field stands in it once more")
		assert.Empty(t, d.RawText)
		assert.Equal(t, 1, len(d.Card.Name+d.Card.Sex+d.Card.Ethnicity+d.Card.BirthDate+d.Card.Address+d.Card.IDNumber), name)
	}
	d = full()
	Retention{Fields: config.CardFields}.Apply(d)
	assert.Equal(t, full(), d)
	assert.Equal(t, []string{"name", "sex", "ethnicity", "birthDate", "address", "idNumber", "raw"}, Retention{}.Kept())
	failed := &Document{Status: Failed}
	Retention{DropRaw: true, Fields: []string{"name"}}.Apply(failed)
	assert.Equal(t, &Document{Status: Failed}, failed)
}

// What was dropped is never taken for what was not read.
func TestADocumentWithLessThanIsKeptIsTold(t *testing.T) {
	all, some := Retention{}, Retention{Fields: []string{"name", "idNumber"}}
	noRaw := Retention{DropRaw: true}
	full := Card{Name: "1", Sex: "2", Ethnicity: "3", BirthDate: "4", Address: "5", IDNumber: "6"}
	unread := full // the address was not read
	unread.Address = ""
	for name, test := range map[string]struct {
		wanted Retention
		left   Retention // as which the document was stored
		card   *Card
		known  bool // what it kept
		want   bool
	}{
		"everything":                          {all, all, &full, false, true},
		"a field that was not read":           {all, all, &unread, false, true},
		"no raw answer":                       {all, noRaw, &full, false, false},
		"no raw answer, by the index":         {all, noRaw, &full, true, false},
		"none wanted":                         {noRaw, noRaw, &full, false, true},
		"not read, or dropped":                {noRaw, noRaw, &unread, false, false},
		"not read, by the index":              {noRaw, noRaw, &unread, true, true},
		"dropped":                             {noRaw, some, &full, false, false},
		"dropped, by the index":               {noRaw, some, &full, true, false},
		"fewer wanted":                        {some, all, &full, false, true},
		"the same fields":                     {some, some, &full, false, true},
		"other fields":                        {Retention{Fields: []string{"sex"}}, some, &full, true, false},
		"no card":                             {all, all, nil, false, true},
		"no card and no raw answer":           {all, some, nil, true, false},
		"no card, and no raw answer's wanted": {some, noRaw, nil, false, true},
	} {
		d := &Document{Raw: []byte(`{}`)}
		if test.card != nil {
			card := *test.card
			d.Card = &card
		}
		test.left.Apply(d)
		var known []string
		if test.known {
			known = test.left.Kept()
		}
		assert.Equal(t, test.want, test.wanted.Satisfied(d, known), name)
	}
	assert.True(t, all.Satisfied(&Document{Card: &full}, all.Kept()), "the raw answer was too large to be kept")
}
