package fcfake_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aliyun/fc-runtime-go-sdk/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox/fcfake"
)

func do(t *testing.T, f *fixture, method, path, contentType, body string, header ...string) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(f.HTTPTrigger())
	defer server.Close()
	request, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for n := 0; n < len(header); n += 2 {
		request.Header.Add(header[n], header[n+1])
	}
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(content)
}

func TestAnHTTPRequestBecomesAnEventOfTheGoRuntime(t *testing.T) {
	t.Parallel()
	f := start(t, fcfake.ModeGo1, nil)
	for name, test := range map[string]struct {
		contentType, body, wantBody string
		encoded                     bool
	}{
		"JSON as it is":         {"application/json; charset=utf-8", `{"a":"é"}`, `{"a":"é"}`, false},
		"an image in base64":    {"image/png", "\x89PNG", "iVBORw==", true},
		"no type in base64":     {"", "abc", "YWJj", true},
		"an empty body, base64": {"application/json", "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, content := do(t, f, http.MethodPost, "/a%2Fb/c?x=1&x=2&y", test.contentType, test.body, "X-Two", "1", "X-Two", "2", "X-Fc-Region", "moon")
			assert.Equal(t, 200, response.StatusCode)
			var event events.HTTPTriggerEvent
			require.NoError(t, json.Unmarshal([]byte(content), &event))
			assert.Equal(t, "v1", *event.Version)
			assert.Equal(t, "/a%2Fb/c", *event.RawPath)
			assert.Equal(t, "/a/b/c", *event.TriggerContext.Http.Path)
			assert.Equal(t, "POST", *event.TriggerContext.Http.Method)
			assert.Equal(t, test.wantBody, *event.Body)
			assert.Equal(t, test.encoded, *event.IsBase64Encoded)
			assert.Equal(t, map[string]string{"x": "1,2", "y": ""}, *event.QueryParameters)
			assert.Equal(t, "1,2", (*event.Headers)["X-Two"])
			assert.NotContains(t, *event.Headers, "X-Fc-Region", "no caller speaks in FC's name")
			assert.Equal(t, response.Header.Get("X-Fc-Request-Id"), *event.TriggerContext.RequestId)
			assert.Equal(t, "127.0.0.1", *event.TriggerContext.Http.SourceIp)
			assert.Regexp(t, `^\d{13}$`, *event.TriggerContext.TimeEpoch)
		})
	}
}

// The test function answers events, so responses are made through the runtime's own rules on what was returned.
func TestWhatTheFunctionReturnsBecomesAnHTTPResponse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		returned, body, contentType string
		status                      int
	}{
		"a response":          {`{"statusCode":201,"headers":{"content-type":"text/plain","X-Fc-A":"b","Date":"x"},"body":"hi"}`, "hi", "text/plain", 201},
		"base64":              {`{"statusCode":200,"isBase64Encoded":true,"body":"aGk="}`, "hi", "application/json", 200},
		"broken base64":       {`{"statusCode":200,"isBase64Encoded":true,"body":"%"}`, "", "application/json", 502},
		"JSON without status": {`{"a":1}`, `{"a":1}`, "application/json", 200},
		"not JSON":            {`hi`, `hi`, "application/json", 200},
		"a status that is no": {`{"statusCode":99}`, "", "application/json", 502},
		"large headers":       {`{"statusCode":200,"headers":{"a":"` + strings.Repeat("x", 8<<10) + `"}}`, "", "application/json", 502},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := httptest.NewRecorder()
			fcfake.WriteTriggerResponse(recorder, []byte(test.returned))
			assert.Equal(t, test.status, recorder.Code)
			assert.Equal(t, test.contentType, recorder.Header().Get("Content-Type"))
			if test.status == 502 {
				assert.Contains(t, recorder.Body.String(), `"BadResponse"`)
			} else {
				assert.Equal(t, test.body, recorder.Body.String())
			}
			assert.Empty(t, recorder.Header().Get("X-Fc-A"))
			assert.Empty(t, recorder.Header().Get("Date"))
		})
	}
}

func TestACustomRuntimeGetsTheRequestItself(t *testing.T) {
	t.Parallel()
	f := start(t, fcfake.ModeCustom, nil)
	response, body := do(t, f, http.MethodPut, "/a%2Fb?x=1", "image/png", "picture", "X-Fc-Fake", "1", "Host", "x")
	assert.Equal(t, http.StatusTeapot, response.StatusCode)
	assert.Regexp(t, `^PUT /a%2Fb x=1 host=127\.0\.0\.1:\d+ id=true faked="" body=picture$`, body)
	assert.Empty(t, response.Header.Get("X-Fc-Secret"))
	assert.Equal(t, []string{"a=1", "b=2"}, response.Header.Values("Set-Cookie"))
	assert.NotEmpty(t, response.Header.Get("X-Fc-Request-Id"))

	response, body = do(t, f, http.MethodGet, "/exit", "", "")
	assert.Equal(t, 502, response.StatusCode)
	assert.Equal(t, fcfake.ErrorExited, response.Header.Get("X-Fc-Error-Type"))
	assert.Contains(t, body, "exit status 7")
}

func TestFailuresOfTheFunctionAre502(t *testing.T) {
	t.Parallel()
	f := start(t, fcfake.ModeGo1, func(c *fcfake.Config) { c.Env = []string{"START=fail"} })
	response, body := do(t, f, http.MethodGet, "/", "", "")
	assert.Equal(t, 502, response.StatusCode)
	assert.Equal(t, fcfake.ErrorInitialization, response.Header.Get("X-Fc-Error-Type"))
	assert.Contains(t, body, "errorMessage")
}

func TestTheTriggerKeepsFCsLimits(t *testing.T) {
	t.Parallel()
	f := start(t, fcfake.ModeGo1, nil)
	for name, send := range map[string]func() (*http.Response, string){
		"headers": func() (*http.Response, string) {
			return do(t, f, "GET", "/", "", "", "X-A", strings.Repeat("a", 8<<10))
		},
		"path": func() (*http.Response, string) { return do(t, f, "GET", "/?"+strings.Repeat("a", 4<<10), "", "") },
		"async body": func() (*http.Response, string) {
			return do(t, f, "POST", "/", "", strings.Repeat("a", 128<<10+1), "X-Fc-Invocation-Type", "Async")
		},
	} {
		response, body := send()
		assert.Equal(t, 400, response.StatusCode, name)
		assert.Contains(t, body, "InvalidArgument", name)
	}
}

func TestAnAsynchronousRequestIsAcceptedAndDelivered(t *testing.T) {
	t.Parallel()
	var got destinations
	f := start(t, fcfake.ModeGo1, got.config)
	response, _ := do(t, f, http.MethodPost, "/a", "application/json", "{}", "X-Fc-Invocation-Type", "Async")
	assert.Equal(t, 202, response.StatusCode)
	require.NoError(t, f.Wait(t.Context()))
	require.Len(t, got.success, 1)
	assert.Equal(t, response.Header.Get("X-Fc-Request-Id"), got.success[0].RequestContext.RequestID)
}

// The body is limited, not the event that is made of it, in which the body is a third longer.
func TestABodyOfTheFullSizeIsTaken(t *testing.T) {
	t.Parallel()
	f := start(t, fcfake.ModeGo1, func(c *fcfake.Config) { c.Async.MaxRetries = fcfake.NoRetries })
	response, content := do(t, f, "POST", "/", "image/jpeg", strings.Repeat("\xff", 128<<10), "X-Fc-Invocation-Type", "Async")
	assert.Equal(t, http.StatusAccepted, response.StatusCode, content)
	require.NoError(t, f.Wait(t.Context()))
	require.Len(t, f.records, 1)
	assert.NoError(t, f.records[0].Err)
	response, content = do(t, f, "POST", "/quiet", "image/jpeg", strings.Repeat("\xff", 32<<20))
	assert.Equal(t, http.StatusOK, response.StatusCode, content)
}
