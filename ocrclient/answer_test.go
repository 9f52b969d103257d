package ocrclient

import (
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
			a, err := ParseAnswer(test.status, []byte(test.body))
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
	a, err := ParseAnswer(200, []byte(`{"showapi_res_code":0,"showapi_res_body":{"b":1.50, "a":"<x>","ret_code":-1}}`))
	require.NoError(t, err)
	assert.Equal(t, `{"b":1.50, "a":"<x>","ret_code":-1}`, string(a.Raw))
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(200, []byte(`{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":true,"idNo":"1"}}`))
	f.Add(450, []byte(`{"ret_code":"-1"}`))
	f.Add(200, []byte(`{"showapi_res_body":"{}"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := ParseAnswer(status, body)
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
