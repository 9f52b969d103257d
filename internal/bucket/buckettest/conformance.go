package buckettest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Store is what the suite tests.
type Store interface {
	Head(ctx context.Context, key string) (bucket.Object, error)
	Read(ctx context.Context, key, process string, limit int64) ([]byte, error)
	SignURL(key, process string, life time.Duration) (string, error)
	Append(ctx context.Context, key string, position int64, data []byte) (int64, error)
	Put(ctx context.Context, key, contentType string, meta map[string]string, body []byte) error
	PutIfAbsent(ctx context.Context, key, contentType string, meta map[string]string, body []byte) error
	Delete(ctx context.Context, key string) error
}

// Keys are object keys that tend to break signatures, paths and URLs.
var Keys = []string{"a.jpg", "2026/身份证 a+b%.jpg", "a//b.jpg", "../x.jpg", "a/./b.jpg", "a#b&c=d;e?f.jpg", "😀.jpg", "~*'()!$,:@.jpg", "100%25.jpg", "a%2Fb.jpg", " x .jpg", `a\b"c.jpg`}

// RunConformance tests one implementation over an empty bucket, which may be versioned.
func RunConformance(t *testing.T, store Store, versioned bool) {
	ctx := t.Context()

	t.Run("what is written can be looked at, read and removed under any key", func(t *testing.T) {
		for _, key := range Keys {
			_, err := store.Head(ctx, key)
			require.ErrorIs(t, err, bucket.ErrNotFound, key)
			require.NoError(t, store.Put(ctx, key, "application/json; charset=utf-8", map[string]string{"source-etag": "ABC", "status": "failed"}, []byte("{}")), key)
			o, err := store.Head(ctx, key)
			require.NoError(t, err, key)
			assert.Equal(t, bucket.Object{ETag: "99914B932BD37A50B983C5E7C90AE93B", Size: 2, ContentType: "application/json; charset=utf-8",
				Meta: map[string]string{"source-etag": "ABC", "status": "failed"}}, o, key)
			body, err := store.Read(ctx, key, "", 2)
			require.NoError(t, err, key)
			assert.Equal(t, "{}", string(body))
			_, err = store.Read(ctx, key, "", 1)
			assert.ErrorIs(t, err, bucket.ErrTooLarge, key)
			require.NoError(t, store.Delete(ctx, key), key)
			require.NoError(t, store.Delete(ctx, key), "removing what is gone is no error")
			_, err = store.Read(ctx, key, "", 10)
			assert.ErrorIs(t, err, bucket.ErrNotFound, key)
		}
	})

	t.Run("what is there is not created again but in a versioned bucket", func(t *testing.T) {
		const key = "create.ocr.json"
		require.NoError(t, store.PutIfAbsent(ctx, key, "application/json", map[string]string{"status": "failed"}, []byte("first")))
		err := store.PutIfAbsent(ctx, key, "application/json", nil, []byte("second"))
		body, readErr := store.Read(ctx, key, "", 10)
		require.NoError(t, readErr)
		if versioned { // OSS ignores the condition there
			require.NoError(t, err)
			assert.Equal(t, "second", string(body))
		} else {
			require.ErrorIs(t, err, bucket.ErrInvalid)
			assert.Equal(t, "first", string(body))
		}
		require.NoError(t, store.Delete(ctx, key))
	})

	t.Run("an append succeeds only at the object's length", func(t *testing.T) {
		const key = "append.ocr.claim"
		_, err := store.Append(ctx, key, 3, []byte("x"))
		require.ErrorIs(t, err, bucket.ErrPositionMismatch)
		n, err := store.Append(ctx, key, 0, []byte("one\n"))
		require.NoError(t, err)
		assert.EqualValues(t, 4, n)
		_, err = store.Append(ctx, key, 0, []byte("two\n"))
		require.ErrorIs(t, err, bucket.ErrPositionMismatch)
		n, err = store.Append(ctx, key, 4, []byte("three\n"))
		require.NoError(t, err)
		assert.EqualValues(t, 10, n)
		body, err := store.Read(ctx, key, "", 100)
		require.NoError(t, err)
		assert.Equal(t, "one\nthree\n", string(body))
		require.NoError(t, store.Delete(ctx, key))
		_, err = store.Append(ctx, key, 0, []byte("again\n"))
		require.NoError(t, err, "what is removed can be created anew")
		require.NoError(t, store.Delete(ctx, key))
	})

	for _, position := range []string{"create", "take over"} {
		t.Run("of many at once who "+position+" one wins", func(t *testing.T) {
			for round := range 5 {
				key := fmt.Sprintf("race-%s-%d.ocr.claim", strings.ReplaceAll(position, " ", "-"), round)
				var at int64
				if position == "take over" {
					n, err := store.Append(ctx, key, 0, []byte("dead\n"))
					require.NoError(t, err)
					at = n
				}
				var won, lost atomic.Int32
				var group sync.WaitGroup
				start := make(chan struct{})
				for i := range 32 {
					group.Go(func() {
						<-start
						_, err := store.Append(ctx, key, at, fmt.Appendf(nil, "%02d\n", i))
						if err == nil {
							won.Add(1)
						} else if assert.ErrorIs(t, err, bucket.ErrPositionMismatch) {
							lost.Add(1)
						}
					})
				}
				close(start)
				group.Wait()
				assert.EqualValues(t, 1, won.Load())
				assert.EqualValues(t, 31, lost.Load())
				require.NoError(t, store.Delete(ctx, key))
			}
		})
	}

	t.Run("a signed URL names the key and its life", func(t *testing.T) {
		u, err := store.SignURL("a.jpg", "image/resize,l_2048", 90*time.Second)
		require.NoError(t, err)
		assert.Contains(t, u, "a.jpg")
		assert.Contains(t, u, "x-oss-expires=90")
	})
}
