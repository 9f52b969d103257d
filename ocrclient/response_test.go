package ocrclient

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnswersAreDecodedLeniently(t *testing.T) {
	for name, test := range map[string]struct {
		status     int
		body       string
		recognized bool
		charged    bool
		code       Code
		message    string
	}{
		"market page's success":         {200, `{"showapi_res_id":"","showapi_res_error":"","showapi_res_code":0,"showapi_res_body":{"msg":"识别成功!","flag":true,"ret_code":0,"idNo":"1"}}`, true, true, "", "识别成功!"},
		"market page's failure":         {200, `{"showapi_res_error":"","showapi_fee_num":0,"showapi_res_code":0,"showapi_res_id":"x","showapi_res_body":{"ret_code":-1,"flag":false,"msg":"错误的 imgData 或 imgUrl 参数！"}}`, false, false, ImageRejected, "错误的 imgData 或 imgUrl 参数！"},
		"not recognised, free":          {200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"识别失败"}}`, false, false, NotRecognized, "识别失败"},
		"not recognised, charged":       {200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":false,"msg":"识别失败"}}`, false, true, NotRecognized, "识别失败"},
		"ret_code and flag as strings":  {200, `{"showapi_res_code":"0","showapi_res_body":{"ret_code":"0","flag":"true","idNo":"1"}}`, true, true, "", ""},
		"body without envelope":         {200, `{"ret_code":0,"flag":true,"idNo":"1"}`, true, true, "", ""},
		"450 with envelope":             {450, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"remark":"未查到相关信息！"}}`, false, false, NotRecognized, "未查到相关信息！"},
		"450 without envelope":          {450, `{"ret_code":-1,"remark":"未查到相关信息！"}`, false, false, NotRecognized, "未查到相关信息！"},
		"450 too frequent":              {450, `{"showapi_res_code":-1009,"showapi_res_error":"您的调用过于频繁!"}`, false, false, Throttled, "您的调用过于频繁!"},
		"platform quota":                {200, `{"showapi_res_code":-2,"showapi_res_error":"limit","showapi_res_body":{}}`, false, false, QuotaExhausted, "limit"},
		"platform time-out":             {200, `{"showapi_res_code":-3,"showapi_res_error":"timeout","showapi_res_body":null}`, false, false, Timeout, "timeout"},
		"platform credentials":          {200, `{"showapi_res_code":-1006,"showapi_res_error":"sign"}`, false, false, Unauthorized, "sign"},
		"platform failure":              {200, `{"showapi_res_code":-4,"showapi_res_error":"upstream"}`, false, false, Unavailable, "upstream"},
		"platform failure, charged":     {200, `{"showapi_res_code":-4,"showapi_fee_num":1,"showapi_res_error":"upstream"}`, false, true, Unavailable, "upstream"},
		"body as a string":              {200, `{"showapi_res_code":0,"showapi_res_body":"{\"ret_code\":0,\"flag\":true,\"idNo\":\"1\"}"}`, true, true, "", ""},
		"flag false beats a number":     {200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":false,"idNo":"1"}}`, false, true, NotRecognized, ""},
		"flag true without a number":    {200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":true,"idNo":""}}`, false, true, NotRecognized, ""},
		"contradiction is charged":      {200, `{"showapi_fee_num":1,"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false}}`, false, true, NotRecognized, ""},
		"silence is charged":            {200, `{"showapi_res_code":0,"showapi_res_body":{"flag":false,"msg":"?"}}`, false, true, NotRecognized, "?"},
		"fee inside the body":           {200, `{"showapi_res_code":0,"showapi_res_body":{"flag":false,"showapi_fee_num":0}}`, false, false, NotRecognized, ""},
		"download failed":               {200, `{"showapi_res_code":0,"showapi_res_body":{"flag":false,"ret_code":40}}`, false, false, ImageRejected, ""},
		"download failed, in words":     {200, `{"showapi_res_code":0,"showapi_res_body":{"flag":false,"ret_code":-1,"msg":"图片 URL 无法访问"}}`, false, false, ImageRejected, "图片 URL 无法访问"},
		"byte order mark":               {200, "\xef\xbb\xbf" + `{"ret_code":0,"idNo":"1"}`, true, true, "", ""},
		"odd types are not set":         {200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"name":{"a":1},"msg":["x"]}}`, false, false, NotRecognized, ""},
		"500 with envelope is answered": {500, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"x"}}`, false, false, NotRecognized, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := ParseResponse(test.status, []byte(test.body))
			require.NoError(t, err)
			assert.Equal(t, test.recognized, a.Recognized, "recognized")
			assert.Equal(t, test.charged, a.Charged, "charged")
			assert.Equal(t, test.code, a.Code())
			assert.Equal(t, test.message, a.Message)
			if !a.Recognized {
				assert.Zero(t, a.Card, "no card without a number")
			}
		})
	}
}

func TestRawIsTheProvidersBodyAsItCame(t *testing.T) {
	a, err := ParseResponse(200, []byte(`{"showapi_res_code":0,"showapi_res_body":{"b":1.50, "a":"<x>","ret_code":-1}}`))
	require.NoError(t, err)
	assert.Equal(t, `{"b":1.50, "a":"<x>","ret_code":-1}`, string(a.Raw))
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(200, []byte(`{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":true,"idNo":"1"}}`))
	f.Add(450, []byte(`{"ret_code":"-1"}`))
	f.Add(200, []byte(`{"showapi_res_body":"{}"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := ParseResponse(status, body)
		if (a == nil) == (err == nil) {
			t.Fatal("either an answer or an error")
		}
		if err == nil && a.Recognized != (a.Card.IDNumber != "") {
			t.Fatal("a recognised answer has a number, and no other has")
		}
		if err == nil && a.Recognized != (a.Code() == "") {
			t.Fatal("a code says why there is no card")
		}
	})
}

func TestReasonsForAnAnswerWithoutACard(t *testing.T) {
	for body, want := range map[string]Code{
		`{"showapi_res_code":-2}`:                              QuotaExhausted,
		`{"showapi_res_code":-3}`:                              Timeout,
		`{"showapi_res_code":-1003}`:                           Unavailable,
		`{"showapi_res_code":-1004}`:                           Unauthorized,
		`{"showapi_res_code":-1009}`:                           Throttled,
		`{"showapi_res_code":-1014}`:                           Unauthorized,
		`{"showapi_res_code":-1015}`:                           Unavailable,
		`{"showapi_res_code":-4,"showapi_res_error":"imgUrl"}`: Unavailable,
		`{"showapi_res_code":-1,"showapi_res_error":"后端url调用失败，请稍后再试"}`:                      Unavailable,
		`{"showapi_res_code":-1,"showapi_res_body":{"ret_code":-1,"msg":"imgUrl"}}`:          Unavailable,
		`{"showapi_res_code":0,"showapi_res_error":"imgUrl"}`:                                NotRecognized,
		`{"showapi_res_code":0,"showapi_res_body":{"flag":false,"msg":"imgUrl"}}`:            NotRecognized,
		`{"ret_code":-1,"msg":"后端url调用失败，请稍后再试"}`:                                            Unavailable,
		`{"ret_code":-1,"remark":"错误的 imgUrl"}`:                                              ImageRejected,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":" 40 "}}`:                      ImageRejected,
		`{"showapi_res_code":0,"showapi_res_error":"x"}`:                                     NotRecognized,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":80}}`:                          Timeout,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":20}}`:                          ImageRejected,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":"40"}}`:                        ImageRejected,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":50}}`:                          ImageRejected,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":60}}`:                          ImageRejected,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":61}}`:                          NotRecognized,
		`{"showapi_res_code":0,"showapi_res_body":{"flag":"FALSE","idNo":"1"}}`:              NotRecognized,
		`{"showapi_res_code":0,"showapi_res_body":{"flag":0,"idNo":"1"}}`:                    NotRecognized,
		`{"showapi_res_code":0,"showapi_res_body":{"flag":null,"idNo":"1"}}`:                 "",
		`{"showapi_res_code":0,"showapi_res_body":{"idNo":" "}}`:                             NotRecognized,
		`{"showapi_res_code":-4,"showapi_res_body":{"idNo":"1"}}`:                            Unavailable,
		`{"showapi_res_body":{"idNo":"1"}}`:                                                  "",
		`{"idNo":"1"}`:                                                                       "",
		`{"flag":true}`:                                                                      NotRecognized,
		`{"ret_code":-1}`:                                                                    NotRecognized,
		`{"showapi_res_code":0,"showapi_res_body":"{\"idNo\":\"1\"}"}`:                       "",
		`{"showapi_res_code":0,"showapi_res_body":{"remark":"x"}}`:                           NotRecognized,
		`{"showapi_res_code":0,"showapi_res_body":{"msg":"x"}}`:                              NotRecognized,
		`{"showapi_res_code":0,"showapi_res_body":{"flag":false}}`:                           NotRecognized,
		`{"showapi_res_code":-4,"showapi_res_body":null}`:                                    Unavailable,
		`{"showapi_res_code":-4,"showapi_res_body":"no JSON"}`:                               Unavailable,
		`{"showapi_res_code":0,"showapi_res_error":"","showapi_res_body":{"ret_code":null}}`: "none",
		`{"showapi_res_code":0,"showapi_res_body":null}`:                                     "none",
		`{"showapi_res_code":0,"showapi_res_body":{}}`:                                       "none",
		`{"showapi_res_code":0,"showapi_res_body":"text"}`:                                   "none",
		`{"showapi_res_code":0,"showapi_res_body":[1]}`:                                      "none",
		`{"showapi_res_code":0}`:                                                             "none",
		`{"showapi_res_body":{"name":"x"}}`:                                                  "none",
		`{"name":"x"}`:                                                                       "none",
	} {
		a, err := ParseResponse(200, []byte(body))
		if want == "none" {
			assert.ErrorIs(t, err, errUnknownBody, body)
			continue
		}
		require.NoError(t, err, body)
		assert.Equal(t, want, a.Code(), body)
	}
}

func TestAnswerWithoutABodyHasNoRaw(t *testing.T) {
	for _, body := range []string{`{"showapi_res_code":-4,"showapi_res_body":null}`, `{"showapi_res_code":-4}`} {
		a, err := ParseResponse(200, []byte(body))
		require.NoError(t, err, body)
		assert.Nil(t, a.Raw, body)
	}
}

func TestSilenceAboutChargesIsChargedWithStatus200Only(t *testing.T) {
	for _, test := range []struct {
		status  int
		body    string
		charged bool
	}{
		{200, `{"showapi_res_code":0,"showapi_res_body":{"msg":"x"}}`, true},
		{450, `{"showapi_res_code":0,"showapi_res_body":{"msg":"x"}}`, false},
		{200, `{"showapi_res_code":-4,"showapi_res_body":{"msg":"x"}}`, false},
		{200, `{"flag":true}`, true},
		{200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":"","msg":"x"}}`, true},
		{200, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":{},"msg":"x"}}`, true},
		{450, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":0}}`, true},
		{200, `{"showapi_res_code":0,"showapi_fee_num":-1,"showapi_res_body":{"msg":"x"}}`, false},
	} {
		a, err := ParseResponse(test.status, []byte(test.body))
		require.NoError(t, err, test.body)
		assert.Equal(t, test.charged, a.Charged, "%d %s", test.status, test.body)
	}
}

func TestAnswerOfAMebibyteIsReadAndOneOfMoreIsNot(t *testing.T) {
	const begin, end = `{"ret_code":0,"msg":"`, `"}`
	body := begin + strings.Repeat("x", maxAnswerBytes-len(begin)-len(end)) + end
	_, err := ParseResponse(200, []byte("\xef\xbb\xbf \n"+body+"\n"))
	require.NoError(t, err)
	_, err = ParseResponse(200, []byte(" "+body[:len(body)-2]+`x"}`))
	assert.ErrorContains(t, err, "1048576")
}

// The rest of a text that ends too early could be on its way; one with a mistake in its middle is all there.
func TestTextThatEndsTooEarlyIsToldFromAMistake(t *testing.T) {
	for body, early := range map[string]bool{"": true, " \n": true, `{"ret_code":0,"msg":"`: true, `{"ret_code"`: true, `{"ret_code":0`: true, `{"ret_code":0,}}}}`: false, `<html>`: false, `[1]`: false} {
		_, err := ParseResponse(200, []byte(body))
		require.Error(t, err, body)
		assert.Equal(t, early, err.Error() == "unexpected EOF", body)
	}
}

// Whether a call was paid must not depend on how a number is written. What cannot be read counts as charged.
func TestChargesAreReadFromNumbersInEveryForm(t *testing.T) {
	for body, charged := range map[string]bool{
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":0.0,"msg":"x"}}`:                                       true,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":" 0 ","msg":"x"}}`:                                     true,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":-0,"msg":"x"}}`:                                        true,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":0e9,"msg":"x"}}`:                                       true,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1.0,"msg":"x"}}`:                                      false,
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"showapi_fee_num":0.5,"msg":"x"}}`:                  true,
		`{"showapi_res_code":0,"showapi_fee_num":0.0,"showapi_res_body":{"msg":"x"}}`:                                false,
		`{"showapi_res_code":0,"showapi_fee_num":"1.0","showapi_res_body":{"msg":"x"}}`:                              true,
		`{"showapi_res_code":-4,"showapi_fee_num":99999999999999999999999,"showapi_res_error":"x"}`:                  true,
		`{"showapi_res_code":-4,"showapi_fee_num":1e400,"showapi_res_error":"x"}`:                                    true,
		`{"showapi_res_code":-4,"showapi_fee_num":"NaN","showapi_res_error":"x"}`:                                    false, // res_code is a failure, and no fee is told
		`{"showapi_res_code":0,"showapi_fee_num":"NaN","showapi_res_body":{"msg":"x"}}`:                              true,
		`{"showapi_res_code":0,"showapi_fee_num":0,"showapi_res_body":{"showapi_fee_num":2,"flag":true}}`:            true,
		`{"showapi_res_code":0,"showapi_fee_num":2,"showapi_res_body":{"showapi_fee_num":0,"flag":true}}`:            false, // the inner one is nearer
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"ret_code":0,"msg":"twice: the last counts"}}`:      true,
		`{"showapi_res_code":1,"showapi_res_code":0,"showapi_res_body":{"msg":"silent with 200 is what is billed"}}`: true,
	} {
		a, err := ParseResponse(200, []byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, charged, a.Charged, body)
	}
}

func TestResultCodesAreReadFromNumbersInEveryForm(t *testing.T) {
	for number, code := range map[string]Code{"0": "", "0.0": "", `"0"`: "", `""`: "", "null": "", "-1009.0": Throttled, `" -2 "`: QuotaExhausted, "-2.5": Unavailable, "99999999999999999999": Unavailable,
		"-1e999": Unavailable, `"x"`: Unavailable, "1": Unavailable, "1000000": Unavailable} {
		a, err := ParseResponse(200, []byte(`{"showapi_res_code":`+number+`,"showapi_res_body":{"ret_code":0,"idNo":"11010519491231002X"}}`))
		require.NoError(t, err, number)
		assert.Equal(t, code, a.Code(), number)
		assert.Equal(t, code == "", a.Recognized, number)
		assert.True(t, a.Charged, number)
	}
}

// Ten thousand levels are JSON's own limit here; one more is no answer.
func TestDeepAnswersAreReadOrRefused(t *testing.T) {
	deep := func(levels int) []byte {
		return []byte(`{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"idNo":"11010519491231002X","x":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}}`)
	}
	a, err := ParseResponse(200, deep(9_990))
	require.NoError(t, err)
	assert.True(t, a.Recognized)
	_, err = ParseResponse(200, deep(10_001))
	assert.Error(t, err)
}
