package bucket_test

import (
	"log/slog"
	"net/url"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A signed URL names the key it was made for and nothing else, whatever the key looks like.
func FuzzSignURL(f *testing.F) {
	for _, key := range []string{"2026/a.jpg", "a b+c%.jpg", "a//b.jpg", "/a.jpg", "../x.jpg", "./a", "a/./b/../c", "a?b=c&d.jpg", "a#b.jpg", "%2e%2e/%00", "身份证😀.jpg", "a\\b", "a\x7f", "\xff\xfe", " ", "a;b", "a'()!*~.jpg", "x-oss-process=image"} {
		f.Add(key, true)
		f.Add(key, false)
	}
	styles := map[string]struct {
		config bucket.Config
		host   string
		prefix string
	}{
		"subdomain":     {bucket.Config{}, "cards.oss-cn-hangzhou.aliyuncs.com", "/"},
		"custom domain": {bucket.Config{PublicEndpoint: "https://img.example.com", PublicCNAME: true}, "img.example.com", "/"},
		"path":          {bucket.Config{PublicEndpoint: "http://[::1]:9000"}, "[::1]:9000", "/cards/"},
	}
	const process = "image/resize,l_2048/auto-orient,1/quality,Q_85/format,jpg"
	f.Fuzz(func(t *testing.T, key string, processed bool) {
		for name, style := range styles {
			b, err := bucket.New(style.config).Open("cards", "cn-hangzhou", credentials, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			want := ""
			if processed {
				want = process
			}
			signed, err := b.SignURL(key, want, "", 5*time.Minute)
			if err != nil {
				assert.ErrorIs(t, err, bucket.ErrInvalid)
				assert.EqualError(t, err, "OSS sign: request refused: the SDK refuses to sign this key")
				continue
			}
			u, err := url.Parse(signed)
			require.NoError(t, err, "%s: %q", name, signed)
			assert.Equal(t, style.host, u.Host, name)
			assert.Equal(t, style.prefix+key, u.Path, name)
			assert.Empty(t, u.Fragment)
			assert.Nil(t, u.User)
			query, err := url.ParseQuery(u.RawQuery)
			require.NoError(t, err)
			assert.Equal(t, want, query.Get("x-oss-process"), name)
			assert.Equal(t, processed, query.Has("x-oss-process"))
			assert.Contains(t, []string{"300", "299"}, query.Get("x-oss-expires"), "299 if the second ends while it is signed")
			assert.Len(t, query["x-oss-signature"], 1)
		}
	})
}
