package result

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
)

func TestIDNumberIsDigitsAndX(t *testing.T) {
	for came, want := range map[string]string{
		"11010119900307109X":   "11010119900307109X",
		"110101 19900307 109X": "11010119900307109X",
		"11010119900307109x":   "11010119900307109X",
		"１１０１０１１９９００３０７１０９ｘ":               "11010119900307109X",
		"110101\u200b19900307\ufeff109X":   "11010119900307109X",
		"\u202d110101-19900307-109X\u202c": "11010119900307109X",
		"110101–19900307—109X":             "11010119900307109X",
		"110101\n19900307109X":             "11010119900307109X",
		"110101\u00a019900307\u3000109X":   "11010119900307109X",
		"\U0001d7d91010119900307109X":      "11010119900307109X",
		"*********01211122":                "*********01211122",
		"11010O19900307109X":               "11010O19900307109X",
		"1101\u000001?19900307109X\u2066":  "110101?19900307109X",
		"公民身份号码110101":                     "公民身份号码110101",
	} {
		assert.Equal(t, want, normalCard(ocrclient.Card{IDNumber: came}).IDNumber, "%q", came)
	}
}

func TestDotOfANameIsOne(t *testing.T) {
	for _, dot := range []string{"·", "•", ".", "．", "‧", "・", "･", "∙", "⋅", "·", "●", "。", " · ", "··", "\u200b•\n", "․", "‥"} {
		assert.Equal(t, "阿卜杜·热合曼", normalCard(ocrclient.Card{Name: "阿卜杜" + dot + "热合曼"}).Name, "%q", dot)
	}
	for came, want := range map[string]string{
		"阿.不.都":           "阿·不·都",
		"王小明":             "王小明",
		"王 小 明":           "王小明",
		"王\n小明":           "王小明",
		"王 XX":            "王XX",
		"J. Smith":        "J. Smith",
		".王小明":            ".王小明",
		"王小明.":            "王小明.",
		"王.A":             "王.A",
		"⺟⼥":              "母女",
		"\ufa19":          "神",
		"㐂\U00020000":     "㐂\U00020000",
		"葛\U000e0100":     "葛\U000e0100",
		"王\u0000小\u202e明": "王小明",
	} {
		assert.Equal(t, want, normalCard(ocrclient.Card{Name: came}).Name, "%q", came)
	}
}

func TestEthnicityHasNoSuffixAndAddressNoLineBreak(t *testing.T) {
	for came, want := range map[string]string{"汉": "汉", "汉族": "汉", "民族汉": "汉", "民族：汉族": "汉", "维吾尔族": "维吾尔", "族": "族", "": "", "土 家 族": "土家", "穿青人": "穿青人"} {
		assert.Equal(t, want, normalCard(ocrclient.Card{Ethnicity: came}).Ethnicity, came)
	}
	for came, want := range map[string]string{
		"湖北省武汉市\n江岸区１２号":      "湖北省武汉市江岸区12号",
		"湖北省\r\n武汉市\u2028江岸区": "湖北省武汉市江岸区",
		"中山路12\n34号":          "中山路1234号",
		"湖北省\t武汉市 江岸区":        "湖北省武汉市江岸区",
		"北京市（东城区）Ａ座":          "北京市（东城区）A座",
		"No. 12  Main\tSt":    "No. 12 Main St",
		"\u2067北京市\u2069":     "北京市",
		"北京市\xff":             "北京市\ufffd",
	} {
		assert.Equal(t, want, normalCard(ocrclient.Card{Address: came}).Address, "%q", came)
	}
}

func FuzzNormalCard(f *testing.F) {
	for _, s := range []string{"110101 19900307 109X", "阿卜杜.热合曼", "汉族", "１９８５年３月７日", "1985-03-07T00:00:00Z", "性别女", "\u202e\x00\xff", "07/03/1985", ":", "::", "T1:2", "日"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		card := normalCard(ocrclient.Card{IDNumber: s, Name: s, Sex: s, Ethnicity: s, BirthDate: s, Address: s})
		again := normalCard(ocrclient.Card{IDNumber: card.IDNumber, Name: card.Name, Sex: card.Sex, Ethnicity: s, BirthDate: card.BirthDate, Address: card.Address})
		if again != card {
			t.Fatalf("normal form of %q is %q", card, again)
		}
		for _, field := range []string{card.IDNumber, card.Name, card.Sex, card.Ethnicity, card.BirthDate, card.Address} {
			if !utf8.ValidString(field) {
				t.Fatalf("%q is no UTF-8", field)
			}
			for _, r := range field {
				if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
					t.Fatalf("%U is in a card", r)
				}
			}
		}
	})
}
