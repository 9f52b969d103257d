package ossfake_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/ossfake"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	testBucket = "cards"
	testRegion = "cn-hangzhou"
)

var (
	longTerm = ossfake.Credentials{AccessKeyID: "LTAI5tLocal", AccessKeySecret: "long-term-secret"}
	role     = ossfake.Credentials{AccessKeyID: "STS.NUlocal", AccessKeySecret: "role-secret", SecurityToken: "CAIS+to/ken=="}
)

// local is a server of this package on a loopback port, with what the tests look at.
type local struct {
	*ossfake.Server
	url  string
	dir  string
	keys *ossfake.MemoryKeyring
	logs *sandboxtest.Output

	mu     sync.Mutex
	events []ossfake.Event
	// ahead is by how much the server's clock is ahead of the clients'.
	ahead time.Duration
}

// start serves dir (a new folder if empty) until the test ends.
func start(t *testing.T, dir string, change ...func(*ossfake.Config)) *local {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	l := &local{dir: dir, keys: ossfake.NewKeyring(longTerm, role), logs: &sandboxtest.Output{}}
	cfg := ossfake.Config{
		Dir: dir, Region: testRegion, Buckets: []string{testBucket}, Keys: l.keys,
		Log: slog.New(slog.NewTextHandler(l.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now: func() time.Time {
			l.mu.Lock()
			defer l.mu.Unlock()
			return time.Now().Add(l.ahead)
		},
		OnEvent: func(e ossfake.Event) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.events = append(l.events, e)
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	l.Server, err = ossfake.New(cfg)
	require.NoError(t, err)
	web := httptest.NewServer(l.Server)
	l.url = web.URL
	t.Cleanup(func() {
		web.Close()
		assert.NoError(t, l.Close())
	})
	return l
}

func (l *local) setAhead(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = d
}

func (l *local) eventNames() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for _, e := range l.events {
		names = append(names, e.Name+" "+e.Key)
	}
	return names
}

// signing is one way an official SDK can sign.
type signing struct {
	name    string
	version aliyun.AuthVersionType
	cred    ossfake.Credentials
}

var signings = []signing{
	{"V1", aliyun.AuthV1, longTerm}, {"V1 with STS", aliyun.AuthV1, role},
	{"V4", aliyun.AuthV4, longTerm}, {"V4 with STS", aliyun.AuthV4, role},
}

// client is the official Go SDK, which shares no code with this package.
func (l *local) client(t *testing.T, s signing, options ...aliyun.ClientOption) *aliyun.Client {
	t.Helper()
	options = append([]aliyun.ClientOption{aliyun.AuthVersion(s.version), aliyun.Region(testRegion), aliyun.SecurityToken(s.cred.SecurityToken)}, options...)
	c, err := aliyun.New(l.url, s.cred.AccessKeyID, s.cred.AccessKeySecret, options...)
	require.NoError(t, err)
	return c
}

func (l *local) bucket(t *testing.T, s signing, options ...aliyun.ClientOption) *aliyun.Bucket {
	t.Helper()
	b, err := l.client(t, s, options...).Bucket(testBucket)
	require.NoError(t, err)
	return b
}

// v4 is the bucket as most tests use it.
func (l *local) v4(t *testing.T) *aliyun.Bucket { return l.bucket(t, signings[2]) }

func put(t *testing.T, b *aliyun.Bucket, key, content string, options ...aliyun.Option) {
	t.Helper()
	require.NoError(t, b.PutObject(key, strings.NewReader(content), options...), key)
}

func get(t *testing.T, b *aliyun.Bucket, key string, options ...aliyun.Option) string {
	t.Helper()
	body, err := b.GetObject(key, options...)
	require.NoError(t, err, key)
	defer body.Close()
	content, err := io.ReadAll(body)
	require.NoError(t, err, key)
	return string(content)
}

// answerOf returns the service's answer in an error of the SDK.
func answerOf(t *testing.T, err error) aliyun.ServiceError {
	t.Helper()
	var answer aliyun.ServiceError
	require.ErrorAs(t, err, &answer)
	return answer
}

func requireCode(t *testing.T, err error, status int, code string) {
	t.Helper()
	answer := answerOf(t, err)
	require.Equal(t, status, answer.StatusCode, "%v", err)
	require.Equal(t, code, answer.Code, "%v", err)
	require.Len(t, answer.RequestID, 24)
}

// nastyKeys are names that a careless server or signer gets wrong.
var nastyKeys = []string{
	"plain.jpg", "中文/身份证 正面.jpg", "a+b%c.jpg", "a//b.jpg", "../outside.jpg", "a/./b.jpg", "a/../b.jpg", "a#b&c=d;e?f.jpg", "😀.png", "~*'()!$,:@.jpg",
	"100%25.jpg", "a%2Fb.jpg", "two  spaces .jpg", "tab\tand\nnewline.jpg", `back\slash.jpg`, `"quotes" <xml>&amp;.jpg`, "/leading.jpg", "folder/", ".hidden/.file", "..",
	".", "a/" + strings.Repeat("n", 300) + ".jpg", "a/" + strings.Repeat("中", 300), "nul\x00byte.jpg", "del\x7f.jpg",
}

func TestAnyKeyIsSignedStoredAndFoundAgain(t *testing.T) {
	t.Parallel()
	for _, s := range signings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, "")
			b := l.bucket(t, s)
			for _, key := range nastyKeys {
				put(t, b, key, "content of "+key, aliyun.Meta("source", "test"))
				assert.Equal(t, "content of "+key, get(t, b, key))
				meta, err := b.GetObjectDetailedMeta(key)
				require.NoError(t, err, key)
				assert.Equal(t, "test", meta.Get("x-oss-meta-source"), key)
				short, err := b.GetObjectMeta(key)
				require.NoError(t, err, key)
				assert.Equal(t, meta.Get("ETag"), short.Get("ETag"), key)

				link, err := b.SignURL(key, aliyun.HTTPGet, 60)
				require.NoError(t, err)
				status, body := fetch(t, http.MethodGet, link)
				assert.Equal(t, 200, status, "%s: %s", key, body)
				assert.Equal(t, "content of "+key, body, key)
			}
			listed, err := b.ListObjectsV2(aliyun.MaxKeys(1000))
			require.NoError(t, err)
			var keys []string
			for _, o := range listed.Objects {
				keys = append(keys, o.Key)
			}
			assert.ElementsMatch(t, nastyKeys, keys)
			assert.IsNonDecreasing(t, keys)
			for _, key := range nastyKeys {
				require.NoError(t, b.DeleteObject(key), key)
				_, err := b.GetObject(key)
				requireCode(t, err, 404, "NoSuchKey")
			}
			listed, err = b.ListObjectsV2()
			require.NoError(t, err)
			assert.Empty(t, listed.Objects)
		})
	}
}

// fetch does a request without any SDK.
func fetch(t *testing.T, method, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestAnIncompleteConfigurationIsRefusedWithEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := ossfake.New(ossfake.Config{Region: "oss-cn-hangzhou", Buckets: []string{"UPPER"}})
	require.Error(t, err)
	for _, word := range []string{"Config.Dir", "cn-hangzhou", "Config.Keys", "UPPER"} {
		assert.ErrorContains(t, err, word)
	}
}
