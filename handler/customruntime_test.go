package handler

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// platformCall is what FC itself sends to a custom runtime.
func platformCall(t testing.TB, h *Handler, method, path string, inv processor.Invocation, body []byte) reply {
	server := httptest.NewServer(h.CustomRuntime())
	defer server.Close()
	return send(t, server, call{method: method, target: path, contentType: "application/octet-stream", body: string(body)}, platformHeaders(inv, path))
}

func TestInvokeTakesEvents(t *testing.T) {
	f := newFixture(t)
	got := platformCall(t, f.handler(), "POST", "/invoke", ocrtest.First("request-7"), f.Event())
	assert.Equal(t, 200, got.status)
	assert.Empty(t, got.header.Get("x-fc-status"))
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
	assert.JSONEq(t, `{"images":[{"bucket":"cards","key":"2026/a.jpg","status":"recognized"}]}`, string(got.body))
	assert.Equal(t, "request-7", f.Document().RequestID)
}

// FC takes an answer for a success unless this header says otherwise.
func TestFailedInvocationSaysSoInItsHeader(t *testing.T) {
	for name, c := range map[string]struct {
		plan    []ocrtest.Outcome
		event   []byte
		code    result.Code
		setup   func(*fixture)
		message string
	}{
		"retryable":     {plan: []ocrtest.Outcome{ocrtest.Throttled}, code: result.Throttled, message: "1 of 1 images can succeed later; first cards/2026/a.jpg"},
		"no event":      {event: []byte(`{"canary":1}`), code: result.BadRequest, message: acceptedShapes},
		"too much":      {event: bytes.Repeat([]byte(" "), maxEventBytes+1), code: result.BadRequest, message: "33554432 bytes"},
		"panic":         {setup: func(f *fixture) { f.Options.OCR = panicking{} }, code: result.Internal, message: "broke off"},
		"no store":      {setup: func(f *fixture) { f.Options.Open = noStore }, code: result.AccessDenied, message: "no credentials"},
		"somebody else": {setup: func(f *fixture) { f.HoldClaim("other") }, code: result.InProgress, message: "another invocation"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.plan...)
			f.Options.MaxAttempts = 1
			if c.setup != nil {
				c.setup(f)
			}
			event := c.event
			if event == nil {
				event = f.Event()
			}
			got := platformCall(t, f.handler(), "POST", "/invoke", ocrtest.First("r"), event)
			assert.Equal(t, 404, got.status)
			assert.Equal(t, "404", got.header.Get("x-fc-status"))
			var failed map[string]string
			require.NoError(t, json.Unmarshal(got.body, &failed))
			assert.Equal(t, string(c.code), failed["errorType"])
			assert.Contains(t, failed["errorMessage"], c.message)
			assert.Len(t, failed, 2)
			assert.NotContains(t, string(got.body)+f.Log.String(), "canary")
		})
	}
}

func TestPanicOutsideAnImageFailsTheInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.Options.OnResume = func() { panic("canary") }
		invoke := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("POST", "/invoke", strings.NewReader(`{"events":[]}`))
			r.Header = platformHeaders(ocrtest.First("r"), "/invoke")
			f.handler().CustomRuntime().ServeHTTP(w, r)
			return w
		}
		assert.Equal(t, 200, invoke().Code)
		time.Sleep(6 * time.Second) // virtual
		w := invoke()
		assert.Equal(t, 404, w.Code)
		assert.Equal(t, "404", w.Header().Get("x-fc-status"))
		assert.JSONEq(t, `{"errorType":"Internal","errorMessage":"the function broke off"}`, w.Body.String())
		assert.NotContains(t, f.Log.String(), "canary")
	})
}

func noStore(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) {
	return bucket.New(bucket.Config{}).Open("cards", "cn-hangzhou", bucket.Credentials{}, nil)
}

func TestPermanentFailureIsASuccessToThePlatform(t *testing.T) {
	f := newFixture(t, ocrtest.QuotaExhausted)
	got := platformCall(t, f.handler(), "POST", "/invoke", ocrtest.First("r"), f.Event())
	assert.Equal(t, 200, got.status)
	assert.Empty(t, got.header.Get("x-fc-status"))
	assert.Equal(t, result.QuotaExhausted, f.Document().Error.Code)
}

func TestInstanceLifeCycle(t *testing.T) {
	f := newFixture(t)
	for _, route := range []struct{ method, path string }{{"POST", "/initialize"}, {"GET", "/pre-stop"}} {
		got := platformCall(t, f.handler(), route.method, route.path, ocrtest.First("r"), nil)
		assert.Equal(t, 200, got.status)
		assert.Empty(t, got.body)
		assert.Empty(t, got.header.Get("x-fc-status"))
	}
	for _, route := range []struct{ method, path string }{{"GET", "/invoke"}, {"PUT", "/invoke"}, {"GET", "/initialize"}, {"POST", "/pre-stop"}} {
		got := platformCall(t, f.handler(), route.method, route.path, ocrtest.First("r"), nil)
		assert.Equal(t, 404, got.status, "%s %s", route.method, route.path)
		checkAnswer(t, call{method: route.method}, got)
	}
}

func TestInitializerWarmsInBoundedTimeAndCannotFail(t *testing.T) {
	for name, outcome := range map[string]error{"warmed": nil, "not warmed": errors.New("no connection")} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			warmed := 0
			f.handlerOptions.Warm = func(ctx context.Context) error {
				warmed++
				deadline, ok := ctx.Deadline()
				assert.True(t, ok)
				assert.LessOrEqual(t, time.Until(deadline), 3*time.Second)
				return outcome
			}
			got := platformCall(t, f.handler(), "POST", "/initialize", ocrtest.First("r"), nil)
			assert.Equal(t, 200, got.status)
			assert.Empty(t, got.header.Get("x-fc-status"), "FC would throw the instance away")
			assert.Equal(t, 1, warmed)
			assert.Empty(t, f.Bucket.Requests())
			assert.Empty(t, f.OCR.Requests(), "nothing that could be paid")
			assert.Equal(t, outcome != nil, strings.Contains(f.Log.String(), "instance not warmed"))
		})
	}
}

// Without the control path, as in a container of one's own, /invoke takes events: then who can reach it decides.
func TestInvokeWithoutControlPath(t *testing.T) {
	f := newFixture(t)
	header := platformHeaders(ocrtest.First("r"), "")
	header.Del("x-fc-control-path")
	server := httptest.NewServer(f.handler().CustomRuntime())
	defer server.Close()
	got := send(t, server, call{method: "POST", target: "/invoke", body: string(f.Event())}, header)
	assert.Equal(t, 200, got.status)
	assert.NotNil(t, f.Document())
}

func TestInvocationOfHeaders(t *testing.T) {
	now := time.Now()
	deadline := strconv.FormatInt(now.Add(30*time.Second).UnixMilli(), 10)
	all := map[string]string{"X-Fc-Request-Id": "r", "x-fc-region": "cn-beijing", "x-fc-access-key-id": "i", "X-FC-ACCESS-KEY-SECRET": "s", "x-fc-security-token": "t",
		"x-fc-retry-count": "2", "x-fc-function-deadline": deadline, "x-fc-function-timeout": "99"}
	keys := bucket.Credentials{AccessKeyID: "i", AccessKeySecret: "s", SecurityToken: "t"}
	for name, c := range map[string]struct {
		change map[string]string // "" removes
		want   processor.Invocation
		left   time.Duration // to the deadline; 0: there is none
	}{
		"all":                             {nil, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 30 * time.Second},
		"no deadline, but a time-out":     {map[string]string{"x-fc-function-deadline": ""}, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 99 * time.Second},
		"a deadline that is none":         {map[string]string{"x-fc-function-deadline": "soon"}, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 99 * time.Second},
		"neither":                         {map[string]string{"x-fc-function-deadline": "0", "x-fc-function-timeout": "-1"}, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 0},
		"a deadline in microseconds":      {map[string]string{"x-fc-function-deadline": deadline + "000"}, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 99 * time.Second},
		"a deadline after the year 9999":  {map[string]string{"x-fc-function-deadline": "9223372036854775807"}, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 99 * time.Second},
		"a time-out that no function has": {map[string]string{"x-fc-function-deadline": "0", "x-fc-function-timeout": "9223372036854775807"}, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 0},
		"the longest":                     {map[string]string{"x-fc-function-deadline": strconv.FormatInt(now.Add(24*time.Hour).UnixMilli(), 10)}, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 24 * time.Hour},
		"no retry count":                  {map[string]string{"x-fc-retry-count": ""}, processor.Invocation{RequestID: "r", Region: "cn-beijing", Credentials: keys}, 30 * time.Second},
		"a retry count that is none":      {map[string]string{"x-fc-retry-count": "two"}, processor.Invocation{RequestID: "r", Region: "cn-beijing", Credentials: keys}, 30 * time.Second},
		"a retry count that is too large": {map[string]string{"x-fc-retry-count": "99999999999999999999"}, processor.Invocation{RequestID: "r", Region: "cn-beijing", Credentials: keys}, 30 * time.Second},
		"no role":                         {map[string]string{"x-fc-access-key-id": "", "X-FC-ACCESS-KEY-SECRET": "", "x-fc-security-token": ""}, processor.Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing"}, 30 * time.Second},
	} {
		header := http.Header{}
		for name, value := range all {
			header.Set(name, value)
		}
		for name, value := range c.change {
			header.Set(name, value)
			if value == "" {
				header.Del(name)
			}
		}
		got := invocationOf(header)
		if c.left == 0 {
			assert.True(t, got.Deadline.IsZero(), name)
		} else {
			assert.WithinDuration(t, now.Add(c.left), got.Deadline, 5*time.Second, name)
		}
		got.Deadline = time.Time{}
		assert.Equal(t, c.want, got, name)
	}
	assert.Equal(t, processor.Invocation{}, invocationOf(http.Header{}))
}

// Each invocation works with its own keys, in its own region, and until its own deadline.
func TestInvocationOfHeadersIsUsed(t *testing.T) {
	for _, path := range []string{"/invoke", "/recognitions"} {
		f := newFixture(t)
		var opened []string
		f.Options.Open = func(name, region string, c bucket.Credentials, log *slog.Logger) (processor.Bucket, error) {
			opened = append(opened, name+" "+region+" "+c.AccessKeyID+" "+c.AccessKeySecret+" "+c.SecurityToken)
			return f.Bucket, nil
		}
		inv := processor.Invocation{RequestID: "request-9", Region: "cn-beijing", Credentials: bucket.Credentials{AccessKeyID: "i", AccessKeySecret: "s", SecurityToken: "t"}, Deadline: time.Now().Add(10 * time.Second)}
		region := "cn-beijing"
		if path == "/invoke" {
			region = "cn-hangzhou" // the event's own
			platformCall(t, f.handler(), "POST", path, inv, f.Event())
		} else {
			throughServer(t, f.handler(), inv, postObject(theObject))
		}
		assert.Equal(t, []string{"cards " + region + " i s t"}, opened)
		require.NotNil(t, f.Document())
		assert.Equal(t, "request-9", f.Document().RequestID)
		assert.Equal(t, result.Timeout, f.Document().Error.Code, "20 s for a call are not left")
		assert.Empty(t, f.OCR.Requests())
		for _, secret := range []string{" s ", `"s"`, `"t"`} {
			assert.NotContains(t, f.Log.String(), secret)
		}
	}
}

// An answer is read by callers that are still sending, however large the body that was refused.
func TestRefusedBodyIsReadToItsEnd(t *testing.T) {
	f := newFixture(t)
	f.Options.MaxImageBytes = 1000
	server := httptest.NewServer(f.handler().CustomRuntime())
	defer server.Close()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	body := strings.Repeat("p", 4<<20)
	_, err = io.WriteString(connection, "POST /recognitions HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body+
		"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	require.NoError(t, err, "the whole body is taken")
	answers, err := io.ReadAll(connection)
	require.NoError(t, err)
	assert.Contains(t, string(answers), "HTTP/1.1 413 ")
	assert.Contains(t, string(answers), "HTTP/1.1 200 OK", "the connection serves the next request")
}

// A body that ends too early is a bad request, not a picture.
func TestCutBodyIsNotRecognised(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(f.handler().CustomRuntime())
	defer server.Close()
	for _, path := range []string{"/recognitions", "/invoke"} {
		connection, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(connection, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\npicture")
		require.NoError(t, err)
		require.NoError(t, connection.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(connection)
		require.NoError(t, err)
		assert.Contains(t, string(answer), "broke off")
		connection.Close()
	}
	assert.Empty(t, f.OCR.Requests())
}

// exchange sends a request as it is written, line by line, and reads the answer.
func exchange(t testing.TB, server *httptest.Server, requestLine string, header []string, body string) reply {
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	lines := append([]string{requestLine + " HTTP/1.1", "Host: x", "Connection: close", "Content-Length: " + strconv.Itoa(len(body))}, header...)
	_, err = io.WriteString(connection, strings.Join(lines, "\r\n")+"\r\n\r\n"+body)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{status: response.StatusCode, header: response.Header, body: answer}
}

// Whatever a caller of the HTTP trigger adds to FC's own headers, and however it spells a path: its request is no event, and no
// hook of the instance.
func TestCallersDoNotPassForThePlatform(t *testing.T) {
	const control, twice, notSent, otherPath = "x-fc-control-path", "is there 2 times", "a value that Function Compute does not send", "and the path is another"
	const unknown = "the header x-fc-control-path is none of /invoke, /initialize, /pre-stop, /http-invoke"
	for name, c := range map[string]struct {
		request string // POST /invoke
		header  []string
		outside bool // Function Compute's, where the header may be missing
		status  int  // 400
		says    string
	}{
		"caller's control path first":           {header: []string{control + ": /invoke", control + ": /http-invoke"}, says: control + " " + twice},
		"caller's control path last":            {header: []string{control + ": /http-invoke", control + ": /invoke"}, says: control + " " + twice},
		"in another case":                       {header: []string{"X-FC-CONTROL-PATH: /invoke", control + ": /http-invoke"}, says: control + " " + twice},
		"the same twice":                        {header: []string{control + ": /invoke", control + ": /invoke"}, says: control + " " + twice},
		"blank first":                           {header: []string{control + ":", control + ": /http-invoke"}, says: control + " " + twice},
		"joined by a proxy":                     {header: []string{control + ": /invoke, /http-invoke"}, says: control + " has " + notSent},
		"joined without a blank":                {header: []string{control + ": /http-invoke,/invoke"}, says: control + " has " + notSent},
		"folded":                                {header: []string{control + ": /invoke\r\n /http-invoke"}, says: control + " has " + notSent},
		"not ASCII":                             {header: []string{control + ": /invoke\u00a0"}, says: control + " has " + notSent},
		"blank":                                 {header: []string{control + ":"}, says: unknown},
		"without its slash":                     {header: []string{control + ": invoke"}, says: unknown},
		"with a slash more":                     {header: []string{control + ": //http-invoke"}, says: unknown},
		"with a slash behind":                   {header: []string{control + ": /http-invoke/"}, says: unknown},
		"capitals":                              {header: []string{control + ": /HTTP-INVOKE"}, says: unknown},
		"escaped":                               {header: []string{control + ": %2fhttp-invoke"}, says: unknown},
		"quoted":                                {header: []string{control + `: "/http-invoke"`}, says: unknown},
		"a hook that is gone":                   {request: "GET /pre-freeze", header: []string{control + ": /pre-freeze"}, says: unknown},
		"an event's, on another path":           {request: "POST /recognitions", header: []string{control + ": /invoke"}, says: otherPath},
		"a hook's, on the events' path":         {header: []string{control + ": /initialize"}, says: otherPath},
		"an event's, on an escaped path":        {request: "POST /%69nvoke", header: []string{control + ": /invoke"}, says: otherPath},
		"an event's, on a path with two":        {request: "POST //invoke", header: []string{control + ": /invoke"}, says: otherPath},
		"taken away":                            {says: "the header x-fc-control-path is missing"},
		"taken away from the hook":              {request: "POST /initialize", says: "the header x-fc-control-path is missing"},
		"taken away, and the path is absolute":  {request: "POST http://x/invoke", says: "the header x-fc-control-path is missing"},
		"request ID twice":                      {header: []string{control + ": /invoke", "x-fc-request-id: a", "x-fc-request-id: b"}, says: "x-fc-request-id " + twice},
		"request ID of two words":               {header: []string{control + ": /invoke", "x-fc-request-id: a b"}, says: "x-fc-request-id has " + notSent},
		"region twice":                          {header: []string{control + ": /invoke", "x-fc-region: cn-hangzhou", "x-fc-region: cn-hangzhou"}, says: "x-fc-region " + twice},
		"regions joined":                        {header: []string{control + ": /invoke", "x-fc-region: cn-hangzhou,cn-beijing"}, says: "x-fc-region has " + notSent},
		"key ID twice, FC's without a role":     {header: []string{control + ": /invoke", "x-fc-access-key-id: canary", "x-fc-access-key-id:"}, says: "x-fc-access-key-id " + twice},
		"key secret twice":                      {header: []string{control + ": /invoke", "x-fc-access-key-secret: canary", "x-fc-access-key-secret: canary"}, says: "x-fc-access-key-secret " + twice},
		"token twice":                           {header: []string{control + ": /invoke", "x-fc-security-token: canary", "x-fc-security-token: canary"}, says: "x-fc-security-token " + twice},
		"tokens joined":                         {header: []string{control + ": /invoke", "x-fc-security-token: canary, canary"}, says: "x-fc-security-token has " + notSent},
		"deadline twice":                        {header: []string{control + ": /invoke", "x-fc-function-deadline: 1", "x-fc-function-deadline: 99999999999999"}, says: "x-fc-function-deadline " + twice},
		"time-out twice":                        {header: []string{control + ": /invoke", "x-fc-function-timeout: 1", "x-fc-function-timeout: 2"}, says: "x-fc-function-timeout " + twice},
		"retry counts joined":                   {header: []string{control + ": /invoke", "x-fc-retry-count: 0, 0"}, says: "x-fc-retry-count has " + notSent},
		"account twice, which nobody reads":     {header: []string{control + ": /invoke", "x-fc-account-id: 1", "x-fc-account-id: canary"}, says: "a header x-fc-* " + twice},
		"a caller's own, twice":                 {header: []string{control + ": /invoke", "x-fc-canary: 1", "x-fc-canary: 2"}, says: "a header x-fc-* " + twice},
		"doubled in a request of the HTTP API":  {request: "GET /healthz", header: []string{control + ": /http-invoke", "x-fc-region: a", "x-fc-region: b"}, says: "x-fc-region " + twice},
		"the events' path of the trigger":       {header: []string{control + ": /http-invoke"}, status: 404},
		"an absolute one":                       {request: "POST http://x/invoke", header: []string{control + ": /http-invoke"}, status: 404},
		"the initializer's of the trigger":      {request: "POST /initialize", header: []string{control + ": /http-invoke"}, status: 404},
		"PreStop's of the trigger":              {request: "GET /pre-stop", header: []string{control + ": /http-invoke"}, status: 404},
		"two slashes":                           {request: "POST //invoke", header: []string{control + ": /http-invoke"}, status: 404},
		"a slash behind":                        {request: "POST /invoke/", header: []string{control + ": /http-invoke"}, status: 404},
		"capitals in the path":                  {request: "POST /INVOKE", header: []string{control + ": /http-invoke"}, status: 404},
		"an escaped slash":                      {request: "POST /%2finvoke", header: []string{control + ": /http-invoke"}, status: 404},
		"an escaped letter":                     {request: "POST /%69nvoke", header: []string{control + ": /http-invoke"}, status: 404},
		"a step back":                           {request: "POST /healthz/../invoke", header: []string{control + ": /http-invoke"}, status: 404},
		"a query":                               {request: "POST /invoke?x-fc-control-path=/invoke", header: []string{control + ": /http-invoke"}, status: 404},
		"an underscored name":                   {header: []string{control + ": /http-invoke", "x_fc_control_path: /invoke"}, status: 404},
		"two slashes, header taken away":        {request: "POST //invoke", status: 404},
		"an escaped letter, header taken away":  {request: "POST /%69nvoke", status: 404},
		"capitals, header taken away":           {request: "POST /INVOKE", status: 404},
		"an escaped letter, elsewhere":          {request: "POST /%69nvoke", outside: true, status: 404},
		"a slash behind, elsewhere":             {request: "POST /invoke/", outside: true, status: 404},
		"no header elsewhere, but two requests": {outside: true, header: []string{"x-fc-request-id: a", "x-fc-request-id: b"}, says: "x-fc-request-id " + twice},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.handlerOptions.RequireControlPath = !c.outside
			f.handlerOptions.Warm = func(context.Context) error { assert.Fail(t, "a caller warmed the instance"); return nil }
			server := httptest.NewServer(f.handler().CustomRuntime())
			defer server.Close()
			request, status := c.request, c.status
			if request == "" {
				request = "POST /invoke"
			}
			if status == 0 {
				status = 400
			}
			got := exchange(t, server, request, append([]string{"Content-Type: application/json"}, c.header...), string(f.Event()))
			assert.Equal(t, status, got.status)
			checkAnswer(t, call{method: "POST"}, got)
			var p problemDocument
			require.NoError(t, json.Unmarshal(got.body, &p))
			assert.Equal(t, result.BadRequest, p.Code)
			assert.False(t, p.Retryable)
			assert.Contains(t, p.Detail, c.says)
			if c.status == 0 {
				fromTrigger := slices.Contains(c.header, control+": /http-invoke") && !strings.Contains(c.says, control)
				assert.Equal(t, !fromTrigger, got.header.Get("x-fc-status") == "404", "what FC sent itself has failed, and is not lost")
				assert.Contains(t, f.Log.String(), "request refused")
			}
			assert.Empty(t, f.Bucket.Requests())
			assert.Empty(t, f.OCR.Requests())
			assert.Nil(t, f.Document())
			assert.NotContains(t, string(got.body)+f.Log.String(), "canary")
		})
	}
}

// Other spellings of a header's name do not reach the function at all: net/http refuses them.
func TestMalformedHeaderNamesAreRefused(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(f.handler().CustomRuntime())
	defer server.Close()
	for _, header := range []string{"x-fc-control-path : /invoke", " x-fc-control-path: /invoke", "x-fc-control-path\t: /invoke"} {
		got := exchange(t, server, "POST /invoke", []string{header}, string(f.Event()))
		assert.Equal(t, 400, got.status, header)
	}
	assert.Nil(t, f.Document())
}

// These are the headers of a request as FC 3.0 sends it to a function without a role and log project: many are blank.
func TestPlatformsOwnHeadersAreTaken(t *testing.T) {
	f := newFixture(t)
	f.handlerOptions.RequireControlPath = true
	server := httptest.NewServer(f.handler().CustomRuntime())
	defer server.Close()
	common := []string{"x-fc-access-key-id:", "x-fc-access-key-secret:", "x-fc-security-token:", "x-fc-account-id: 1234567890123456", "x-fc-function-handler: index.handler",
		"x-fc-function-memory: 512", "x-fc-function-name: fc-idcard-ocr", "x-fc-function-timeout: 180", "x-fc-qualifier: LATEST", "x-fc-region: cn-hangzhou",
		"x-fc-request-id: 1-6740f0ad-15a1c7d2-0f1e2d3c4b5a", "x-fc-retry-count: 0", "x-fc-service-logproject:", "x-fc-service-name:", "x-fc-version-id:"}
	for _, c := range []struct {
		request, control, body string
	}{
		{"POST /initialize", "/initialize", ""},
		{"POST /invoke", "/invoke", string(f.Event())},
		{"GET /pre-stop", "/pre-stop", ""},
		{"GET /pre-stop", "", ""}, // not documented: the hook does nothing, whoever calls it
		{"GET /healthz", "/http-invoke", ""},
		{"GET /healthz", "", ""}, // a health check, which is no invocation
	} {
		header := common
		if c.control != "" {
			header = append([]string{"x-fc-control-path: " + c.control}, common...)
		}
		got := exchange(t, server, c.request, header, c.body)
		assert.Equal(t, 200, got.status, "%+v", c)
		assert.Empty(t, got.header.Get("x-fc-status"))
	}
	assert.Equal(t, result.Recognized, f.Document().Status)
}
