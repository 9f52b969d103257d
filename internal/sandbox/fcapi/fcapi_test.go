package fcapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/acsapi"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/sandbox/fcfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// worker is a function that notes its events.
type worker struct {
	mu     sync.Mutex
	events []string
	err    error
}

func (f *worker) Invoke(_ context.Context, payload []byte, o fcfake.Options) (fcfake.Result, error) {
	return fcfake.Result{Payload: append([]byte("did "), payload...)}, f.err
}

func (f *worker) InvokeAsync(payload []byte, o fcfake.Options) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, string(payload))
	return o.RequestID, f.err
}

func start(t *testing.T, f *worker) (*fcclient.Client, *httptest.Server) {
	server := httptest.NewServer(New(Config{Name: "idcard-ocr", Function: f, Keys: map[string]string{"id": "secret"},
		Description: map[string]any{"runtime": "go1", "timeout": 60}, Triggers: []map[string]any{{"triggerName": "t", "triggerType": "oss", "triggerConfig": `{"events":["oss:ObjectCreated:PutObject"],"filter":{"key":{"prefix":"2026/","suffix":".jpg"}}}`}}}))
	t.Cleanup(server.Close)
	return &fcclient.Client{Endpoint: server.URL, Function: "idcard-ocr", Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "secret"}),
		Sleep: func(context.Context, time.Duration) error { return nil }}, server
}

func TestAnEventIsTakenOnceForEachCall(t *testing.T) {
	f := &worker{}
	client, _ := start(t, f)
	event := []byte(`{"events":[{"oss":{"object":{"key":"身 份+%.jpg"}}}]}`)
	id, err := client.InvokeAsync(t.Context(), event)
	require.NoError(t, err)
	assert.NotEmpty(t, id)
	client.Qualifier = "prod 1"
	_, err = client.InvokeAsync(t.Context(), event)
	require.NoError(t, err)
	assert.Equal(t, []string{string(event), string(event)}, f.events)
}

func TestTheFunctionAndItsTriggersAreDescribed(t *testing.T) {
	client, _ := start(t, &worker{})
	d, err := client.Describe(t.Context())
	require.NoError(t, err)
	assert.Equal(t, fcclient.Function{Runtime: "go1", Timeout: 60}, d)
	triggers, err := client.Triggers(t.Context())
	require.NoError(t, err)
	require.Len(t, triggers, 1)
	config, ok := triggers[0].OSS()
	assert.True(t, ok)
	assert.Equal(t, "2026/", config.Filter.Key.Prefix)
}

func TestWhatIsNotSignedRightIsRefused(t *testing.T) {
	f := &worker{}
	client, server := start(t, f)
	for name, change := range map[string]func(*fcclient.Client){
		"SignatureDoesNotMatch": func(c *fcclient.Client) {
			c.Credentials = credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "canary"})
		},
		"InvalidAccessKeyId.NotFound": func(c *fcclient.Client) {
			c.Credentials = credentials.Static(credentials.Credentials{AccessKeyID: "other", AccessKeySecret: "canary"})
		},
		"FunctionNotFound": func(c *fcclient.Client) { c.Function = "other" },
	} {
		wrong := *client
		change(&wrong)
		_, err := wrong.InvokeAsync(t.Context(), []byte(`{"canary":1}`))
		assert.ErrorContains(t, err, name)
		assert.True(t, acsapi.Configuration(err))
		assert.NotContains(t, err.Error(), "canary")
	}
	for name, change := range map[string]func(*http.Request){
		"the body":  func(r *http.Request) { r.Body = http.NoBody },
		"the path":  func(r *http.Request) { r.URL.Path += "x" },
		"the query": func(r *http.Request) { r.URL.RawQuery = "qualifier=other" },
		"the time":  func(r *http.Request) { r.Header.Set("x-acs-date", "2020-01-01T00:00:00Z") },
		"the nonce": func(r *http.Request) { r.Header.Set("x-acs-signature-nonce", "1") },
		"a header":  func(r *http.Request) { r.Header.Set("x-acs-more", "1") },
		"all of it": func(r *http.Request) { r.Header.Del("Authorization") },
	} {
		meddled := *client
		meddled.HTTP = &http.Client{Transport: meddle(change)}
		_, err := meddled.InvokeAsync(t.Context(), []byte(`{}`))
		assert.True(t, acsapi.Configuration(err), "%s: %v", name, err)
	}
	assert.Empty(t, f.events)
	response, err := server.Client().Post(server.URL+"/2023-03-30/functions/idcard-ocr/invocations", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
}

type meddle func(*http.Request)

func (m meddle) RoundTrip(r *http.Request) (*http.Response, error) {
	if body, err := r.GetBody(); err == nil {
		r.Body = body
	}
	r.ContentLength = -1
	m(r)
	return http.DefaultTransport.RoundTrip(r)
}

func TestARequestIsNotTakenTwice(t *testing.T) {
	f := &worker{}
	client, _ := start(t, f)
	var kept *http.Request
	var body []byte
	client.HTTP = &http.Client{Transport: meddle(func(r *http.Request) {
		kept = r.Clone(context.Background())
		body = []byte(`{"events":[]}`)
		r.Body = newBody(body)
	})}
	_, err := client.InvokeAsync(t.Context(), []byte(`{"events":[]}`))
	require.NoError(t, err)
	kept.Body = newBody(body)
	response, err := http.DefaultTransport.RoundTrip(kept)
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
	assert.Len(t, f.events, 1)
}

func newBody(b []byte) *body { return &body{bytes.NewReader(b)} }

type body struct{ *bytes.Reader }

func (*body) Close() error { return nil }

func TestWhatCanPassIsTriedAgain(t *testing.T) {
	answers := []int{429, 503, 500, 202}
	var calls int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answers[min(calls, len(answers)-1)])
		calls++
	}))
	defer server.Close()
	client, _ := start(t, &worker{})
	client.Endpoint = server.URL
	_, err := client.InvokeAsync(t.Context(), []byte("{}"))
	require.NoError(t, err)
	assert.Equal(t, 4, calls)

	answers, calls = []int{503}, 0
	_, err = client.InvokeAsync(t.Context(), []byte("{}"))
	var failed *fcclient.Error
	require.True(t, errors.As(err, &failed))
	assert.Equal(t, 503, failed.Status)
	assert.False(t, acsapi.Configuration(err))
	assert.Equal(t, 7, calls)
}

func TestAnAsynchronousEventHasAtMost128KB(t *testing.T) {
	f := &worker{}
	client, _ := start(t, f)
	_, err := client.InvokeAsync(t.Context(), bytes.Repeat([]byte(" "), 128<<10))
	require.NoError(t, err)
	_, err = client.InvokeAsync(t.Context(), bytes.Repeat([]byte(" "), 128<<10+1))
	assert.ErrorContains(t, err, "InvalidArgument")
	assert.Len(t, f.events, 1)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect))
	defer server.Close()
	client, _ := start(t, &worker{})
	client.Endpoint = server.URL
	_, err := client.InvokeAsync(t.Context(), []byte("{}"))
	assert.ErrorContains(t, err, "status 307")
}
