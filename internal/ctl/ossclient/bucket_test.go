package ossclient

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/sandbox/ossfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// strange are keys that listings, signatures and URLs like to spoil.
var strange = []string{"a b+c%2F.jpg", "a//b.jpg", "身份证/中 文.jpg", "x\x01y.jpg", "&<>\"'.jpg", "?a=b#c.jpg", "é.jpg", "..jpg", "~!@$^*()_+={}[]|:;,.jpg"}

func start(t *testing.T) (config Config, dir string, write *bucket.Bucket) {
	dir = t.TempDir()
	files, err := ossfake.New(ossfake.Config{Dir: dir, Region: "cn-hangzhou", Buckets: []string{"cards"}, Keys: ossfake.NewKeyring(ossfake.Credentials{AccessKeyID: "id", AccessKeySecret: "canary-secret"})})
	require.NoError(t, err)
	server := httptest.NewServer(files)
	t.Cleanup(server.Close)
	write, err = bucket.New(bucket.Config{Endpoint: server.URL, PublicEndpoint: server.URL}).
		Open("cards", "cn-hangzhou", bucket.Credentials{AccessKeyID: "id", AccessKeySecret: "canary-secret"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return Config{Bucket: "cards", Region: "oss-cn-hangzhou", Endpoint: server.URL, Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "canary-secret"})}, dir, write
}

func list(t *testing.T, s *Bucket, prefix, after string) (keys []string) {
	for o, err := range s.List(t.Context(), prefix, after) {
		require.NoError(t, err)
		keys = append(keys, o.Key)
	}
	return keys
}

func TestKeysSurviveListingReadingAndRemoving(t *testing.T) {
	config, _, write := start(t)
	for _, key := range strange {
		require.NoError(t, write.Put(t.Context(), key, []byte("of "+key), bucket.PutOptions{ContentType: "image/jpeg"}))
	}
	s, err := Open(config)
	require.NoError(t, err)
	sorted := slices.Sorted(slices.Values(strange))
	assert.Equal(t, sorted, list(t, s, "", ""))
	for i, key := range sorted {
		assert.Equal(t, sorted[i+1:], append([]string{}, list(t, s, "", key)...), "after %q", key)
		assert.Contains(t, list(t, s, key[:1], ""), key)
		body, err := s.Read(t.Context(), key, 100)
		require.NoError(t, err)
		assert.Equal(t, "of "+key, string(body))
		signed, err := s.SignURL(t.Context(), key, time.Minute)
		require.NoError(t, err)
		response, err := http.Get(signed)
		require.NoError(t, err)
		fetched, err := io.ReadAll(response.Body)
		response.Body.Close()
		require.NoError(t, err)
		assert.Equal(t, string(body), string(fetched))
	}
	for _, key := range sorted {
		require.NoError(t, s.Remove(t.Context(), key))
		require.NoError(t, s.Remove(t.Context(), key))
	}
	assert.Empty(t, list(t, s, "", ""))
}

func TestAListingOfManyPagesIsWholeAndInOrder(t *testing.T) {
	config, dir, _ := start(t)
	var want []string
	for i := range 2345 {
		key := fmt.Sprintf("a-~%05d.jpg", i)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cards", key), []byte("x"), 0o600))
		want = append(want, key)
	}
	s, err := Open(config)
	require.NoError(t, err)
	assert.Equal(t, want, list(t, s, "", ""))
	assert.Equal(t, want[1500:], list(t, s, "", want[1499]))
	for o, err := range s.List(t.Context(), "", "") {
		require.NoError(t, err)
		assert.EqualValues(t, 1, o.Size)
		assert.Equal(t, bucket.ETag(o.ETag), o.ETag, "as events write it")
		assert.WithinDuration(t, time.Now(), o.LastModified, time.Minute)
		break
	}
}

func TestErrorsTellTheKindAndNothingElse(t *testing.T) {
	config, _, write := start(t)
	require.NoError(t, write.Put(t.Context(), "canary-key.jpg", []byte("0123456789"), bucket.PutOptions{ContentType: "image/jpeg"}))
	s, err := Open(config)
	require.NoError(t, err)
	_, err = s.Read(t.Context(), "canary-nothing", 10)
	assert.True(t, NotFound(err), err)
	assert.False(t, TooLarge(err))
	assert.False(t, Configuration(err))
	assert.NotContains(t, err.Error(), "canary")
	_, err = s.Read(t.Context(), "canary-key.jpg", 9)
	assert.True(t, TooLarge(err), err)
	assert.ErrorContains(t, err, "TooLarge")
	assert.NotContains(t, err.Error(), "canary")
	state, err := s.Versioning(t.Context())
	require.NoError(t, err)
	assert.Empty(t, state)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Read(ended, "canary-key.jpg", 10)
	assert.ErrorIs(t, err, context.Canceled)
	assert.NotContains(t, err.Error(), "canary")

	for name, change := range map[string]func(*Config){
		"SignatureDoesNotMatch": func(c *Config) {
			c.Credentials = credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "canary-wrong"})
		},
		"InvalidAccessKeyId": func(c *Config) {
			c.Credentials = credentials.Static(credentials.Credentials{AccessKeyID: "canary", AccessKeySecret: "canary-wrong"})
		},
		"NoSuchBucket": func(c *Config) { c.Bucket = "canary-other" },
		"no credentials": func(c *Config) {
			c.Credentials = func(context.Context) (credentials.Credentials, error) {
				return credentials.Credentials{}, &credentials.NotFound{}
			}
		},
	} {
		wrong := config
		change(&wrong)
		s, err := Open(wrong)
		require.NoError(t, err)
		for _, err := range s.List(t.Context(), "canary", "") {
			assert.ErrorContains(t, err, name)
			assert.True(t, Configuration(err), name)
			assert.NotContains(t, err.Error(), "canary")
		}
	}
}

func TestABadClockAndEndedCredentialsAreMattersOfConfiguration(t *testing.T) {
	ended := ossfake.Credentials{AccessKeyID: "STS.id", AccessKeySecret: "canary-secret", SecurityToken: "canary-token", Expires: time.Now().Add(-time.Hour)}
	for code, fault := range map[string]struct {
		now func() time.Time
		key credentials.Credentials
	}{
		"RequestTimeTooSkewed": {func() time.Time { return time.Now().Add(20 * time.Minute) }, credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "canary-secret"}},
		"SecurityTokenExpired": {time.Now, credentials.Credentials{AccessKeyID: ended.AccessKeyID, AccessKeySecret: ended.AccessKeySecret, SecurityToken: ended.SecurityToken}},
	} {
		files, err := ossfake.New(ossfake.Config{Dir: t.TempDir(), Region: "cn-hangzhou", Buckets: []string{"cards"}, Now: fault.now,
			Keys: ossfake.NewKeyring(ended, ossfake.Credentials{AccessKeyID: "id", AccessKeySecret: "canary-secret"})})
		require.NoError(t, err)
		server := httptest.NewServer(files)
		t.Cleanup(server.Close)
		s, err := Open(Config{Bucket: "cards", Region: "cn-hangzhou", Endpoint: server.URL, Credentials: credentials.Static(fault.key)})
		require.NoError(t, err)
		failures := 0
		for _, err := range s.List(t.Context(), "", "") {
			failures++
			assert.ErrorContains(t, err, code)
			assert.True(t, Configuration(err), code)
			assert.NotContains(t, err.Error(), "canary")
		}
		assert.Equal(t, 1, failures, code)
	}
}

func TestAnEndpointMayBeLoopbackOfIPv6(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6:", err)
	}
	files, err := ossfake.New(ossfake.Config{Dir: t.TempDir(), Region: "cn-hangzhou", Buckets: []string{"cards"}, Keys: ossfake.NewKeyring(ossfake.Credentials{AccessKeyID: "id", AccessKeySecret: "s"})})
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(files)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	require.Contains(t, server.URL, "http://[::1]:")
	s, err := Open(Config{Bucket: "cards", Region: "cn-hangzhou", Endpoint: server.URL, Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "s"})})
	require.NoError(t, err)
	assert.Empty(t, list(t, s, "", ""))
	url, err := s.SignURL(t.Context(), "a b.jpg", time.Minute)
	require.NoError(t, err)
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusNotFound, response.StatusCode, "the signature is good, and there is no such object")
}

func TestEndpointsAreEncryptedOrLoopback(t *testing.T) {
	for endpoint, good := range map[string]bool{
		"": true, "https://cards.example.com": true, "oss-cn-hangzhou.aliyuncs.com": true, "http://127.0.0.1:8901": true, "http://localhost:1": true, "http://[::1]:1": true,
		"http://oss-cn-hangzhou.aliyuncs.com": false, "http://[2001:db8::1]:1": false, "http://127.0.0.1.example.com": false, "ftp://127.0.0.1": false, "https://": false,
	} {
		_, err := Open(Config{Bucket: "cards", Region: "cn-hangzhou", Endpoint: endpoint})
		if good {
			assert.NoError(t, err, endpoint)
		} else {
			assert.ErrorContains(t, err, "expected an https:// URL", endpoint)
		}
	}
}

func TestWrongNamesAreRefusedAtOnce(t *testing.T) {
	for _, c := range []Config{{Bucket: "No", Region: "cn-hangzhou"}, {Bucket: "cards"}, {Bucket: "cards", Region: "cn hangzhou"}} {
		_, err := Open(c)
		assert.ErrorContains(t, err, "expected")
	}
}
