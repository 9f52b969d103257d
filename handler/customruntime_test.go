package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
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
