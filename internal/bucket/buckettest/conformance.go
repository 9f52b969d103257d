package buckettest

import (
	"context"
	"fmt"
	"hash/crc64"
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
	Read(ctx context.Context, key string, o bucket.ReadOptions) ([]byte, bucket.Object, error)
	SignURL(key, process, versionID string, life time.Duration) (string, error)
	Append(ctx context.Context, key string, position int64, data []byte) (bucket.Appended, error)
	Put(ctx context.Context, key string, body []byte, o bucket.PutOptions) error
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
			require.NoError(t, store.Put(ctx, key, []byte("{}"), bucket.PutOptions{ContentType: "application/json; charset=utf-8",
				Meta: map[string]string{"source-etag": "ABC", "status": "failed"}}), key)
			o, err := store.Head(ctx, key)
			require.NoError(t, err, key)
			assert.WithinDuration(t, time.Now(), o.LastModified, time.Minute)
			assert.Zero(t, o.LastModified.Nanosecond(), "OSS tells whole seconds")
			assert.Equal(t, versioned, o.VersionID != "")
			body, read, err := store.Read(ctx, key, bucket.ReadOptions{Limit: 2})
			require.NoError(t, err, key)
			assert.Equal(t, "{}", string(body))
			assert.Equal(t, o.ETag, read.ETag)
			assert.Equal(t, o.LastModified, read.LastModified)
			o.LastModified, o.VersionID, o.StorageClass = time.Time{}, "", ""
			assert.Equal(t, bucket.Object{ETag: "99914B932BD37A50B983C5E7C90AE93B", Size: 2, ContentType: "application/json; charset=utf-8",
				Meta: map[string]string{"source-etag": "ABC", "status": "failed"}}, o, key)
			_, _, err = store.Read(ctx, key, bucket.ReadOptions{Limit: 1})
			assert.ErrorIs(t, err, bucket.ErrTooLarge, key)
			require.NoError(t, store.Delete(ctx, key), key)
			require.NoError(t, store.Delete(ctx, key), "removing what is gone is no error")
			_, _, err = store.Read(ctx, key, bucket.ReadOptions{Limit: 10})
			assert.ErrorIs(t, err, bucket.ErrNotFound, key)
		}
	})

	t.Run("what is there is not created again, and is replaced without the condition", func(t *testing.T) {
		const key = "create.ocr.json"
		require.NoError(t, store.Put(ctx, key, []byte("first"), bucket.PutOptions{IfAbsent: true}))
		for _, want := range []string{"first", "third"} {
			require.ErrorIs(t, store.Put(ctx, key, []byte("second"), bucket.PutOptions{IfAbsent: true}), bucket.ErrExists)
			body, _, err := store.Read(ctx, key, bucket.ReadOptions{Limit: 10})
			require.NoError(t, err)
			assert.Equal(t, want, string(body))
			require.NoError(t, store.Put(ctx, key, []byte("third"), bucket.PutOptions{}))
		}
		require.NoError(t, store.Delete(ctx, key))
	})

	t.Run("an append succeeds only at the object's length", func(t *testing.T) {
		const key = "append.ocr.claim"
		_, err := store.Append(ctx, key, 3, []byte("x"))
		require.ErrorIs(t, err, bucket.ErrPositionMismatch)
		a, err := store.Append(ctx, key, 0, []byte("one\n"))
		require.NoError(t, err)
		assert.Equal(t, bucket.Appended{Length: 4, CRC64: crc64.Checksum([]byte("one\n"), crcTable), HasCRC: true}, a)
		_, err = store.Append(ctx, key, 0, []byte("two\n"))
		require.ErrorIs(t, err, bucket.ErrPositionMismatch)
		a, err = store.Append(ctx, key, 4, []byte("three\n"))
		require.NoError(t, err)
		assert.Equal(t, bucket.Appended{Length: 10, CRC64: crc64.Checksum([]byte("one\nthree\n"), crcTable), HasCRC: true}, a, "of the whole object")
		body, _, err := store.Read(ctx, key, bucket.ReadOptions{Limit: 100})
		require.NoError(t, err)
		assert.Equal(t, "one\nthree\n", string(body))
		require.NoError(t, store.Delete(ctx, key))
		_, err = store.Append(ctx, key, 0, []byte("again\n"))
		require.NoError(t, err, "what is removed can be created anew")
		require.NoError(t, store.Delete(ctx, key))
		require.NoError(t, store.Put(ctx, key, []byte("one\n"), bucket.PutOptions{}))
		_, err = store.Append(ctx, key, 4, []byte("two\n"))
		require.ErrorIs(t, err, bucket.ErrNotAppendable)
		require.NoError(t, store.Delete(ctx, key))
	})

	t.Run("an old version is read by its ID", func(t *testing.T) {
		const key = "versions.jpg"
		require.NoError(t, store.Put(ctx, key, []byte("old"), bucket.PutOptions{}))
		o, err := store.Head(ctx, key)
		require.NoError(t, err)
		require.NoError(t, store.Put(ctx, key, []byte("new"), bucket.PutOptions{}))
		body, read, err := store.Read(ctx, key, bucket.ReadOptions{VersionID: o.VersionID, Limit: 10})
		require.NoError(t, err)
		if versioned {
			assert.Equal(t, "old", string(body))
			assert.Equal(t, o.VersionID, read.VersionID)
		} else {
			assert.Equal(t, "new", string(body))
		}
		require.NoError(t, store.Delete(ctx, key))
	})

	for _, position := range []string{"create", "take over"} {
		t.Run("of many at once who "+position+" one wins", func(t *testing.T) {
			for round := range 5 {
				key := fmt.Sprintf("race-%s-%d.ocr.claim", strings.ReplaceAll(position, " ", "-"), round)
				var at int64
				if position == "take over" {
					a, err := store.Append(ctx, key, 0, []byte("dead\n"))
					require.NoError(t, err)
					at = a.Length
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
		u, err := store.SignURL("a.jpg", "image/resize,l_2048", "", 90*time.Second)
		require.NoError(t, err)
		assert.Contains(t, u, "a.jpg")
		assert.Contains(t, u, "x-oss-expires=90")
	})
}
