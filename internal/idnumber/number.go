// Package idnumber reads the citizen ID number of GB 11643: its check digit, birth date, sex and region of first issue,
// and masks such numbers for logs. It never looks anything up outside the process, never reads the clock and never puts
// a number, or a part of one, into an error text.
package idnumber

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"
)

// Length is the number of characters of a citizen ID number: six of region, eight of birth date, three of sequence, one
// check character.
const Length = 18

// oldLength is the length of the numbers issued before 1999-10-01, which have a two-digit year and no check digit.
const oldLength = 15

var (
	// ErrLength is returned by Parse for text that has neither 18 nor 15 characters.
	ErrLength = errors.New("idnumber: wrong length")
	// ErrCharacter is returned by Parse for 18 characters of which one is not allowed at its place.
	ErrCharacter = errors.New("idnumber: wrong character")
	// ErrFirstGeneration is returned by Parse for a 15-character number: it has no check digit, so nothing can be said of
	// how well it was read, and the cards that bear one have been out of use since 2013-01-01.
	ErrFirstGeneration = errors.New("idnumber: 15-digit number of a first-generation card")
)

const accepted = "accepted are 17 digits followed by a digit or X"

// Number is a citizen ID number of the right form: 17 digits and a digit or X. Whether it holds together is for CheckDigit,
// BirthDate and Region to say. Numbers are comparable. Formatting, logging and encoding one as text shows it masked; Plain
// gives it out. The zero Number is no number: it is empty, and none of its checks hold.
type Number struct {
	text string // "" or Length ASCII characters, X upper case
}

// Parse reads a citizen ID number. Blanks around it are dropped, full-width digits and letters are taken as their ASCII
// forms and x as X, because these are ways in which a printed number is typed or read. The errors are ErrLength,
// ErrCharacter and ErrFirstGeneration, with a text that says what is accepted and shows nothing of s.
func Parse(s string) (Number, error) {
	s = strings.TrimSpace(s)
	var folded [Length]byte
	n := 0
	for _, r := range s {
		if n < Length {
			folded[n] = toASCII(r)
		}
		n++
	}
	switch n {
	case Length:
	case oldLength:
		return Number{}, fmt.Errorf("%w: %s", ErrFirstGeneration, accepted)
	default:
		return Number{}, fmt.Errorf("%w: %d characters, %s", ErrLength, n, accepted)
	}
	for i, c := range folded {
		if !isDigit(c) && (c != 'X' || i != Length-1) {
			return Number{}, fmt.Errorf("%w: character %d, %s", ErrCharacter, i+1, accepted)
		}
	}
	return Number{string(folded[:])}, nil
}

// Valid reports whether s is a citizen ID number as Parse accepts it and its check digit holds. Birth date and region are
// not looked at.
func Valid(s string) bool {
	n, err := Parse(s)
	return err == nil && n.CheckDigit()
}

// toASCII gives the ASCII form of a digit or X in half or full width, and 0 for everything else.
func toASCII(r rune) byte {
	switch {
	case r >= '0' && r <= '9':
		return byte(r)
	case r >= '０' && r <= '９':
		return byte(r - '０' + '0')
	case r == 'X' || r == 'x' || r == 'Ｘ' || r == 'ｘ':
		return 'X'
	}
	return 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// CheckDigit reports whether the last character is the one that ISO 7064 MOD 11-2 gives for the 17 digits before it. One
// misread digit, or two neighbours exchanged, always fails.
func (n Number) CheckDigit() bool {
	return n.text != "" && n.text[Length-1] == checkCharacter(n.text[:Length-1])
}

// checkCharacter computes ISO 7064 MOD 11-2 the recursive way (ISO/IEC 7064, 7.1): no table of weights is needed.
func checkCharacter(digits string) byte {
	p := 0
	for i := range len(digits) {
		p = (p + int(digits[i]-'0')) * 2 % 11
	}
	return "0123456789X"[(12-p)%11]
}

// BirthDate gives the date in characters 7 to 14, at midnight UTC. It is false when there is no such day in the Gregorian
// calendar. Whether the date lies in the future, or too far back to be believed, is for the caller, who has a clock.
func (n Number) BirthDate() (time.Time, bool) {
	if n.text == "" {
		return time.Time{}, false
	}
	year, month, day := decimal(n.text[6:10]), decimal(n.text[10:12]), decimal(n.text[12:14])
	// time.Date carries surplus days and months over (30 February is 1 or 2 March), so only a real day survives unchanged.
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if year == 0 || int(date.Month()) != month || date.Day() != day {
		return time.Time{}, false
	}
	return date, true
}

func decimal(digits string) int {
	v := 0
	for i := range len(digits) {
		v = v*10 + int(digits[i]-'0')
	}
	return v
}

// Sex is the sex that a number's sequence code tells. The zero Sex is that of the zero Number.
type Sex int

// Odd sequence codes are given to men, even ones to women (GB 11643, 4.1.3).
const (
	Male Sex = iota + 1
	Female
)

// String gives the word printed on the card, 男 or 女, and an empty string for the zero Sex.
func (s Sex) String() string {
	switch s {
	case Male:
		return "男"
	case Female:
		return "女"
	}
	return ""
}

// Sex tells the sex from the 17th character.
func (n Number) Sex() Sex {
	if n.text == "" {
		return 0
	}
	if (n.text[Length-2]-'0')%2 == 1 {
		return Male
	}
	return Female
}

// Region gives the name of the county-level region that the first six digits stand for, with province and prefecture in
// front (北京市朝阳区), and whether the code is one of GB/T 2260, as it stands or as it stood at some time since 1980: a number
// keeps the code of the year in which it was given. An unknown code is a reason to doubt a number, not a proof against it.
func (n Number) Region() (name string, ok bool) {
	if n.text == "" {
		return "", false
	}
	return regionName(decimal(n.text[:6]))
}

// Plain gives the 18 characters of the number unmasked.
func (n Number) Plain() string { return n.text }

// String gives the number masked, as Mask does, so that a number cannot be logged by accident.
func (n Number) String() string { return Mask(n.text) }

// Format writes the number masked, whatever the verb: %#v and %x would otherwise show the characters.
func (n Number) Format(f fmt.State, verb rune) {
	text := n.String()
	if verb == 'q' {
		text = `"` + text + `"`
	}
	_, _ = io.WriteString(f, text) // fmt.State keeps errors to itself
}

// LogValue gives slog the number masked.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.String()) }

// MarshalText gives encoders (JSON among them) the number masked; who wants it plain encodes Plain.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// What Mask leaves readable: enough to tell two cards of a batch apart, and neither the birth date nor the county.
const (
	maskHead = 3
	maskTail = 4
)

// Mask replaces what is personal in a number by one asterisk per character: it keeps the first three characters (the province and a
// digit more) and the last four, and nothing at all of text that is shorter than an old 15-digit number. It takes any string.
func Mask(s string) string {
	n := utf8.RuneCountInString(s)
	if n < oldLength {
		return strings.Repeat("*", n)
	}
	var b strings.Builder
	b.Grow(len(s))
	maskRun(&b, s, n)
	return b.String()
}

// maskRun writes s, which has n >= oldLength characters, masked.
func maskRun(b *strings.Builder, s string, n int) {
	i := 0
	for _, r := range s {
		if i < maskHead || i >= n-maskTail {
			b.WriteRune(r)
		} else {
			b.WriteByte('*')
		}
		i++
	}
}

// MaskDigits masks, as Mask does, every run of 15 or more digits in s together with an X right behind it, in half or full
// width and whatever stands around it; the rest of s stays as it is, byte for byte. It is meant for text that is not known to hold a number but
// may, such as object keys. Time stamps of 15 digits and more are masked too: what is too much masked can still be read
// in the bucket, what is too little cannot be taken back from a log. Without such a run it returns s and allocates nothing.
func MaskDigits(s string) string {
	var b strings.Builder
	copied := 0 // s[:copied] is in b
	for i := 0; i < len(s); {
		end, n := digitRun(s, i)
		if n >= oldLength {
			b.Grow(len(s) - copied)
			b.WriteString(s[copied:i])
			maskRun(&b, s[i:end], n)
			copied = end
		}
		if n == 0 {
			_, size := utf8.DecodeRuneInString(s[i:])
			end = i + size
		}
		i = end
	}
	if copied == 0 {
		return s
	}
	b.WriteString(s[copied:])
	return b.String()
}

// digitRun finds the digits that begin at s[start], and an X that ends them; n counts characters.
func digitRun(s string, start int) (end, n int) {
	end = start
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		c := toASCII(r)
		if c == 0 || c == 'X' && n == 0 {
			break
		}
		end += size
		n++
		if c == 'X' {
			break
		}
	}
	return end, n
}
