package display

import (
	"encoding/json"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNothingInvisibleIsPrinted(t *testing.T) {
	for s, want := range map[string]string{
		"2026/身份证 a.jpg": "2026/身份证 a.jpg",
		"\x1b[2J\r\n\t":  `\x1b[2J\x0d\x0a\x09`,
		"\u202egpj.exe":  `\u202egpj.exe`,
		"\u2066\u2069":   `\u2066\u2069`,
		"a\u200bb\ufeff": `a\u200bb\ufeff`,
		"\u009b1m\u007f": `\u009b1m\x7f`,
		"\xff\xfe":       `\xff\xfe`,
		"\U000e0041":     `\U000e0041`,
		"\u2028":         `\u2028`,
		"é · 𠮷":          "é · 𠮷",
	} {
		assert.Equal(t, want, Printable(s))
	}
	assert.Equal(t, "a\n\\x1b", Lines("a\n\x1b"))
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b\u202e", 10)
	f.Fuzz(func(t *testing.T, s string, width int) {
		for _, r := range Printable(s) {
			assert.True(t, unicode.IsGraphic(r), "%q", r)
		}
		if width > 2 && width < 500 {
			assert.Equal(t, width, Width(Fit(s, width)), "%q", Fit(s, width))
		}
		text, err := json.Marshal(s)
		require.NoError(t, err)
		escaped := JSON(text)
		for _, r := range string(escaped) {
			assert.True(t, unicode.IsGraphic(r), "%q", r)
		}
		var back string
		require.NoError(t, json.Unmarshal(escaped, &back))
		if utf8.ValidString(s) {
			assert.Equal(t, s, back)
		}
	})
}

func TestALongKeyTakesNoMoreColumnsThanItsShare(t *testing.T) {
	assert.Equal(t, "a.jpg   ", Fit("a.jpg", 8))
	assert.Equal(t, "202…jpg", Fit("2026/11/23/a.jpg", 7))
	assert.Equal(t, "身份证", Fit("身份证", 6))
	assert.Equal(t, "身…件", Fit("身份证件", 5))
	assert.Equal(t, "身… ", Fit("身份证件", 4))
}
