package ocrclient

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What each of the gateway's texts costs and means. The table stands here a second time, so that no row changes unseen.
func TestGatewayTextsAreSortedWhateverTheStatus(t *testing.T) {
	for text, want := range map[string]struct {
		class Outcome
		code  Code
	}{
		"Throttled by DOMAIN Flow Control": {Configuration, Throttled},
		"Throttled by APP Flow Control":    {Refused, Throttled},
		"Quota Exhausted":                  {Configuration, QuotaExhausted},
		"Quota Expired":                    {Configuration, QuotaExhausted},
		"Api Market Subscription expired":  {Configuration, QuotaExhausted},
		"Expiry of Authorization":          {Configuration, QuotaExhausted},
		"User Arrears":                     {Configuration, QuotaExhausted},
		"Unauthorized":                     {Configuration, Unauthorized},
		"Invalid AppKey":                   {Configuration, Unauthorized},
		"Invalid AppSecret":                {Configuration, Unauthorized},
		"Invalid AppCode":                  {Configuration, Unauthorized},
		"Invalid Signature, x":             {Configuration, Unauthorized},
		"Empty Signature":                  {Configuration, Unauthorized},
		"Timestamp Expired":                {Configuration, ClockSkew},
		"Invalid Timestamp":                {Configuration, ClockSkew},
		"Nonce Used":                       {NonceUsed, AnswerLost},
		"Async Service":                    {Indeterminate, Timeout},
		"Internal Error":                   {Refused, Unavailable},
		"Failed To Invoke Backend Service": {Refused, Unavailable},
		"Service Unavailable":              {Refused, Unavailable},
		"something else":                   {Configuration, BadRequest},
	} {
		for _, form := range []string{text, "  " + strings.ToLower(text), strings.ToUpper(text) + " canary"} {
			e := &Error{StatusCode: 418}
			e.gateway("", form)
			assert.Equal(t, want.class.String(), e.Outcome.String(), form)
			assert.Equal(t, want.code, e.Code, form)
			assert.NotContains(t, e.Error(), "canary")
			for _, timeout := range []int{http.StatusGatewayTimeout, http.StatusRequestTimeout} {
				e = &Error{StatusCode: timeout}
				e.gateway("", form)
				assert.Equal(t, Indeterminate, e.Outcome, "a time-out: the provider may have been reached")
				assert.Equal(t, Timeout, e.Code)
			}
		}
	}
}

func TestGatewayCodesAreSortedWhereTheTextIsUnknown(t *testing.T) {
	for name, test := range map[string]struct {
		code   string
		status int
		class  Outcome
		want   Code
	}{
		"T":                      {"T403XX", 403, Refused, Throttled},
		"429":                    {"", 429, Refused, Throttled},
		"500":                    {"", 500, Refused, Unavailable},
		"503 of A":               {"A503XX", 503, Refused, Unavailable},
		"499":                    {"", 499, Configuration, BadRequest},
		"nonce":                  {"S403NU", 403, NonceUsed, AnswerLost},
		"time stamp":             {"S403TE", 403, Configuration, ClockSkew},
		"B":                      {"B400XX", 400, Configuration, QuotaExhausted},
		"A":                      {"A400XX", 400, Configuration, Unauthorized},
		"S":                      {"S400XX", 400, Configuration, Unauthorized},
		"401":                    {"", 401, Configuration, Unauthorized},
		"403":                    {"", 403, Configuration, Unauthorized},
		"413":                    {"", 413, Configuration, ImageTooLarge},
		"I":                      {"I400XX", 400, Configuration, BadRequest},
		"a code of other length": {"T4030X0", 400, Configuration, BadRequest},
		"a code that is a text":  {"T 03XX", 400, Configuration, BadRequest},
	} {
		e := &Error{StatusCode: test.status}
		e.gateway(test.code, "")
		assert.Equal(t, test.class.String(), e.Outcome.String(), name)
		assert.Equal(t, test.want, e.Code, name)
	}
}

func TestOnlyPlainWordsOfAServerAreRepeated(t *testing.T) {
	for word, kept := range map[string]bool{"": true, "S403NU": true, "D3C1B6A0-1F2E": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
		"a b": false, "a+b": false, "a/b": false, "a=b": false, "张三": false, "a\n": false} {
		assert.Equal(t, kept, plainWord(word) == word, word)
		assert.True(t, plainWord(word) == word || plainWord(word) == "", word)
	}
}

func TestErrorsTellWhatTheyAre(t *testing.T) {
	cause := errors.New("the cause")
	e := &Error{Outcome: Indeterminate, Code: Timeout, StatusCode: 200, GatewayCode: "D504RE", RequestID: "D3C1", message: "no answer", err: cause}
	assert.Equal(t, "ocrIdCard call lost: no answer: the cause, gateway code D504RE, gateway request D3C1, status 200", e.Error())
	assert.Equal(t, "ocrIdCard call never sent: x", (&Error{Outcome: NotSent, message: "x"}).Error())
	assert.ErrorIs(t, e, cause)
	for class, want := range map[Outcome]struct {
		name    string
		charged bool
	}{0: {"unknown", false}, NotSent: {"never sent", false}, Refused: {"refused", false}, Configuration: {"configuration", false}, Indeterminate: {"lost", true},
		NonceUsed: {"nonce used", true}, Malformed: {"unreadable", true}, Malformed + 1: {"unknown", false}, -1: {"unknown", false}} {
		assert.Equal(t, want.name, class.String())
		assert.Equal(t, want.charged, (&Error{Outcome: class}).MayHaveCharged(), class)
		assert.Equal(t, class, OutcomeOf(fmt.Errorf("wrapped: %w", &Error{Outcome: class})))
	}
	assert.Zero(t, OutcomeOf(cause))
	assert.Zero(t, OutcomeOf(nil))
}
