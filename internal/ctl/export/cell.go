package export

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The guards of a cell. An apostrophe is put before what would be a formula (OWASP, "CSV Injection"), a tab before what would be
// a number, date, time or percentage. Both are undone by decodeCell.
const (
	formulaGuard = '\''
	valueGuard   = '\t'
)

// separators are the characters at which a spreadsheet of another locale splits a cell, whatever its quotes.
const separators = ";\t|\r\n"

// Cell keeps text from being taken for anything but text by Excel, LibreOffice and WPS.
func Cell(s string) string {
	var b strings.Builder
	switch {
	case startsFormula(s):
		b.WriteRune(formulaGuard)
	case looksLikeValue(s):
		b.WriteRune(valueGuard)
	}
	for i, r := range s { // what follows a separator is a cell of its own where that splits
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(s[i:])
		}
		b.WriteString(s[i : i+size])
		if strings.ContainsRune(separators, r) && startsFormula(s[i+size:]) {
			b.WriteRune(formulaGuard)
		}
	}
	return b.String()
}

// decodeCell undoes Cell: an apostrophe at the start or behind a separator is always a guard.
func decodeCell(s string) string {
	var b strings.Builder
	guard := true // possible here
	for i := 0; i < len(s); i++ {
		if guard && s[i] == formulaGuard || i == 0 && s[i] == valueGuard {
			guard = false
			continue
		}
		b.WriteByte(s[i])
		guard = strings.IndexByte(separators, s[i]) >= 0
	}
	return b.String()
}

// startsFormula reports whether a spreadsheet may take the text for a formula, or take its first character for a guard. Full-width
// characters are taken for plain ones by some.
func startsFormula(s string) bool {
	if s == "" {
		return false
	}
	if first := s[0]; first == formulaGuard || first == valueGuard || first == '\r' || first == '\n' {
		return true
	}
	s = strings.TrimLeftFunc(s, ignored)
	if s == "" {
		return false
	}
	_, size := utf8.DecodeRuneInString(s)
	plain := norm.NFKC.String(s[:size])
	return plain != "" && strings.ContainsRune("=+-@\u2212", []rune(plain)[0])
}

// ignored are the characters that may stand before a value: blanks of all kinds, and what cannot be seen.
func ignored(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// words are those of dates, times, currencies and numbers, in which alone a text with digits is still one of them.
var words = func() map[string]bool {
	m := map[string]bool{}
	for _, word := range strings.Fields(`e d t z a p am pm utc gmt cny rmb usd hkd eur
		jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september october november december
		mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday
		年 月 日 年月日 月日 时 時 分 秒 点 點 上午 下午 元 号 星期 周 星期一 星期二 星期三 星期四 星期五 星期六 星期日 周一 周二 周三 周四 周五 周六 周日`) {
		m[word] = true
	}
	return m
}()

// looksLikeValue reports whether a spreadsheet may take the text for a number, date, time, percentage or truth value. It says yes
// rather too often: digits with nothing but punctuation and the words of dates around them.
func looksLikeValue(s string) bool {
	plain := strings.ToLower(strings.TrimFunc(norm.NFKC.String(s), ignored))
	if plain == "true" || plain == "false" {
		return true
	}
	digits := false
	var word strings.Builder
	known := func() bool {
		ok := word.Len() == 0 || words[word.String()]
		word.Reset()
		return ok
	}
	for _, r := range plain {
		switch {
		case unicode.IsLetter(r):
			word.WriteRune(r)
			continue
		case unicode.IsNumber(r):
			digits = true
		}
		if !known() {
			return false
		}
	}
	return known() && digits
}
