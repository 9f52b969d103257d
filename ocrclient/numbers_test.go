package ocrclient

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
		a, err := ParseAnswer(200, []byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, charged, a.Charged, body)
	}
}

func TestResultCodesAreReadFromNumbersInEveryForm(t *testing.T) {
	for number, code := range map[string]Code{"0": "", "0.0": "", `"0"`: "", `""`: "", "null": "", "-1009.0": Throttled, `" -2 "`: QuotaExhausted, "-2.5": Unavailable, "99999999999999999999": Unavailable,
		"-1e999": Unavailable, `"x"`: Unavailable, "1": Unavailable, "1000000": Unavailable} {
		a, err := ParseAnswer(200, []byte(`{"showapi_res_code":`+number+`,"showapi_res_body":{"ret_code":0,"idNo":"11010519491231002X"}}`))
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
	a, err := ParseAnswer(200, deep(9_990))
	require.NoError(t, err)
	assert.True(t, a.Recognized)
	_, err = ParseAnswer(200, deep(10_001))
	assert.Error(t, err)
}
