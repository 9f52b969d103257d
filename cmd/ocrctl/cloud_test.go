package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/handler"
	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcapi"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/ossfake"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/require"
)

const (
	bucketName = "cards"
	secret     = "canary-access-key-secret"
	appSecret  = "canary-app-secret"
)

// card is what the gateway's reader always sees.
var card = ocrengine.Card{Name: "卡纳丽", Sex: "女", Ethnicity: "汉", BirthDate: "1949-12-31", Address: "上海市某路7号", IDNumber: "11010519491231002X"}

type reader struct{}

func (reader) Read(_ context.Context, image []byte) (ocrengine.Card, error) {
	switch {
	case bytes.HasPrefix(image, []byte("not a picture")):
		return ocrengine.Card{}, ocrengine.ErrUnreadable
	case bytes.HasPrefix(image, []byte("no card")):
		return ocrengine.Card{}, nil
	}
	return card, nil
}

// cloud is a sandbox within the test: the sandbox's own OSS, gateway and FC API, and the function's own handler.
type cloud struct {
	t       testing.TB
	dir     string // of the note
	gateway *gateway.Server
	files   *ossfake.Server
	bucket  *bucket.Bucket
	handler *handler.Handler

	ocrURL, ossURL string

	description map[string]any // of the function
	fixed       atomic.Value   // a string: what synchronous invocations answer whatever the event
	delivers    atomic.Bool    // uploads reach the function
	// spoil may change a request to OSS or its answer; nil does not.
	spoil atomic.Pointer[func(http.ResponseWriter, *http.Request) http.ResponseWriter]

	work sync.WaitGroup

	mu       sync.Mutex
	idle     bool // events are taken and not worked on
	requests []string
	delay    time.Duration     // of each answer of OSS
	refused  map[string]string // by method and key: OSS's code
	invoked  []string
	onInvoke func(n int)
}

// Invoke waits for the function.
func (c *cloud) Invoke(_ context.Context, payload []byte, o fcfake.Options) (fcfake.Result, error) {
	if text, ok := c.fixed.Load().(string); ok {
		return fcfake.Result{Payload: []byte(text)}, nil
	}
	answer, err := c.handler.Invoke(context.Background(), c.invocation(o), payload)
	if err != nil {
		return fcfake.Result{}, &fcfake.FunctionError{Type: "FunctionError", Payload: []byte(fmt.Sprintf(`{"errorType":%q}`, result.AsError(err).Code))}
	}
	return fcfake.Result{Payload: answer}, nil
}

func (c *cloud) invocation(o fcfake.Options) processor.Invocation {
	return processor.Invocation{RequestID: o.RequestID, Deadline: time.Now().Add(time.Minute), Credentials: bucket.Credentials{AccessKeyID: "sandbox", AccessKeySecret: secret}}
}

// trigger is the bucket's: it delivers uploads of images once c.delivers is set.
func (c *cloud) trigger(event ossfake.Event) {
	if c.delivers.Load() && slices.Contains(result.CreateEvents, event.Name) && strings.HasSuffix(event.Key, ".jpg") {
		c.InvokeAsync(event.JSON(), fresh(event.Key)) //nolint:errcheck // it returns none
	}
}

// whenInvoked has f called at each submission, with its number and while it is not answered; nil calls nothing any more.
func (c *cloud) whenInvoked(f func(n int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onInvoke = f
}

// InvokeAsync does what FC does, without its queue.
func (c *cloud) InvokeAsync(payload []byte, o fcfake.Options) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.invoked = append(c.invoked, string(payload))
	if c.onInvoke != nil {
		c.onInvoke(len(c.invoked))
	}
	if c.idle {
		return o.RequestID, nil
	}
	c.work.Go(func() {
		c.handler.Invoke(context.Background(), c.invocation(o), payload) //nolint:errcheck // the document tells
	})
	return o.RequestID, nil
}

// keys are the keys of the events so far.
func (c *cloud) keys() (keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, payload := range c.invoked {
		var event struct {
			Events []struct {
				OSS struct{ Object struct{ Key string } }
			}
		}
		require.NoError(c.t, json.Unmarshal([]byte(payload), &event))
		keys = append(keys, event.Events[0].OSS.Object.Key)
	}
	return keys
}

// seen returns the requests that OSS got so far from ocrctl and the function, and forgets them.
func (c *cloud) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.requests
	c.requests = nil
	return list
}

// refuse has OSS refuse requests from now on, by method and key, with a code. A listing that was left may still be under way.
func (c *cloud) refuse(requests map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = requests
}

func start(t testing.TB) *cloud {
	c := &cloud{t: t, dir: t.TempDir(), description: map[string]any{"runtime": "go1", "timeout": 60}}
	for _, name := range []string{"OCR_APP_KEY", "OCR_APP_SECRET", "OCR_APP_CODE", "OCRCTL_BUCKET", "OCRCTL_REGION", "OCRCTL_ACCOUNT", "OCRCTL_FUNCTION", "OCRCTL_FC_ENDPOINT", "ALIBABA_CLOUD_REGION_ID"} {
		t.(*testing.T).Setenv(name, "")
	}
	t.(*testing.T).Setenv("XDG_CACHE_HOME", t.TempDir())
	files, err := ossfake.New(ossfake.Config{Dir: t.TempDir(), Region: "cn-hangzhou", Buckets: []string{bucketName}, OnEvent: c.trigger, Keys: ossfake.NewKeyring(ossfake.Credentials{AccessKeyID: "sandbox", AccessKeySecret: secret})})
	require.NoError(t, err)
	c.files = files
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.requests = append(c.requests, r.Method+" "+r.URL.Path)
		code := c.refused[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/"+bucketName+"/")]
		delay := c.delay
		c.mu.Unlock()
		time.Sleep(delay)
		if code != "" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
			return
		}
		if spoil := c.spoil.Load(); spoil != nil {
			if w = (*spoil)(w, r); w == nil {
				return
			}
		}
		files.ServeHTTP(w, r)
		if changed, ok := w.(header); ok { // an answer without a body has sent no header yet
			changed.change(changed.Header())
		}
	}))
	t.Cleanup(store.Close)
	c.gateway, err = gateway.New(gateway.Config{Apps: map[string]string{"100000001": appSecret}, Reader: reader{}})
	require.NoError(t, err)
	ocr := httptest.NewServer(c.gateway)
	t.Cleanup(ocr.Close)
	c.description["role"] = "acs:ram::1234567890123456:role/idcard-ocr"
	c.description["environmentVariables"] = map[string]string{"OCR_APP_KEY": "100000001", "OCR_APP_SECRET": appSecret, "OCR_ENDPOINT": ocr.URL + gateway.Path, "OSS_PUBLIC_ENDPOINT": store.URL}
	function := httptest.NewServer(fcapi.New(fcapi.Config{Name: "idcard-ocr", Function: c, Keys: map[string]string{"sandbox": secret},
		Description: c.description,
		Triggers: []map[string]any{{"triggerName": "upload", "triggerType": "oss", "sourceArn": "acs:oss:cn-hangzhou:1234567890123456:cards",
			"triggerConfig": `{"events":["oss:ObjectCreated:*"],"filter":{"key":{"prefix":"","suffix":".jpg"}}}`}}}))
	t.Cleanup(function.Close)
	t.Cleanup(c.work.Wait)

	c.ocrURL, c.ossURL = ocr.URL+gateway.Path, store.URL
	open := bucket.New(bucket.Config{Endpoint: store.URL, PublicEndpoint: store.URL})
	keys := result.Keys{ImageSuffixes: []string{".jpg"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}
	c.handler = handler.New(handler.Options{Keys: keys, Processor: processor.New(processor.Options{
		Open: func(name, _ string, k bucket.Credentials, log *slog.Logger) (processor.Bucket, error) {
			return open.Open(name, "cn-hangzhou", k, log)
		},
		OCR:         &ocrclient.Client{Endpoint: ocr.URL + gateway.Path, Auth: ocrclient.AppKey{Key: "100000001", Secret: appSecret}},
		ImageSource: config.Auto, Details: true, SecondLook: true, Timeout: 5 * time.Second, MaxAttempts: 3, URLTTL: time.Minute,
		Keys: keys, MaxImageBytes: 20 << 20, ClaimKey: claim.NewKey(appSecret),
	})})
	c.bucket, err = open.Open(bucketName, "cn-hangzhou", bucket.Credentials{AccessKeyID: "sandbox", AccessKeySecret: secret}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, sandboxinfo.Info{OSS: store.URL, OCR: ocr.URL + gateway.Path, FC: function.URL, Region: "cn-hangzhou", Bucket: bucketName, Function: "idcard-ocr",
		AccessKeyID: "sandbox", AccessKeySecret: secret, AppKey: "100000001", AppSecret: appSecret}.Write(c.dir))
	return c
}

func (c *cloud) put(key, content string) {
	require.NoError(c.t, c.bucket.Put(c.t.Context(), key, []byte(content), bucket.PutOptions{ContentType: "image/jpeg"}))
}

// putDocument stores the document of an image.
func (c *cloud) putDocument(key string, d result.Document) {
	d.SchemaVersion, d.Image = 1, result.Image{Bucket: bucketName, Key: key}
	require.NoError(c.t, c.bucket.Put(c.t.Context(), key+".ocr.json", d.Encode(), bucket.PutOptions{ContentType: result.ContentType, Meta: d.Metadata()}))
}

func (c *cloud) putMany(n int) {
	for i := range n {
		c.put(fmt.Sprintf("2026/%04d.jpg", i), "a picture")
	}
}

// runResult is how a run of ocrctl ended.
type runResult struct {
	code           int
	stdout, stderr string
}

func (c *cloud) run(args ...string) runResult { return c.runWith(c.t.Context(), args...) }

func (c *cloud) runWith(ctx context.Context, args ...string) runResult {
	var stdout, stderr bytes.Buffer
	code := run(ctx, append(args, "--sandbox="+c.dir), strings.NewReader("a picture from standard input"), &stdout, &stderr)
	for _, canary := range []string{secret, appSecret} {
		require.NotContains(c.t, stdout.String()+stderr.String(), canary)
	}
	return runResult{code, stdout.String(), stderr.String()}
}

// fresh are the options of a delivery of its own.
func fresh(payload string) fcfake.Options {
	return fcfake.Options{RequestID: fmt.Sprintf("1-%d-%p", time.Now().UnixNano(), &payload)}
}

func picture(t testing.TB, content string) string {
	name := filepath.Join(t.TempDir(), "card.jpg")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}
