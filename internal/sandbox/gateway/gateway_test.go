package gateway_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
)

const (
	appKey    = "203753385"
	appSecret = "a-secret-of-the-tests"
	appCode   = "0123456789abcdef0123456789abcdef"
)

var card = ocrengine.Card{Name: "张三", Sex: "男", Ethnicity: "汉", BirthDate: "1904-03-07", Address: "北京市东城区<1>&", IDNumber: "11010119040307001X"}

// reader reads a picture by its first word, and counts.
type reader struct {
	mu    sync.Mutex
	reads [][]byte
}

func (r *reader) Read(_ context.Context, image []byte) (ocrengine.Card, error) {
	r.mu.Lock()
	r.reads = append(r.reads, image)
	r.mu.Unlock()
	switch string(image) {
	case "not a picture":
		return ocrengine.Card{}, fmt.Errorf("decode: %w", ocrengine.ErrUnreadable)
	case "a cat":
		return ocrengine.Card{}, nil
	case "broken engine":
		return ocrengine.Card{}, errors.New("the engine is gone")
	case "only the number":
		return ocrengine.Card{IDNumber: card.IDNumber}, nil
	}
	return card, nil
}

// clock is a settable clock.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

type fixture struct {
	*gateway.Server
	reader *reader
	clock  *clock
	url    string
}

func start(t *testing.T, change func(*gateway.Config)) *fixture {
	t.Helper()
	f := &fixture{reader: &reader{}, clock: &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}}
	config := gateway.Config{Apps: map[string]string{appKey: appSecret}, AppCodes: []string{appCode}, Reader: f.reader, Now: f.clock.Now}
	if change != nil {
		change(&config)
	}
	server, err := gateway.New(config)
	require.NoError(t, err)
	f.Server = server
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	f.url = listener.URL
	return f
}

// nonces numbers the nonces of calls that do not bring their own.
var nonces atomic.Int64

// client follows no redirect, as a caller with a signed body has to. It has connections of its own, because closing
// any httptest.Server cuts those of the default transport.
var client = &http.Client{
	Transport:     &http.Transport{},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// call is a request about to be signed and sent.
type call struct {
	method, path, secret, signatureMethod string
	form                                  url.Values
	header                                map[string]string // replaces; an empty value removes
	nonce                                 string
	time                                  time.Time
}

func (f *fixture) send(t *testing.T, c call) (*http.Response, string, error) {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = gateway.Path
	}
	if c.secret == "" {
		c.secret = appSecret
	}
	if c.nonce == "" {
		c.nonce = fmt.Sprint("nonce-", nonces.Add(1))
	}
	if c.time.IsZero() {
		c.time = f.clock.Now()
	}
	if c.form == nil {
		c.form = url.Values{"imgData": {base64.StdEncoding.EncodeToString([]byte("a card"))}}
	}
	header := map[string]string{
		"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
		"X-Ca-Key": appKey, "X-Ca-Nonce": c.nonce, "X-Ca-Timestamp": strconv.FormatInt(c.time.UnixMilli(), 10),
	}
	if c.signatureMethod != "" {
		header["X-Ca-Signature-Method"] = c.signatureMethod
	}
	sign(header, c)
	for name, value := range c.header {
		header[name] = value
	}
	request, err := http.NewRequestWithContext(t.Context(), c.method, f.url+c.path, strings.NewReader(strings.ReplaceAll(c.form.Encode(), "+", "%20")))
	require.NoError(t, err)
	for name, value := range header {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// sign adds the signature headers as the documentation of the scheme says.
func sign(header map[string]string, c call) {
	var signed []string
	for name := range header {
		if strings.HasPrefix(name, "X-Ca-") {
			signed = append(signed, strings.ToLower(name))
		}
	}
	slices.Sort(signed)
	toSign := c.method + "\n" + header["Accept"] + "\n\n" + header["Content-Type"] + "\n\n"
	for _, name := range signed {
		toSign += name + ":" + header[http.CanonicalHeaderKey(name)] + "\n"
	}
	toSign += c.path
	var parameters []string
	for name, values := range c.form {
		if values[0] == "" {
			parameters = append(parameters, name)
		} else {
			parameters = append(parameters, name+"="+values[0])
		}
	}
	slices.Sort(parameters)
	if len(parameters) > 0 {
		toSign += "?" + strings.Join(parameters, "&")
	}
	newHash := sha256.New
	if c.signatureMethod == "HmacSHA1" {
		newHash = func() hash.Hash { return sha1.New() }
	}
	mac := hmac.New(newHash, []byte(c.secret))
	mac.Write([]byte(toSign))
	header["X-Ca-Signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	header["X-Ca-Signature-Headers"] = strings.Join(signed, ",")
}

func picture(content string) url.Values {
	return url.Values{"imgData": {base64.StdEncoding.EncodeToString([]byte(content))}}
}

func TestRefusalsAreInTheHeadersWithAnEmptyBody(t *testing.T) {
	t.Parallel()
	noAuth := map[string]string{"X-Ca-Key": "", "X-Ca-Signature": "", "X-Ca-Signature-Headers": "", "X-Ca-Nonce": "", "X-Ca-Timestamp": ""}
	with := func(base map[string]string, name, value string) map[string]string {
		merged := map[string]string{name: value}
		for n, v := range base {
			merged[n] = v
		}
		return merged
	}
	for name, test := range map[string]struct {
		call    call
		message string
		status  int
		code    string
		newer   int
	}{
		"another path":            {call{path: "/ocr"}, "Invalid Url", 400, "I404NF", 404},
		"another method":          {call{method: http.MethodPut}, "Invalid HttpMethod", 400, "I405UM", 405},
		"a stage without the API": {call{header: map[string]string{"X-Ca-Stage": "TEST"}}, "Invalid Url", 400, "I404NF", 404},
		"no credentials":          {call{header: noAuth}, "Invalid AppKey", 400, "A400MA", 400},
		"unknown AppKey":          {call{header: map[string]string{"X-Ca-Key": "1"}}, "Invalid AppKey", 400, "A400IK", 400},
		"unknown AppCode":         {call{header: with(noAuth, "Authorization", "APPCODE x")}, "Invalid AppCode `not exists`", 400, "A400AC", 400},
		"AppCode after two blanks": {call{header: with(noAuth, "Authorization", "APPCODE  "+appCode)},
			"Invalid AppCode `not exists`", 400, "A400AC", 400},
		"AppCode under another scheme": {call{header: with(noAuth, "Authorization", "Bearer "+appCode)},
			"Invalid AppCode `not exists`", 400, "A400AC", 400},
		"no signature":            {call{header: map[string]string{"X-Ca-Signature": ""}}, "Empty Signature", 404, "I400SG", 400},
		"timestamp in words":      {call{header: map[string]string{"X-Ca-Timestamp": "now"}}, "Invalid Timestamp", 400, "I400PA", 400},
		"timestamp in seconds":    {call{header: map[string]string{"X-Ca-Timestamp": "1795420800"}}, "Timestamp Expired", 400, "S403TE", 403},
		"timestamp too old":       {call{time: time.Date(2026, 11, 23, 7, 44, 59, 0, time.UTC)}, "Timestamp Expired", 400, "S403TE", 403},
		"timestamp in the future": {call{time: time.Date(2026, 11, 23, 8, 15, 1, 0, time.UTC)}, "Timestamp Expired", 400, "S403TE", 403},
		"key before timestamp": {call{time: time.UnixMilli(1), header: map[string]string{"X-Ca-Key": "1"}},
			"Invalid AppKey", 400, "A400IK", 400},
		"timestamp before signature": {call{time: time.UnixMilli(1), secret: "wrong"}, "Timestamp Expired", 400, "S403TE", 403},
		"a multipart body": {call{header: map[string]string{"Content-Type": "multipart/form-data; boundary=x"}},
			"Unsupported Multipart", 400, "I400CT", 400},
		"a wrong digest of a body that is no form": {
			call{header: map[string]string{"Content-Type": "application/json", "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}},
			"Invalid Content-MD5", 400, "I400I5", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, newer := range []bool{false, true} {
				f := start(t, func(c *gateway.Config) { c.ErrorCodes = newer })
				response, body, err := f.send(t, test.call)
				require.NoError(t, err)
				assert.Empty(t, body)
				assert.Equal(t, test.message, response.Header.Get("X-Ca-Error-Message"))
				assert.Regexp(t, `^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$`, response.Header.Get("X-Ca-Request-Id"))
				assert.Equal(t, "Mon, 23 Nov 2026 08:00:00 GMT", response.Header.Get("Date"))
				if newer {
					assert.Equal(t, test.newer, response.StatusCode)
					assert.Equal(t, test.code, response.Header.Get("X-Ca-Error-Code"))
				} else {
					assert.Equal(t, test.status, response.StatusCode)
					assert.Empty(t, response.Header.Get("X-Ca-Error-Code"))
				}
				assert.Zero(t, f.Ledger.Accepted())
				assert.Empty(t, f.reader.reads)
			}
		})
	}
}

func TestAForgedSignatureIsAnsweredWithTheServersString(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	response, body, err := f.send(t, call{secret: "wrong", nonce: "n1", form: url.Values{"imgUrl": {"http://127.0.0.1/a?Signature=s"}}})
	require.NoError(t, err)
	assert.Equal(t, 400, response.StatusCode)
	assert.Empty(t, body)
	assert.Equal(t, "Invalid Signature, Server StringToSign:`POST#application/json##application/x-www-form-urlencoded; charset=UTF-8##"+
		"x-ca-key:203753385#x-ca-nonce:n1#x-ca-timestamp:1795420800000#/ocrIdCard?imgUrl=http://127.0.0.1/a?Signature=s`",
		response.Header.Get("X-Ca-Error-Message"))
	assert.Equal(t, "Invalid Signature, Server StringToSign", f.Ledger.Calls()[0].Refusal, "the ledger keeps no parameter")

	response, _, err = f.send(t, call{nonce: "n1"})
	require.NoError(t, err)
	assert.Equal(t, 200, response.StatusCode, "a refused signature leaves its nonce unused")
}

func TestBothSignatureMethodsAndTheAppCodeAreAccepted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]call{
		"HmacSHA256 by default": {},
		"HmacSHA256 announced":  {signatureMethod: "HmacSHA256"},
		"HmacSHA1":              {signatureMethod: "HmacSHA1"},
		"AppCode": {header: map[string]string{"X-Ca-Key": "", "X-Ca-Signature": "", "X-Ca-Signature-Headers": "",
			"X-Ca-Nonce": "", "X-Ca-Timestamp": "", "Authorization": "APPCODE " + appCode}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			response, _, err := f.send(t, c)
			require.NoError(t, err)
			assert.Equal(t, 200, response.StatusCode, response.Header.Get("X-Ca-Error-Message"))
			assert.Equal(t, 1, f.Ledger.Charged())
		})
	}
}

func TestANonceIsAcceptedOnceInFifteenMinutes(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	outcomes := make([]string, 32)
	var group sync.WaitGroup
	for i := range outcomes {
		group.Go(func() {
			response, _, err := f.send(t, call{nonce: "the same"})
			if assert.NoError(t, err) {
				outcomes[i] = fmt.Sprint(response.StatusCode, response.Header.Get("X-Ca-Error-Message"))
			}
		})
	}
	group.Wait()
	slices.Sort(outcomes)
	assert.Equal(t, "200", outcomes[0])
	assert.Equal(t, slices.Repeat([]string{"400Nonce Used"}, 31), outcomes[1:])
	assert.Equal(t, 1, f.Ledger.Accepted())
	assert.Equal(t, 1, f.Ledger.Charged())

	f.clock.Advance(15 * time.Minute)
	response, _, err := f.send(t, call{nonce: "the same"})
	require.NoError(t, err)
	assert.Equal(t, "Nonce Used", response.Header.Get("X-Ca-Error-Message"))
	f.clock.Advance(time.Second)
	response, _, err = f.send(t, call{nonce: "the same"})
	require.NoError(t, err)
	assert.Equal(t, 200, response.StatusCode)
}

func TestFlowControlRefusesAfterTheNonceIsUsed(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *gateway.Config) { c.CallsPerSecond = 1 })
	for _, step := range []struct{ nonce, message string }{
		{"a", ""}, {"b", "Throttled by APP Flow Control"}, {"b", "Nonce Used"},
	} {
		response, _, err := f.send(t, call{nonce: step.nonce})
		require.NoError(t, err)
		assert.Equal(t, step.message, response.Header.Get("X-Ca-Error-Message"))
	}
	f.clock.Advance(time.Second)
	response, _, err := f.send(t, call{nonce: "c"})
	require.NoError(t, err)
	assert.Equal(t, 200, response.StatusCode)

	f = start(t, func(c *gateway.Config) { c.Quota = 1 })
	for _, message := range []string{"", "Api Market Subscription quota exhausted"} {
		response, _, err := f.send(t, call{})
		require.NoError(t, err)
		assert.Equal(t, message, response.Header.Get("X-Ca-Error-Message"))
	}
}

func TestTheProviderAnswersInItsEnvelope(t *testing.T) {
	t.Parallel()
	details := `,"name":"张三","sex":"男","nationality":"汉","birthday":"1904-03-07","addr":"北京市东城区<1>&"`
	recognized := func(details string) string {
		return `{"showapi_res_id":"ID","showapi_res_error":"","showapi_fee_num":1,"showapi_res_code":0,"showapi_res_body":` +
			`{"msg":"识别成功!","flag":true,"ret_code":0,"idNo":"11010119040307001X"` + details + `}}`
	}
	failed := func(message string) string {
		return `{"showapi_res_error":"","showapi_fee_num":0,"showapi_res_code":0,"showapi_res_id":"ID","showapi_res_body":` +
			`{"ret_code":-1,"flag":false,"msg":"` + message + `"}}`
	}
	const badParameter = "错误的 imgData 或 imgUrl 参数！"
	data := func(content, more string) url.Values {
		form := picture(content)
		if more != "" {
			form.Set("need_more_info", more)
		}
		return form
	}
	for name, test := range map[string]struct {
		form    url.Values
		body    string
		outcome string
	}{
		"the number only by default":              {data("a card", ""), recognized(""), gateway.OutcomeRecognized},
		"the number only with 0":                  {data("a card", "0"), recognized(""), gateway.OutcomeRecognized},
		"details with 1":                          {data("a card", "1"), recognized(details), gateway.OutcomeRecognized},
		"details that were not read are empty":    {data("only the number", "1"), recognized(`,"name":"","sex":"","nationality":"","birthday":"","addr":""`), gateway.OutcomeRecognized},
		"no ID number":                            {data("a cat", "1"), failed("识别失败!"), gateway.OutcomeUnrecognized},
		"not a picture":                           {data("not a picture", ""), failed(badParameter), gateway.OutcomeRejected},
		"no parameter":                            {url.Values{"need_more_info": {"1"}}, failed(badParameter), gateway.OutcomeRejected},
		"empty parameters":                        {url.Values{"imgData": {""}, "imgUrl": {""}}, failed(badParameter), gateway.OutcomeRejected},
		"both parameters":                         {url.Values{"imgData": {"AAAA"}, "imgUrl": {"http://127.0.0.1/a"}}, failed(badParameter), gateway.OutcomeRejected},
		"imgData is not base64":                   {url.Values{"imgData": {"data:image/png;base64,AAAA"}}, failed(badParameter), gateway.OutcomeRejected},
		"imgData is too large":                    {data(strings.Repeat("x", 101), ""), failed(badParameter), gateway.OutcomeRejected},
		"imgUrl is no URL":                        {url.Values{"imgUrl": {"a:b:c"}}, failed(badParameter), gateway.OutcomeRejected},
		"imgUrl leads away from this machine":     {url.Values{"imgUrl": {"http://192.0.2.1/a.jpg"}}, failed(badParameter), gateway.OutcomeRejected},
		"imgUrl leads to the unspecified address": {url.Values{"imgUrl": {"http://0.0.0.0/a.jpg"}}, failed(badParameter), gateway.OutcomeRejected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(c *gateway.Config) { c.MaxPicture = 100 })
			response, body, err := f.send(t, call{form: test.form})
			require.NoError(t, err)
			assert.Equal(t, 200, response.StatusCode)
			assert.Equal(t, "application/json;charset=utf-8", response.Header.Get("Content-Type"))

			record := f.Ledger.Calls()[0]
			assert.Regexp(t, `^[0-9a-f]{24}$`, record.ResultID)
			assert.Equal(t, test.body, strings.Replace(body, record.ResultID, "ID", 1))
			assert.Equal(t, test.outcome, record.Outcome)
			assert.True(t, record.Accepted)
			assert.Equal(t, test.outcome == gateway.OutcomeRecognized, record.Charged)
			ledger, err := json.Marshal(f.Ledger.Calls())
			require.NoError(t, err)
			for _, secret := range []string{card.Name, card.IDNumber, card.Address, appSecret} {
				assert.NotContains(t, string(ledger), secret)
			}
		})
	}
}

func TestAFailingEngineIsAFailingBackend(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	response, body, err := f.send(t, call{form: picture("broken engine")})
	require.NoError(t, err)
	assert.Equal(t, 500, response.StatusCode)
	assert.Equal(t, "Failed To Invoke Backend Service", response.Header.Get("X-Ca-Error-Message"))
	assert.Empty(t, body)
	assert.Equal(t, 1, f.Ledger.Accepted())
	assert.Zero(t, f.Ledger.Charged())
}

func TestThePictureIsFetchedFromTheSignedAddress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		outcome string
	}{
		"fetched":    {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a card "+r.URL.Query().Get("s")) }, gateway.OutcomeRecognized},
		"forbidden":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, gateway.OutcomeRejected},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/b", http.StatusFound) }, gateway.OutcomeRejected},
		"too large":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 101)) }, gateway.OutcomeRejected},
		"breaking off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "x")
		}, gateway.OutcomeRejected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := httptest.NewServer(test.handler)
			defer store.Close()
			f := start(t, func(c *gateway.Config) { c.MaxPicture = 100 })
			_, _, err := f.send(t, call{form: url.Values{"imgUrl": {store.URL + "/cards/a%20b.jpg?s=%2B1"}}})
			require.NoError(t, err)
			record := f.Ledger.Calls()[0]
			assert.Equal(t, test.outcome, record.Outcome)
			assert.Equal(t, "url", record.Source)
			assert.Equal(t, "/cards/a%20b.jpg", record.ImagePath, "without host and signature")
			if test.outcome == gateway.OutcomeRecognized {
				digest := sha256.Sum256([]byte("a card +1"))
				assert.Equal(t, hex.EncodeToString(digest[:]), record.ImageSHA256)
				assert.Equal(t, 9, record.ImageSize)
			}
		})
	}
}

func TestDebugModeAddsLatencies(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	response, _, err := f.send(t, call{header: map[string]string{"X-Ca-Request-Mode": "debug"}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"ServiceLatency":0,"TotalLatency":0}`, response.Header.Get("X-Ca-Debug-Info"))
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]gateway.Config{
		"no reader":    {Apps: map[string]string{"a": "b"}},
		"no callers":   {Reader: &reader{}},
		"empty secret": {Reader: &reader{}, Apps: map[string]string{"a": ""}},
		"bad quota":    {Reader: &reader{}, AppCodes: []string{"a"}, Quota: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := gateway.New(config)
			assert.Error(t, err)
		})
	}
}
