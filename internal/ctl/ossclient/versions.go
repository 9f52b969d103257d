package ossclient

import (
	"context"
	"io"
	"iter"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
)

// Version is one version of an object, or a delete marker.
type Version struct {
	Key    string
	ID     string // empty in a bucket whose versioning was never on
	Marker bool   // a delete marker, which has no content
	Latest bool
}

// Versions streams all versions and delete markers of the objects whose keys begin with prefix. In a bucket whose versioning was never
// on these are the objects themselves.
func (b *Bucket) Versions(ctx context.Context, prefix string) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		state, err := b.Versioning(ctx)
		if err != nil {
			yield(Version{}, err)
			return
		}
		if state == "" {
			for o, err := range b.List(ctx, prefix, "") {
				if !yield(Version{Key: o.Key, Latest: true}, err) || err != nil {
					return
				}
			}
			return
		}
		request := &oss.ListObjectVersionsRequest{Bucket: &b.name, Prefix: &prefix, MaxKeys: pageSize, EncodingType: oss.Ptr("url")}
		for {
			page, err := b.client.ListObjectVersions(ctx, request)
			if err != nil {
				yield(Version{}, failure("list the bucket's versions", err))
				return
			}
			for _, v := range page.ObjectVersions {
				if !yield(Version{Key: oss.ToString(v.Key), ID: oss.ToString(v.VersionId), Latest: v.IsLatest}, nil) {
					return
				}
			}
			for _, m := range page.ObjectDeleteMarkers {
				if !yield(Version{Key: oss.ToString(m.Key), ID: oss.ToString(m.VersionId), Marker: true, Latest: m.IsLatest}, nil) {
					return
				}
			}
			if !page.IsTruncated {
				return
			}
			request.KeyMarker, request.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
		}
	}
}

// ReadVersion is Read of one version; an empty ID means the current one.
func (b *Bucket) ReadVersion(ctx context.Context, v Version, limit int64) ([]byte, error) {
	request := &oss.GetObjectRequest{Bucket: &b.name, Key: &v.Key}
	if v.ID != "" {
		request.VersionId = &v.ID
	}
	result, err := b.client.GetObject(ctx, request)
	if err != nil {
		return nil, failure("read an object", err)
	}
	defer result.Body.Close()
	body, err := io.ReadAll(io.LimitReader(result.Body, limit+1))
	if err != nil {
		return nil, failure("read an object", err)
	}
	if int64(len(body)) > limit {
		return nil, &Error{Op: "read an object", Code: codeTooLarge}
	}
	return body, nil
}

// RemoveVersion deletes one version or delete marker for good, in a bucket without versions the object. One that is not there is
// no error.
func (b *Bucket) RemoveVersion(ctx context.Context, v Version) error {
	request := &oss.DeleteObjectRequest{Bucket: &b.name, Key: &v.Key}
	if v.ID != "" {
		request.VersionId = &v.ID
	}
	if _, err := b.client.DeleteObject(ctx, request); err != nil {
		return failure("remove an object", err)
	}
	return nil
}
