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
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// platformCall is what FC itself sends to a custom runtime.
func platformCall(t testing.TB, h *Handler, method, path string, inv Invocation, body []byte) reply {
	server := httptest.NewServer(h.CustomRuntime())
	defer server.Close()
	return send(t, server, call{method: method, target: path, contentType: "application/octet-stream", body: string(body)}, platformHeaders(inv, path))
}

func TestInvokeTakesEvents(t *testing.T) {
	w := newWorld(t)
	got := platformCall(t, w.Handler, "POST", "/invoke", first("request-7"), w.event())
	assert.Equal(t, 200, got.status)
	assert.Empty(t, got.header.Get("x-fc-status"))
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
	assert.JSONEq(t, `{"images":[{"bucket":"cards","key":"2026/a.jpg","status":"recognized"}]}`, string(got.body))
	assert.Equal(t, "request-7", w.document().RequestID)
}

// FC takes an answer for a success unless this header says otherwise.
func TestFailedInvocationSaysSoInItsHeader(t *testing.T) {
	for name, c := range map[string]struct {
		plan    []string
		event   []byte
		code    Code
		setup   func(*world)
		message string
	}{
		"retryable":     {plan: []string{"throttled"}, code: Throttled, message: "1 of 1 images can succeed later; first cards/2026/a.jpg"},
		"no event":      {event: []byte(`{"canary":1}`), code: BadRequest, message: expected},
		"too much":      {event: bytes.Repeat([]byte(" "), maxEventBytes+1), code: BadRequest, message: "33554432 bytes"},
		"panic":         {setup: func(w *world) { w.OCR = panicking{} }, code: Internal, message: "broke off"},
		"outer panic":   {setup: func(w *world) { w.lastUsed.Store(1); w.Wake = func() { panic("canary") } }, code: Internal, message: "the function broke off"},
		"no store":      {setup: func(w *world) { w.Open = noStore }, code: AccessDenied, message: "no credentials"},
		"somebody else": {setup: func(w *world) { w.bucket.Append(w.t.Context(), claimKey, 0, []byte(recordOfOther)) }, code: InProgress, message: "another invocation"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.plan...)
			w.MaxAttempts = 1
			if c.setup != nil {
				c.setup(w)
			}
			event := c.event
			if event == nil {
				event = w.event()
			}
			got := platformCall(t, w.Handler, "POST", "/invoke", first("r"), event)
			assert.Equal(t, 404, got.status)
			assert.Equal(t, "404", got.header.Get("x-fc-status"))
			var failed map[string]string
			require.NoError(t, json.Unmarshal(got.body, &failed))
			assert.Equal(t, string(c.code), failed["errorType"])
			assert.Contains(t, failed["errorMessage"], c.message)
			assert.Len(t, failed, 2)
			assert.NotContains(t, string(got.body)+w.log.String(), "canary")
		})
	}
}

func noStore(string, string, bucket.Credentials, *slog.Logger) (Store, error) {
	return bucket.New(bucket.Config{}).Open("cards", "cn-hangzhou", bucket.Credentials{}, nil)
}

func TestPermanentFailureIsASuccessToThePlatform(t *testing.T) {
	w := newWorld(t, "quota")
	got := platformCall(t, w.Handler, "POST", "/invoke", first("r"), w.event())
	assert.Equal(t, 200, got.status)
	assert.Empty(t, got.header.Get("x-fc-status"))
	assert.Equal(t, QuotaExhausted, w.document().Error.Code)
}

func TestInstanceLifeCycle(t *testing.T) {
	w := newWorld(t)
	for _, route := range []struct{ method, path string }{{"POST", "/initialize"}, {"GET", "/pre-stop"}} {
		got := platformCall(t, w.Handler, route.method, route.path, first("r"), nil)
		assert.Equal(t, 200, got.status)
		assert.Empty(t, got.body)
		assert.Empty(t, got.header.Get("x-fc-status"))
	}
	for _, route := range []struct{ method, path string }{{"GET", "/invoke"}, {"PUT", "/invoke"}, {"GET", "/initialize"}, {"POST", "/pre-stop"}} {
		got := platformCall(t, w.Handler, route.method, route.path, first("r"), nil)
		assert.Equal(t, 404, got.status, "%s %s", route.method, route.path)
		checkAnswer(t, call{method: route.method}, got)
	}
}

func TestInitializerWarmsInBoundedTimeAndCannotFail(t *testing.T) {
	for name, outcome := range map[string]error{"warmed": nil, "not warmed": errors.New("no connection")} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			warmed := 0
			w.Warm = func(ctx context.Context) error {
				warmed++
				deadline, ok := ctx.Deadline()
				assert.True(t, ok)
				assert.LessOrEqual(t, time.Until(deadline), 3*time.Second)
				return outcome
			}
			got := platformCall(t, w.Handler, "POST", "/initialize", first("r"), nil)
			assert.Equal(t, 200, got.status)
			assert.Empty(t, got.header.Get("x-fc-status"), "FC would throw the instance away")
			assert.Equal(t, 1, warmed)
			assert.Empty(t, w.bucket.Requests())
			assert.Empty(t, w.ocr.requests, "nothing that could be paid")
			assert.Equal(t, outcome != nil, strings.Contains(w.log.String(), "instance not warmed"))
		})
	}
}

// Without the control path, as in a container of one's own, /invoke takes events: then who can reach it decides.
func TestInvokeWithoutControlPath(t *testing.T) {
	w := newWorld(t)
	header := platformHeaders(first("r"), "")
	header.Del("x-fc-control-path")
	server := httptest.NewServer(w.CustomRuntime())
	defer server.Close()
	got := send(t, server, call{method: "POST", target: "/invoke", body: string(w.event())}, header)
	assert.Equal(t, 200, got.status)
	assert.NotNil(t, w.document())
}

func TestInvocationOfHeaders(t *testing.T) {
	now := time.Now()
	deadline := strconv.FormatInt(now.Add(30*time.Second).UnixMilli(), 10)
	all := map[string]string{"X-Fc-Request-Id": "r", "x-fc-region": "cn-beijing", "x-fc-access-key-id": "i", "X-FC-ACCESS-KEY-SECRET": "s", "x-fc-security-token": "t",
		"x-fc-retry-count": "2", "x-fc-function-deadline": deadline, "x-fc-function-timeout": "99"}
	keys := bucket.Credentials{AccessKeyID: "i", AccessKeySecret: "s", SecurityToken: "t"}
	for name, c := range map[string]struct {
		change map[string]string // "" removes
		want   Invocation
		left   time.Duration // to the deadline; 0: there is none
	}{
		"all":                             {nil, Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 30 * time.Second},
		"no deadline, but a time-out":     {map[string]string{"x-fc-function-deadline": ""}, Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 99 * time.Second},
		"a deadline that is none":         {map[string]string{"x-fc-function-deadline": "soon"}, Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 99 * time.Second},
		"neither":                         {map[string]string{"x-fc-function-deadline": "0", "x-fc-function-timeout": "-1"}, Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing", Credentials: keys}, 0},
		"no retry count":                  {map[string]string{"x-fc-retry-count": ""}, Invocation{RequestID: "r", Region: "cn-beijing", Credentials: keys}, 30 * time.Second},
		"a retry count that is none":      {map[string]string{"x-fc-retry-count": "two"}, Invocation{RequestID: "r", Region: "cn-beijing", Credentials: keys}, 30 * time.Second},
		"a retry count that is too large": {map[string]string{"x-fc-retry-count": "99999999999999999999"}, Invocation{RequestID: "r", Region: "cn-beijing", Credentials: keys}, 30 * time.Second},
		"no role":                         {map[string]string{"x-fc-access-key-id": "", "X-FC-ACCESS-KEY-SECRET": "", "x-fc-security-token": ""}, Invocation{RequestID: "r", RetryCount: 2, Region: "cn-beijing"}, 30 * time.Second},
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
	assert.Equal(t, Invocation{}, invocationOf(http.Header{}))
}

// Each invocation works with its own keys, in its own region, and until its own deadline.
func TestInvocationOfHeadersIsUsed(t *testing.T) {
	for _, path := range []string{"/invoke", "/recognitions"} {
		w := newWorld(t)
		var opened []string
		w.Open = func(name, region string, c bucket.Credentials, log *slog.Logger) (Store, error) {
			opened = append(opened, name+" "+region+" "+c.AccessKeyID+" "+c.AccessKeySecret+" "+c.SecurityToken)
			return w.bucket, nil
		}
		inv := Invocation{RequestID: "request-9", Region: "cn-beijing", Credentials: bucket.Credentials{AccessKeyID: "i", AccessKeySecret: "s", SecurityToken: "t"}, Deadline: time.Now().Add(10 * time.Second)}
		region := "cn-beijing"
		if path == "/invoke" {
			region = "cn-hangzhou" // the event's own
			platformCall(t, w.Handler, "POST", path, inv, w.event())
		} else {
			throughServer(t, w.Handler, inv, postObject(theObject))
		}
		assert.Equal(t, []string{"cards " + region + " i s t"}, opened)
		require.NotNil(t, w.document())
		assert.Equal(t, "request-9", w.document().RequestID)
		assert.Equal(t, Timeout, w.document().Error.Code, "20 s for a call are not left")
		assert.Empty(t, w.ocr.requests)
		for _, secret := range []string{" s ", `"s"`, `"t"`} {
			assert.NotContains(t, w.log.String(), secret)
		}
	}
}

// An answer is read by callers that are still sending, however large the body that was refused.
func TestRefusedBodyIsReadToItsEnd(t *testing.T) {
	w := newWorld(t)
	w.MaxImageBytes = 1000
	server := httptest.NewServer(w.CustomRuntime())
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
	w := newWorld(t)
	server := httptest.NewServer(w.CustomRuntime())
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
	assert.Empty(t, w.ocr.requests)
}
