package result

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNothingPersonalIsLeft(t *testing.T) {
	card := Card{Name: "韦小宝", Sex: "男", Ethnicity: "汉", BirthDate: "1949-12-31", Address: "北京市东城区景山前街4号", IDNumber: "11010519491231002X"}
	assert.Equal(t, Card{Name: "韦**", Sex: "男", Ethnicity: "汉", BirthDate: "1949******", Address: "************", IDNumber: "110***********002X"}, card.Mask())
	assert.Equal(t, Card{Name: "*", BirthDate: "***"}, Card{Name: "王", BirthDate: "198"}.Mask())
	d := Document{Card: &card, Raw: json.RawMessage(`{"idNo":"11010519491231002X"}`), OCR: OCR{Message: "韦小宝"}, Image: Image{Key: "a/11010519491231002X.jpg"}}
	text, err := json.Marshal(d.Mask())
	require.NoError(t, err)
	for _, secret := range []string{"小宝", "19491231", "景山", "12-31"} {
		assert.NotContains(t, string(text), secret)
	}
	assert.Equal(t, "韦小宝", d.Card.Name, "the original stays")
}
