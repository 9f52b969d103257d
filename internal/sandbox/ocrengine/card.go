package ocrengine

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"fc-idcard-ocr/internal/idnumber"
)

// Card is what was read from the front of an identity card. A field that was not read is empty.
type Card struct {
	Name      string
	Sex       string // 男 or 女
	Ethnicity string // one of the 56 names, without 族
	BirthDate string // ISO 8601, such as 1980-01-31
	Address   string // its printed lines joined
	IDNumber  string // 18 characters as printed, X upper case: its check digit may be wrong
}

// certain reports whether every field was read, a name has its usual two characters and more, and number, birth date and
// sex bear one another out, so that a second look would bring nothing.
func (c Card) certain() bool {
	return utf8.RuneCountInString(c.Name) > 1 && c.Ethnicity != "" && c.Address != "" && idnumber.Valid(c.IDNumber) &&
		c.BirthDate == birthDateOf(c.IDNumber) && c.Sex == sexOf(c.IDNumber)
}

// or completes c from a second reading of the same picture. What the first one read stays, unless the second one's is
// borne out by the number.
func (c Card) or(second Card) Card {
	if c.IDNumber == "" || !idnumber.Valid(c.IDNumber) && idnumber.Valid(second.IDNumber) {
		c.IDNumber = second.IDNumber
	}
	if c.BirthDate == "" || second.BirthDate != "" && second.BirthDate == birthDateOf(c.IDNumber) {
		c.BirthDate = second.BirthDate
	}
	if c.Sex == "" || second.Sex != "" && second.Sex == sexOf(c.IDNumber) {
		c.Sex = second.Sex
	}
	if utf8.RuneCountInString(c.Name) < 2 && second.Name != "" {
		c.Name = second.Name
	}
	if c.Ethnicity == "" {
		c.Ethnicity = second.Ethnicity
	}
	if c.Address == "" {
		c.Address = second.Address
	}
	return c
}

// birthDateOf returns the ISO date that a number holds, or "".
func birthDateOf(number string) string {
	if n, err := idnumber.Parse(number); err == nil {
		if date, ok := n.BirthDate(); ok {
			return date.Format(time.DateOnly)
		}
	}
	return ""
}

// sexOf returns the sex that a number holds, or "".
func sexOf(number string) string {
	n, err := idnumber.Parse(number)
	if err != nil {
		return ""
	}
	return n.Sex().String()
}

// portraitBegins is where the portrait's column begins, as a share of the way from the labels' left edge to the end of
// the number. Measured on the card's layout: whatever begins right of it is no part of a field.
const portraitBegins = 0.66

// The labels, each also with one of its characters missing or misread for a look-alike.
var (
	nameLabel    = regexp.MustCompile(`^(?:[姓性娃]?名|姓.?)`)
	sexLabel     = regexp.MustCompile(`^(?:[性姓]?别|性.?)`)
	groupLabel   = regexp.MustCompile(`民族|民旅|民|族`)
	birthLabel   = regexp.MustCompile(`^(?:出生|出.|生)`)
	addressLabel = regexp.MustCompile(`^(?:[住佳往任]址|住.?|址)`)
	numberLabel  = regexp.MustCompile(`公民身|民身份|身份号|份号码`)

	printedDate = regexp.MustCompile(`([0-9]{4})年?([0-9]{1,2})月([0-9]{1,2})`)
	specimen    = regexp.MustCompile(`样张|(?i)specimen`)
)

// parseCard makes a card of the lines found in a picture. Lines that are no part of a card give an empty card.
func parseCard(lines []line) Card {
	spans := straighten(lines)
	number, at := findNumber(spans)
	rows := rowsOf(withoutPortrait(spans, at))

	// A card's fields follow one another from top to bottom, which settles rows whose label was not read.
	const (
		above = iota
		atName
		atSex
		atBirth
		atAddress
		below
	)
	card := Card{IDNumber: number}
	place, labels := above, 0
	before := ""      // the unlabelled row above this one
	birthDigits := "" // those of the printed birth date
	var address strings.Builder
	for _, row := range rows {
		text := rowText(row)
		switch {
		case place >= atSex && (numberLabel.MatchString(text) || len(digitsOf(text)) >= 17):
			place = below
		case place == below:
		case place < atName && nameLabel.MatchString(text):
			place, card.Name = atName, personName(trimLabel(text, nameLabel))
		case place < atSex && (sexLabel.MatchString(text) || strings.Contains(text, "民族")):
			if place == above {
				card.Name = personName(before)
			}
			place = atSex
			card.Sex, card.Ethnicity = sexAndGroup(text, rowChoices(row))
		case place < atBirth && (printedDate.MatchString(text) || birthLabel.MatchString(text)):
			place, card.BirthDate, birthDigits = atBirth, dateIn(text), digitsOf(text)
		case place < atAddress && place >= atName && addressLabel.MatchString(text):
			place = atAddress
			address.WriteString(trimLabel(text, addressLabel))
		case place == atBirth: // an address whose label was not read
			place = atAddress
			labels--
			address.WriteString(text)
		case place == atAddress:
			address.WriteString(text)
			continue
		default:
			before = text
			continue
		}
		labels++
	}
	card.Address = postalAddress(address.String())

	// A single label may stand in any document; it makes no card.
	if number == "" && labels < 3 {
		return Card{}
	}
	return card.fillFromNumber(birthDigits)
}

// fillFromNumber takes sex and birth date, if they were not read, from the number, which holds both once more. A number
// whose check digit fails is trusted only for a date whose printed year agrees.
func (c Card) fillFromNumber(birthDigits string) Card {
	sound := idnumber.Valid(c.IDNumber)
	if c.Sex == "" && sound {
		c.Sex = sexOf(c.IDNumber)
	}
	if date := birthDateOf(c.IDNumber); c.BirthDate == "" && date != "" && (sound || strings.HasPrefix(birthDigits, date[:4])) {
		c.BirthDate = date
	}
	return c
}

// findNumber returns the likeliest citizen ID number among the spans and the span that ends it, or "" and -1.
func findNumber(spans []span) (string, int) {
	best, at, rank := "", -1, 0
	consider := func(text string, i int) {
		for _, candidate := range numbersIn(text) {
			r := 1
			if n, err := idnumber.Parse(candidate); err == nil {
				if _, ok := n.BirthDate(); ok {
					r += 1
				}
				if n.CheckDigit() {
					r += 2
				}
			}
			if r > rank {
				best, at, rank = strings.ToUpper(candidate), i, r
			}
		}
	}
	for i, s := range spans {
		consider(s.text, i)
	}
	if at >= 0 {
		return best, at
	}
	// The detector may have torn the number in two.
	for _, row := range rowsOf(spans) {
		consider(rowText(row), 0)
		if at >= 0 {
			end := row[len(row)-1]
			return best, slices.IndexFunc(spans, func(s span) bool { return s.right == end.right && s.middle == end.middle })
		}
	}
	return "", -1
}

// numbersIn returns the runs of 17 digits and a digit or X in text. From a longer run (a mark of the background read as a
// digit) only such a part counts as holds together.
func numbersIn(text string) []string {
	isPart := func(r rune) bool { return r >= '0' && r <= '9' || r == 'X' || r == 'x' }
	var found []string
	for _, run := range strings.FieldsFunc(strings.ReplaceAll(text, " ", ""), func(r rune) bool { return !isPart(r) }) {
		for from := 0; from+idnumber.Length <= len(run); from++ {
			part := run[from : from+idnumber.Length]
			n, err := idnumber.Parse(part)
			if err != nil {
				continue
			}
			if _, ok := n.BirthDate(); len(run) == idnumber.Length || ok && n.CheckDigit() {
				found = append(found, part)
			}
		}
	}
	return found
}

// withoutPortrait drops what stands in the portrait's column. The span at the index holds the number's end; without it
// (-1) only the words of a specimen can be told.
func withoutPortrait(spans []span, number int) []span {
	left := math.Inf(1)
	for _, s := range spans {
		text := strings.ReplaceAll(s.text, " ", "")
		if nameLabel.MatchString(text) || sexLabel.MatchString(text) || birthLabel.MatchString(text) ||
			addressLabel.MatchString(text) || numberLabel.MatchString(text) {
			left = min(left, s.left)
		}
	}
	kept := make([]span, 0, len(spans))
	for i, s := range spans {
		if specimen.MatchString(strings.ReplaceAll(s.text, " ", "")) {
			continue
		}
		if number >= 0 && i != number && s.left > left+portraitBegins*(spans[number].right-left) {
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

func rowText(row []span) string {
	var b strings.Builder
	for _, s := range row {
		b.WriteString(strings.ReplaceAll(s.text, " ", ""))
	}
	return b.String()
}

// rowChoices returns the choices for each character of rowText.
func rowChoices(row []span) []string {
	var choices []string
	for _, s := range row {
		for i, r := range []rune(s.text) {
			switch {
			case r == ' ':
			case i < len(s.choices):
				choices = append(choices, s.choices[i])
			default:
				choices = append(choices, string(r))
			}
		}
	}
	return choices
}

func trimLabel(text string, label *regexp.Regexp) string {
	return text[len(label.FindString(text)):]
}

func digitsOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
}

// personName keeps what a name consists of: Chinese characters and, in names of several parts, the middle dot.
func personName(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Han, r):
			b.WriteRune(r)
		case strings.ContainsRune("·・•‧∙.．。", r):
			b.WriteRune('·')
		}
	}
	name := strings.Trim(b.String(), "·")
	// 一 before a name is a stroke between the label and it; as a surname it is all but unknown.
	if rest := strings.TrimPrefix(name, "一"); utf8.RuneCountInString(rest) > 1 {
		return rest
	}
	return name
}

// sexAndGroup reads the row that holds both: 性别 男 民族 汉.
func sexAndGroup(text string, choices []string) (sex, group string) {
	left := text
	if at := groupLabel.FindStringIndex(text); at != nil {
		left = text[:at[0]]
		skip := min(utf8.RuneCountInString(text[:at[1]]), len(choices))
		group = ethnicGroup(onlyHan(text[at[1]:], choices[skip:]))
	}
	left = trimLabel(left, sexLabel)
	switch {
	case strings.ContainsRune(left, '女'):
		sex = "女"
	case strings.ContainsRune(left, '男'):
		sex = "男"
	}
	return sex, group
}

// dateIn returns the printed date as an ISO date, or "" if it is none of the calendar.
func dateIn(text string) string {
	m := printedDate.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	year, _ := strconv.Atoi(m[1])
	month, _ := strconv.Atoi(m[2])
	day, _ := strconv.Atoi(m[3])
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Month() != time.Month(month) || date.Day() != day {
		return ""
	}
	return date.Format(time.DateOnly)
}

// postalAddress drops what cannot begin or end an address: strokes of the background read as punctuation. Parentheses
// become full-width ones, as Chinese text has them: the recogniser gives either for either.
func postalAddress(text string) string {
	text = strings.NewReplacer("(", "（", ")", "）").Replace(text)
	text = strings.TrimFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("（）#", r)
	})
	// No province, prefecture or county begins with 一: it is a stroke between the label and the address.
	return strings.TrimLeft(text, "一")
}

// onlyHan keeps the Chinese characters of text and the choices that belong to them.
func onlyHan(text string, choices []string) (string, []string) {
	var kept strings.Builder
	var keptChoices []string
	for i, r := range []rune(text) {
		if !unicode.Is(unicode.Han, r) {
			continue
		}
		kept.WriteRune(r)
		if i < len(choices) {
			keptChoices = append(keptChoices, choices[i])
		}
	}
	return kept.String(), keptChoices
}
