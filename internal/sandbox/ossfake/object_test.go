package ossfake_test

import (
	"bytes"
	"errors"
	"hash/crc64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/ossfake"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sizeOf(b []byte) string { return strconv.Itoa(len(b)) }

func etagOf(t *testing.T, b *aliyun.Bucket, key string) string {
	t.Helper()
	h, err := b.GetObjectMeta(key)
	require.NoError(t, err)
	return h.Get("ETag")
}

func TestAnObjectKeepsWhatItWasUploadedWith(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	before := time.Now().Add(-2 * time.Second)
	put(t, b, "dir/a.json", "{}", aliyun.ContentType("application/json; charset=utf-8"), aliyun.Meta("Source-Etag", "ABC"),
		aliyun.CacheControl("no-store"), aliyun.ContentDisposition("inline"), aliyun.ContentMD5("mZFLkyvTelC5g8XnyQrpOw=="))
	h, err := b.GetObjectDetailedMeta("dir/a.json")
	require.NoError(t, err)
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	require.NoError(t, err)
	assert.WithinRange(t, modified, before, time.Now().Add(time.Second))
	for name, want := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "x-oss-meta-source-etag": "ABC", "Cache-Control": "no-store", "Content-Disposition": "inline",
		"ETag": `"99914B932BD37A50B983C5E7C90AE93B"`, "Content-Length": "2", "x-oss-object-type": "Normal", "x-oss-storage-class": "Standard",
		"x-oss-hash-crc64ecma": strconv.FormatUint(crc64.Checksum([]byte("{}"), crc64.MakeTable(crc64.ECMA)), 10),
	} {
		assert.Equal(t, want, h.Get(name), name)
	}
	onDisk, err := os.ReadFile(filepath.Join(l.dir, testBucket, "dir", "a.json"))
	require.NoError(t, err)
	assert.Equal(t, "{}", string(onDisk), "an object with a plain key is a plain file")

	put(t, b, "untyped", "x")
	h, err = b.GetObjectDetailedMeta("untyped")
	require.NoError(t, err)
	assert.Equal(t, "application/octet-stream", h.Get("Content-Type"))

	requireCode(t, b.PutObject("bad", strings.NewReader("{}"), aliyun.ContentMD5("AAAAAAAAAAAAAAAAAAAAAA==")), 400, "InvalidDigest")
	requireCode(t, b.PutObject("bad", strings.NewReader("{}"), aliyun.ContentMD5("nonsense")), 400, "InvalidDigest")
	requireCode(t, b.PutObject("bad", strings.NewReader("{}"), aliyun.Meta("a", strings.Repeat("x", 9000))), 400, "InvalidArgument")
	requireCode(t, b.PutObject(strings.Repeat("k", 1024), strings.NewReader("{}")), 400, "InvalidObjectName")
	exists, err := b.IsObjectExist("bad")
	require.NoError(t, err)
	assert.False(t, exists)
	assert.Equal(t, []string{"ObjectCreated:PutObject dir/a.json", "ObjectCreated:PutObject untyped"}, l.eventNames())
}

func TestReadsObeyRangesAndConditions(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "a", "0123456789")
	etag := etagOf(t, b, "a")
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	standard := aliyun.RangeBehavior("standard")
	for name, test := range map[string]struct {
		options []aliyun.Option
		status  int
		want    string
	}{
		"whole":                     {nil, 200, "0123456789"},
		"range":                     {[]aliyun.Option{aliyun.Range(2, 4)}, 206, "234"},
		"open range":                {[]aliyun.Option{aliyun.NormalizedRange("7-")}, 206, "789"},
		"suffix":                    {[]aliyun.Option{aliyun.NormalizedRange("-3")}, 206, "789"},
		"range past the end":        {[]aliyun.Option{aliyun.Range(5, 20)}, 200, "0123456789"},
		"the same, standard":        {[]aliyun.Option{aliyun.Range(5, 20), standard}, 206, "56789"},
		"range beyond":              {[]aliyun.Option{aliyun.Range(10, 20)}, 200, "0123456789"},
		"the same beyond, standard": {[]aliyun.Option{aliyun.Range(10, 20), standard}, 416, ""},
		"nonsense range":            {[]aliyun.Option{aliyun.NormalizedRange("5-2")}, 200, "0123456789"},
		"match":                     {[]aliyun.Option{aliyun.IfMatch(etag)}, 200, "0123456789"},
		"no match":                  {[]aliyun.Option{aliyun.IfMatch(`"0"`)}, 412, ""},
		"none match":                {[]aliyun.Option{aliyun.IfNoneMatch(etag)}, 304, ""},
		"other none match":          {[]aliyun.Option{aliyun.IfNoneMatch(`"0"`)}, 200, "0123456789"},
		"modified":                  {[]aliyun.Option{aliyun.IfModifiedSince(past)}, 200, "0123456789"},
		"not modified":              {[]aliyun.Option{aliyun.IfModifiedSince(future)}, 304, ""},
		"unmodified":                {[]aliyun.Option{aliyun.IfUnmodifiedSince(future)}, 200, "0123456789"},
		"not unmodified":            {[]aliyun.Option{aliyun.IfUnmodifiedSince(past)}, 412, ""},
	} {
		result, err := b.DoGetObject(&aliyun.GetObjectRequest{ObjectKey: "a"}, test.options)
		if err != nil {
			// The SDK has a type of its own for none but answers with a body.
			assert.ErrorContains(t, err, strconv.Itoa(test.status), name)
			continue
		}
		body, err := io.ReadAll(result.Response)
		require.NoError(t, err, name)
		require.NoError(t, result.Response.Close())
		assert.Equal(t, test.status, result.Response.StatusCode, name)
		assert.Equal(t, test.want, string(body), name)
	}
	link, err := b.SignURL("a", aliyun.HTTPGet, 60, aliyun.ResponseContentType("text/x-test"))
	require.NoError(t, err)
	resp, err := http.Get(link) //nolint:noctx // A test on loopback.
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "text/x-test", resp.Header.Get("Content-Type"))
}

func TestAnAppendSucceedsOnlyAtTheEndOfAnAppendableObject(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	_, err := b.AppendObject("claim", strings.NewReader("x"), 1)
	requireCode(t, err, 409, "PositionNotEqualToLength")
	next, err := b.AppendObject("claim", strings.NewReader("one\n"), 0, aliyun.ContentType("application/jsonl"), aliyun.Meta("owner", "a"))
	require.NoError(t, err)
	assert.EqualValues(t, 4, next)
	first := etagOf(t, b, "claim")
	next, err = b.AppendObject("claim", strings.NewReader("two\n"), 4)
	require.NoError(t, err)
	assert.EqualValues(t, 8, next)
	assert.Equal(t, "one\ntwo\n", get(t, b, "claim"))
	h, err := b.GetObjectDetailedMeta("claim")
	require.NoError(t, err)
	assert.Equal(t, "Appendable", h.Get("x-oss-object-type"))
	assert.Equal(t, "8", h.Get("x-oss-next-append-position"))
	assert.Equal(t, "application/jsonl", h.Get("Content-Type"))
	assert.Equal(t, "a", h.Get("x-oss-meta-owner"))
	assert.NotEqual(t, first, h.Get("ETag"))
	assert.Regexp(t, `^"[0-9A-F]{24}0{8}"$`, h.Get("ETag"))
	assert.Equal(t, strconv.FormatUint(crc64.Checksum([]byte("one\ntwo\n"), crc64.MakeTable(crc64.ECMA)), 10), h.Get("x-oss-hash-crc64ecma"))

	for _, position := range []int64{0, 4, 9} {
		var answer http.Header
		_, err = b.AppendObject("claim", strings.NewReader("x"), position, aliyun.GetResponseHeader(&answer))
		requireCode(t, err, 409, "PositionNotEqualToLength")
		assert.Equal(t, "0026-00000016", answerOf(t, err).Ec)
		if answer != nil {
			assert.Equal(t, "8", answer.Get("x-oss-next-append-position"))
		}
	}
	put(t, b, "normal", "12")
	for _, position := range []int64{0, 2} {
		_, err = b.AppendObject("normal", strings.NewReader("x"), position)
		requireCode(t, err, 409, "ObjectNotAppendable")
	}
	_, err = b.CopyObject("claim", "copy")
	requireCode(t, err, 400, "OperationNotSupported")
	require.NoError(t, b.DeleteObject("claim"))
	_, err = b.AppendObject("claim", strings.NewReader("again"), 0)
	require.NoError(t, err)
	// An upload makes it a normal object again.
	put(t, b, "claim", "replaced")
	_, err = b.AppendObject("claim", strings.NewReader("x"), 8)
	requireCode(t, err, 409, "ObjectNotAppendable")
}

func TestOfManyAppendsAtOnePositionOneWins(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"claim", "a//claim"} {
		l := start(t, "")
		b := l.v4(t)
		for round := range int64(3) {
			var won, lost atomic.Int64
			var wait sync.WaitGroup
			for i := range 64 {
				wait.Go(func() {
					_, err := b.AppendObject(key, strings.NewReader(strconv.Itoa(100+i)), 3*round)
					var answer aliyun.ServiceError
					switch {
					case err == nil:
						won.Add(1)
					case errors.As(err, &answer) && answer.Code == "PositionNotEqualToLength":
						lost.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			wait.Wait()
			assert.EqualValues(t, 1, won.Load(), key)
			assert.EqualValues(t, 63, lost.Load(), key)
			assert.Len(t, get(t, b, key), int(3*round+3))
		}
	}
}

func TestOverwritingCanBeForbiddenUnlessTheBucketIsVersioned(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "a", "first", aliyun.ForbidOverWrite(true))
	requireCode(t, b.PutObject("a", strings.NewReader("second"), aliyun.ForbidOverWrite(true)), 409, "FileAlreadyExists")
	assert.Equal(t, "first", get(t, b, "a"))
	put(t, b, "a", "third", aliyun.ForbidOverWrite(false))

	var won atomic.Int64
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			if b.PutObject("new", strings.NewReader("x"), aliyun.ForbidOverWrite(true)) == nil {
				won.Add(1)
			}
		})
	}
	wait.Wait()
	assert.EqualValues(t, 1, won.Load())

	client := l.client(t, signings[2])
	for _, status := range []string{"Enabled", "Suspended"} {
		require.NoError(t, client.SetBucketVersioning(testBucket, aliyun.VersioningConfig{Status: status}))
		got, err := client.GetBucketVersioning(testBucket)
		require.NoError(t, err)
		assert.Equal(t, status, got.Status)
		put(t, b, "a", "overwritten "+status, aliyun.ForbidOverWrite(true))
	}
	require.NoError(t, l.SetVersioning(testBucket, ""))
	requireCode(t, b.PutObject("a", strings.NewReader("x"), aliyun.ForbidOverWrite(true)), 409, "FileAlreadyExists")
	assert.Error(t, l.SetVersioning(testBucket, "On"))
}

func TestACopyKeepsOrReplacesMetadata(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "中 a+b", "content", aliyun.ContentType("text/plain"), aliyun.Meta("a", "1"))
	result, err := b.CopyObject("中 a+b", "copy")
	require.NoError(t, err)
	assert.Equal(t, etagOf(t, b, "中 a+b"), result.ETag)
	h, err := b.GetObjectDetailedMeta("copy")
	require.NoError(t, err)
	assert.Equal(t, "text/plain", h.Get("Content-Type"))
	assert.Equal(t, "1", h.Get("x-oss-meta-a"))
	_, err = b.CopyObject("copy", "copy", aliyun.MetadataDirective(aliyun.MetaReplace), aliyun.Meta("b", "2"))
	require.NoError(t, err)
	h, err = b.GetObjectDetailedMeta("copy")
	require.NoError(t, err)
	assert.Empty(t, h.Get("x-oss-meta-a"))
	assert.Equal(t, "2", h.Get("x-oss-meta-b"))
	assert.Equal(t, "content", get(t, b, "copy"))
	_, err = b.CopyObject("missing", "copy")
	requireCode(t, err, 404, "NoSuchKey")
	_, err = b.CopyObject("copy", "other", aliyun.CopySourceIfMatch(`"0"`))
	requireCode(t, err, 412, "PreconditionFailed")
	assert.Contains(t, l.eventNames(), "ObjectCreated:CopyObject copy")
}

func TestDeletingIsIdempotentAndReportedOnce(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "dir/sub/a", "x")
	require.NoError(t, b.DeleteObject("dir/sub/a"))
	require.NoError(t, b.DeleteObject("dir/sub/a"))
	require.NoError(t, b.DeleteObject("never"))
	_, err := os.Stat(filepath.Join(l.dir, testBucket, "dir"))
	assert.ErrorIs(t, err, os.ErrNotExist, "empty folders go with their last object")
	var keys []string
	for _, key := range nastyKeys {
		// The list of keys is XML, which cannot hold these characters.
		if !strings.ContainsAny(key, "\x00\x7f") {
			put(t, b, key, "x")
			keys = append(keys, key)
		}
	}
	result, err := b.DeleteObjects(append([]string{"missing"}, keys...))
	require.NoError(t, err)
	assert.ElementsMatch(t, append([]string{"missing"}, keys...), result.DeletedObjects)
	left, err := b.ListObjects()
	require.NoError(t, err)
	assert.Empty(t, left.Objects)
	removed := 0
	for _, name := range l.eventNames() {
		if strings.HasPrefix(name, "ObjectRemoved:") {
			removed++
		}
	}
	assert.Equal(t, 1+len(keys), removed)
}

func TestABodyThatBreaksOffLeavesNothing(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "kept", "as it was")
	for _, key := range []string{"kept", "new"} {
		link, err := b.SignURL(key, aliyun.HTTPPut, 60)
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, link, io.MultiReader(strings.NewReader("half"), brokenReader{}))
		require.NoError(t, err)
		req.ContentLength = 100
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			require.NoError(t, resp.Body.Close())
			require.GreaterOrEqual(t, resp.StatusCode, 400)
		}
	}
	assert.Equal(t, "as it was", get(t, b, "kept"))
	exists, err := b.IsObjectExist("new")
	require.NoError(t, err)
	assert.False(t, exists)
	assert.Equal(t, []string{"ObjectCreated:PutObject kept"}, l.eventNames())
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the line is cut") }

func TestWhatIsNotImplementedIsNeverMistakenForAnUpload(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "a", "content")
	requireCode(t, b.PutSymlink("link", "a"), 501, "NotImplemented")
	assert.Equal(t, "content", get(t, b, "a"))
	exists, err := b.IsObjectExist("link")
	require.NoError(t, err)
	assert.False(t, exists)
}

func TestADiskThatCannotBeWrittenGivesAnErrorAndNoHalfObject(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "a", "before")
	// No folder for files on their way: what a full or read-only disk comes to, also for root.
	temp := filepath.Join(l.dir, ".oss", "tmp")
	require.NoError(t, os.RemoveAll(temp))
	require.NoError(t, os.WriteFile(temp, nil, 0o600))
	requireCode(t, b.PutObject("a", strings.NewReader("after")), 500, "InternalError")
	_, err := b.AppendObject("110105194912310021.claim", strings.NewReader("x"), 0)
	requireCode(t, err, 500, "InternalError")
	assert.Equal(t, "before", get(t, b, "a"))
	logs := l.logs.String()
	assert.Contains(t, logs, "the folder of the local OSS cannot be used")
	assert.NotContains(t, logs, "110105194912310021")
	assert.NotContains(t, logs, l.dir)
}

func TestARestartKeepsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	b := l.v4(t)
	for _, key := range nastyKeys {
		put(t, b, key, "content of "+key, aliyun.Meta("a", "1"), aliyun.ContentType("text/x-test"))
	}
	_, err := b.AppendObject("claim", strings.NewReader("one"), 0)
	require.NoError(t, err)
	upload, err := b.InitiateMultipartUpload("large")
	require.NoError(t, err)
	part, err := b.UploadPart(upload, strings.NewReader("part"), 4, 1)
	require.NoError(t, err)
	before, err := b.ListObjectsV2(aliyun.MaxKeys(1000))
	require.NoError(t, err)

	// A process that ended while it wrote.
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".oss", "tmp", "left"), []byte("half"), 0o600))
	again := start(t, dir)
	b = again.v4(t)
	after, err := b.ListObjectsV2(aliyun.MaxKeys(1000))
	require.NoError(t, err)
	assert.Equal(t, before.Objects, after.Objects)
	for _, key := range nastyKeys {
		assert.Equal(t, "content of "+key, get(t, b, key))
		h, err := b.GetObjectDetailedMeta(key)
		require.NoError(t, err)
		assert.Equal(t, "1", h.Get("x-oss-meta-a"), key)
		assert.Equal(t, "text/x-test", h.Get("Content-Type"), key)
	}
	next, err := b.AppendObject("claim", strings.NewReader("two"), 3)
	require.NoError(t, err)
	assert.EqualValues(t, 6, next)
	_, err = b.CompleteMultipartUpload(upload, []aliyun.UploadPart{part})
	require.NoError(t, err)
	assert.Equal(t, "part", get(t, b, "large"))
	left, err := os.ReadDir(filepath.Join(dir, ".oss", "tmp"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestKeysThatFoldersCannotHoldSideBySideAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	b := l.v4(t)
	for _, key := range []string{"a", "a/b", "a/b/c", "x/y", "x", "a/"} {
		put(t, b, key, "content of "+key)
	}
	b = start(t, dir).v4(t)
	listed, err := b.ListObjectsV2()
	require.NoError(t, err)
	var keys []string
	for _, o := range listed.Objects {
		keys = append(keys, o.Key)
		assert.Equal(t, "content of "+o.Key, get(t, b, o.Key))
	}
	assert.Equal(t, []string{"a", "a/", "a/b", "a/b/c", "x", "x/y"}, keys)
}

func TestAFileCopiedIntoTheFolderIsAnObject(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	folder := filepath.Join(l.dir, testBucket)
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "2026"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "2026", "a.png"), picture(t), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "b.jpg.crdownload"), []byte("half"), 0o600))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(folder, "link")))
	h, err := b.GetObjectDetailedMeta("2026/a.png")
	require.NoError(t, err)
	assert.Equal(t, "image/png", h.Get("Content-Type"))
	assert.Regexp(t, `^"[0-9A-F]{32}"$`, h.Get("ETag"))
	assert.Equal(t, string(picture(t)), get(t, b, "2026/a.png"))
	for _, key := range []string{"b.jpg.crdownload", "link"} {
		_, err = b.GetObject(key)
		requireCode(t, err, 404, "NoSuchKey")
	}
	listed, err := b.ListObjectsV2()
	require.NoError(t, err)
	require.Len(t, listed.Objects, 1)
	// A file changed by hand is another object.
	require.NoError(t, os.WriteFile(filepath.Join(folder, "2026", "a.png"), []byte("changed"), 0o600))
	assert.NotEqual(t, h.Get("ETag"), etagOf(t, b, "2026/a.png"))
	assert.Equal(t, "changed", get(t, b, "2026/a.png"))
}

func TestNothingOutsideOfTheFolderIsReached(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	l := start(t, filepath.Join(parent, "data"))
	b := l.v4(t)
	require.NoError(t, os.WriteFile(filepath.Join(parent, "secret"), []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(parent, filepath.Join(l.dir, testBucket, "up")))
	for _, key := range []string{"../../secret", "up/secret", "../.oss/tmp"} {
		_, err := b.GetObject(key)
		require.GreaterOrEqual(t, answerOf(t, err).StatusCode, 400, key)
	}
	require.NoError(t, b.PutObject("../../secret", strings.NewReader("changed")))
	_ = b.PutObject("up/secret", strings.NewReader("changed"))
	content, err := os.ReadFile(filepath.Join(parent, "secret"))
	require.NoError(t, err)
	assert.Equal(t, "secret", string(content))
}

func TestAnEventIsWhatTheTriggerDelivers(t *testing.T) {
	t.Parallel()
	e := ossfake.Event{
		Name: "ObjectCreated:PutObject", Bucket: "cards", Key: "2026/中 a+b.jpg", ETag: "7D73E1052AF595535DE90994F4C3E6D5", Size: 29203, DeltaSize: 29203,
		ContentType: "image/jpeg", Time: time.Date(2022, 6, 10, 6, 21, 35, 0, time.UTC), Region: "cn-shenzhen", RequestID: "62A2E2EFD0DEFE3930847A6E", SourceIP: "127.0.0.1",
	}
	assert.JSONEq(t, `{"events":[{"eventName":"ObjectCreated:PutObject","eventSource":"acs:oss","eventTime":"2022-06-10T06:21:35.000Z","eventVersion":"1.0",
		"oss":{"bucket":{"arn":"acs:oss:cn-shenzhen:1000000000000001:cards","name":"cards","ownerIdentity":"1000000000000001","virtualBucket":""},
		"object":{"deltaSize":29203,"eTag":"7D73E1052AF595535DE90994F4C3E6D5","key":"2026/中 a+b.jpg","objectMeta":{"mimeType":"image/jpeg"},"size":29203},
		"ossSchemaVersion":"1.0","ruleId":"sandbox"},"region":"cn-shenzhen","requestParameters":{"sourceIPAddress":"127.0.0.1"},
		"responseElements":{"requestId":"62A2E2EFD0DEFE3930847A6E"},"userIdentity":{"principalId":"1000000000000001"}}]}`, string(e.JSON()))

	l := start(t, "")
	put(t, l.v4(t), "a.jpg", "12345", aliyun.ContentType("image/jpeg"))
	put(t, l.v4(t), "a.jpg", "123")
	require.Len(t, l.events, 2)
	assert.EqualValues(t, 5, l.events[0].DeltaSize)
	assert.EqualValues(t, -2, l.events[1].DeltaSize)
	assert.Equal(t, "image/jpeg", l.events[0].ContentType)
	assert.Equal(t, strings.Trim(etagOf(t, l.v4(t), "a.jpg"), `"`), l.events[1].ETag)
	assert.Equal(t, testRegion, l.events[0].Region)
	assert.False(t, bytes.Contains(l.events[0].JSON(), []byte("oss:Object")))
}
