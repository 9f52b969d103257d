package ossfake_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALargeObjectIsAssembledOfItsParts(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	first, last := bytes.Repeat([]byte("1"), 100<<10), []byte("the end")
	upload, err := b.InitiateMultipartUpload("中/large.bin", aliyun.ContentType("application/x-test"), aliyun.Meta("a", "1"))
	require.NoError(t, err)
	part2, err := b.UploadPart(upload, bytes.NewReader(last), int64(len(last)), 2)
	require.NoError(t, err)
	part1, err := b.UploadPart(upload, bytes.NewReader(first), int64(len(first)), 1)
	require.NoError(t, err)
	put(t, b, "source", string(first))
	part3, err := b.UploadPartCopy(upload, testBucket, "source", 5, 20, 3)
	require.NoError(t, err)
	exists, err := b.IsObjectExist("中/large.bin")
	require.NoError(t, err)
	assert.False(t, exists)

	parts, err := b.ListUploadedParts(upload)
	require.NoError(t, err)
	require.Len(t, parts.UploadedParts, 3)
	assert.Equal(t, part1.ETag, parts.UploadedParts[0].ETag)
	uploads, err := b.ListMultipartUploads(aliyun.Prefix("中/"))
	require.NoError(t, err)
	require.Len(t, uploads.Uploads, 1)
	assert.Equal(t, upload.UploadID, uploads.Uploads[0].UploadID)

	_, err = b.CompleteMultipartUpload(upload, []aliyun.UploadPart{{PartNumber: 1, ETag: part2.ETag}})
	requireCode(t, err, 400, "InvalidPart")
	_, err = b.CompleteMultipartUpload(upload, []aliyun.UploadPart{part2, part3})
	requireCode(t, err, 400, "EntityTooSmall")
	done, err := b.CompleteMultipartUpload(upload, []aliyun.UploadPart{part1, part2})
	require.NoError(t, err)
	whole := fmt.Appendf(nil, "%X%X", md5.Sum(first), md5.Sum(last)) // not of the binary sums, as with S3
	want := fmt.Sprintf(`"%X-2"`, md5.Sum(whole))
	assert.Equal(t, want, done.ETag)
	h, err := b.GetObjectDetailedMeta("中/large.bin")
	require.NoError(t, err)
	assert.Equal(t, want, h.Get("ETag"))
	assert.Equal(t, "Multipart", h.Get("x-oss-object-type"))
	assert.Equal(t, "application/x-test", h.Get("Content-Type"))
	assert.Equal(t, "1", h.Get("x-oss-meta-a"))
	assert.Equal(t, string(first)+string(last), get(t, b, "中/large.bin"))
	assert.Contains(t, l.eventNames(), "ObjectCreated:CompleteMultipartUpload 中/large.bin")

	_, err = b.CompleteMultipartUpload(upload, []aliyun.UploadPart{part1})
	requireCode(t, err, 404, "NoSuchUpload")
	left, err := os.ReadDir(filepath.Join(l.dir, ".oss", "uploads"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAnAbortedUploadIsGone(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	upload, err := b.InitiateMultipartUpload("a")
	require.NoError(t, err)
	part, err := b.UploadPart(upload, strings.NewReader("x"), 1, 1)
	require.NoError(t, err)
	require.NoError(t, b.AbortMultipartUpload(upload))
	requireCode(t, b.AbortMultipartUpload(upload), 404, "NoSuchUpload")
	_, err = b.CompleteMultipartUpload(upload, []aliyun.UploadPart{part})
	requireCode(t, err, 404, "NoSuchUpload")
	_, err = b.UploadPart(upload, strings.NewReader("x"), 1, 1)
	requireCode(t, err, 404, "NoSuchUpload")
	upload.UploadID = "../../cards"
	_, err = b.UploadPart(upload, strings.NewReader("x"), 1, 1)
	requireCode(t, err, 404, "NoSuchUpload")
	_, err = b.UploadPart(upload, strings.NewReader("x"), 1, 10001)
	require.Error(t, err)
}

func TestTheSDKsParallelUploadWorks(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	file := filepath.Join(t.TempDir(), "large")
	content := bytes.Repeat([]byte("0123456789abcdef"), 40<<10)
	require.NoError(t, os.WriteFile(file, content, 0o600))
	require.NoError(t, b.UploadFile("large", file, 128<<10, aliyun.Routines(4)))
	assert.Equal(t, string(content), get(t, b, "large"))
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, b.DownloadFile("large", copied, 100<<10, aliyun.Routines(4)))
	again, err := os.ReadFile(copied)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(content, again))
}
