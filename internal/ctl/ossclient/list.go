package ossclient

import (
	"context"
	"iter"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/ctl/parallel"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
)

const (
	pageSize = 1000 // keys a request, the most that OSS gives
	// maxStreams is how many listings run concurrently.
	maxStreams = 8
	// maxParts bounds the parts of a listing: many small ones would take more requests than one listing of all.
	maxParts = 64
)

// Object is one line of a listing: all that is known of an object without a request of its own.
type Object struct {
	Key          string    `json:"key"`
	ETag         string    `json:"etag"` // upper case, without quotes
	Size         int64     `json:"size"` // bytes
	LastModified time.Time `json:"lastModified"`
}

// List streams the objects whose keys begin with prefix and are greater than after, in byte order of the keys, a thousand a
// request. The next request is under way while the objects of the last one are dealt with. The listing ends with the first
// error.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for page, err := range ahead(ctx, func(ctx context.Context) iter.Seq2[*oss.ListObjectsV2Result, error] {
			return b.pages(ctx, prefix, after)
		}) {
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, o := range page.Contents {
				if !yield(newObject(o), nil) {
					return
				}
			}
		}
	}
}

// pages streams the answers of a listing.
func (b *Bucket) pages(ctx context.Context, prefix, after string) iter.Seq2[*oss.ListObjectsV2Result, error] {
	return func(yield func(*oss.ListObjectsV2Result, error) bool) {
		request := b.listRequest(prefix)
		if after != "" {
			request.StartAfter = &after
		}
		for {
			page, err := b.client.ListObjectsV2(ctx, request)
			if err != nil {
				yield(nil, failure("list the bucket", err))
				return
			}
			if !yield(page, nil) || !page.IsTruncated {
				return
			}
			if oss.ToString(page.NextContinuationToken) == "" {
				yield(nil, &Error{Op: "list the bucket", Code: "NoContinuationToken"})
				return
			}
			request.ContinuationToken, request.StartAfter = page.NextContinuationToken, nil
		}
	}
}

func (b *Bucket) listRequest(prefix string) *oss.ListObjectsV2Request {
	return &oss.ListObjectsV2Request{Bucket: &b.name, Prefix: &prefix, MaxKeys: pageSize, EncodingType: oss.Ptr("url")}
}

// ahead runs the sequence one item ahead of the loop over it. When the loop is left, the sequence's context ends, and ahead waits
// for it.
func ahead[T any](ctx context.Context, sequence func(context.Context) iter.Seq2[T, error]) iter.Seq2[T, error] {
	type item struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		items := make(chan item)
		go func() {
			defer close(items)
			for value, err := range sequence(ctx) {
				select {
				case items <- item{value, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range items { // until it has ended
			}
		}()
		for i := range items {
			if !yield(i.value, i.err) {
				return
			}
		}
		if ctx.Err() != nil { // the item may have been lost
			var none T
			yield(none, failure("list the bucket", ctx.Err()))
		}
	}
}

// Part is a part of a listing: all keys that begin with Prefix, or a few objects that were listed already.
type Part struct {
	Prefix  string
	Objects []Object // in the order of their keys; if not nil, Prefix counts for nothing
}

// Parts splits the listing of a prefix at slashes into parts that can be listed concurrently. Parts share no key, and what
// begins with a key up to a slash is in one part. A listing that cannot be split well is one part.
func (b *Bucket) Parts(ctx context.Context, prefix string) ([]Part, error) {
	whole := []Part{{Prefix: prefix}}
	if b.streams < 2 {
		return whole, nil
	}
	first, err := b.client.ListObjectsV2(ctx, b.listRequest(prefix))
	if err != nil {
		return nil, failure("list the bucket", err)
	}
	if !first.IsTruncated {
		return []Part{{Objects: newObjects(first.Contents)}}, nil
	}
	parts, err := b.split(ctx, prefix)
	if err != nil || parts == nil {
		return whole, err
	}
	if len(parts) < b.streams { // years, perhaps, with months below them
		var finer []Part
		source := func(yield func(Part, error) bool) {
			for _, p := range parts {
				if !yield(p, nil) {
					return
				}
			}
		}
		type result struct {
			parts []Part
			err   error
		}
		for r := range parallel.Map(source, b.streams, func(p Part) result {
			if p.Objects != nil {
				return result{parts: []Part{p}}
			}
			finer, err := b.split(ctx, p.Prefix)
			if finer == nil {
				finer = []Part{p}
			}
			return result{finer, err}
		}) {
			if r.err != nil {
				return nil, r.err
			}
			finer = append(finer, r.parts...)
		}
		parts = finer
	}
	return parts, nil
}

// split lists one level below the prefix; nil if that shows too much or nothing. A level with one folder only is passed through.
func (b *Bucket) split(ctx context.Context, prefix string) ([]Part, error) {
	for {
		request := b.listRequest(prefix)
		request.Delimiter = oss.Ptr("/")
		page, err := b.client.ListObjectsV2(ctx, request)
		if err != nil {
			return nil, failure("list the bucket", err)
		}
		if page.IsTruncated || len(page.CommonPrefixes) == 0 || len(page.CommonPrefixes) > maxParts {
			return nil, nil
		}
		if len(page.CommonPrefixes) == 1 && len(page.Contents) == 0 {
			prefix = strings.Clone(oss.ToString(page.CommonPrefixes[0].Prefix))
			continue
		}
		parts := []Part{{Objects: newObjects(page.Contents)}}
		for _, p := range page.CommonPrefixes {
			parts = append(parts, Part{Prefix: strings.Clone(oss.ToString(p.Prefix))})
		}
		return parts, nil
	}
}

func newObjects(contents []oss.ObjectProperties) []Object {
	objects := make([]Object, len(contents))
	for i, o := range contents {
		objects[i] = newObject(o)
	}
	return objects
}

func newObject(o oss.ObjectProperties) Object {
	// The page's XML is one string: cloned, the parts that are kept do not keep all of it.
	return Object{Key: strings.Clone(oss.ToString(o.Key)), ETag: strings.Clone(bucket.ETag(oss.ToString(o.ETag))), Size: o.Size, LastModified: oss.ToTime(o.LastModified)}
}
