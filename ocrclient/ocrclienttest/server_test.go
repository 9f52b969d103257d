package ocrclienttest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var key = ocrclient.AppKey{Key: "203753385", Secret: "secret"}

// What official clients of the gateway signed is accepted, and nothing else is.
func TestSignaturesOfOfficialClientsAreAccepted(t *testing.T) {
	text, err := os.ReadFile("../../testdata/vectors/apigw.json")
	require.NoError(t, err)
	var file struct {
		Vectors []struct {
			Name          string            `json:"name"`
			Method        string            `json:"method"`
			Accept        string            `json:"accept"`
			ContentMD5    string            `json:"content_md5"`
			ContentType   string            `json:"content_type"`
			Date          string            `json:"date"`
			AppKey        string            `json:"app_key"`
			AppSecret     string            `json:"app_secret"`
			SignedHeaders map[string]string `json:"signed_headers"`
			SignedNames   string            `json:"x_ca_signature_headers"`
			StringToSign  string            `json:"string_to_sign"`
			Signature     string            `json:"signature"`
			URI           string            `json:"wire_uri_go"`
			Body          string            `json:"wire_body_go"`
		} `json:"vectors"`
	}
	require.NoError(t, json.Unmarshal(text, &file))
	require.NotEmpty(t, file.Vectors)
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			r := httptest.NewRequest(v.Method, v.URI, nil)
			r.Header = http.Header{"Accept": {v.Accept}, "Content-Md5": {v.ContentMD5}, "Content-Type": {v.ContentType}, "Date": {v.Date},
				"X-Ca-Signature-Headers": {v.SignedNames}, "X-Ca-Signature": {v.Signature}}
			for name, value := range v.SignedHeaders {
				r.Header.Set(name, value)
			}
			form, err := url.ParseQuery(v.Body)
			require.NoError(t, err)
			assert.Equal(t, v.StringToSign, stringToSign(r, form))
			own := ocrclient.AppKey{Key: v.AppKey, Secret: v.AppSecret}
			assert.Empty(t, checkSignature(r, form, own))
			assert.Contains(t, checkSignature(r, form, ocrclient.AppKey{Key: v.AppKey, Secret: v.AppSecret + "x"}), "Invalid Signature, Server StringToSign:`")
			assert.Equal(t, "Invalid AppKey", checkSignature(r, form, ocrclient.AppKey{Key: v.AppKey + "x", Secret: v.AppSecret}))
			form.Set("more", "x")
			assert.Contains(t, checkSignature(r, form, own), "Invalid Signature")
		})
	}
}

func TestServerChecksWhatTheGatewayChecks(t *testing.T) {
	request := ocrclient.Request{ImageURL: "https://b.example/a.jpg", Nonce: ocrclient.NewNonce()}
	for name, test := range map[string]struct {
		change func(*ocrclient.Client)
		want   ocrclient.Code // of the second call with the same nonce
	}{
		"again":        {func(*ocrclient.Client) {}, ocrclient.AnswerLost},
		"wrong key":    {func(c *ocrclient.Client) { c.Auth = ocrclient.AppKey{Key: "1", Secret: key.Secret} }, ocrclient.Unauthorized},
		"wrong secret": {func(c *ocrclient.Client) { c.Auth = ocrclient.AppKey{Key: key.Key, Secret: "x"} }, ocrclient.Unauthorized},
		"wrong way":    {func(c *ocrclient.Client) { c.Auth = ocrclient.AppCode("x") }, ocrclient.Unauthorized},
		"wrong clock":  {func(c *ocrclient.Client) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } }, ocrclient.ClockSkew},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewServer(key)
			defer s.Close()
			a, err := s.Client().Recognize(t.Context(), request)
			require.NoError(t, err)
			assert.Equal(t, SampleCard, a.Card)
			client := s.Client()
			test.change(client)
			_, err = client.Recognize(t.Context(), request)
			var e *ocrclient.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, test.want, e.Code)
			assert.NotEmpty(t, e.RequestID)
			assert.Equal(t, 1, s.Accepted())
			assert.Len(t, s.Calls(), 2)
			assert.NotEmpty(t, s.Calls()[1].Refused)
		})
	}
}

func TestNonceIsForgottenAfterAQuarterOfAnHour(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s := NewServer(ocrclient.AppCode("code"))
	defer s.Close()
	s.Now = func() time.Time { return now }
	request := ocrclient.Request{Image: []byte("picture"), Details: true, Nonce: "n"}
	for _, step := range []struct {
		later    time.Duration
		accepted int
	}{{0, 1}, {14 * time.Minute, 1}, {time.Minute, 2}} {
		now = now.Add(step.later)
		_, err := s.Client().Recognize(t.Context(), request)
		assert.Equal(t, step.accepted, s.Accepted(), err)
	}
	assert.Equal(t, Call{Image: []byte("picture"), Details: true, Nonce: "n"}, s.Calls()[0])
	wrong := s.Client()
	wrong.Auth = ocrclient.AppCode("other")
	_, err := wrong.Recognize(t.Context(), request)
	assert.ErrorContains(t, err, "Invalid AppCode")
}

func TestAnswersAreWhatTheirNamesSay(t *testing.T) {
	for name, test := range map[string]struct {
		answer  Answer
		code    ocrclient.Code
		outcome ocrclient.Outcome
		charged bool
	}{
		"card":                    {Card(ocrclient.Card{IDNumber: "1"}), "", 0, true},
		"not recognized, free":    {NotRecognized(false), ocrclient.NotRecognized, 0, false},
		"not recognized, charged": {NotRecognized(true), ocrclient.NotRecognized, 0, true},
		"rejected":                {ImageRejected(), ocrclient.ImageRejected, 0, false},
		"throttled":               {Refused(403, "Throttled by APP Flow Control"), ocrclient.Throttled, ocrclient.Refused, false},
		"lost":                    {Lost(), ocrclient.Unavailable, ocrclient.Indeterminate, true},
		"nonsense":                {Answer{Body: "<html>"}, ocrclient.BadAnswer, ocrclient.Malformed, true},
		"empty":                   {Answer{}, ocrclient.BadAnswer, ocrclient.Malformed, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewServer(key)
			defer s.Close()
			s.Answer = func(Call) Answer { return test.answer }
			a, err := s.Client().Recognize(t.Context(), ocrclient.Request{Image: []byte(strings.Repeat("x", 1<<16))})
			assert.Equal(t, test.outcome, ocrclient.OutcomeOf(err))
			var e *ocrclient.Error
			if errors.As(err, &e) {
				assert.Equal(t, test.code, e.Code)
				assert.Equal(t, test.charged, e.MayHaveCharged())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.code, a.Code())
			assert.Equal(t, test.charged, a.Charged)
		})
	}
}
