// Package masking makes cards and documents fit for eyes they are not meant for. It keeps what is needed to tell that a card
// was read and never more than a family name and the ends of an ID number.
package masking

import (
	"strings"
	"unicode/utf8"

	"fc-idcard-ocr/handler"
	"fc-idcard-ocr/internal/idnumber"
)

// Card returns the card with everything personal replaced by asterisks: of the name the first character is left, of the ID number
// what idnumber.Mask leaves, of the birth date the year, of the address nothing. Sex and ethnicity stay.
func Card(c handler.Card) handler.Card {
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

// Key masks the ID numbers in an object key or file name, as people name files after them.
func Key(key string) string { return idnumber.MaskDigits(key) }

// Document masks a document: card and key as above. The provider's words and its raw answer, which repeat the card, are
// dropped.
func Document(d handler.Document) handler.Document {
	if d.Card != nil {
		card := Card(*d.Card)
		d.Card = &card
	}
	d.Raw, d.OCR.Message = nil, ""
	d.Image.Key = Key(d.Image.Key)
	return d
}
