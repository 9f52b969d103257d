package ocrclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// Card is what was read from the picture, as the provider wrote it. Fields that were not read are empty.
type Card struct {
	IDNumber  string // idNo
	Name      string // name
	Sex       string // sex: 男 or 女
	Ethnicity string // nationality: 民族 without 族, such as 汉
	BirthDate string // birthday
	Address   string // addr
}

// Response is the provider's answer, be it a card or a failure of the provider's own.
type Response struct {
	// StatusCode is the HTTP status; showapi providers send business failures with 200 or 450.
	StatusCode int
	// Recognized reports that the answer holds an ID number.
	Recognized bool
	// Charged reports whether the call was paid. What the answer leaves open counts as charged.
	Charged bool
	// Message is the provider's msg (or remark, or showapi_res_error). It is the provider's text: do not log it.
	Message string
	// RequestID is showapi_res_id.
	RequestID string
	// Card is empty unless Recognized.
	Card Card
	// Raw is showapi_res_body as it came, nil if there was none.
	Raw json.RawMessage

	resCode int // showapi_res_code: not 0 is a failure of the provider's platform
	retCode string
	text    string // msg or remark
}

// Code says why there is no card; it is empty if there is one.
func (a *Response) Code() Code {
	switch {
	case a.Recognized:
		return ""
	case a.resCode == -2:
		return QuotaExhausted
	case a.resCode == -3 || a.retCode == "80":
		return Timeout
	case a.resCode == -1009:
		return Throttled
	case a.resCode <= -1004 && a.resCode >= -1014:
		return Unauthorized // between the market and its provider
	case a.resCode != 0 || strings.Contains(a.text, "后端"): // the platform's own words: its backend
		return Unavailable
	case a.imageRejected():
		return ImageRejected
	default:
		return NotRecognized
	}
}

// imageRejected recognises the texts and codes for a picture that could not be fetched or decoded. The first is the only
// one on the market page; the numbers are those of a sibling API of the same provider (showapi 1429-7). Words count only beside a
// ret_code, which the provider sets and its platform does not.
func (a *Response) imageRejected() bool {
	switch a.retCode {
	case "":
		return false
	case "20", "40", "50", "60":
		return true
	}
	text := strings.ToLower(a.text)
	for _, sign := range []string{"imgdata", "imgurl", "url", "链接", "下载", "图片地址", "图片格式", "图片解析", "图片过大", "读取图片", "获取图片"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

var errUnknownBody = errors.New("not an answer of the provider")

// envelope holds every field of the provider's answer, of both its levels: some answers come without the outer one.
type envelope struct {
	ResCode   looseScalar     `json:"showapi_res_code"`
	ResError  looseScalar     `json:"showapi_res_error"`
	ResID     looseScalar     `json:"showapi_res_id"`
	FeeNum    looseScalar     `json:"showapi_fee_num"`
	Body      json.RawMessage `json:"showapi_res_body"`
	RetCode   looseScalar     `json:"ret_code"`
	Flag      looseScalar     `json:"flag"`
	Msg       looseScalar     `json:"msg"`
	Remark    looseScalar     `json:"remark"`
	IDNo      looseScalar     `json:"idNo"`
	Name      looseScalar     `json:"name"`
	Sex       looseScalar     `json:"sex"`
	Ethnicity looseScalar     `json:"nationality"`
	Birthday  looseScalar     `json:"birthday"`
	Addr      looseScalar     `json:"addr"`
}

// ParseResponse decodes a body of the API, such as one kept in a file, leniently: with and without envelope, with numbers as
// strings, with any status, in UTF-8, UTF-16 or GB18030, within an array or a string, and with the usual mistakes of JSON made by
// hand. A body that is not the provider's is an error.
func ParseResponse(status int, body []byte) (*Response, error) {
	return parseResponse(status, body, "")
}

// parseResponse is ParseResponse for a body whose Content-Type may name its charset.
func parseResponse(status int, body []byte, contentType string) (*Response, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte(utf8BOM)))
	if len(body) > maxAnswerBytes {
		return nil, fmt.Errorf("answer over %d bytes", maxAnswerBytes)
	}
	body = bytes.TrimSpace(toUTF8(body, contentType))
	var outer envelope
	body, err := decode(body, &outer)
	if err != nil {
		return nil, err
	}
	inner, raw, ok := outer, json.RawMessage(body), outer.RetCode.set || outer.Flag.set || outer.IDNo.set
	if outer.ResCode.set || len(outer.Body) > 0 {
		inner, raw, ok = outer.body()
		if !ok && outer.resCode() == 0 && !outer.ResError.nonEmpty() {
			return nil, errUnknownBody
		}
		ok = true
	}
	if !ok {
		return nil, errUnknownBody
	}
	a := &Response{
		StatusCode: status,
		Message:    firstOf(inner.Msg, inner.Remark, outer.ResError),
		RequestID:  outer.ResID.text,
		Raw:        raw,
		resCode:    outer.resCode(),
		retCode:    strings.TrimSpace(inner.RetCode.text),
		text:       firstOf(inner.Msg, inner.Remark),
	}
	number := strings.TrimSpace(inner.IDNo.text)
	a.Recognized = number != "" && !inner.Flag.isFalse() && a.resCode == 0
	a.Charged = charged(status, inner, outer)
	if a.Recognized {
		a.Card = Card{
			IDNumber: number, Name: strings.TrimSpace(inner.Name.text), Sex: strings.TrimSpace(inner.Sex.text),
			Ethnicity: strings.TrimSpace(inner.Ethnicity.text), BirthDate: strings.TrimSpace(inner.Birthday.text),
			Address: strings.TrimSpace(inner.Addr.text),
		}
	}
	return a, nil
}

// body decodes showapi_res_body, which may also be a string that holds JSON. ok is false if there is no object in it.
func (e *envelope) body() (inner envelope, raw json.RawMessage, ok bool) {
	if len(e.Body) == 0 || bytes.Equal(e.Body, []byte("null")) {
		return envelope{}, nil, false
	}
	object := []byte(e.Body)
	var text string
	if json.Unmarshal(e.Body, &text) == nil {
		object = []byte(text)
	}
	if _, err := decode(object, &inner); err != nil {
		return envelope{}, e.Body, false
	}
	return inner, e.Body, inner.RetCode.set || inner.Flag.set || inner.IDNo.set || inner.Msg.set || inner.Remark.set
}

func (e *envelope) resCode() int {
	n, ok := e.ResCode.number()
	switch {
	case ok && n == math.Trunc(n) && math.Abs(n) < 1e6:
		return int(n)
	case e.ResCode.nonEmpty():
		return -1
	}
	return 0
}

// charged: the market page says that ret_code 0 means charged and -1 not; showapi_fee_num says the same elsewhere. A
// contradiction counts as charged, and so does silence with status 200, which the market bills.
func charged(status int, inner, outer envelope) bool {
	fee := outer.FeeNum
	if inner.FeeNum.set {
		fee = inner.FeeNum
	}
	n, told := fee.number()
	code, numeric := inner.RetCode.number()
	switch {
	case (numeric && code == 0) || (told && n > 0):
		return true
	case inner.RetCode.nonEmpty() || told:
		return false
	default:
		return status == http.StatusOK && !(outer.ResCode.set && outer.resCode() != 0)
	}
}

func firstOf(values ...looseScalar) string {
	for _, v := range values {
		if v.nonEmpty() {
			return v.text
		}
	}
	return ""
}

// looseScalar takes a JSON string, number, boolean or null: the family of APIs writes ret_code as 0 and as "0".
type looseScalar struct {
	text string
	set  bool
}

// UnmarshalJSON never fails: an object or array counts as not set.
func (f *looseScalar) UnmarshalJSON(b []byte) error {
	*f = looseScalar{}
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || bytes.Equal(b, []byte("null")):
	case b[0] == '"':
		f.set = json.Unmarshal(b, &f.text) == nil
	default:
		f.text, f.set = string(b), true
	}
	return nil
}

// number reads a number in any of JSON's forms: 0, "0", 0.0 and 1e400, which counts as infinite.
func (f looseScalar) number() (n float64, ok bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(f.text), 64)
	return n, (err == nil || errors.Is(err, strconv.ErrRange)) && !math.IsNaN(n)
}

func (f looseScalar) nonEmpty() bool { return f.set && f.text != "" }

func (f looseScalar) isFalse() bool {
	return f.set && (strings.EqualFold(f.text, "false") || f.text == "0")
}
