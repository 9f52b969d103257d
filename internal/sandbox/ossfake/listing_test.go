package ossfake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listedBy pages through a listing and returns keys and common prefixes in the order they came.
func listedBy(t *testing.T, b *aliyun.Bucket, v2 bool, pageSize int, options ...aliyun.Option) (keys, prefixes []string, pages int) {
	t.Helper()
	options = append(options, aliyun.MaxKeys(pageSize))
	next := aliyun.Option(nil)
	for {
		pages++
		require.Less(t, pages, 1000)
		all := slices.Clone(options)
		if next != nil {
			all = append(all, next)
		}
		var objects []aliyun.ObjectProperties
		var common []string
		var truncated bool
		if v2 {
			r, err := b.ListObjectsV2(all...)
			require.NoError(t, err)
			objects, common, truncated, next = r.Objects, r.CommonPrefixes, r.IsTruncated, aliyun.ContinuationToken(r.NextContinuationToken)
		} else {
			r, err := b.ListObjects(all...)
			require.NoError(t, err)
			objects, common, truncated, next = r.Objects, r.CommonPrefixes, r.IsTruncated, aliyun.Marker(r.NextMarker)
		}
		require.LessOrEqual(t, len(objects)+len(common), pageSize)
		for _, o := range objects {
			keys = append(keys, o.Key)
		}
		prefixes = append(prefixes, common...)
		if !truncated {
			return keys, prefixes, pages
		}
	}
}

func TestListingsAreOrderedPagedAndGrouped(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	all := []string{
		"a", "a-b", "a.txt", "a/1.jpg", "a/2.jpg", "a/sub/3.jpg", "a//4.jpg", "a/../5.jpg", "a0", "b/", "b/1.jpg", "中/1.jpg", "中文.jpg", "z&<>\".jpg",
	}
	for _, key := range all {
		put(t, b, key, key)
	}
	slices.Sort(all)
	// The rules, written once more in their simplest form.
	want := func(prefix, delimiter, after string) (keys, prefixes []string) {
		for _, key := range all {
			rest, ok := strings.CutPrefix(key, prefix)
			if !ok || key <= after {
				continue
			}
			if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
				common := prefix + rest[:i+len(delimiter)]
				if !slices.Contains(prefixes, common) {
					prefixes = append(prefixes, common)
				}
				continue
			}
			keys = append(keys, key)
		}
		return keys, prefixes
	}
	for _, v2 := range []bool{false, true} {
		for _, prefix := range []string{"", "a", "a/", "a//", "a/.", "b/", "中", "none", "a/sub/3.jpg"} {
			for _, delimiter := range []string{"", "/", ".jpg"} {
				for _, after := range []string{"", "a.txt", "a/2.jpg", "zzz"} {
					for _, size := range []int{1, 3, 1000} {
						name := fmt.Sprintf("v2 %v prefix %q delimiter %q after %q size %d", v2, prefix, delimiter, after, size)
						options := []aliyun.Option{aliyun.Prefix(prefix), aliyun.Delimiter(delimiter)}
						if after != "" && v2 {
							options = append(options, aliyun.StartAfter(after))
						} else if after != "" && size == 1000 {
							options = append(options, aliyun.Marker(after))
						} else if after != "" {
							continue
						}
						wantKeys, wantPrefixes := want(prefix, delimiter, after)
						keys, prefixes, pages := listedBy(t, b, v2, size, options...)
						require.Equal(t, wantKeys, keys, name)
						require.Equal(t, wantPrefixes, prefixes, name)
						if n := len(keys) + len(prefixes); size == 1 && n > 0 {
							require.Equal(t, n, pages, name)
						}
					}
				}
			}
		}
	}
	r, err := b.ListObjectsV2(aliyun.Prefix("a.txt"), aliyun.FetchOwner(true))
	require.NoError(t, err)
	require.Len(t, r.Objects, 1)
	assert.Equal(t, etagOf(t, b, "a.txt"), r.Objects[0].ETag)
	assert.EqualValues(t, 5, r.Objects[0].Size)
	assert.Equal(t, "Normal", r.Objects[0].Type)
	assert.NotEmpty(t, r.Objects[0].Owner.ID)
	for _, size := range []int{0, 1001, -1} {
		_, err := b.ListObjectsV2(aliyun.MaxKeys(size))
		requireCode(t, err, 400, "InvalidArgument")
	}
	_, err = b.ListObjectsV2(aliyun.ContinuationToken("%%%"))
	requireCode(t, err, 400, "InvalidArgument")
}

func TestBucketsAreFolders(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	client := l.client(t, signings[2])
	require.NoError(t, client.CreateBucket("second-bucket"))
	require.NoError(t, client.CreateBucket("second-bucket"), "it is the caller's own")
	list, err := client.ListBuckets()
	require.NoError(t, err)
	require.Len(t, list.Buckets, 2)
	assert.Equal(t, "cards", list.Buckets[0].Name)
	assert.Equal(t, "oss-cn-hangzhou", list.Buckets[0].Location)
	list, err = client.ListBuckets(aliyun.MaxKeys(1))
	require.NoError(t, err)
	assert.True(t, list.IsTruncated)
	list, err = client.ListBuckets(aliyun.Marker(list.NextMarker), aliyun.Prefix("s"))
	require.NoError(t, err)
	require.Len(t, list.Buckets, 1)

	info, err := client.GetBucketInfo("second-bucket")
	require.NoError(t, err)
	assert.Equal(t, "second-bucket", info.BucketInfo.Name)
	assert.Equal(t, "private", info.BucketInfo.ACL)
	assert.Empty(t, info.BucketInfo.Versioning)
	location, err := client.GetBucketLocation("second-bucket")
	require.NoError(t, err)
	assert.Equal(t, "oss-cn-hangzhou", location)
	versioning, err := client.GetBucketVersioning("second-bucket")
	require.NoError(t, err)
	assert.Empty(t, versioning.Status)
	acl, err := client.GetBucketACL("second-bucket")
	require.NoError(t, err)
	assert.Equal(t, "private", acl.ACL)

	second, err := client.Bucket("second-bucket")
	require.NoError(t, err)
	put(t, second, "a/b", "x")
	requireCode(t, client.DeleteBucket("second-bucket"), 409, "BucketNotEmpty")
	require.NoError(t, second.DeleteObject("a/b"))
	require.NoError(t, client.DeleteBucket("second-bucket"))
	_, err = client.GetBucketInfo("second-bucket")
	requireCode(t, err, 404, "NoSuchBucket")
	requireCode(t, second.PutObject("a", strings.NewReader("x")), 404, "NoSuchBucket")
	_, err = second.GetObject("a")
	requireCode(t, err, 404, "NoSuchBucket")
	_, err = second.GetObjectDetailedMeta("a")
	requireCode(t, err, 404, "NoSuchBucket")
}
