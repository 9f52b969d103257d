package masking

import (
	"encoding/json"
	"testing"

	"fc-idcard-ocr/handler"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNothingPersonalIsLeft(t *testing.T) {
	card := handler.Card{Name: "韦小宝", Sex: "男", Ethnicity: "汉", BirthDate: "1949-12-31", Address: "北京市东城区景山前街4号", IDNumber: "11010519491231002X"}
	assert.Equal(t, handler.Card{Name: "韦**", Sex: "男", Ethnicity: "汉", BirthDate: "1949******", Address: "************", IDNumber: "110***********002X"}, Card(card))
	assert.Equal(t, handler.Card{Name: "*", BirthDate: "***"}, Card(handler.Card{Name: "王", BirthDate: "198"}))
	d := handler.Document{Card: &card, Raw: json.RawMessage(`{"idNo":"11010519491231002X"}`), OCR: handler.OCR{Message: "韦小宝"}, Image: handler.Image{Key: "a/11010519491231002X.jpg"}}
	text, err := json.Marshal(Document(d))
	require.NoError(t, err)
	for _, secret := range []string{"小宝", "19491231", "景山", "12-31"} {
		assert.NotContains(t, string(text), secret)
	}
	assert.Equal(t, "韦小宝", d.Card.Name, "the original stays")
}
