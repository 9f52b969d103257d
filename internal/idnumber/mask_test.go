package idnumber

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestMaskKeepsThreeAndFourOfALongText(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                "",
		"张":               "*",
		"王小明":             "***",
		"12345678901234":  "**************",
		"110105491231002": "110********1002",
		standardFemale:    "110***********002X",
		"１１０１０５１９４９１２３１００２Ｘ": "１１０***********００２Ｘ",
		"湖北省武汉市江岸区一元街道扬子社区":  "湖北省**********扬子社区",
	} {
		assert.Equal(t, want, Mask(s), s)
	}
}

func TestMaskDigitsMasksEveryLongRunAndNothingElse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ s, want string }{
		"empty":                        {"", ""},
		"no digits":                    {"cards/front.jpg", "cards/front.jpg"},
		"dates and short runs":         {"2026/11/23/20261123080000.jpg", "2026/11/23/20261123080000.jpg"},
		"number alone":                 {"11010519491231002X", "110***********002X"},
		"number in a key":              {"a/11010519491231002X.jpg", "a/110***********002X.jpg"},
		"lower-case x":                 {"a/11010519491231002x.jpg", "a/110***********002x.jpg"},
		"between letters":              {"id11010519491231002Xfront", "id110***********002Xfront"},
		"behind hanzi":                 {"身份证110105194912310021正面.png", "身份证110***********0021正面.png"},
		"first generation":             {"110105491231002.jpg", "110********1002.jpg"},
		"fourteen digits":              {"11010549123100.jpg", "11010549123100.jpg"},
		"fourteen digits and an X":     {"11010549123100X.jpg", "110********100X.jpg"},
		"two numbers":                  {"11010519491231002X-440524188001010014", "110***********002X-440***********0014"},
		"two numbers, nothing between": {"11010519491231002X440524188001010014", "110***********002X440***********0014"},
		"date in front of a number":    {"2026112311010519491231002X", "202*******************002X"},
		"full-width":                   {"卡１１０１０５１９４９１２３１００２Ｘ。", "卡１１０***********００２Ｘ。"},
		"widths mixed":                 {"１１０１０５19491231００２X", "１１０***********００２X"},
		"broken UTF-8 around it":       {"\xff11010519491231002X\xfe\xff", "\xff110***********002X\xfe\xff"},
		"X alone":                      {"XXXXXXXXXXXXXXXXXXXX", "XXXXXXXXXXXXXXXXXXXX"},
		"run at the very end":          {"k/110105194912310021", "k/110***********0021"},
		"already masked":               {"110***********002X", "110***********002X"},
		"dashes":                       {"a/110101-19900307-109X.jpg", "a/110***-********-109X.jpg"},
		"a blank":                      {"110101199003 07109X.jpg", "110********* **109X.jpg"},
		"several":                      {"110101 - 19900307__109 X.jpg", "110*** - ********__109 X.jpg"},
		"not seen":                     {"110101\u200b19900307\ufeff109X", "110***\u200b********\ufeff109X"},
		"broken UTF-8 between":         {"110101\xff19900307\xff109X", "110***\xff********\xff109X"},
		"replacement characters":       {"110101\ufffd19900307\ufffd109X", "110***\ufffd********\ufffd109X"},
		"impossible date":              {"110101-19909907-109X", "110***-********-109X"},
		"first generation, dots":       {"110105.491231.002", "110***.*****1.002"},
		"letters between":              {"110101a19900307b109X", "110101a19900307b109X"},
		"across folders":               {"cards/110105/19491231/002X.jpg", "cards/110***/********/002X.jpg"},
		"behind a date":                {"2026/11/23/110105/19491231/002X.jpg", "2026/11/23/110***/********/002X.jpg"},
		"folders without check digit":  {"110105/19491231/0021.jpg", "110105/19491231/0021.jpg"},
		"dates in folders":             {"2026/11/23/20261123-080000.jpg", "2026/11/23/20261123-080000.jpg"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, MaskDigits(tt.s))
		})
	}
}

func TestMaskDigitsLeavesTextWithoutNumbersUncopied(t *testing.T) {
	key := "2026/11/23/身份证/front-20261123080000.jpg"
	assert.Zero(t, testing.AllocsPerRun(100, func() { MaskDigits(key) }))
}

func FuzzMaskDigits(f *testing.F) {
	for _, s := range []string{"a/" + standardFemale + ".jpg", "１１０１０５１９４９１２３１００２Ｘ", "\xff123456789012345", "no digits", "110101-19900307-109X", "110105/19491231/002X", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		masked := MaskDigits(s)
		if utf8.RuneCountInString(masked) != utf8.RuneCountInString(s) {
			t.Fatal("number of characters changed")
		}
		if MaskDigits(masked) != masked {
			t.Fatal("masking twice is not masking once")
		}
		run := 0
		for _, r := range masked {
			switch {
			case r >= '0' && r <= '9' || r >= '０' && r <= '９':
				run++
			case !separates(r, false):
				run = 0
			}
			if run >= oldLength {
				t.Fatal("a run of digits is left")
			}
		}
	})
}

func BenchmarkMaskDigits(b *testing.B) {
	for name, key := range map[string]string{
		"without": "2026/11/23/身份证/front-20261123080000.jpg",
		"with":    "2026/11/23/身份证/" + standardFemale + ".jpg",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				MaskDigits(key)
			}
		})
	}
}
