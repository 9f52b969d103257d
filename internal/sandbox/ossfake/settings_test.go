package ossfake_test

import (
	"hash/crc64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/ossfake"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// change changes the settings of the test's bucket.
func (l *local) change(t *testing.T, change func(*ossfake.BucketSettings)) {
	t.Helper()
	require.NoError(t, l.ChangeBucket(testBucket, change))
}

func crcOf(content string) string {
	return strconv.FormatUint(crc64.Checksum([]byte(content), crc64.MakeTable(crc64.ECMA)), 10)
}

func TestAnAppendAnswersTheChecksumOfTheWholeObject(t *testing.T) {
	t.Parallel()
	b := start(t, "").v4(t)
	var answer http.Header
	next, err := b.AppendObject("claim", strings.NewReader("one\n"), 0, aliyun.GetResponseHeader(&answer), aliyun.ObjectStorageClass(aliyun.StorageIA))
	require.NoError(t, err)
	assert.Equal(t, crcOf("one\n"), answer.Get("x-oss-hash-crc64ecma"))
	_, err = b.AppendObject("claim", strings.NewReader("two\n"), next, aliyun.GetResponseHeader(&answer))
	require.NoError(t, err)
	assert.Equal(t, crcOf("one\ntwo\n"), answer.Get("x-oss-hash-crc64ecma"))
	h, err := b.GetObjectDetailedMeta("claim")
	require.NoError(t, err)
	assert.Equal(t, "IA", h.Get("x-oss-storage-class"))
	assert.Equal(t, crcOf("one\ntwo\n"), h.Get("x-oss-hash-crc64ecma"))
}

// https://help.aliyun.com/zh/oss/developer-reference/appendobject
func TestAnAppendIsRefusedWhereTheBucketDoesNotAllowIt(t *testing.T) {
	t.Parallel()
	ownKey := ossfake.Encryption{Algorithm: "KMS", KMSKeyID: "key-1"}
	for name, test := range map[string]struct {
		change  func(*ossfake.BucketSettings)
		options []aliyun.Option
		status  int
		code    string
	}{
		"plain":                      {func(*ossfake.BucketSettings) {}, nil, 200, ""},
		"KMS with an own key":        {func(b *ossfake.BucketSettings) { b.Encryption = ownKey }, nil, 400, "InvalidEncryptionRequest"},
		"overruled by the request":   {func(b *ossfake.BucketSettings) { b.Encryption = ownKey }, []aliyun.Option{aliyun.ServerSideEncryption("AES256")}, 200, ""},
		"KMS with the service's key": {func(b *ossfake.BucketSettings) { b.Encryption.Algorithm = "KMS" }, nil, 200, ""},
		"an own key by header":       {func(*ossfake.BucketSettings) {}, []aliyun.Option{aliyun.ServerSideEncryption("KMS"), aliyun.ServerSideEncryptionKeyID("key-1")}, 400, "InvalidEncryptionRequest"},
		"an Archive bucket":          {func(b *ossfake.BucketSettings) { b.StorageClass = "Archive" }, nil, 400, "OperationNotSupported"},
		"Standard by header":         {func(b *ossfake.BucketSettings) { b.StorageClass = "Archive" }, []aliyun.Option{aliyun.ObjectStorageClass(aliyun.StorageStandard)}, 200, ""},
		"a Cold Archive bucket":      {func(b *ossfake.BucketSettings) { b.StorageClass = "ColdArchive" }, nil, 400, "InvalidArgument"},
		"Cold Archive by header":     {func(*ossfake.BucketSettings) {}, []aliyun.Option{aliyun.ObjectStorageClass(aliyun.StorageColdArchive)}, 400, "InvalidArgument"},
		"retention, a new object":    {func(b *ossfake.BucketSettings) { b.RetentionDays = 1 }, nil, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t, "")
			l.change(t, test.change)
			b := l.v4(t)
			next, err := b.AppendObject("claim", strings.NewReader("one\n"), 0, test.options...)
			if test.code != "" {
				requireCode(t, err, test.status, test.code)
				return
			}
			require.NoError(t, err)
			_, err = b.AppendObject("claim", strings.NewReader("two\n"), next, test.options...)
			if strings.HasPrefix(name, "retention") {
				requireCode(t, err, 409, "FileImmutable")
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestRetentionKeepsObjectsForItsDays(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	l.change(t, func(b *ossfake.BucketSettings) { b.RetentionDays = 30 })
	b := l.v4(t)
	put(t, b, "a", "one")
	requireCode(t, b.PutObject("a", strings.NewReader("two")), 409, "FileImmutable")
	requireCode(t, b.DeleteObject("a"), 409, "FileImmutable")
	assert.Equal(t, "one", get(t, b, "a"))
	l.setAhead(31 * 24 * time.Hour)
	b = l.v4(t)
	_, err := b.GetObject("a")
	requireCode(t, err, 403, "RequestTimeTooSkewed")
	l.setAhead(0)
	l.change(t, func(b *ossfake.BucketSettings) { b.Versioning = "Enabled" })
	id := putVersion(t, b, "a", "two")
	require.NoError(t, b.DeleteObject("a"))
	requireCode(t, b.DeleteObject("a", aliyun.VersionId(id)), 409, "FileImmutable")
}

func TestAnArchivedObjectIsReadAfterItsRestoration(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "a.jpg", "content", aliyun.ObjectStorageClass(aliyun.StorageArchive))
	restore := func() string {
		h, err := b.GetObjectDetailedMeta("a.jpg")
		require.NoError(t, err, "the metadata can always be read")
		assert.Equal(t, "Archive", h.Get("x-oss-storage-class"))
		return h.Get("x-oss-restore")
	}
	assert.Empty(t, restore())
	_, err := b.GetObject("a.jpg")
	requireCode(t, err, 403, "InvalidObjectState")
	_, err = b.CopyObject("a.jpg", "b.jpg")
	requireCode(t, err, 403, "InvalidObjectState")
	link, err := b.SignURL("a.jpg", aliyun.HTTPGet, 60, aliyun.Process("image/format,png"))
	require.NoError(t, err)
	status, body := fetch(t, http.MethodGet, link)
	assert.Equal(t, 403, status)
	assert.Contains(t, body, "InvalidObjectState")

	require.NoError(t, b.RestoreObject("a.jpg"))
	assert.Equal(t, `ongoing-request="true"`, restore())
	requireCode(t, b.RestoreObject("a.jpg"), 409, "RestoreAlreadyInProgress")
	_, err = b.GetObject("a.jpg")
	requireCode(t, err, 403, "InvalidObjectState")
	l.setAhead(61 * time.Second)
	assert.Contains(t, restore(), `ongoing-request="false", expiry-date="`)
	assert.Equal(t, "content", get(t, b, "a.jpg"))
	require.NoError(t, b.RestoreObject("a.jpg"), "it lives longer")

	put(t, b, "s.jpg", "content")
	requireCode(t, b.RestoreObject("s.jpg"), 400, "OperationNotSupported")
	requireCode(t, b.PutObject("x", strings.NewReader(""), aliyun.ObjectStorageClass("Frozen")), 400, "InvalidArgument")
	l.change(t, func(b *ossfake.BucketSettings) { b.RestoreSeconds, b.StorageClass = 2, "DeepColdArchive" })
	put(t, b, "c.jpg", "content")
	require.NoError(t, b.RestoreObjectDetail("c.jpg", aliyun.RestoreConfiguration{Days: 2, Tier: "Standard"}))
	l.setAhead(64 * time.Second)
	assert.Equal(t, "content", get(t, b, "c.jpg"))
}

// tagsOf returns an object's tags as key=value.
func tagsOf(t *testing.T, b *aliyun.Bucket, key string) []string {
	t.Helper()
	got, err := b.GetObjectTagging(key)
	require.NoError(t, err)
	tags := []string{}
	for _, tag := range got.Tags {
		tags = append(tags, tag.Key+"="+tag.Value)
	}
	return tags
}

func TestTagsAreKeptAndNeedAPermissionOfTheirOwn(t *testing.T) {
	t.Parallel()
	policy, err := ossfake.ParsePolicy([]byte(`{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject","oss:GetObject"],"Resource":"*"},
		{"Effect":"Allow","Action":"oss:PutObjectTagging","Resource":"acs:oss:*:*:cards/tagged/*"}]}`))
	require.NoError(t, err)
	l := start(t, "", func(c *ossfake.Config) { c.Policy = policy })
	owner, b := l.v4(t), l.bucket(t, signings[3])
	tags := aliyun.Tagging{Tags: []aliyun.Tag{{Key: "fc-idcard-ocr", Value: "document"}, {Key: "类", Value: "a+b ="}}}
	put(t, b, "tagged/a", "content", aliyun.SetTagging(tags))
	both := []string{"fc-idcard-ocr=document", "类=a+b ="}
	assert.Equal(t, both, tagsOf(t, owner, "tagged/a"))
	h, err := b.GetObjectDetailedMeta("tagged/a")
	require.NoError(t, err)
	assert.Equal(t, "2", h.Get("x-oss-tagging-count"))
	requireCode(t, b.PutObject("a", strings.NewReader("x"), aliyun.SetTagging(tags)), 403, "AccessDenied")
	_, err = b.AppendObject("a", strings.NewReader("x"), 0, aliyun.SetTagging(tags))
	requireCode(t, err, 403, "AccessDenied")
	_, err = b.GetObjectTagging("tagged/a")
	requireCode(t, err, 403, "AccessDenied")

	_, err = owner.CopyObject("tagged/a", "copy")
	require.NoError(t, err)
	assert.Equal(t, both, tagsOf(t, owner, "copy"))
	require.NoError(t, owner.PutObjectTagging("copy", aliyun.Tagging{Tags: []aliyun.Tag{{Key: "k", Value: "v"}}}))
	assert.Equal(t, []string{"k=v"}, tagsOf(t, owner, "copy"))
	require.NoError(t, owner.DeleteObjectTagging("copy"))
	assert.Empty(t, tagsOf(t, owner, "copy"))
	assert.Equal(t, "content", get(t, owner, "copy"))
	requireCode(t, owner.PutObject("a", strings.NewReader("x"), aliyun.SetHeader("x-oss-tagging", "k=1&k=2")), 400, "InvalidTag")
	requireCode(t, owner.PutObject("a", strings.NewReader("x"), aliyun.SetHeader("x-oss-tagging", "a%21=1")), 400, "InvalidTag")
	requireCode(t, owner.PutObject("a", strings.NewReader("x"), aliyun.SetHeader("x-oss-tagging", strings.Repeat("k=1&", 10)+"k=1")), 400, "BadRequest")
}

func TestAnACLOpensWhatPublicAccessIsAllowedTo(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b, client := l.v4(t), l.client(t, signings[2])
	put(t, b, "a", "content")
	requireCode(t, b.SetObjectACL("a", aliyun.ACLPublicRead), 403, "AccessDenied")
	requireCode(t, client.SetBucketACL(testBucket, aliyun.ACLPublicRead), 403, "AccessDenied")
	requireCode(t, b.SetObjectACL("a", "open"), 400, "InvalidArgument")
	require.NoError(t, b.SetObjectACL("a", aliyun.ACLPrivate))
	got, err := b.GetObjectACL("a")
	require.NoError(t, err)
	assert.Equal(t, "private", got.ACL)
	url := l.url + "/" + testBucket + "/a"
	status, _ := fetch(t, http.MethodGet, url)
	assert.Equal(t, 403, status)

	l.change(t, func(b *ossfake.BucketSettings) { b.AllowPublicAccess = true })
	require.NoError(t, b.SetObjectACL("a", aliyun.ACLPublicRead))
	status, body := fetch(t, http.MethodGet, url)
	assert.Equal(t, 200, status)
	assert.Equal(t, "content", body)
	status, _ = fetch(t, http.MethodDelete, url)
	assert.Equal(t, 403, status)
	put(t, b, "b", "content")
	status, _ = fetch(t, http.MethodGet, l.url+"/"+testBucket+"/b")
	assert.Equal(t, 403, status)
	require.NoError(t, client.SetBucketACL(testBucket, aliyun.ACLPublicRead))
	status, _ = fetch(t, http.MethodGet, l.url+"/"+testBucket+"/b")
	assert.Equal(t, 200, status)
	acl, err := client.GetBucketACL(testBucket)
	require.NoError(t, err)
	assert.Equal(t, "public-read", acl.ACL)
	l.change(t, func(b *ossfake.BucketSettings) { b.AllowPublicAccess, b.ACL = false, "private" })
	status, _ = fetch(t, http.MethodGet, url)
	assert.Equal(t, 403, status, "blocking wins over the object's ACL")
}

func TestEncryptionIsKeptAndAKeyNeedsKMSPermissions(t *testing.T) {
	t.Parallel()
	const oss = `{"Effect":"Allow","Action":"oss:*","Resource":"*"}`
	policy, err := ossfake.ParsePolicy([]byte(`{"Version":"1","Statement":[` + oss + `,{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"acs:kms:*:*:key/mine"}]}`))
	require.NoError(t, err)
	l := start(t, "", func(c *ossfake.Config) { c.Policy = policy })
	client, b := l.client(t, signings[2]), l.bucket(t, signings[3])
	put(t, b, "a", "x", aliyun.ServerSideEncryption("KMS"), aliyun.ServerSideEncryptionKeyID("mine"))
	h, err := b.GetObjectDetailedMeta("a")
	require.NoError(t, err)
	assert.Equal(t, "KMS mine", h.Get("x-oss-server-side-encryption")+" "+h.Get("x-oss-server-side-encryption-key-id"))
	requireCode(t, b.PutObject("b", strings.NewReader("x"), aliyun.ServerSideEncryption("KMS"), aliyun.ServerSideEncryptionKeyID("theirs")), 403, "AccessDenied")
	requireCode(t, b.PutObject("b", strings.NewReader("x"), aliyun.ServerSideEncryption("DES")), 400, "InvalidEncryptionAlgorithmError")

	_, err = client.GetBucketEncryption(testBucket)
	requireCode(t, err, 404, "NoSuchServerSideEncryptionRule")
	rule := aliyun.ServerEncryptionRule{SSEDefault: aliyun.SSEDefaultRule{SSEAlgorithm: "AES256"}}
	require.NoError(t, client.SetBucketEncryption(testBucket, rule))
	got, err := client.GetBucketEncryption(testBucket)
	require.NoError(t, err)
	assert.Equal(t, "AES256", got.SSEDefault.SSEAlgorithm)
	put(t, b, "c", "x")
	h, err = b.GetObjectDetailedMeta("c")
	require.NoError(t, err)
	assert.Equal(t, "AES256", h.Get("x-oss-server-side-encryption"))
	require.NoError(t, client.DeleteBucketEncryption(testBucket))
}

func TestAMissingObjectCanBeHiddenFromWhoMustNotList(t *testing.T) {
	t.Parallel()
	policy, err := ossfake.ParsePolicy([]byte(`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}]}`))
	require.NoError(t, err)
	l := start(t, "", func(c *ossfake.Config) { c.Policy = policy })
	b := l.bucket(t, signings[3])
	_, err = b.GetObjectDetailedMeta("none")
	requireCode(t, err, 404, "NoSuchKey")
	l.change(t, func(b *ossfake.BucketSettings) { b.HideMissing = true })
	_, err = b.GetObjectDetailedMeta("none")
	requireCode(t, err, 403, "AccessDenied")
	_, err = l.v4(t).GetObjectDetailedMeta("none")
	requireCode(t, err, 404, "NoSuchKey")
}

func TestTimesAreWholeSeconds(t *testing.T) {
	t.Parallel()
	b := start(t, "").v4(t)
	put(t, b, "a", "x")
	listed, err := b.ListObjectsV2()
	require.NoError(t, err)
	h, err := b.GetObjectMeta("a")
	require.NoError(t, err)
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	require.NoError(t, err)
	assert.True(t, modified.Equal(listed.Objects[0].LastModified), "%v, %v", modified, listed.Objects[0].LastModified)
}

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	for word, change := range map[string]func(*ossfake.BucketSettings){
		"versioning":     func(b *ossfake.BucketSettings) { b.Versioning = "On" },
		"storageClass":   func(b *ossfake.BucketSettings) { b.StorageClass = "Frozen" },
		"acl":            func(b *ossfake.BucketSettings) { b.ACL = "public-read" },
		"encryption":     func(b *ossfake.BucketSettings) { b.Encryption.Algorithm = "DES" },
		"kmsKeyId":       func(b *ossfake.BucketSettings) { b.Encryption.KMSKeyID = "k" },
		"retentionDays":  func(b *ossfake.BucketSettings) { b.RetentionDays = -1 },
		"lifecycle rule": func(b *ossfake.BucketSettings) { b.Lifecycle = []ossfake.LifecycleRule{{Prefix: "a"}} },
		"Frozen": func(b *ossfake.BucketSettings) {
			b.Lifecycle = []ossfake.LifecycleRule{{Transitions: []ossfake.LifecycleTransition{{StorageClass: "Frozen"}}}}
		},
	} {
		assert.ErrorContains(t, l.ChangeBucket(testBucket, change), word)
	}
	assert.Equal(t, ossfake.BucketSettings{StorageClass: "Standard", ACL: "private"}, l.Bucket(testBucket))
	assert.Error(t, l.ChangeBucket("none-such", func(*ossfake.BucketSettings) {}))
}

func TestLifecycleRulesGoByPrefixAndTag(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	client, b := l.client(t, signings[2]), l.v4(t)
	tagged := aliyun.SetTagging(aliyun.Tagging{Tags: []aliyun.Tag{{Key: "fc-idcard-ocr", Value: "document"}}})
	for _, key := range []string{"in/a.jpg", "out/b.jpg"} {
		put(t, b, key, "image")
		put(t, b, key+".ocr.json", "{}", tagged)
	}
	require.NoError(t, client.SetBucketLifecycle(testBucket, []aliyun.LifecycleRule{
		{ID: "documents", Status: "Enabled", Tags: []aliyun.Tag{{Key: "fc-idcard-ocr", Value: "document"}}, Expiration: &aliyun.LifecycleExpiration{Days: 30}},
		{ID: "images", Prefix: "in/", Status: "Enabled", Transitions: []aliyun.LifecycleTransition{{Days: 10, StorageClass: aliyun.StorageArchive}}},
	}))
	got, err := client.GetBucketLifecycle(testBucket)
	require.NoError(t, err)
	require.Len(t, got.Rules, 2)
	assert.Equal(t, 30, got.Rules[0].Expiration.Days)
	after := func(days int) ossfake.LifecycleReport {
		report, err := l.ApplyLifecycle(testBucket, time.Now().Add(time.Duration(days)*24*time.Hour))
		require.NoError(t, err)
		return report
	}
	assert.Equal(t, ossfake.LifecycleReport{}, after(9))
	assert.Equal(t, ossfake.LifecycleReport{Transitioned: 2}, after(10), "a document below the prefix, too")
	assert.Equal(t, ossfake.LifecycleReport{Expired: 2}, after(30))
	_, err = b.GetObject("in/a.jpg")
	requireCode(t, err, 403, "InvalidObjectState")
	assert.Equal(t, "image", get(t, b, "out/b.jpg"))

	l.change(t, func(b *ossfake.BucketSettings) {
		b.Versioning = "Enabled"
		b.Lifecycle = []ossfake.LifecycleRule{{
			Expiration: ossfake.LifecycleAge{Days: 1}, Noncurrent: ossfake.LifecycleAge{Days: 2}, ExpiredDeleteMarker: true,
		}}
	})
	assert.Equal(t, ossfake.LifecycleReport{Expired: 2}, after(1))
	assert.Equal(t, ossfake.LifecycleReport{Versions: 2}, after(3))
	assert.Equal(t, ossfake.LifecycleReport{DeleteMarkers: 2}, after(3))
	assert.Empty(t, versions(t, b))
	require.NoError(t, client.DeleteBucketLifecycle(testBucket))
	_, err = client.GetBucketLifecycle(testBucket)
	requireCode(t, err, 404, "NoSuchLifecycle")
}

func TestARetentionPolicyIsMadeLockedAndExtended(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	client, b := l.client(t, signings[2]), l.v4(t)
	_, err := client.GetBucketWorm(testBucket)
	requireCode(t, err, 404, "NoSuchWORMConfiguration")
	id, err := client.InitiateBucketWorm(testBucket, 1)
	require.NoError(t, err)
	put(t, b, "a", "x")
	requireCode(t, b.DeleteObject("a"), 409, "FileImmutable")
	require.NoError(t, client.AbortBucketWorm(testBucket))
	require.NoError(t, b.DeleteObject("a"))
	requireCode(t, client.CompleteBucketWorm(testBucket, id), 404, "NoSuchWORMConfiguration")

	id, err = client.InitiateBucketWorm(testBucket, 2)
	require.NoError(t, err)
	requireCode(t, client.ExtendBucketWorm(testBucket, 3, id), 409, "WORMConfigurationLocked")
	require.NoError(t, client.CompleteBucketWorm(testBucket, id))
	requireCode(t, client.AbortBucketWorm(testBucket), 409, "WORMConfigurationLocked")
	requireCode(t, client.ExtendBucketWorm(testBucket, 1, id), 409, "WORMConfigurationLocked")
	require.NoError(t, client.ExtendBucketWorm(testBucket, 3, id))
	got, err := client.GetBucketWorm(testBucket)
	require.NoError(t, err)
	assert.Equal(t, "Locked 3", got.State+" "+strconv.Itoa(got.RetentionPeriodInDays))
}
