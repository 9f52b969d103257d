package result

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocumentIsUTF8WhateverTheProviderWrote(t *testing.T) {
	d := &Document{Status: Failed, Raw: json.RawMessage("{\"name\":\"\xc3\xff\"}"), OCR: OCR{Message: "\xff"}}
	body := d.Encode()
	assert.True(t, utf8.Valid(body))
	var back Document
	require.NoError(t, json.Unmarshal(body, &back))
	assert.JSONEq(t, "{\"name\":\"\ufffd\"}", string(back.Raw), "a run of bytes that are no text is one sign")
}

func TestAnswerThatIsNoJSONIsKeptAsText(t *testing.T) {
	kept := func(body []byte) string {
		d := &Document{Status: Failed}
		d.KeepAnswer(body)
		var back Document
		require.NoError(t, json.Unmarshal(d.Encode(), &back))
		assert.LessOrEqual(t, len(back.RawText), maxRawBytes)
		return back.RawText
	}
	decoded := func(text string) string {
		encoded, ok := strings.CutPrefix(text, "base64:")
		require.True(t, ok, text)
		body, err := base64.StdEncoding.DecodeString(encoded)
		require.NoError(t, err)
		return string(body)
	}
	assert.Equal(t, "<html>\n张三\x00", kept([]byte("<html>\n张三\x00")))
	assert.Equal(t, "", kept(nil))
	assert.Equal(t, "\xd5\xc5\xc8\xfd", decoded(kept([]byte("\xd5\xc5\xc8\xfd"))))
	assert.Equal(t, "base64:eA==", decoded(kept([]byte("base64:eA=="))), "a text that looks like base64 is told from base64")

	long := strings.Repeat("x", maxRawBytes)
	assert.Equal(t, long, kept([]byte(long)))
	assert.Equal(t, long, kept([]byte(long+"y")))
	assert.Equal(t, long[1:], kept([]byte(long[1:]+"张")), "cut before a character, not within it")
	assert.Equal(t, long[3:]+"张", kept([]byte(long[3:]+"张三")))
	broken := "\xff" + long
	beginning := decoded(kept([]byte(broken)))
	assert.True(t, strings.HasPrefix(broken, beginning))
	assert.Greater(t, len(beginning), maxRawBytes*7/10)
}

func TestMaskDropsTheTextAndMasksTheKeyOfTheOtherImage(t *testing.T) {
	d := Document{RawText: "张三", Image: Image{Key: "a/110101-19900307-109X.jpg"}, OCR: OCR{ReusedFrom: "b/110101 19900307 109X.jpg"}}.Mask()
	assert.Empty(t, d.RawText)
	assert.Equal(t, "a/110***-********-109X.jpg", d.Image.Key)
	assert.Equal(t, "b/110*** ******** 109X.jpg", d.OCR.ReusedFrom)
}

func TestVersionOfTheImageIsToldWhereItIsKnown(t *testing.T) {
	encode := func(i Image) string {
		text, err := json.Marshal(i)
		require.NoError(t, err)
		return string(text)
	}
	assert.JSONEq(t, `{"size":1}`, encode(Image{Size: 1}))
	assert.JSONEq(t, `{"size":1,"versionId":"CAE","lastModified":"2026-11-23T08:00:00Z"}`,
		encode(Image{Size: 1, VersionID: "CAE", LastModified: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}))
}

func TestPlatformFailureIsRetryableUnlessItWasCharged(t *testing.T) {
	for body, want := range map[string]Error{
		`{"showapi_res_code":-1,"showapi_res_error":"后端url调用失败，请稍后再试"}`:                           {Code: Unavailable, Retryable: true},
		`{"showapi_res_code":-1,"showapi_fee_num":1,"showapi_res_error":"后端url调用失败"}`:             {Code: Unavailable},
		`{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":"url 无法访问"}}`: {Code: ImageRejected},
	} {
		a, err := ocrclient.ParseResponse(200, []byte(body))
		require.NoError(t, err)
		d := &Document{}
		d.ApplyResponse(a, time.Now())
		require.NotNil(t, d.Error, body)
		assert.Equal(t, want.Code, d.Error.Code, body)
		assert.Equal(t, want.Retryable, d.Error.Retryable, body)
	}
}
