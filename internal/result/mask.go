package result

import (
	"strings"
	"unicode/utf8"

	"fc-idcard-ocr/internal/idnumber"
)

// Mask returns the card with everything personal replaced by asterisks: of the name the first character is left, of the ID number
// what idnumber.Mask leaves, of the birth date the year, of the address nothing. Sex and ethnicity stay.
func (c Card) Mask() Card {
	c.Name = firstOf(c.Name, 1)
	c.IDNumber = idnumber.Mask(c.IDNumber)
	c.BirthDate = firstOf(c.BirthDate, 4)
	c.Address = firstOf(c.Address, 0)
	return c
}

func firstOf(s string, n int) string {
	runes := utf8.RuneCountInString(s)
	if runes <= n {
		n = 0
	}
	return string([]rune(s)[:n]) + strings.Repeat("*", runes-n)
}

// MaskKey masks the ID numbers in an object key or file name, as people name files after them.
func MaskKey(key string) string { return idnumber.MaskDigits(key) }

// Mask returns the document masked: card as above, keys as MaskKey does. The provider's words and its raw answer, which repeat the card, are
// dropped.
func (d Document) Mask() Document {
	if d.Card != nil {
		card := d.Card.Mask()
		d.Card = &card
	}
	d.Raw, d.RawText, d.OCR.Message = nil, "", ""
	d.Image.Key, d.OCR.ReusedFrom = MaskKey(d.Image.Key), MaskKey(d.OCR.ReusedFrom)
	return d
}
