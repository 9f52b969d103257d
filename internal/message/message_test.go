package message

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheLanguageFollowsTheLocaleAsPOSIXSays(t *testing.T) {
	for _, test := range []struct {
		all, messages, lang string
		want                Language
	}{
		{"", "", "", English},
		{"", "", "zh", Chinese},
		{"", "", "zh_CN.UTF-8", Chinese},
		{"", "", "zh-Hans", Chinese},
		{"", "", "zh_TW.Big5@radical", Chinese},
		{"", "", "zh.UTF-8", Chinese},
		{"", "", "ZH_cn", Chinese},
		{"", "", "zhx", English},
		{"", "", "zha_CN", English},
		{"", "", "en_US.UTF-8", English},
		{"", "", "C.UTF-8", English},
		{"", "", "en_ZH", English},
		{"", "zh_CN.UTF-8", "en_US.UTF-8", Chinese},
		{"", "C", "zh_CN.UTF-8", English},
		{"zh_CN.UTF-8", "C", "C", Chinese},
		{"C", "zh_CN.UTF-8", "zh_CN.UTF-8", English},
		{"C.UTF-8", "", "zh_CN.UTF-8", English},
	} {
		environment := map[string]string{"LC_ALL": test.all, "LC_MESSAGES": test.messages, "LANG": test.lang, "LANGUAGE": "zh", "LC_CTYPE": "zh_CN.UTF-8"}
		assert.Equal(t, test.want, FromEnvironment(func(name string) string { return environment[name] }), "%+v", test)
	}
}

func TestATextWithoutTranslationStaysEnglish(t *testing.T) {
	Use(Chinese)
	t.Cleanup(func() { Use(English) })
	assert.Equal(t, Chinese, Current())
	assert.Equal(t, "是", Text("yes"))
	sentinel := Error("yes")
	assert.EqualError(t, sentinel, "是")
	for _, text := range []Key{"", "a text of nowhere"} {
		assert.Equal(t, string(text), Text(text))
	}
	assert.Equal(t, "7 of nowhere", Sprintf("%d of nowhere", 7))
	Use(English)
	assert.EqualError(t, sentinel, "yes", "read anew each time")
}
