package ossclient

import (
	"context"
	"iter"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
)

// Object is one line of a listing: all that is known of an object without a request of its own.
type Object struct {
	Key          string    `json:"key"`
	ETag         string    `json:"etag"` // upper case, without quotes
	Size         int64     `json:"size"` // bytes
	LastModified time.Time `json:"lastModified"`
}

// List streams the objects whose keys begin with prefix and are greater than after, in byte order of the keys, a thousand a
// request. The listing ends with the first error.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		request := &oss.ListObjectsV2Request{Bucket: &b.name, Prefix: &prefix, MaxKeys: 1000, EncodingType: oss.Ptr("url")}
		if after != "" {
			request.StartAfter = &after
		}
		for {
			page, err := b.client.ListObjectsV2(ctx, request)
			if err != nil {
				yield(Object{}, failure("list the bucket", err))
				return
			}
			for _, o := range page.Contents {
				if !yield(newObject(o), nil) {
					return
				}
			}
			if !page.IsTruncated {
				return
			}
			if oss.ToString(page.NextContinuationToken) == "" {
				yield(Object{}, &Error{Op: "list the bucket", Code: "NoContinuationToken"})
				return
			}
			request.ContinuationToken, request.StartAfter = page.NextContinuationToken, nil
		}
	}
}

func newObject(o oss.ObjectProperties) Object {
	// The page's XML is one string: cloned, the parts that are kept do not keep all of it.
	return Object{Key: strings.Clone(oss.ToString(o.Key)), ETag: strings.Clone(bucket.ETag(oss.ToString(o.ETag))), Size: o.Size, LastModified: oss.ToTime(o.LastModified)}
}
