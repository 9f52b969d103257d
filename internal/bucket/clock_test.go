package bucket_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// OSS refuses time stamps that are more than 15 minutes off. The same clock asked again at once is as wrong as before.
func TestClockThatIsOffIsToldWithItsDistanceAndNotRetried(t *testing.T) {
	for name, test := range map[string]struct {
		date func(*http.Request) string
		want string
	}{
		"behind":    {func(*http.Request) string { return time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat) }, `off: by (19m5\ds|20m\ds), code`},
		"ahead":     {func(*http.Request) string { return time.Now().Add(-20 * time.Minute).UTC().Format(http.TimeFormat) }, `off: by 20m\ds, code`},
		"no date":   {func(*http.Request) string { return "" }, "off, code"},
		"half date": {func(*http.Request) string { return "canary" }, "off, code"},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			b := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				w.Header()["Date"] = []string{test.date(r)}
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, "<Error><Code>RequestTimeTooSkewed</Code></Error>")
			}))
			for op, call := range map[string]func(context.Context) error{
				"read": func(ctx context.Context) error {
					_, _, err := b.Read(ctx, "a.jpg", bucket.ReadOptions{Limit: 1})
					return err
				},
				"write": func(ctx context.Context) error {
					return b.Put(ctx, "a.jpg", nil, bucket.PutOptions{ContentType: "text/plain"})
				},
				"append": func(ctx context.Context) error { _, err := b.Append(ctx, "a.jpg", 0, nil); return err },
				"remove": func(ctx context.Context) error { return b.Delete(ctx, "a.jpg") },
			} {
				tries.Store(0)
				err := call(t.Context())
				require.ErrorIs(t, err, bucket.ErrClockSkew, op)
				assert.NotErrorIs(t, err, bucket.ErrUnavailable)
				assert.EqualValues(t, 1, tries.Load(), op)
				assert.True(t, bucket.Retryable(err), "another instance may keep better time")
				assert.Regexp(t, test.want, err.Error())
				assert.NotContains(t, err.Error(), "canary")
			}
		})
	}
}
