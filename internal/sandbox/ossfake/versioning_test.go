package ossfake_test

import (
	"net/http"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/sandbox/ossfake"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// putVersion uploads and returns the version.
func putVersion(t *testing.T, b *aliyun.Bucket, key, content string, options ...aliyun.Option) string {
	t.Helper()
	var answer http.Header
	put(t, b, key, content, append(options, aliyun.GetResponseHeader(&answer))...)
	return answer.Get("x-oss-version-id")
}

func versions(t *testing.T, b *aliyun.Bucket, options ...aliyun.Option) (listed []string) {
	t.Helper()
	result, err := b.ListObjectVersions(options...)
	require.NoError(t, err)
	for _, v := range result.ObjectVersions {
		listed = append(listed, v.Key+" "+v.VersionId+map[bool]string{true: " latest"}[v.IsLatest])
	}
	for _, v := range result.ObjectDeleteMarkers {
		listed = append(listed, v.Key+" "+v.VersionId+" marker"+map[bool]string{true: " latest"}[v.IsLatest])
	}
	return listed
}

func TestAVersionedBucketKeepsWhatIsOverwrittenAndRemoved(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"2026/a.jpg", "a//escaped.jpg"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			l := start(t, "")
			b := l.v4(t)
			assert.Empty(t, putVersion(t, b, key, "zero"), "no version before versioning")
			require.NoError(t, l.SetVersioning(testBucket, "Enabled"))
			one := putVersion(t, b, key, "one", aliyun.Meta("n", "1"))
			two := putVersion(t, b, key, "two")
			assert.NotEqual(t, one, two)
			assert.Equal(t, []string{key + " " + two + " latest", key + " " + one, key + " null"}, versions(t, b))
			for id, content := range map[string]string{"null": "zero", one: "one", two: "two"} {
				assert.Equal(t, content, get(t, b, key, aliyun.VersionId(id)))
				h, err := b.GetObjectDetailedMeta(key, aliyun.VersionId(id))
				require.NoError(t, err)
				if id != "null" {
					assert.Equal(t, id, h.Get("x-oss-version-id"))
				}
				assert.NotEmpty(t, h.Get("x-oss-hash-crc64ecma"))
				link, err := b.SignURL(key, aliyun.HTTPGet, 60, aliyun.VersionId(id))
				require.NoError(t, err)
				status, body := fetch(t, http.MethodGet, link)
				assert.Equal(t, 200, status)
				assert.Equal(t, content, body)
			}
			h, err := b.GetObjectDetailedMeta(key, aliyun.VersionId(one))
			require.NoError(t, err)
			assert.Equal(t, "1", h.Get("x-oss-meta-n"))
			_, err = b.GetObject(key, aliyun.VersionId("CAEQnone"))
			requireCode(t, err, 404, "NoSuchVersion")

			var answer http.Header
			require.NoError(t, b.DeleteObject(key, aliyun.GetResponseHeader(&answer)))
			marker := answer.Get("x-oss-version-id")
			assert.Equal(t, "true", answer.Get("x-oss-delete-marker"))
			_, err = b.GetObject(key)
			requireCode(t, err, 404, "NoSuchKey")
			_, err = b.GetObject(key, aliyun.VersionId(marker))
			requireCode(t, err, 405, "MethodNotAllowed")
			assert.Equal(t, "two", get(t, b, key, aliyun.VersionId(two)))
			listed, err := b.ListObjectsV2()
			require.NoError(t, err)
			assert.Empty(t, listed.Objects)

			require.NoError(t, b.DeleteObject(key, aliyun.VersionId(marker)))
			assert.Equal(t, "two", get(t, b, key), "without its delete marker it is back")
			require.NoError(t, b.DeleteObject(key, aliyun.VersionId(two)))
			assert.Equal(t, "one", get(t, b, key), "the newest of the others becomes the current one")
			assert.Equal(t, []string{key + " " + one + " latest", key + " null"}, versions(t, b))
			requireCode(t, l.client(t, signings[2]).DeleteBucket(testBucket), 409, "BucketNotEmpty")
			for _, id := range []string{one, "null"} {
				require.NoError(t, b.DeleteObject(key, aliyun.VersionId(id)))
			}
			assert.Empty(t, versions(t, b))
			require.NoError(t, l.client(t, signings[2]).DeleteBucket(testBucket))
		})
	}
}

func TestASuspendedBucketHasOneNullVersion(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	require.NoError(t, l.SetVersioning(testBucket, "Enabled"))
	one := putVersion(t, b, "a", "one")
	require.NoError(t, l.SetVersioning(testBucket, "Suspended"))
	assert.Equal(t, "null", putVersion(t, b, "a", "two"))
	assert.Equal(t, "null", putVersion(t, b, "a", "three"))
	assert.Equal(t, []string{"a null latest", "a " + one}, versions(t, b))
	require.NoError(t, b.DeleteObject("a"))
	assert.Equal(t, []string{"a " + one, "a null marker latest"}, versions(t, b))
	_, err := b.GetObject("a", aliyun.VersionId("null"))
	requireCode(t, err, 405, "MethodNotAllowed")
	put(t, b, "a", "four")
	assert.Equal(t, []string{"a null latest", "a " + one}, versions(t, b))
}

func TestVersionsAreListedInPages(t *testing.T) {
	t.Parallel()
	l := start(t, "", func(c *ossfake.Config) { c.Versioning = true })
	b := l.v4(t)
	var want []string
	for _, key := range []string{"a", "b", "d/1", "d/2"} {
		older := putVersion(t, b, key, "older")
		want = append(want, key+" "+putVersion(t, b, key, "newer")+" latest", key+" "+older)
	}
	var got []string
	var keyMarker, idMarker string
	for {
		page, err := b.ListObjectVersions(aliyun.MaxKeys(3), aliyun.KeyMarker(keyMarker), aliyun.VersionIdMarker(idMarker))
		require.NoError(t, err)
		for _, v := range page.ObjectVersions {
			got = append(got, v.Key+" "+v.VersionId+map[bool]string{true: " latest"}[v.IsLatest])
		}
		if !page.IsTruncated {
			break
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextVersionIdMarker
	}
	assert.Equal(t, want, got)
	page, err := b.ListObjectVersions(aliyun.Delimiter("/"), aliyun.Prefix(""))
	require.NoError(t, err)
	assert.Equal(t, []string{"d/"}, page.CommonPrefixes)
	assert.Len(t, page.ObjectVersions, 4)
}

func TestAnAppendMakesNoVersionAndStartsAnewBehindADeleteMarker(t *testing.T) {
	t.Parallel()
	l := start(t, "", func(c *ossfake.Config) { c.Versioning = true })
	b := l.v4(t)
	next, err := b.AppendObject("claim", strings.NewReader("one\n"), 0)
	require.NoError(t, err)
	_, err = b.AppendObject("claim", strings.NewReader("two\n"), next)
	require.NoError(t, err)
	assert.Len(t, versions(t, b), 1)
	require.NoError(t, b.DeleteObject("claim"))
	_, err = b.AppendObject("claim", strings.NewReader("x"), 8)
	requireCode(t, err, 409, "PositionNotEqualToLength")
	_, err = b.AppendObject("claim", strings.NewReader("three\n"), 0)
	require.NoError(t, err)
	assert.Equal(t, "three\n", get(t, b, "claim"))
	assert.Len(t, versions(t, b), 3)
	_, err = b.Client.Conn.Do(http.MethodPost, testBucket, "claim", map[string]any{"append": nil, "position": "6", "versionId": "null"}, nil, strings.NewReader("x"), 0, nil)
	requireCode(t, err, 400, "InvalidArgument")
}

func TestVersionsAndSettingsOutliveTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	require.NoError(t, l.ChangeBucket(testBucket, func(b *ossfake.BucketSettings) { b.Versioning, b.StorageClass = "Enabled", "IA" }))
	one := putVersion(t, l.v4(t), "a", "one")
	putVersion(t, l.v4(t), "a", "two")
	again := start(t, dir)
	assert.Equal(t, "one", get(t, again.v4(t), "a", aliyun.VersionId(one)))
	assert.Equal(t, ossfake.BucketSettings{Versioning: "Enabled", StorageClass: "IA", ACL: "private"}, again.Bucket(testBucket))
}

func TestTheVersionNeedsAPermissionOfItsOwn(t *testing.T) {
	t.Parallel()
	policy, err := ossfake.ParsePolicy([]byte(`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}]}`))
	require.NoError(t, err)
	l := start(t, "", func(c *ossfake.Config) { c.Versioning, c.Policy = true, policy })
	id := putVersion(t, l.v4(t), "a", "one")
	b := l.bucket(t, signings[3])
	assert.Equal(t, "one", get(t, b, "a"))
	_, err = b.GetObject("a", aliyun.VersionId(id))
	requireCode(t, err, 403, "AccessDenied")
}
