package ocrclient

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"
)

const chineseAnswer = `{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":true,"msg":"识别成功!","idNo":"11010519491231002X","name":"样张","addr":"北京市朝阳区建国路1号"}}`

func inUTF16(text string, order string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		if order == "little" {
			b = append(b, byte(unit), byte(unit>>8))
		} else {
			b = append(b, byte(unit>>8), byte(unit))
		}
	}
	return b
}

func inGB18030(t testing.TB, text string) []byte {
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text))
	require.NoError(t, err)
	return b
}

func TestAnswersInOtherEncodingsAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		body        []byte
		contentType string
	}{
		"UTF-8":                        {[]byte(chineseAnswer), "application/json"},
		"UTF-8, byte order mark":       {[]byte(utf8BOM + chineseAnswer), ""},
		"UTF-16, little end, mark":     {append([]byte("\xff\xfe"), inUTF16(chineseAnswer, "little")...), ""},
		"UTF-16, big end, mark":        {append([]byte("\xfe\xff"), inUTF16(chineseAnswer, "big")...), ""},
		"UTF-16, little end":           {inUTF16(chineseAnswer, "little"), "application/json; charset=utf-16"},
		"UTF-16, big end":              {inUTF16(chineseAnswer, "big"), ""},
		"GB18030 by sight":             {inGB18030(t, chineseAnswer), "application/json"},
		"GBK by charset":               {inGB18030(t, chineseAnswer), "text/html; charset=GBK"},
		"UTF-8 that says GBK":          {[]byte(chineseAnswer), "text/html; charset=gbk"},
		"UTF-8 with a bad header":      {[]byte(chineseAnswer), "text/html; charset"},
		"in an array":                  {[]byte("[" + chineseAnswer + "]"), ""},
		"in a string":                  {quoted(t, chineseAnswer), ""},
		"in an array in a string":      {quoted(t, "[ "+chineseAnswer+"\n]"), ""},
		"GB18030 in an array":          {inGB18030(t, "["+chineseAnswer+"]"), ""},
		"no JSON, in a string":         {quoted(t, strings.ReplaceAll(chineseAnswer, "}", ",\t}")), ""},
		"trailing commas":              {[]byte(strings.ReplaceAll(chineseAnswer, "}", ", \n}")), ""},
		"trailing comma in an array":   {[]byte("[" + chineseAnswer + ",]"), ""},
		"GB18030 with trailing commas": {inGB18030(t, strings.ReplaceAll(chineseAnswer, "}", ",}")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := parseResponse(200, test.body, test.contentType)
			require.NoError(t, err)
			assert.True(t, a.Recognized)
			assert.True(t, a.Charged)
			assert.Equal(t, "样张", a.Card.Name)
			assert.Equal(t, "北京市朝阳区建国路1号", a.Card.Address)
			assert.Equal(t, "识别成功!", a.Message)
			assert.True(t, json.Valid(a.Raw))
			assert.True(t, utf8.Valid(a.Raw))
		})
	}
}

func quoted(t *testing.T, text string) []byte {
	b, err := json.Marshal(text)
	require.NoError(t, err)
	return b
}

// A two-letter name in GBK can be valid UTF-8 by chance; then the charset decides.
func TestCharsetDecidesWhatSightCannot(t *testing.T) {
	body := []byte("{\"ret_code\":0,\"idNo\":\"1\",\"name\":\"\xc2\xbd\"}")
	require.True(t, utf8.Valid(body))
	for contentType, want := range map[string]string{"application/json": "½", "application/json; charset=GBK": "陆", "application/json;charset=\"gb2312\"": "陆", "a/b; charset=utf-8": "½"} {
		a, err := parseResponse(200, body, contentType)
		require.NoError(t, err)
		assert.Equal(t, want, a.Card.Name, contentType)
	}
}

func TestBrokenCharactersCostOnlyThemselves(t *testing.T) {
	a, err := ParseResponse(200, []byte("{\"ret_code\":0,\"idNo\":\"1\",\"name\":\"样\xff\xff张\",\"addr\":\"北京\"}"))
	require.NoError(t, err)
	assert.Equal(t, "北京", a.Card.Address)
	assert.Equal(t, "样\ufffd张", a.Card.Name)
	assert.True(t, utf8.Valid(a.Raw))
}

func TestJSONMadeByHandIsRead(t *testing.T) {
	for name, test := range map[string]struct{ body, address string }{
		"line feed":                   {"{\"ret_code\":0,\"idNo\":\"1\",\"addr\":\"a\nb\"}", "a\nb"},
		"tab and carriage return":     {"{\"ret_code\":0,\"idNo\":\"1\",\"addr\":\"a\t\r\nb\"}", "a\t\r\nb"},
		"NUL":                         {"{\"ret_code\":0,\"idNo\":\"1\",\"addr\":\"a\x00b\"}", "a\x00b"},
		"trailing comma":              {`{"ret_code":0,"idNo":"1","addr":"a,}",}`, "a,}"},
		"commas in a list":            {`{"ret_code":0,"idNo":"1","x":[1,2,],"addr":"a"}`, "a"},
		"NaN":                         {`{"ret_code":0,"idNo":"1","x":NaN,"y":[-Infinity,Infinity],"addr":"NaN"}`, "NaN"},
		"Python's words":              {`{"ret_code":0,"idNo":"1","flag":True,"x":None,"y":False,"addr":"None"}`, "None"},
		"unknown escape":              {`{"ret_code":0,"idNo":"1","addr":"a\x\d"}`, `a\x\d`},
		"escaped apostrophe":          {`{"ret_code":0,"idNo":"1","addr":"a\'b"}`, "a'b"},
		"escaped quote beside a feed": {"{\"ret_code\":0,\"idNo\":\"1\",\"addr\":\"a\\\"\n\\\\\"}", "a\"\n\\"},
		"numbers stay":                {"{\"ret_code\":0,\"idNo\":\"1\",\"x\":-1.5E+3,\"addr\":\"\n\"}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.False(t, json.Valid([]byte(test.body)))
			a, err := ParseResponse(200, []byte(test.body))
			require.NoError(t, err)
			assert.True(t, a.Recognized)
			assert.Equal(t, strings.TrimSpace(test.address), a.Card.Address)
			assert.True(t, json.Valid(a.Raw))
		})
	}
}

func TestWhatHasNoOneMeaningIsNotRead(t *testing.T) {
	for _, body := range []string{`[]`, `[{"ret_code":0},{"ret_code":0}]`, `{ret_code:0}`, `{'ret_code':0}`, `{"ret_code":0}}`, `{"ret_code":0 "msg":"x"}`, `{"ret_code":0x0}`,
		`""`, `"text"`, `[[[[[[{"ret_code":0}]]]]]]`, "\xff\xfe", "\x00", "{\x00", `{"ret_code":nothing}`} {
		_, err := ParseResponse(200, []byte(body))
		assert.Error(t, err, "%q", body)
	}
}

func FuzzLenient(f *testing.F) {
	f.Add([]byte(chineseAnswer))
	f.Add([]byte("[{\"ret_code\":0,\"msg\":\"a\n\\x\\\"\",\"x\":NaN,},]"))
	f.Add(inUTF16(chineseAnswer, "big"))
	f.Add(inGB18030(f, chineseAnswer))
	f.Add([]byte(`{"a":-1.5e+3,"b":[true,null,-0]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if json.Valid(body) && !bytes.Equal(repaired(body), body) {
			t.Fatalf("valid JSON became %q", repaired(body))
		}
		if !utf8.Valid(toUTF8(body, "")) || !utf8.Valid(toUTF8(body, "a/b; charset=gbk")) {
			t.Fatal("no UTF-8")
		}
		if a, err := ParseResponse(200, body); err == nil && a.Raw != nil && (!json.Valid(a.Raw) || !utf8.Valid(a.Raw)) {
			t.Fatalf("raw is no JSON: %q", a.Raw)
		}
	})
}
