package idnumber

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

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
	i := 0
	for _, r := range s {
		if i < maskHead || i >= n-maskTail {
			b.WriteRune(r)
		} else {
			b.WriteByte('*')
		}
		i++
	}
	return b.String()
}

// MaskDigits masks, as Mask does, every run of 15 or more digits in s together with an X that ends it, in half or full width,
// whatever stands around it and whatever separates the digits: blanks, dashes, dots, characters that are not seen. Letters
// and asterisks end a run. So does a slash, as keys have dates in their folders, unless the digits on both sides make a number
// whose check digit holds. All else of s stays as it is, byte for byte.
//
// It is meant for text that is not known to hold a number but may, such as object keys. Time stamps of 15 digits and more are
// masked too: what is too much masked can still be read in the bucket, what is too little cannot be taken back from a log.
// Without such a run it returns s and allocates nothing.
func MaskDigits(s string) string {
	var b strings.Builder
	copied := 0 // s[:copied] is in b
	for i := 0; i < len(s); {
		end, n := digitRun(s, i, len(s), false)
		if n < oldLength && numberAt(s, i) {
			end, n = digitRun(s, i, Length, true)
		}
		if n >= oldLength {
			b.Grow(len(s) - copied)
			b.WriteString(s[copied:i])
			maskDigits(&b, s[i:end], n)
			copied, i = end, end
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:]) // the next digit may begin a number across slashes
		i += size
	}
	if copied == 0 {
		return s
	}
	b.WriteString(s[copied:])
	return b.String()
}

// maskDigits writes s masked, of which n characters are digits or an X; what separates them stays.
func maskDigits(b *strings.Builder, s string, n int) {
	i := 0
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		own := toASCII(r) != 0
		if own && i >= maskHead && i < n-maskTail {
			b.WriteByte('*')
		} else {
			b.WriteString(s[:size])
		}
		if own {
			i++
		}
		s = s[size:]
	}
}

// digitRun finds the digits that begin at s[start], at most limit of them, and an X that ends them; n counts both, and end is
// behind the last of them. slashes says whether a slash may stand between two digits.
func digitRun(s string, start, limit int, slashes bool) (end, n int) {
	end = start
	for at := start; at < len(s) && n < limit; {
		r, size := utf8.DecodeRuneInString(s[at:])
		c := toASCII(r)
		at += size
		switch {
		case c == 'X' && n > 0 && (at-size == end || n == Length-1 && !letterAt(s, at)):
			return at, n + 1
		case c != 0 && c != 'X':
			end = at
			n++
		case n == 0 || !separates(r, slashes):
			return end, n
		}
	}
	return end, n
}

// separates reports whether a character may stand between two digits of one number.
func separates(r rune, slashes bool) bool {
	return r != '*' && (r != '/' || slashes) && !unicode.IsLetter(r)
}

func letterAt(s string, at int) bool {
	r, _ := utf8.DecodeRuneInString(s[at:])
	return unicode.IsLetter(r)
}

// numberAt reports whether a number of Length characters with the right check digit and a birth date begins at s[start], be it
// across slashes.
func numberAt(s string, start int) bool {
	var digits [Length]byte
	n := 0
	for at := start; n < Length && at < len(s); {
		r, size := utf8.DecodeRuneInString(s[at:])
		c := toASCII(r)
		switch {
		case c != 0 && (c != 'X' || n == Length-1):
			digits[n] = c
			n++
		case n == 0 || !separates(r, true):
			return false
		}
		at += size
	}
	if n < Length || digits[Length-1] != checkCharacter(digits[:Length-1]) {
		return false
	}
	_, isDate := Number{string(digits[:])}.BirthDate()
	return isDate
}
