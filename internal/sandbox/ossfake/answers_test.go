package ossfake_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/sandbox/ossfake"

	sdk2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The answers here are those that the tests of the official SDKs expect; see the table in docs/sandbox.md.

// do sends any request, signed by the SDK.
func do(t *testing.T, b *aliyun.Bucket, method, key string, params map[string]any, headers map[string]string, body string) (*aliyun.Response, error) {
	t.Helper()
	return b.Client.Conn.Do(method, testBucket, key, params, headers, strings.NewReader(body), 0, nil)
}

func TestMultipartAnswersNameETagAndMD5(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "source", "content")
	upload, err := b.InitiateMultipartUpload("big", aliyun.ServerSideEncryption("AES256"))
	require.NoError(t, err)
	assert.Len(t, upload.UploadID, 32)
	var answer http.Header
	part, err := b.UploadPartCopy(upload, testBucket, "source", 0, 7, 1, aliyun.GetResponseHeader(&answer))
	require.NoError(t, err)
	assert.Equal(t, part.ETag, answer.Get("ETag"), "the ETag is not in the document only")
	part, err = b.UploadPart(upload, strings.NewReader("content"), 7, 1, aliyun.GetResponseHeader(&answer))
	require.NoError(t, err)
	sum := md5.Sum([]byte("content"))
	assert.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), answer.Get("Content-MD5"))
	done, err := b.CompleteMultipartUpload(upload, []aliyun.UploadPart{part})
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf(`"%X-1"`, md5.Sum(fmt.Appendf(nil, "%X", sum))), done.ETag)
	h, err := b.GetObjectDetailedMeta("big")
	require.NoError(t, err)
	assert.Empty(t, h.Get("Content-MD5"))
	h, err = b.GetObjectDetailedMeta("source")
	require.NoError(t, err)
	assert.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), h.Get("Content-MD5"))

	upload, err = b.InitiateMultipartUpload("empty")
	require.NoError(t, err)
	_, err = do(t, b, "POST", "empty", map[string]any{"uploadId": upload.UploadID}, map[string]string{"x-oss-complete-all": "yes"}, "<CompleteMultipartUpload/>")
	requireCode(t, err, 400, "InvalidArgument")
	assert.ErrorContains(t, err, "0042-00000216")
	_, err = b.CompleteMultipartUpload(upload, nil)
	require.NoError(t, err)
	assert.Empty(t, get(t, b, "empty"))

	for operation, test := range map[string]struct {
		method, key string
		params      map[string]any
		ec          string
	}{
		"UploadPart": {"PUT", "big", map[string]any{"partNumber": "1"}, "0042-00000104"},
		"ListParts":  {"GET", "big", map[string]any{}, "0042-00000002"},
		"Abort":      {"DELETE", "big", map[string]any{}, "0042-00000002"},
	} {
		test.params["uploadId"] = strings.Repeat("0", 32)
		_, err := do(t, b, test.method, test.key, test.params, nil, "")
		requireCode(t, err, 404, "NoSuchUpload")
		assert.ErrorContains(t, err, test.ec, operation)
	}
}

func TestASequentialUploadHasAnMD5(t *testing.T) {
	t.Parallel()
	b := start(t, "").v4(t)
	upload, err := b.InitiateMultipartUpload("big", aliyun.Sequential())
	require.NoError(t, err)
	part, err := b.UploadPart(upload, strings.NewReader("content"), 7, 1)
	require.NoError(t, err)
	_, err = b.CompleteMultipartUpload(upload, []aliyun.UploadPart{part}, aliyun.ObjectACL(aliyun.ACLPrivate))
	require.NoError(t, err)
	h, err := b.GetObjectDetailedMeta("big")
	require.NoError(t, err)
	sum := md5.Sum([]byte("content"))
	assert.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), h.Get("Content-MD5"))
	acl, err := b.GetObjectACL("big")
	require.NoError(t, err)
	assert.Equal(t, "private", acl.ACL)
}

func TestUploadsAreFoldedByADelimiter(t *testing.T) {
	t.Parallel()
	b := start(t, "").v4(t)
	for _, key := range []string{"a", "d/1", "d/2", "e/1"} {
		_, err := b.InitiateMultipartUpload(key)
		require.NoError(t, err)
	}
	var keys, prefixes []string
	marker, idMarker := "", ""
	for {
		page, err := b.ListMultipartUploads(aliyun.Delimiter("/"), aliyun.MaxUploads(1), aliyun.KeyMarker(marker), aliyun.UploadIDMarker(idMarker))
		require.NoError(t, err)
		for _, u := range page.Uploads {
			keys = append(keys, u.Key)
		}
		prefixes = append(prefixes, page.CommonPrefixes...)
		if !page.IsTruncated {
			break
		}
		marker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
	assert.Equal(t, []string{"a"}, keys)
	assert.Equal(t, []string{"d/", "e/"}, prefixes)
}

// XML 1.0 has no control characters, but the service reads and writes them as references all the same.
func TestControlCharactersInKeysSurviveXML(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	for _, key := range []string{"a\x01b", "c\x1f\ue000", "tab\t"} {
		put(t, b, key, "x")
	}
	response, err := do(t, b, "GET", "", nil, nil, "")
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	body := string(content)
	assert.Contains(t, body, "<Key>a&#1;b</Key>")
	assert.Contains(t, body, "<Key>c&#31;\ue000</Key>")
	_, err = do(t, b, "POST", "", map[string]any{"delete": nil}, nil,
		"<Delete><Object><Key>a&#1;b</Key></Object><Object><Key>c&#x1F;\ue000</Key></Object><Object><Key>tab&#9;</Key></Object></Delete>")
	require.NoError(t, err)
	listed, err := b.ListObjectsV2()
	require.NoError(t, err)
	assert.Empty(t, listed.Objects)
}

func TestErrorsAreThoseOfTheService(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "a", "x")
	stranger := ossfake.Credentials{AccessKeyID: "nobody", AccessKeySecret: "x"}
	_, err := l.bucket(t, signing{"", aliyun.AuthV4, stranger}).GetObject("a")
	requireCode(t, err, 403, "InvalidAccessKeyId")
	elsewhere, err := l.client(t, signing{"", aliyun.AuthV4, stranger}).Bucket("no-such-bucket")
	require.NoError(t, err)
	_, err = elsewhere.GetObject("a")
	requireCode(t, err, 404, "NoSuchBucket")

	for name, test := range map[string]struct {
		method, key string
		params      map[string]any
		headers     map[string]string
		status      int
		code        string
	}{
		"processing by POST":       {"POST", "a", map[string]any{"x-oss-process": "image/info"}, nil, 501, "NotImplemented"},
		"an unknown sub-resource":  {"GET", "", map[string]any{"accessmonitor": nil}, nil, 501, "NotImplemented"},
		"a condition on an upload": {"PUT", "a", nil, map[string]string{"If-Modified-Since": "Mon, 02 Jan 2006 15:04:05 GMT"}, 501, "NotImplemented"},
		"a callback":               {"PUT", "a", nil, map[string]string{"x-oss-callback": "e30="}, 501, "NotImplemented"},
		"no traffic limit":         {"GET", "a", nil, map[string]string{"x-oss-traffic-limit": "fast"}, 400, "InvalidArgument"},
		"an unknown ACL":           {"PUT", "a", nil, map[string]string{"x-oss-object-acl": "open"}, 400, "InvalidArgument"},
		"overlapping rules":        {"PUT", "", map[string]any{"lifecycle": nil}, nil, 400, "InvalidArgument"},
	} {
		body := ""
		if test.params != nil && strings.HasPrefix(name, "overlapping") {
			rule := "<Rule><Prefix>%s</Prefix><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
			body = fmt.Sprintf("<LifecycleConfiguration>"+rule+rule+"</LifecycleConfiguration>", "a", "a/b")
		}
		_, err := do(t, b, test.method, test.key, test.params, test.headers, body)
		require.Error(t, err, name)
		requireCode(t, err, test.status, test.code)
	}
	assert.Equal(t, "x", get(t, b, "a"))
	status, body := fetch(t, http.MethodGet, l.url+"/"+testBucket+"/a")
	assert.Equal(t, 403, status)
	assert.Contains(t, body, "<RecommendDoc>https://api.aliyun.com/troubleshoot?q=0003-00000001</RecommendDoc>")
}

func TestAPresignedURLNeedsItsAdditionalHeaders(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	put(t, l.v4(t), "a", "x")
	client := sdk2.NewClient(sdk2.LoadDefaultConfig().WithRegion(testRegion).WithEndpoint(l.url).WithUsePathStyle(true).
		WithCredentialsProvider(credentials.NewStaticCredentialsProvider(longTerm.AccessKeyID, longTerm.AccessKeySecret)).
		WithAdditionalHeaders([]string{"name"}))
	signed, err := client.Presign(t.Context(), &sdk2.GetObjectRequest{Bucket: sdk2.Ptr(testBucket), Key: sdk2.Ptr("a"),
		RequestCommon: sdk2.RequestCommon{Headers: map[string]string{"name": "one"}}})
	require.NoError(t, err)
	status, _ := fetch(t, http.MethodGet, signed.URL, "name", "one")
	assert.Equal(t, 200, status)
	status, _ = fetch(t, http.MethodGet, signed.URL, "name", "two")
	assert.Equal(t, 403, status)
	status, body := fetch(t, http.MethodGet, signed.URL)
	assert.Equal(t, 400, status)
	assert.Contains(t, body, "InvalidArgument")
}

func TestBucketsHaveTagsByWhichTheyAreListed(t *testing.T) {
	t.Parallel()
	l := start(t, "", func(c *ossfake.Config) { c.Buckets = append(c.Buckets, "other") })
	client := l.client(t, signings[2])
	require.NoError(t, client.SetBucketTagging(testBucket, aliyun.Tagging{Tags: []aliyun.Tag{{Key: "k", Value: "v"}}}))
	names := func(options ...aliyun.Option) (out []string) {
		listed, err := client.ListBuckets(options...)
		require.NoError(t, err)
		for _, b := range listed.Buckets {
			out = append(out, b.Name)
		}
		return out
	}
	assert.Equal(t, []string{testBucket, "other"}, names())
	assert.Equal(t, []string{testBucket}, names(aliyun.TagKey("k")))
	assert.Equal(t, []string{testBucket}, names(aliyun.TagKey("k"), aliyun.TagValue("v")))
	assert.Empty(t, names(aliyun.TagKey("k"), aliyun.TagValue("w")))
	got, err := client.GetBucketTagging(testBucket)
	require.NoError(t, err)
	assert.Equal(t, "v", got.Tags[0].Value)
	require.NoError(t, client.DeleteBucketTagging(testBucket))
	assert.Empty(t, names(aliyun.TagKey("k")))
	channels, err := l.v4(t).ListLiveChannel()
	require.NoError(t, err)
	assert.Empty(t, channels.LiveChannel)
	info, err := client.GetBucketInfo(testBucket)
	require.NoError(t, err)
	assert.Equal(t, "oss-cn-hangzhou.aliyuncs.com oss-cn-hangzhou-internal.aliyuncs.com", info.BucketInfo.ExtranetEndpoint+" "+info.BucketInfo.IntranetEndpoint)
}
