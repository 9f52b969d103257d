// Package systemtest drives the function's real binary, as its own process, against the local OSS, gateway and Function
// Compute, and counts. It holds tests only.
package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/deploy"
	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/gobuild"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/ossfake"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"

	"log/slog"

	"github.com/stretchr/testify/require"
)

// binary is the function as it is deployed.
var binary string

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // the cases spend their time waiting; -parallel overrides it
	sandboxtest.Main(m, gobuild.Function, &binary)
}

// canaries must never be seen outside the bucket and the calls themselves.
var canaries = map[string]string{
	"name":       "卡纳丽canaryName",
	"address":    "上海市canaryAddress路7号",
	"ID number":  "11010519491231002X",
	"AppKey":     "canaryAppKey203753385",
	"AppSecret":  "canaryAppSecret+/=&?",
	"AppCode":    "canaryAppCode0123456789",
	"STS secret": "canaryStsSecret+/=",
	"STS token":  "canaryStsToken+/=CAISzQJ1q6Ft5B2yfSjIr5fbDdHh0KsT",
}

// card is what the gateway's reader always sees: how a picture is read is not the point here.
var card = ocrengine.Card{Name: canaries["name"], Sex: "女", Ethnicity: "汉", BirthDate: "1949-12-31", Address: canaries["address"], IDNumber: canaries["ID number"]}

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

// cloud is the surroundings of the function.
type cloud struct {
	t       testing.TB
	oss     *httptest.Server
	gateway *gateway.Server
	runtime *fcfake.Runtime
	bucket  *bucket.Bucket
	logs    *sandboxtest.Output
	env     []string
	mode    fcfake.Mode
	command string // of the function's instances
	dir     string // of the objects, as files
	keys    *ossfake.MemoryKeyring

	initializer time.Duration // its limit, if the instances have the hook

	mu          sync.Mutex
	role        ossfake.Credentials // of the next invocation
	requests    []string            // that the function sent to OSS
	intercept   func(request string, next http.HandlerFunc) http.HandlerFunc
	secretsSeen map[string]bool // signatures and signed URLs
}

const (
	bucketName = "cards"
	key        = "2026/a.jpg"
)

// start starts a cloud. Settings are environment variables of the function, in place of the defaults here.
func start(t testing.TB, settings ...string) *cloud { return startAt(t, time.Now, settings...) }

// startAt starts a cloud that has a clock of its own.
func startAt(t testing.TB, now func() time.Time, settings ...string) *cloud {
	c := &cloud{t: t, logs: &sandboxtest.Output{}, secretsSeen: map[string]bool{}, mode: fcfake.ModeGo1, command: binary, dir: t.TempDir()}
	c.role = ossfake.Credentials{AccessKeyID: "STS.NUcanaryKeyID", AccessKeySecret: canaries["STS secret"], SecurityToken: canaries["STS token"]}
	user := ossfake.Credentials{AccessKeyID: "LTAIuser", AccessKeySecret: "user-secret"}
	c.keys = ossfake.NewKeyring(c.role, user)
	policies := [][]byte{deploy.RolePolicy(bucketName, "")}
	if slices.Contains(settings, "REMOVE_WITH_IMAGE=true") {
		policies = append(policies, deploy.RemovalPolicy(bucketName, ""))
	}
	policy, err := ossfake.ParsePolicy(policies...)
	require.NoError(t, err)
	server, err := ossfake.New(ossfake.Config{Dir: c.dir, Region: "cn-hangzhou", Buckets: []string{bucketName}, Keys: c.keys, Policy: policy, Now: now})
	require.NoError(t, err)
	c.oss = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now().UTC().Format(http.TimeFormat))
		c.serveOSS(server, w, r)
	}))
	t.Cleanup(c.oss.Close)
	c.gateway, err = gateway.New(gateway.Config{Apps: map[string]string{canaries["AppKey"]: canaries["AppSecret"]}, AppCodes: []string{canaries["AppCode"]}, Reader: reader{}, Now: now})
	require.NoError(t, err)
	api := httptest.NewServer(c.gateway)
	t.Cleanup(api.Close)

	c.env = append([]string{"OCR_APP_KEY=" + canaries["AppKey"], "OCR_APP_SECRET=" + canaries["AppSecret"], "OCR_ENDPOINT=" + api.URL + "/ocrIdCard",
		"OSS_ENDPOINT=" + c.oss.URL, "OSS_PUBLIC_ENDPOINT=" + c.oss.URL, "OCR_TIMEOUT=1s", "LOG_LEVEL=debug", "HTTP_ALLOW=cards"}, settings...)
	c.runtime = c.process()
	store, err := bucket.New(bucket.Config{Endpoint: c.oss.URL, PublicEndpoint: c.oss.URL}).
		Open(bucketName, "cn-hangzhou", bucket.Credentials{AccessKeyID: user.AccessKeyID, AccessKeySecret: user.AccessKeySecret}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c.bucket = store
	return c
}

// process is one more instance of the function.
func (c *cloud) process() *fcfake.Runtime {
	r, err := fcfake.New(fcfake.Config{Mode: c.mode, Command: c.command, Env: c.env, MaxInstances: 1, Concurrency: 100, Logs: c.logs, InitializerTimeout: c.initializer,
		Credentials: func() fcfake.Credentials {
			c.mu.Lock()
			defer c.mu.Unlock()
			return fcfake.Credentials{AccessKeyID: c.role.AccessKeyID, AccessKeySecret: c.role.AccessKeySecret, SecurityToken: c.role.SecurityToken}
		}})
	require.NoError(c.t, err)
	c.t.Cleanup(func() { r.Close() })
	return r
}

// serveOSS notes the function's requests and lets a test intercept them. Requests of the test itself and of the provider pass.
func (c *cloud) serveOSS(server http.Handler, w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if signature := r.URL.Query().Get("x-oss-signature"); signature != "" {
		c.secretsSeen[signature] = true
	}
	if authorization := r.Header.Get("Authorization"); authorization != "" {
		_, signature, _ := strings.Cut(authorization, "Signature=")
		c.secretsSeen[signature] = true
	}
	if !strings.Contains(r.Header.Get("Authorization"), "STS.NU") {
		c.mu.Unlock()
		server.ServeHTTP(w, r)
		return
	}
	op := r.Method
	if r.URL.Query().Has("append") {
		op = "APPEND"
	}
	request := op + " " + strings.TrimPrefix(r.URL.Path, "/"+bucketName+"/")
	c.requests = append(c.requests, request)
	next := http.HandlerFunc(server.ServeHTTP)
	if c.intercept != nil {
		next = c.intercept(request, next)
	}
	c.mu.Unlock()
	next(w, r)
}

func (c *cloud) setIntercept(intercept func(request string, next http.HandlerFunc) http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.intercept = intercept
}

// sent returns the function's requests to OSS so far and forgets them.
func (c *cloud) sent() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.requests
	c.requests = nil
	return list
}

// upload stores an image and returns its event.
func (c *cloud) upload(content string) []byte { return c.uploadAs(key, content) }

func (c *cloud) uploadAs(key, content string) []byte {
	require.NoError(c.t, c.bucket.Put(c.t.Context(), key, []byte(content), bucket.PutOptions{ContentType: "image/jpeg"}))
	o, err := c.bucket.Head(c.t.Context(), key)
	require.NoError(c.t, err)
	return ossfake.Event{Name: "ObjectCreated:PutObject", Bucket: bucketName, Key: key, ETag: o.ETag, Size: o.Size, Time: time.Now(), Region: "cn-hangzhou"}.JSON()
}

// invoke delivers an event to the first process.
func (c *cloud) invoke(event []byte, options fcfake.Options) (fcfake.Result, error) {
	return c.runtime.Invoke(c.t.Context(), event, options)
}

// document returns the result document, nil if there is none.
func (c *cloud) document() *result.Document {
	body, _, err := c.bucket.Read(c.t.Context(), key+".ocr.json", bucket.ReadOptions{Limit: 1 << 20})
	if err != nil {
		require.ErrorIs(c.t, err, bucket.ErrNotFound)
		return nil
	}
	var d result.Document
	require.NoError(c.t, json.Unmarshal(body, &d))
	return &d
}

func (c *cloud) claimExists() bool {
	_, err := c.bucket.Head(c.t.Context(), key+".ocr.claim")
	return err == nil
}
