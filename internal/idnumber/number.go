// Package idnumber reads the citizen ID number of GB 11643: its check digit, birth date, sex and region of first issue,
// and masks such numbers for logs. It never looks anything up outside the process, never reads the clock and never puts
// a number, or a part of one, into an error text.
//
// It stays internal: the module has no address from which others could fetch it, what is masked follows this program's logs, and
// the region table changes with the data. Who wants it copies the folder, which imports the standard library only.
package idnumber

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
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

// Number is a citizen ID number of the right form: 17 digits and a digit or X, or, from ParseFirstGeneration, 15 digits. Whether
// it holds together is for CheckDigit, BirthDate and Region to say. Numbers are comparable. Formatting, logging and encoding one
// as text shows it masked; Plain gives it out. The zero Number is no number: it is empty, and none of its checks hold.
type Number struct {
	text string // "" or Length or oldLength ASCII characters, X upper case
}

// Kind says by which rule a number was given.
type Kind string

// The kinds of numbers.
const (
	UnknownKind              Kind = "unknown"                    // of no known rule
	Resident                 Kind = "resident"                   // GB 11643: it begins with a region of GB/T 2260
	HongKongMacaoTaiwan      Kind = "hongkong-macao-taiwan"      // residence permit of 2018: 81, 82 or 83 in place of a province
	ForeignPermanentResident Kind = "foreign-permanent-resident" // GA 2102-2023: 9, two digits of place, three of country
	FifteenDigit             Kind = "fifteen-digit"              // given before 1999-10-01
)

// Kind returns the kind by length and first digits.
func (n Number) Kind() Kind {
	switch {
	case n.text == "":
		return UnknownKind
	case len(n.text) == oldLength:
		return FifteenDigit
	case n.text[0] == '9':
		return ForeignPermanentResident
	case n.text[0] == '8' && n.text[1] >= '1' && n.text[1] <= '3':
		return HongKongMacaoTaiwan
	}
	if _, known := regions().name(decimal(n.text[:2]) * 10000); known {
		return Resident
	}
	return UnknownKind
}

// Parse reads a citizen ID number. Blanks around it are dropped, full-width digits and letters are taken as their ASCII
// forms and x as X, because these are ways in which a printed number is typed or read. The errors are ErrLength,
// ErrCharacter and ErrFirstGeneration, with a text that says what is accepted and shows nothing of s.
func Parse(s string) (Number, error) {
	folded, n := fold(s)
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

// ParseFirstGeneration reads a 15-digit number, as Parse reads one of 18 characters. Its errors are ErrLength and ErrCharacter.
func ParseFirstGeneration(s string) (Number, error) {
	folded, n := fold(s)
	if n != oldLength {
		return Number{}, fmt.Errorf("%w: %d characters, accepted are 15 digits", ErrLength, n)
	}
	for i, c := range folded[:oldLength] {
		if !isDigit(c) {
			return Number{}, fmt.Errorf("%w: character %d, accepted are 15 digits", ErrCharacter, i+1)
		}
	}
	return Number{string(folded[:oldLength])}, nil
}

// fold gives the ASCII forms of the first Length characters of s, and how many it has, blanks around it not counted.
func fold(s string) (folded [Length]byte, n int) {
	for _, r := range strings.TrimSpace(s) {
		if n < Length {
			folded[n] = toASCII(r)
		}
		n++
	}
	return folded, n
}

// Compact returns the digits and X of s in ASCII, without what separates them: blanks, dashes, dots, commas, underscores and
// characters that are not seen. It returns false if s holds anything else, such as a letter or an asterisk, or no digit.
func Compact(s string) (number string, ok bool) {
	var b strings.Builder
	for _, r := range s {
		switch c := toASCII(r); {
		case c != 0:
			b.WriteByte(c)
		case !strings.ContainsRune(".,_·", r) && !unicode.In(r, unicode.White_Space, unicode.Cc, unicode.Cf, unicode.Mn, unicode.Pd) && r != '\u2212':
			return "", false
		}
	}
	return b.String(), b.Len() > 0
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
	return len(n.text) == Length && n.text[Length-1] == checkCharacter(n.text[:Length-1])
}

// checkCharacter computes ISO 7064 MOD 11-2 the recursive way (ISO/IEC 7064, 7.1): no table of weights is needed.
func checkCharacter[T string | []byte](digits T) byte {
	p := 0
	for i := range len(digits) {
		p = (p + int(digits[i]-'0')) * 2 % 11
	}
	return "0123456789X"[(12-p)%11]
}

// BirthDate gives the date in characters 7 to 14, at midnight UTC; a 15-digit number leaves out the first two digits of the year,
// which are 19. It is false when there is no such day in the Gregorian calendar. Whether the date lies in the future, or too far back to be believed, is for the caller, who has a clock.
func (n Number) BirthDate() (time.Time, bool) {
	if n.text == "" {
		return time.Time{}, false
	}
	digits := n.text[6:]
	if len(n.text) == oldLength {
		digits = "19" + digits
	}
	year, month, day := decimal(digits[:4]), decimal(digits[4:6]), decimal(digits[6:8])
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

// Sex is the sex in the sequence code of a number. The zero Sex is that of the zero Number.
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

// Sex returns the sex by the last digit of the sequence code: the 17th character, or the 15th of a 15-digit number.
func (n Number) Sex() Sex {
	if n.text == "" {
		return 0
	}
	if (n.text[min(len(n.text), Length-1)-1]-'0')%2 == 1 {
		return Male
	}
	return Female
}

// Region gives the name of the county-level region that the first six digits stand for, with province and prefecture in
// front (北京市朝阳区), and whether the code is one of GB/T 2260, as it stands or as it stood at some time since 1980: a number
// keeps the code of the year in which it was given. An unknown code is a reason to doubt a number, not a proof against it: the
// police gave out some that stand in no list. The number of a foreign permanent resident has no region.
func (n Number) Region() (name string, ok bool) {
	if n.text == "" || n.Kind() == ForeignPermanentResident {
		return "", false
	}
	return regionName(decimal(n.text[:6]))
}

// Plain gives the characters of the number unmasked.
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
