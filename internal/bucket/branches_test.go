package bucket_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadTakesItsLimitAndNoByteMore(t *testing.T) {
	for _, sized := range []bool{true, false} {
		b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "image/format,jpg", r.URL.Query().Get("x-oss-process"))
			if !sized {
				w.(http.Flusher).Flush()
			}
			io.WriteString(w, "content")
		}))
		content, err := b.Read(t.Context(), "a.jpg", "image/format,jpg", 7)
		require.NoError(t, err)
		assert.Equal(t, "content", string(content))
		_, err = b.Read(t.Context(), "a.jpg", "image/format,jpg", 6)
		assert.ErrorIs(t, err, bucket.ErrTooLarge)
		assert.False(t, bucket.Retryable(err))
	}
}

func TestEmptyKeyIsRefusedBeforeAnythingIsSent(t *testing.T) {
	b := open(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request without a key") }))
	_, err := b.SignURL("", "", 1)
	assert.ErrorIs(t, err, bucket.ErrInvalid)
	assert.ErrorIs(t, b.Write(t.Context(), "", "text/plain", nil, nil), bucket.ErrInvalid)
	_, err = b.Stat(t.Context(), "")
	assert.ErrorIs(t, err, bucket.ErrInvalid)
}

// What a broken server says is neither told nor taken for an answer.
func TestWordsOfABrokenServerAreNotTold(t *testing.T) {
	for name, answer := range map[string]string{
		"not HTTP":   "canary canary\r\n\r\n",
		"code":       "HTTP/1.1 403 X\r\nConnection: close\r\n\r\n<Error><Code>canary words</Code><RequestId>a canary</RequestId></Error>",
		"reset":      "",
		"bad header": "HTTP/1.1 200 OK\r\ncanary\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					io.WriteString(conn, answer)
					conn.Close()
				}
			}))
			_, err := b.Read(t.Context(), "canary-key.jpg", "", 10)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "canary")
			assert.Equal(t, name == "code", !bucket.Retryable(err), err)
		})
	}
}

func TestEndpointThatIsNoAddressIsRefused(t *testing.T) {
	for _, c := range []bucket.Config{{Endpoint: "http://[::1"}, {PublicEndpoint: "http://[::1"}} {
		_, err := bucket.New(c).Open("cards", "cn-hangzhou", credentials, slog.Default())
		require.Error(t, err)
		assert.True(t, strings.HasPrefix(err.Error(), "bucket: "), err)
	}
}
