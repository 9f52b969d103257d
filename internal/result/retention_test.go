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
	failed := &Document{Status: Failed}
	Retention{DropRaw: true, Fields: []string{"name"}}.Apply(failed)
	assert.Equal(t, &Document{Status: Failed}, failed)
}
