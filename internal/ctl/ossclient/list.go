package ossclient

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
)

const (
	pageSize = 1000 // keys a request, the most that OSS gives
	// maxStreams is how many requests of a listing are made concurrently.
	maxStreams = 8
	// maxAhead is how many pages a listing requests ahead of the loop over it. One takes some 150 KB of memory.
	maxAhead = 40
	// partPages is how many pages a part of a listing should have. When maxStreams parts are under way, each a page ahead of the
	// next one, fewer pages than maxAhead wait for their turn.
	partPages = 8
)

// Object is one line of a listing: all that is known of an object without a request of its own.
type Object struct {
	Key          string    `json:"key"`
	ETag         string    `json:"etag"` // upper case, without quotes
	Size         int64     `json:"size"` // bytes
	LastModified time.Time `json:"lastModified"`
}

// List streams the objects whose keys begin with prefix and are greater than after, in byte order of the keys. It requests pages
// of a thousand objects ahead of the loop: the next one, and more of them, concurrently, if the loop has to wait. The listing
// ends with the first error.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		l := listing{bucket: b, ctx: ctx, prefix: prefix, answers: make(chan answer), parts: []*part{{after: after}}, limit: 1}
		defer l.work.Wait()
		defer cancel()
		for p := l.next(); p != nil; p = l.next() {
			for _, o := range p.objects {
				if !yield(o, nil) {
					return
				}
			}
			if p.err != nil {
				yield(Object{}, p.err)
				return
			}
		}
	}
}

// listing is the state of List. Only the goroutine of the loop reads and changes it; requests run on goroutines of their own.
//
// The keys are divided into parts that are listed concurrently. Where a part ends and the next one begins is a guess, which need
// not be a key: a bad guess costs a request, and never an object, as the parts together are all keys.
type listing struct {
	bucket  *Bucket
	ctx     context.Context // of the requests
	prefix  string
	work    sync.WaitGroup
	answers chan answer
	parts   []*part // in the order of their keys

	requests int // under way
	ahead    int // pages that were requested and are not taken by the loop
	limit    int // of ahead; it grows when the loop waits, so that a slow loop does not get what was listed long before
}

// part is the keys that are greater than after, and not greater than until unless that is empty.
type part struct {
	after, until string
	token        *string // of the next page, after the first
	busy         bool    // the next page is requested
	ended        bool    // there is no next page
	pages        []page  // that the loop has not taken
}

// page is some objects in the order of their keys, or an error.
type page struct {
	objects []Object
	err     error
}

// answer is the page of a part with the token of the next page, which is nil after the last.
type answer struct {
	part *part
	page
	token *string
}

// next returns the next page, nil at the end of the listing.
func (l *listing) next() *page {
	waited := false
	for len(l.parts) > 0 {
		l.request()
		select { // before the loop works on a page, all further requests are made
		case a := <-l.answers:
			l.receive(a)
			continue
		default:
		}
		first := l.parts[0]
		switch {
		case len(first.pages) > 0:
			p := first.pages[0]
			first.pages = slices.Delete(first.pages, 0, 1)
			l.ahead--
			if waited {
				l.limit = min(2*l.limit, maxAhead)
			}
			return &p
		case first.ended:
			l.parts = l.parts[1:]
		default:
			waited = true
			select {
			case a := <-l.answers:
				l.receive(a)
			case <-l.ctx.Done(): // what is missing must not look like the end
				return &page{err: failure(opList, l.ctx.Err())}
			}
		}
	}
	return nil
}

// request makes the requests that may be made now, in the order in which the loop needs their answers.
func (l *listing) request() {
	for i, p := range l.parts {
		needed := i == 0 && len(p.pages) < 2 // however many wait for their turn
		if l.requests == l.bucket.streams || l.ahead >= l.limit && !needed {
			return
		}
		if p.busy || p.ended {
			continue
		}
		p.busy = true
		l.requests++
		l.ahead++
		after, token := p.after, p.token
		l.work.Go(func() {
			a := answer{part: p}
			a.objects, a.token, a.err = l.bucket.page(l.ctx, l.prefix, after, token)
			select {
			case l.answers <- a:
			case <-l.ctx.Done():
			}
		})
	}
}

// receive adds an answer to its part.
func (l *listing) receive(a answer) {
	p := a.part
	l.requests--
	p.busy, p.ended, p.token = false, a.token == nil, a.token
	if p.until != "" {
		beyond, _ := slices.BinarySearchFunc(a.objects, p.until+"\x00", func(o Object, key string) int { return strings.Compare(o.Key, key) })
		if beyond < len(a.objects) {
			a.objects, p.ended = a.objects[:beyond], true
		}
	}
	p.pages = append(p.pages, a.page)
	if !p.ended {
		l.split(p, a.objects)
	}
}

// split ends a part some pages after these objects, and begins another one there, if there are fewer parts than requests can be
// made.
func (l *listing) split(p *part, objects []Object) {
	open := 0
	for _, p := range l.parts {
		if !p.ended {
			open++
		}
	}
	if open >= l.bucket.streams {
		return
	}
	border := extrapolate(objects, partPages)
	if border == "" || !strings.HasPrefix(border, l.prefix) || border <= objects[len(objects)-1].Key || p.until != "" && border >= p.until {
		return
	}
	l.parts = slices.Insert(l.parts, slices.Index(l.parts, p)+1, &part{after: border, until: p.until})
	p.until = border
}

// opList is the operation in the errors of a listing.
const opList = "list the bucket"

// page requests a page, which begins after a key or is that of a token. The token of the next page is nil after the last.
func (b *Bucket) page(ctx context.Context, prefix, after string, token *string) ([]Object, *string, error) {
	request := &oss.ListObjectsV2Request{Bucket: &b.name, Prefix: &prefix, MaxKeys: pageSize, EncodingType: oss.Ptr("url"), ContinuationToken: token}
	if token == nil && after != "" {
		request.StartAfter = &after
	}
	result, err := b.client.ListObjectsV2(ctx, request)
	switch {
	case err != nil:
		return nil, nil, failure(opList, err)
	case result.Name == nil: // the answer of a proxy, perhaps: the SDK takes any XML, or none, for a listing
		return nil, nil, &Error{Op: opList, Code: "NoListing"}
	case !result.IsTruncated:
		return newObjects(result.Contents), nil, nil
	case oss.ToString(result.NextContinuationToken) == "":
		return nil, nil, &Error{Op: opList, Code: "NoContinuationToken"}
	}
	return newObjects(result.Contents), result.NextContinuationToken, nil
}

func newObjects(contents []oss.ObjectProperties) []Object {
	objects := make([]Object, len(contents))
	for i, o := range contents {
		objects[i] = Object{Key: oss.ToString(o.Key), ETag: bucket.ETag(oss.ToString(o.ETag)), Size: o.Size, LastModified: oss.ToTime(o.LastModified)}
	}
	return objects
}
