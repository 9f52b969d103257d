package ocrclient_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const recognised = `{"showapi_res_id":"642644970de376872d071c9f","showapi_res_error":"","showapi_res_code":0,"showapi_res_body":{"msg":"识别成功!",` +
	`"flag":true,"ret_code":0,"idNo":"11010519491231002X","name":"样张","sex":"男","nationality":"汉","birthday":"1949-12-31","addr":"北京市朝阳区"}}`

var key = ocrclient.AppKey{Key: "203753385", Secret: "canary-app-secret"}

func serve(t *testing.T, h http.HandlerFunc) *ocrclient.Client {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &ocrclient.Client{Endpoint: server.URL + "/ocrIdCard", Auth: key}
}

// verify recomputes the signature from the request as it arrived, from the documentation's rules.
func verify(r *http.Request, form url.Values, secret string) error {
	names := strings.Split(r.Header.Get("X-Ca-Signature-Headers"), ",")
	sort.Strings(names)
	s := r.Method + "\n" + r.Header.Get("Accept") + "\n" + r.Header.Get("Content-MD5") + "\n" + r.Header.Get("Content-Type") + "\n" + r.Header.Get("Date") + "\n"
	for _, name := range names {
		s += name + ":" + r.Header.Get(name) + "\n"
	}
	s += r.URL.EscapedPath()
	all := []string{}
	for name, values := range form {
		if values[0] == "" {
			all = append(all, name)
		} else {
			all = append(all, name+"="+values[0])
		}
	}
	sort.Strings(all)
	if len(all) > 0 {
		s += "?" + strings.Join(all, "&")
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(s))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); want != r.Header.Get("X-Ca-Signature") {
		return fmt.Errorf("signature %s, want %s", r.Header.Get("X-Ca-Signature"), want)
	}
	return nil
}

func TestRequestVerifiesAfterTheWire(t *testing.T) {
	picture := make([]byte, 40_001)
	rand.Read(picture)
	encoded := base64.StdEncoding.EncodeToString(picture)
	for name, test := range map[string]struct {
		request ocrclient.Request
		field   string
		want    string
		details string
	}{
		"URL with query":  {ocrclient.Request{ImageURL: "https://b.oss.example/中文 a+b%25.jpg?x=1&y=%2F+z#f", Details: true}, "imgUrl", "https://b.oss.example/中文 a+b%25.jpg?x=1&y=%2F+z#f", "1"},
		"bytes":           {ocrclient.Request{Image: picture, Details: true}, "imgData", encoded, "1"},
		"base64":          {ocrclient.Request{ImageBase64: encoded}, "imgData", encoded, "0"},
		"one byte":        {ocrclient.Request{Image: []byte{0xfb}}, "imgData", "+w==", "0"},
		"own nonce":       {ocrclient.Request{Image: []byte{1}, Nonce: "11111111-2222-4333-8444-555555555555"}, "imgData", "AQ==", "0"},
		"three byte edge": {ocrclient.Request{Image: picture[:12288]}, "imgData", base64.StdEncoding.EncodeToString(picture[:12288]), "0"},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, r.ContentLength, int64(len(body)), "Content-Length is known beforehand")
				form, err := url.ParseQuery(string(body))
				assert.NoError(t, err)
				assert.NotContains(t, string(body), "+", "a blank or plus is never left to the server's reading")
				assert.NoError(t, verify(r, form, key.Secret))
				assert.Equal(t, url.Values{test.field: {test.want}, "need_more_info": {test.details}}, form)
				assert.NotEmpty(t, r.Header.Get("X-Ca-Nonce"))
				if test.request.Nonce != "" {
					assert.Equal(t, test.request.Nonce, r.Header.Get("X-Ca-Nonce"))
				}
				assert.Empty(t, r.Header.Get("Authorization"))
				io.WriteString(w, recognised)
			})
			answer, err := client.Recognize(t.Context(), test.request)
			require.NoError(t, err)
			assert.Equal(t, ocrclient.Card{IDNumber: "11010519491231002X", Name: "样张", Sex: "男", Ethnicity: "汉", BirthDate: "1949-12-31", Address: "北京市朝阳区"}, answer.Card)
			assert.True(t, answer.Charged)
			assert.Empty(t, answer.Code())
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// net/http may read on from a body after it has returned the response. The caller may put the next picture in the same memory.
func TestPictureIsNotReadAfterTheCall(t *testing.T) {
	for name, request := range map[string]ocrclient.Request{"bytes": {Image: make([]byte, 100_000)}, "base64": {ImageBase64: "AAAA"}} {
		var sent *http.Request
		client := &ocrclient.Client{Auth: ocrclient.AppCode("code"), HTTP: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			sent = r
			_, err := io.ReadFull(r.Body, make([]byte, 10))
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(recognised)), Request: r}, err
		})}}
		_, err := client.Recognize(t.Context(), request)
		require.NoError(t, err, name)
		_, err = sent.Body.Read(make([]byte, 10))
		assert.ErrorIs(t, err, http.ErrBodyReadAfterClose, name)
		again, err := sent.GetBody()
		require.NoError(t, err, name)
		_, err = again.Read(make([]byte, 10))
		assert.ErrorIs(t, err, http.ErrBodyReadAfterClose, name)
	}
}

func TestEveryCallIsSignedAfresh(t *testing.T) {
	seen := map[string]bool{}
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen[r.Header.Get("X-Ca-Nonce")] = true
		io.WriteString(w, recognised)
	})
	for range 3 {
		_, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://example.com/a.jpg"})
		require.NoError(t, err)
	}
	assert.Len(t, seen, 3)
}

func TestAppCodeIsSentAsBearer(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "APPCODE 0123456789abcdef", r.Header.Get("Authorization"))
		assert.Empty(t, r.Header.Get("X-Ca-Signature"))
		assert.NotEmpty(t, r.Header.Get("X-Ca-Nonce"))
		io.WriteString(w, recognised)
	})
	client.Auth = ocrclient.AppCode(" 0123456789abcdef\n")
	_, err := client.Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
	require.NoError(t, err)
}

func TestCallsThatCannotBeSentAreRefusedBeforehand(t *testing.T) {
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	for name, r := range map[string]ocrclient.Request{
		"nothing":    {},
		"both":       {ImageURL: "https://example.com/a.jpg", Image: []byte{1}},
		"data: URL":  {ImageBase64: "data:image/jpeg;base64,AAAA"},
		"line break": {ImageBase64: "AAAA\r\nAAAA"},
		"padding":    {ImageBase64: "AAA=AAAA"},
	} {
		_, err := client.Recognize(t.Context(), r)
		assert.ErrorIs(t, err, ocrclient.ErrInvalid, name)
	}
	for _, endpoint := range []string{"example.com/ocrIdCard", "ftp://example.com", "https://u:p@example.com/", "https://"} {
		_, err := (&ocrclient.Client{Endpoint: endpoint, Auth: key}).Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
		assert.ErrorIs(t, err, ocrclient.ErrInvalid, endpoint)
		assert.NotContains(t, err.Error(), "u:p")
	}
	_, err := (&ocrclient.Client{}).Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
	assert.ErrorContains(t, err, "Client.Auth")
}

// canaries must never be seen in an error text.
var canaries = []string{"canary", "%63anary", "张三", "11010519491231002X", "x-oss-signature"}

func TestFailuresAreSortedByWhatTheyMeanForThePurse(t *testing.T) {
	gateway := func(status int, code, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Ca-Request-Id", "D3C1B6A0-1F2E-4A5B-9C8D-0123456789AB")
			if code != "" {
				w.Header().Set("X-Ca-Error-Code", code)
			}
			if message != "" {
				w.Header().Set("X-Ca-Error-Message", message)
			}
			w.WriteHeader(status)
		}
	}
	plain := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status); io.WriteString(w, body) }
	}
	raw := func(bytes string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				io.WriteString(conn, bytes)
				conn.Close()
			}
		}
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		class   ocrclient.Outcome
		code    ocrclient.Code
	}{
		"throttled, newer gateway":     {gateway(429, "T429ID", "Throttled by INNER Flow Control"), ocrclient.Refused, ocrclient.Throttled},
		"throttled, code only":         {gateway(429, "T429PA", ""), ocrclient.Refused, ocrclient.Throttled},
		"throttled, classic":           {gateway(403, "", "Throttled by USER Flow Control"), ocrclient.Refused, ocrclient.Throttled},
		"throttled by the test domain": {gateway(403, "", "Throttled by DOMAIN Flow Control"), ocrclient.Configuration, ocrclient.Throttled},
		"429 of somebody":              {plain(429, ""), ocrclient.Refused, ocrclient.Throttled},
		"internal error":               {gateway(500, "X500ER", "Internal Error"), ocrclient.Refused, ocrclient.Unavailable},
		"backend refused":              {gateway(500, "", "Failed To Invoke Backend Service"), ocrclient.Refused, ocrclient.Unavailable},
		"unavailable":                  {gateway(503, "", "Service Unavailable"), ocrclient.Refused, ocrclient.Unavailable},
		"unknown gateway 502":          {gateway(502, "D502FC", "canary"), ocrclient.Refused, ocrclient.Unavailable},
		"quota":                        {gateway(403, "B403MQ", "Api Market Subscription quota exhausted"), ocrclient.Configuration, ocrclient.QuotaExhausted},
		"quota, classic":               {gateway(403, "", "Quota Exhausted"), ocrclient.Configuration, ocrclient.QuotaExhausted},
		"quota, code only":             {gateway(403, "B403ME", ""), ocrclient.Configuration, ocrclient.QuotaExhausted},
		"arrears":                      {gateway(403, "", "User Arrears"), ocrclient.Configuration, ocrclient.QuotaExhausted},
		"unauthorized":                 {gateway(403, "", "Unauthorized"), ocrclient.Configuration, ocrclient.Unauthorized},
		"wrong key":                    {gateway(400, "A400IK", "Invalid AppKey `canary` not exists"), ocrclient.Configuration, ocrclient.Unauthorized},
		"wrong code":                   {gateway(400, "A400AC", ""), ocrclient.Configuration, ocrclient.Unauthorized},
		"wrong signature":              {gateway(400, "", "Invalid Signature, Server StringToSign:`POST#canary#张三`"), ocrclient.Configuration, ocrclient.Unauthorized},
		"clock":                        {gateway(400, "", "Timestamp Expired"), ocrclient.Configuration, ocrclient.ClockSkew},
		"unknown address":              {gateway(400, "I404DO", "Invalid Url"), ocrclient.Configuration, ocrclient.BadRequest},
		"too large":                    {gateway(413, "I413RL", ""), ocrclient.Configuration, ocrclient.ImageTooLarge},
		"too large, plain":             {plain(413, ""), ocrclient.Configuration, ocrclient.ImageTooLarge},
		"nonce used":                   {gateway(400, "", "Nonce Used"), ocrclient.NonceUsed, ocrclient.AnswerLost},
		"nonce used, code":             {gateway(403, "S403NU", ""), ocrclient.NonceUsed, ocrclient.AnswerLost},
		"backend time-out":             {gateway(504, "D504RE", "canary"), ocrclient.Indeterminate, ocrclient.Timeout},
		"backend time-out, classic":    {gateway(504, "", "Async Service"), ocrclient.Indeterminate, ocrclient.Timeout},
		"request time-out":             {gateway(408, "I408XX", "canary"), ocrclient.Indeterminate, ocrclient.Timeout},
		"408 of somebody":              {plain(408, "<html>"), ocrclient.Indeterminate, ocrclient.Timeout},
		"404 of somebody":              {plain(404, "<html>canary"), ocrclient.Configuration, ocrclient.BadRequest},
		"407 of somebody":              {plain(407, "<html>canary"), ocrclient.Configuration, ocrclient.BadRequest},
		"502 of somebody":              {plain(502, "<html>canary"), ocrclient.Indeterminate, ocrclient.Unavailable},
		"450 without the envelope":     {plain(450, "<html>canary"), ocrclient.Malformed, ocrclient.BadAnswer},
		"504 of somebody":              {plain(504, "<html>"), ocrclient.Indeterminate, ocrclient.Timeout},
		"503 of somebody":              {plain(503, "<html>"), ocrclient.Indeterminate, ocrclient.Unavailable},
		"403 of somebody":              {plain(403, "<html>canary"), ocrclient.Configuration, ocrclient.Unauthorized},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/canary", http.StatusTemporaryRedirect)
		}, ocrclient.Configuration, ocrclient.BadRequest},
		"HTML with 200":                   {plain(200, "<html>canary"), ocrclient.Malformed, ocrclient.BadAnswer},
		"foreign JSON":                    {plain(200, `{"name":"张三"}`), ocrclient.Malformed, ocrclient.BadAnswer},
		"JSON array":                      {plain(200, `["张三"]`), ocrclient.Malformed, ocrclient.BadAnswer},
		"empty 200":                       {plain(200, ""), ocrclient.Malformed, ocrclient.BadAnswer},
		"half JSON, complete by length":   {plain(200, recognised[:90]), ocrclient.Malformed, ocrclient.BadAnswer},
		"half JSON, end of connection":    {raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + recognised[:90]), ocrclient.Indeterminate, ocrclient.Unavailable},
		"cut body":                        {raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + recognised[:90]), ocrclient.Indeterminate, ocrclient.Unavailable},
		"connection closed after sending": {raw(""), ocrclient.Indeterminate, ocrclient.Unavailable},
		"not HTTP":                        {raw("canary 张三\r\n\r\n"), ocrclient.Indeterminate, ocrclient.Unavailable},
		"over a mebibyte":                 {plain(200, `{"ret_code":0,"msg":"`+strings.Repeat("x", 1<<20)+`"}`), ocrclient.Malformed, ocrclient.BadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			client := serve(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); test.handler(w, r) })
			answer, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://b.example/a.jpg?x-oss-signature=canary"})
			require.Nil(t, answer)
			var e *ocrclient.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, test.class.String(), e.Outcome.String())
			assert.Equal(t, test.code, e.Code)
			assert.Equal(t, test.class, ocrclient.OutcomeOf(fmt.Errorf("wrapped: %w", err)))
			assert.EqualValues(t, 1, calls.Load(), "one Recognize is one request")
			for _, canary := range canaries {
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err.Error()), canary)
			}
		})
	}
}

// The gateway's own refusals have its words or code; a status without them, of a request that reached it, is the provider's.
func TestAStatusWithoutTheGatewaysWordsIsTheProviders(t *testing.T) {
	for name, test := range map[string]struct {
		status   int
		headers  map[string]string
		passedOn bool
	}{
		"400 of the provider": {400, map[string]string{"X-Ca-Request-Id": "D3C1B6A0"}, true},
		"429 of the provider": {429, map[string]string{"X-Ca-Request-Id": "D3C1B6A0"}, true},
		"400 in words":        {400, map[string]string{"X-Ca-Request-Id": "D3C1B6A0", "X-Ca-Error-Message": "Invalid AppKey"}, false},
		"429 by code":         {429, map[string]string{"X-Ca-Request-Id": "D3C1B6A0", "X-Ca-Error-Code": "T429ID"}, false},
		"400 of a proxy":      {400, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for header, value := range test.headers {
					w.Header().Set(header, value)
				}
				w.WriteHeader(test.status)
			})
			_, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://b.example/a.jpg"})
			var e *ocrclient.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, test.passedOn, e.PassedOn)
		})
	}
}

func TestNothingWasSentWithoutAConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener.Close()
	client := &ocrclient.Client{Endpoint: "http://" + listener.Addr().String() + "/ocrIdCard", Auth: key}
	_, err = client.Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
	assert.Equal(t, ocrclient.NotSent, ocrclient.OutcomeOf(err))

	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("request over unverified TLS") }))
	server.Config.ErrorLog = nil
	defer server.Close()
	client.Endpoint = server.URL
	_, err = client.Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
	assert.Equal(t, ocrclient.NotSent, ocrclient.OutcomeOf(err), "an unknown certificate ends the call before anything is sent")
}

// overOnce is a context whose deadline comes when over is closed, however slow the machine.
type overOnce struct {
	context.Context
	over chan struct{}
}

func (o overOnce) Done() <-chan struct{} { return o.over }

func (o overOnce) Err() error {
	select {
	case <-o.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestDeadlineAfterSendingIsLost(t *testing.T) {
	release := make(chan struct{})
	ctx := overOnce{t.Context(), make(chan struct{})}
	client := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); close(ctx.over); <-release })
	defer close(release)
	_, err := client.Recognize(ctx, ocrclient.Request{Image: []byte{1}})
	var e *ocrclient.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, ocrclient.Indeterminate, e.Outcome)
	assert.Equal(t, ocrclient.Timeout, e.Code)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestInvalidSignatureTellsSecretFromRequest(t *testing.T) {
	answerWith := func(change func(string) string) *ocrclient.Client {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			form, _ := url.ParseQuery(string(body))
			s := "POST#" + r.Header.Get("Accept") + "##" + r.Header.Get("Content-Type") + "##x-ca-key:" + r.Header.Get("X-Ca-Key") +
				"#x-ca-nonce:" + r.Header.Get("X-Ca-Nonce") + "#x-ca-timestamp:" + r.Header.Get("X-Ca-Timestamp") +
				"#/ocrIdCard?imgUrl=" + form.Get("imgUrl") + "&need_more_info=0"
			w.Header().Set("X-Ca-Error-Message", "Invalid Signature, Server StringToSign:`"+change(s)+"`")
			w.WriteHeader(400)
		})
	}
	request := ocrclient.Request{ImageURL: "https://b.example/a.jpg?x-oss-signature=canary"}
	_, err := answerWith(func(s string) string { return s }).Recognize(t.Context(), request)
	assert.ErrorContains(t, err, "the AppSecret is wrong")
	_, err = answerWith(func(s string) string { return strings.Replace(s, "application/json", "*/*", 1) }).Recognize(t.Context(), request)
	assert.ErrorContains(t, err, "first difference in Accept")
	_, err = answerWith(func(s string) string { return s + "canary" }).Recognize(t.Context(), request)
	assert.ErrorContains(t, err, "path or parameters")
	assert.NotContains(t, err.Error(), "canary")
}

func TestClockSkewIsMeasured(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ca-Error-Message", "Timestamp Expired")
		w.Header().Set("Date", "Mon, 23 Nov 2026 08:00:00 GMT")
		w.WriteHeader(400)
	})
	client.Now = func() time.Time { return time.Date(2026, 11, 23, 8, 20, 0, 0, time.UTC) }
	_, err := client.Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
	assert.ErrorContains(t, err, "20m0s off the gateway's")
}

func TestRetryAfterIsReported(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"seconds":               {"7", "", 7 * time.Second},
		"blanks":                {" 7 ", "", 7 * time.Second},
		"date":                  {"Mon, 23 Nov 2026 08:00:30 GMT", "Mon, 23 Nov 2026 08:00:00 GMT", 30 * time.Second},
		"by the server's clock": {"Mon, 23 Nov 2026 09:00:30 GMT", "Mon, 23 Nov 2026 09:00:00 GMT", 30 * time.Second},
		"no clock of a server":  {"Mon, 23 Nov 2026 08:01:00 GMT", "-", time.Minute},
		"RFC 850":               {"Monday, 23-Nov-26 08:00:30 GMT", "Mon, 23 Nov 2026 08:00:00 GMT", 30 * time.Second},
		"a date that is over":   {"Mon, 23 Nov 2026 07:00:00 GMT", "Mon, 23 Nov 2026 08:00:00 GMT", 0},
		"far ahead":             {"Mon, 23 Nov 2099 08:00:00 GMT", "Mon, 23 Nov 2026 08:00:00 GMT", 24 * time.Hour},
		"many seconds":          {"99999999999999999999", "", 24 * time.Hour},
		"negative":              {"-1", "", 0},
		"zero":                  {"0", "", 0},
		"no number":             {"NaN", "", 0},
		"nonsense":              {"soon", "", 0},
		"nothing":               {"", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", test.value)
				if test.date != "" {
					w.Header().Set("Date", test.date)
				}
				w.WriteHeader(429)
			})
			client.Now = func() time.Time { return now }
			_, err := client.Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
			var e *ocrclient.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, test.want, e.RetryAfter)
		})
	}
}

// What came may have been paid for, so it is handed out; no text of the error shows it.
func TestAnswerThatIsNotUnderstoodIsHandedOut(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter)
		body   string
	}{
		"no JSON":      {func(w http.ResponseWriter) { io.WriteString(w, "<html>canary") }, "<html>canary"},
		"foreign JSON": {func(w http.ResponseWriter) { io.WriteString(w, `{"name":"canary"}`) }, `{"name":"canary"}`},
		"cut": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "500")
			io.WriteString(w, `{"name":"canary`)
		}, `{"name":"canary`},
		"refused": {func(w http.ResponseWriter) { w.WriteHeader(403); io.WriteString(w, "canary") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) { test.answer(w) })
			_, err := client.Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
			var e *ocrclient.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, test.body, string(e.Body))
			encoded, encodeErr := json.Marshal(e)
			require.NoError(t, encodeErr)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v %q %s", e, e, e, e, encoded), "canary")
			assert.NotContains(t, fmt.Sprintf("%v %#v %s", e, e, encoded), base64.StdEncoding.EncodeToString([]byte("canary")))
		})
	}
}

func TestWhatCannotBeSentIsRefusedUnsent(t *testing.T) {
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	for _, raw := range []string{"file.jpg", "ftp://b.example/canary.jpg", "file:///canary.jpg", "//b.example/a.jpg", "https:///a.jpg", "https://:443/a.jpg", "data:image/jpeg;base64,eA==", "https://b.example/\n", "https://b example/a.jpg", ":"} {
		_, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: raw})
		assert.ErrorIs(t, err, ocrclient.ErrInvalid, raw)
		assert.NotContains(t, err.Error(), "canary")
	}
	for name, auth := range map[string]ocrclient.Auth{
		"no key": ocrclient.AppKey{Secret: "canary"}, "no secret": ocrclient.AppKey{Key: "canary"}, "blank": ocrclient.AppKey{Key: " \t", Secret: "canary"}, "no code": ocrclient.AppCode(""),
		"blank code": ocrclient.AppCode(" "), "full-width": ocrclient.AppKey{Key: "２０３", Secret: "canary"}, "not seen": ocrclient.AppCode("canary\u200b"),
		"line feed": ocrclient.AppCode("canary\ncanary"), "blank in it": ocrclient.AppCode("APPCODE canary"),
	} {
		client.Auth = auth
		_, err := client.Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
		assert.ErrorIs(t, err, ocrclient.ErrInvalid, name)
		assert.NotContains(t, err.Error(), "canary", name)
	}
}

func TestCredentialsCannotBePrinted(t *testing.T) {
	client := ocrclient.Client{Auth: key}
	code := ocrclient.Client{Auth: ocrclient.AppCode("canary-app-code")}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		fmt.Fprintf(&b, verb+verb+verb+verb, client, code, client.Auth, code.Auth)
	}
	assert.NotContains(t, b.String(), "canary")
	assert.NotContains(t, b.String(), key.Key)
}
