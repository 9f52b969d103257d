package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/sandbox/fcapi"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/ossfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	region    = "cn-hangzhou"
	keySecret = "canary-access-key-secret"
	appSecret = "canary-app-secret"
	appCode   = "canary-app-code-0123"
	arn       = "acs:fc:cn-hangzhou:1234567890123456:functions/idcard-ocr"
)

type noReader struct{}

func (noReader) Read(context.Context, []byte) (ocrengine.Card, error) {
	return ocrengine.Card{}, ocrengine.ErrUnreadable
}

// site is a deployment in the sandbox, as template.yml makes it. A test spoils one thing of it.
type site struct {
	t        *testing.T
	oss      *ossfake.Server
	store    string // address of OSS
	gateway  *gateway.Server
	config   fcapi.Config
	env      map[string]string // of the function
	local    []string          // of ocrctl
	policy   string            // of the uploader
	region   string
	describe map[string]any
}

func newSite(t *testing.T) *site {
	s := &site{t: t, region: region}
	policy, err := os.ReadFile("../../../deploy/uploader-policy.json")
	require.NoError(t, err)
	s.policy = strings.NewReplacer("BUCKET", "cards", "PREFIX", "").Replace(string(policy))
	s.gateway, err = gateway.New(gateway.Config{Apps: map[string]string{"100000001": appSecret}, AppCodes: []string{appCode}, Reader: noReader{}})
	require.NoError(t, err)
	ocr := httptest.NewServer(s.gateway)
	t.Cleanup(ocr.Close)
	s.env = map[string]string{"OCR_APP_KEY": "100000001", "OCR_APP_SECRET": appSecret, "OCR_ENDPOINT": ocr.URL + gateway.Path, "IMAGE_SUFFIXES": ".jpg,.png",
		"OCR_TIMEOUT": "45s"}
	s.local = []string{"IMAGE_SUFFIXES=.jpg,.png", "OCR_ENDPOINT=" + ocr.URL + gateway.Path}
	s.describe = map[string]any{"functionArn": arn, "runtime": "go1", "timeout": 180, "role": "acs:ram::1234567890123456:role/idcard-ocr",
		"internetAccess": true, "logConfig": map[string]string{"project": "cards", "logstore": "fc"}}
	s.config = fcapi.Config{Name: "idcard-ocr", Keys: map[string]string{"sandbox": keySecret}, Concurrency: map[string]any{"reservedConcurrency": 10},
		Async: map[string]any{"maxAsyncRetryAttempts": 3, "destinationConfig": map[string]any{"onFailure": map[string]any{"destination": "acs:mns:cn-hangzhou:1:/queues/f/messages"}}}}
	s.config.Triggers = append(s.config.Triggers, map[string]any{"triggerName": "http", "triggerType": "http", "triggerConfig": `{"authType":"function"}`})
	for _, suffix := range []string{".jpg", ".JPG", ".png", ".PNG"} {
		s.trigger("oss", suffix, "PutObject", "PostObject", "CompleteMultipartUpload", "CopyObject")
	}
	return s
}

// trigger adds an OSS trigger.
func (s *site) trigger(name, suffix string, events ...string) {
	for i := range events {
		events[i] = "oss:ObjectCreated:" + events[i]
	}
	text, err := json.Marshal(map[string]any{"events": events, "filter": map[string]any{"key": map[string]string{"prefix": "", "suffix": suffix}}})
	require.NoError(s.t, err)
	s.config.Triggers = append(s.config.Triggers, map[string]any{"triggerName": name + suffix, "triggerType": "oss", "sourceArn": "acs:oss:cn-hangzhou:1:cards", "triggerConfig": string(text)})
}

// set changes the bucket.
func (s *site) set(change func(*ossfake.BucketSettings)) {
	require.NoError(s.t, s.oss.ChangeBucket("cards", change))
}

// open starts OSS, with the uploader's policy as it is by now.
func (s *site) open() {
	policy, err := ossfake.ParsePolicy([]byte(s.policy))
	require.NoError(s.t, err)
	dir := s.t.TempDir()
	require.NoError(s.t, os.MkdirAll(dir+"/cards", 0o755))
	require.NoError(s.t, os.WriteFile(dir+"/cards/a.jpg", []byte("a picture"), 0o600))
	s.oss, err = ossfake.New(ossfake.Config{Dir: dir, Region: region, Policy: policy, Keys: ossfake.NewKeyring(
		ossfake.Credentials{AccessKeyID: "sandbox", AccessKeySecret: keySecret},
		ossfake.Credentials{AccessKeyID: "STS.uploader", AccessKeySecret: keySecret, SecurityToken: "canary-token", Expires: time.Now().Add(time.Hour)})})
	require.NoError(s.t, err)
	server := httptest.NewServer(s.oss)
	s.t.Cleanup(server.Close)
	s.store = server.URL
	s.set(func(b *ossfake.BucketSettings) {
		b.Encryption.Algorithm, b.LogBucket = "AES256", "logs"
		b.Lifecycle = []ossfake.LifecycleRule{{ID: "documents", Tags: map[string]string{"fc-idcard-ocr": "document"}, Expiration: ossfake.LifecycleAge{Days: 30}}}
	})
}

// examine runs doctor.
func (s *site) examine() map[string]Finding {
	s.env["OSS_PUBLIC_ENDPOINT"] = first(s.env["OSS_PUBLIC_ENDPOINT"], s.store)
	s.describe["environmentVariables"] = s.env
	s.config.Description = s.describe
	fc := httptest.NewServer(fcapi.New(s.config))
	s.t.Cleanup(fc.Close)
	open := func(endpoint string, cname bool, c credentials.Credentials) (*ossclient.Bucket, error) {
		return ossclient.Open(ossclient.Config{Bucket: "cards", Region: region, Endpoint: endpoint, CNAME: cname, Credentials: credentials.Static(c)})
	}
	operator := credentials.Credentials{AccessKeyID: "sandbox", AccessKeySecret: keySecret}
	local, localErr := config.Parse(append([]string{"OCR_APP_CODE=unused"}, s.local...))
	if local.AppCode == "unused" {
		local.AppCode = ""
	}
	bucket, err := open(s.store, false, operator)
	require.NoError(s.t, err)
	uploader, err := open(s.store, false, credentials.Credentials{AccessKeyID: "STS.uploader", AccessKeySecret: keySecret, SecurityToken: "canary-token"})
	require.NoError(s.t, err)
	target := Target{Config: local, ConfigErr: localErr, Bucket: bucket, Uploader: uploader, Region: s.region, OSSEndpoint: s.store,
		OpenPublic: func(endpoint string, cname bool) (*ossclient.Bucket, error) { return open(endpoint, cname, operator) },
		Function: &fcclient.Client{Endpoint: fc.URL, Function: "idcard-ocr", Credentials: credentials.Static(operator),
			Sleep: func(context.Context, time.Duration) error { return nil }}}
	return examine(s.t, target)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func TestADeploymentAsTheTemplateMakesItPasses(t *testing.T) {
	s := newSite(t)
	s.open()
	for check, f := range s.examine() {
		want := OK
		if check == "OCR key" { // doctor needs none here
			want = Skipped
		}
		assert.Equal(t, want, f.Result, "%+v", f)
	}
	assert.Zero(t, s.gateway.Ledger.Charged())
}

func TestEachMisconfigurationIsFoundAndItsFixNamed(t *testing.T) {
	type spoil = func(*site)
	for name, test := range map[string]struct {
		before, after spoil // before and after OSS is started
		check         string
		result        Result
		detail, fix   string
	}{
		"a variable of ocrctl":          {before: func(s *site) { s.local = append(s.local, "OCR_TIMEOUT=soon") }, check: "configuration", result: Failure, detail: "OCR_TIMEOUT", fix: "of ocrctl"},
		"other suffixes here":           {before: func(s *site) { s.local = []string{"IMAGE_SUFFIXES=.jpg"} }, check: "configuration", result: Warning, detail: "status and backfill", fix: "IMAGE_SUFFIXES=.jpg,.png"},
		"another result suffix":         {before: func(s *site) { s.env["RESULT_SUFFIX"] = ".card.json" }, check: "configuration", result: Warning, fix: "RESULT_SUFFIX=.card.json"},
		"no function":                   {before: func(s *site) { s.config.Name = "other" }, check: "function", result: Failure, detail: "FunctionNotFound", fix: "--function"},
		"no way out":                    {before: func(s *site) { s.describe["internetAccess"] = false }, check: "function", result: Failure, fix: "internetAccess"},
		"a variable of the function":    {before: func(s *site) { s.env["OCR_IMAGE_SOURCE"] = "file" }, check: "variables", result: Failure, detail: "OCR_IMAGE_SOURCE", fix: "deploy"},
		"a misspelt variable":           {before: func(s *site) { s.env["OCR_TIMOUT"] = "5s" }, check: "variables", result: Failure, detail: "OCR_TIMOUT", fix: "deploy"},
		"no key":                        {before: func(s *site) { delete(s.env, "OCR_APP_KEY"); delete(s.env, "OCR_APP_SECRET") }, check: "function's key", result: Failure, fix: "OCR_APP_CODE"},
		"a wrong secret":                {before: func(s *site) { s.env["OCR_APP_SECRET"] = "canary-wrong" }, check: "function's key", result: Failure, detail: "AppKey …0001", fix: "AppKey and AppSecret"},
		"a wrong AppCode":               {before: func(s *site) { s.env["OCR_APP_CODE"] = "canary-wrong-9876" }, check: "function's key", result: Failure, detail: "AppCode …9876", fix: "take the AppCode"},
		"another key here":              {before: func(s *site) { s.local = append(s.local, "OCR_APP_CODE="+appCode) }, check: "function's key", result: Warning, detail: "AppCode …0123", fix: "deploy the key"},
		"a wrong key here":              {before: func(s *site) { s.local = append(s.local, "OCR_APP_CODE=canary-none") }, check: "OCR key", result: Failure, fix: "take the AppCode"},
		"a host without an address":     {before: func(s *site) { s.env["OCR_ENDPOINT"] = "https://no-such-host.invalid/ocrIdCard" }, check: "OCR address", result: Failure, detail: "no-such-host.invalid", fix: "OCR_ENDPOINT"},
		"a key and no host":             {before: func(s *site) { s.env["OCR_ENDPOINT"] = "https://no-such-host.invalid/ocrIdCard" }, check: "function's key", result: Failure, fix: string(resolve)},
		"a closed port":                 {before: func(s *site) { s.env["OCR_ENDPOINT"] = "http://127.0.0.1:1/ocrIdCard" }, check: "OCR address", result: Failure, detail: "port 1", fix: "firewall"},
		"a key and a closed port":       {before: func(s *site) { s.env["OCR_ENDPOINT"] = "http://127.0.0.1:1/ocrIdCard" }, check: "function's key", result: Failure, fix: "way out"},
		"another path":                  {before: func(s *site) { s.env["OCR_ENDPOINT"] += "2" }, check: "function's key", result: Failure, fix: "correct OCR_ENDPOINT"},
		"no calls left":                 {before: func(s *site) { s.refuse(gateway.QuotaExhausted) }, check: "function's key", result: Failure, fix: "buy more calls"},
		"a short time-out":              {before: func(s *site) { s.describe["timeout"] = 48 }, check: "time-out", result: Failure, detail: "48s", fix: "180 s"},
		"no role":                       {before: func(s *site) { delete(s.describe, "role") }, check: "role", result: Failure, fix: "deploy/ram-policy.json"},
		"no log":                        {before: func(s *site) { delete(s.describe, "logConfig") }, check: "logs", result: Warning, fix: "logstore"},
		"no retries":                    {before: func(s *site) { s.config.Async["maxAsyncRetryAttempts"] = 0 }, check: "failures", result: Failure, fix: "maxAsyncRetryAttempts"},
		"no failure destination":        {before: func(s *site) { s.config.Async = nil }, check: "failures", result: Warning, fix: "onFailure"},
		"no reserved concurrency":       {before: func(s *site) { s.config.Concurrency = nil }, check: "concurrency", result: Warning, fix: "reservedConcurrency"},
		"paused":                        {before: func(s *site) { s.config.Concurrency["reservedConcurrency"] = 0 }, check: "concurrency", result: Failure, detail: "paused", fix: "ocrctl resume"},
		"no trigger":                    {before: func(s *site) { s.config.Triggers = nil }, check: "triggers", result: Failure, fix: "s deploy"},
		"a trigger of another bucket":   {before: func(s *site) { s.config.Triggers[1]["sourceArn"] = "acs:oss:cn-hangzhou:1:other" }, check: "triggers", result: Warning, detail: ".jpg", fix: "IMAGE_SUFFIXES"},
		"a suffix without a trigger":    {before: func(s *site) { s.config.Triggers = s.config.Triggers[:4] }, check: "triggers", result: Warning, detail: ".PNG", fix: "IMAGE_SUFFIXES"},
		"a trigger for everything":      {before: func(s *site) { s.trigger("all", "", "PutObject") }, check: "triggers", result: Warning, fix: "suffix such as .jpg"},
		"a trigger for results":         {before: func(s *site) { s.trigger("own", ".json", "PutObject") }, check: "triggers", result: Failure, detail: "own results", fix: "that of images"},
		"a trigger for claims":          {before: func(s *site) { s.trigger("own", ".ocr.claim", "PutObject") }, check: "triggers", result: Failure, detail: "own results", fix: "that of images"},
		"a missing event":               {before: func(s *site) { s.config.Triggers = s.config.Triggers[:4]; s.trigger("few", ".PNG", "PutObject") }, check: "triggers", result: Warning, detail: "CompleteMultipartUpload", fix: "add them"},
		"removals that nobody hears of": {before: func(s *site) { s.env["REMOVE_WITH_IMAGE"] = "true" }, check: "triggers", result: Warning, detail: "ObjectRemoved:DeleteObject", fix: "REMOVE_WITH_IMAGE"},
		"an open HTTP trigger": {before: func(s *site) {
			s.config.Triggers[0]["triggerConfig"] = `{"authType":"anonymous"}`
			s.env["HTTP_ALLOW"] = "cards"
		}, check: "HTTP trigger", result: Warning, detail: "read cards of cards", fix: "authType"},
		"a bucket elsewhere": {before: func(s *site) { s.describe["functionArn"] = "acs:fc:cn-beijing:1:functions/f" }, check: "region", result: Failure, detail: "cn-beijing", fix: "one region"},
		"a wrong --region": {before: func(s *site) {
			s.region = "cn-shenzhen"
			s.describe["functionArn"] = "acs:fc:cn-hangzhou:1:functions/f"
		}, check: "region", result: Failure, fix: "--region cn-hangzhou"},
		"a public bucket": {after: func(s *site) {
			s.set(func(b *ossfake.BucketSettings) { b.AllowPublicAccess, b.ACL = true, "public-read" })
		}, check: "public access", result: Failure, detail: "everybody", fix: "private"},
		"a public policy": {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.PublicPolicy = true }) }, check: "public access", result: Failure, fix: "principals"},
		"no block":        {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.AllowPublicAccess = true }) }, check: "public access", result: Warning, fix: "Block Public Access"},
		"no encryption":   {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.Encryption.Algorithm = "" }) }, check: "encryption", result: Warning, fix: "AES256"},
		"an own KMS key": {after: func(s *site) {
			s.set(func(b *ossfake.BucketSettings) { b.Encryption = ossfake.Encryption{Algorithm: "KMS", KMSKeyID: "k"} })
		}, check: "encryption", result: Failure, detail: "AppendObject", fix: "RESULT_ENCRYPTION=KMS"},
		"an archive bucket": {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.StorageClass = "Archive" }) }, check: "storage class", result: Failure, detail: "Archive", fix: "Standard"},
		"retention":         {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.RetentionDays = 7 }) }, check: "retention", result: Failure, detail: "7 days", fix: "WORM"},
		"old versions kept": {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.Versioning = "Enabled" }) }, check: "versioning", result: Warning, detail: "old versions", fix: "NoncurrentVersionExpiration"},
		"no lifecycle":      {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.Lifecycle = nil }) }, check: "lifecycle", result: Warning, detail: "for ever", fix: "deploy/lifecycle.xml"},
		"a lifecycle for other tags": {after: func(s *site) {
			s.set(func(b *ossfake.BucketSettings) { b.Lifecycle[0].Tags = map[string]string{"team": "x"} })
		}, check: "lifecycle", result: Warning, fix: "never a suffix"},
		"a lifecycle that is off":        {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.Lifecycle[0].Disabled = true }) }, check: "lifecycle", result: Warning, fix: "lifecycle.xml"},
		"archived documents":             {after: func(s *site) { s.set(archiveAll) }, check: "lifecycle", result: Warning, detail: "archive class", fix: "pictures only"},
		"no access log":                  {after: func(s *site) { s.set(func(b *ossfake.BucketSettings) { b.LogBucket = "" }) }, check: "access log", result: Warning, detail: "who read", fix: "another bucket"},
		"an uploader who reads cards":    {before: func(s *site) { s.policy = allow("oss:PutObject", "oss:GetObject") }, check: "uploader", result: Failure, detail: "can read documents", fix: "deploy/uploader-policy.json"},
		"an uploader who forges cards":   {before: func(s *site) { s.policy = allow("oss:PutObject") }, check: "uploader", result: Failure, detail: "can write documents", fix: "deploy/uploader-policy.json"},
		"an uploader who forges reviews": {before: func(s *site) { s.policy = strings.Replace(s.policy, `"acs:oss:*:*:cards/*.ocr.reviewed.json",`, "", 1) }, check: "uploader", result: Failure, detail: "can write reviews", fix: "deploy/uploader-policy.json"},
		"an address that serves nothing": {before: func(s *site) { s.env["OSS_PUBLIC_ENDPOINT"] = "http://127.0.0.1:1" }, check: "signed URL", result: Failure, detail: "does not answer", fix: "OSS_PUBLIC_ENDPOINT"},
		"an address of something else":   {before: func(s *site) { s.env["OSS_PUBLIC_ENDPOINT"] = strings.TrimSuffix(s.env["OCR_ENDPOINT"], gateway.Path) }, check: "signed URL", result: Failure, fix: "not the bucket"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if test.before != nil {
				test.before(s)
			}
			s.open()
			if test.after != nil {
				test.after(s)
			}
			f := s.examine()[test.check]
			assert.Equal(t, test.result, f.Result, "%+v", f)
			assert.Contains(t, f.Detail, test.detail)
			assert.Contains(t, f.Fix, test.fix)
		})
	}
}

func archiveAll(b *ossfake.BucketSettings) {
	b.Lifecycle = append(b.Lifecycle, ossfake.LifecycleRule{ID: "old", Transitions: []ossfake.LifecycleTransition{{LifecycleAge: ossfake.LifecycleAge{Days: 60}, StorageClass: "Archive"}}})
}

// allow is an uploader's policy without exceptions.
func allow(actions ...string) string {
	list, _ := json.Marshal(actions)
	return fmt.Sprintf(`{"Version":"1","Statement":[{"Effect":"Allow","Action":%s,"Resource":"acs:oss:*:*:cards/*"}]}`, list)
}

// refuse has the gateway refuse every call.
func (s *site) refuse(r gateway.Refusal) {
	s.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
		return gateway.Fault{Phase: gateway.PhaseBeforeAccept, Refusal: &r}
	})
}

func TestWhatMayNotBeReadIsSkippedAndTheRestGoesOn(t *testing.T) {
	s := newSite(t)
	s.open()
	real := s.oss
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, refused := range []string{"bucketInfo", "lifecycle", "worm", "logging", "policyStatus"} {
			if r.URL.Query().Has(refused) {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>") //nolint:errcheck // a test
				return
			}
		}
		real.ServeHTTP(w, r)
	}))
	defer server.Close()
	s.store = server.URL
	found := s.examine()
	for check, action := range map[string]string{"public access": "oss:GetBucketInfo", "versioning": "oss:GetBucketInfo", "lifecycle": "oss:GetBucketLifecycle", "retention": "oss:GetBucketWorm", "access log": "oss:GetBucketLogging"} {
		assert.Equal(t, Skipped, found[check].Result, check)
		assert.Contains(t, found[check].Detail, action, check)
	}
	assert.Equal(t, OK, found["bucket"].Result)
	assert.Equal(t, OK, found["signed URL"].Result)
}
