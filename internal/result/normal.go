package result

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/idnumber"
	"fc-idcard-ocr/ocrclient"

	"golang.org/x/text/unicode/norm"
)

// normalCard returns the card in normal form: what programs compare does not depend on how the provider, or the machine that
// printed the card, wrote it. What is not understood stays as it came, but for characters that are not seen.
func normalCard(c ocrclient.Card) Card {
	card := Card{Name: name(c.Name), Sex: tidy(c.Sex), Ethnicity: ethnicity(c.Ethnicity), BirthDate: folded(c.BirthDate),
		Address: tidy(c.Address), IDNumber: folded(c.IDNumber)}
	if number, ok := idnumber.Compact(card.IDNumber); ok {
		card.IDNumber = number
	}
	if sex := readSex(c.Sex); sex != 0 {
		card.Sex = sex.String()
	}
	if days, _ := readDate(c.BirthDate); len(days) == 1 {
		card.BirthDate = days[0].Format(time.DateOnly)
	}
	return card
}

// tidy removes control characters, line breaks and whatever else is not seen, writes radicals and wide letters as the characters
// they stand for, and leaves no blank beside a Chinese character: the card prints none.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || unicode.Is(unicode.Zs, r):
			return ' '
		case config.Unseen(r) || r >= 0xfe00 && r <= 0xfe0f: // the latter select between forms of the character before
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	var b strings.Builder
	for _, r := range s {
		if widened(r) {
			b.WriteString(norm.NFKC.String(string(r)))
		} else {
			b.WriteRune(r)
		}
	}
	words := strings.Fields(b.String())
	b.Reset()
	for i, word := range words {
		if i > 0 && !endsInHan(words[i-1]) && !beginsInHan(word) {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String()
}

// folded is tidy for text in which every width and form of a character is the same: numbers, dates, single words.
func folded(s string) string { return tidy(norm.NFKC.String(s)) }

// widened tells characters that look like others and are compared as them: radicals, compatibility ideographs, full-width letters
// and digits. Full-width punctuation is what Chinese text has.
func widened(r rune) bool {
	switch {
	case r >= 0x2e80 && r <= 0x2fdf, r >= 0xf900 && r <= 0xfaff, r >= 0x2f800 && r <= 0x2fa1f:
		return true
	}
	return r >= 0xff00 && r <= 0xff5e && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func beginsInHan(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.Is(unicode.Han, r)
}

func endsInHan(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.Is(unicode.Han, r)
}

// nameDot stands between the parts of a name: U+00B7, by the notice of twelve ministries of 2016 on the dot in names of ethnic
// minorities.
const nameDot = '·'

// otherDots are what is read, typed or encoded in its place.
const otherDots = ".．․‥•‧・･∙⋅·᛫●⸱⸳ㆍ。｡﹒"

// name writes every dot between two Chinese characters as nameDot.
func name(s string) string {
	runes := []rune(tidy(s))
	var b strings.Builder
	for i := 0; i < len(runes); {
		end := i
		for end < len(runes) && (runes[end] == nameDot || strings.ContainsRune(otherDots, runes[end])) {
			end++
		}
		switch {
		case end == i:
			b.WriteRune(runes[i])
			end++
		case i > 0 && end < len(runes) && unicode.Is(unicode.Han, runes[i-1]) && unicode.Is(unicode.Han, runes[end]):
			b.WriteRune(nameDot)
		default:
			b.WriteString(string(runes[i:end]))
		}
		i = end
	}
	return b.String()
}

// ethnicity leaves out the label and 族.
func ethnicity(s string) string {
	s = strings.TrimLeft(strings.TrimPrefix(tidy(s), "民族"), ":： ")
	if group := strings.TrimSuffix(s, "族"); group != "" {
		return group
	}
	return s
}

// readSex understands the words for a sex, with the label or without; 0 is none of them.
func readSex(s string) idnumber.Sex {
	s = strings.ToLower(folded(s))
	s = strings.TrimSuffix(strings.TrimLeft(strings.TrimPrefix(s, "性别"), ": "), "性")
	switch s {
	case "男", "m", "male":
		return idnumber.Male
	case "女", "f", "female":
		return idnumber.Female
	}
	return 0
}
