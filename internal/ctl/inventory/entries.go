package inventory

import (
	"context"
	"iter"
	"strings"
	"sync"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"
)

// splitter is a Bucket whose listing can be split; *ossclient.Bucket is one.
type splitter interface {
	Parts(ctx context.Context, prefix string) ([]ossclient.Part, error)
}

// maxStreams is how many parts of a listing are read at a time.
const maxStreams = 8

// entries pairs the objects of a prefix: in the order of their keys, or, which is faster, each part of the listing by itself.
func entries(ctx context.Context, b Bucket, prefix string, keys result.Keys, ordered bool) iter.Seq2[Entry, error] {
	whole := Pair(keys, b.List(ctx, prefix, ""))
	s, ok := b.(splitter)
	// Parts end at slashes, so an image and what lies beside it are in one only if no suffix has any.
	if ordered || !ok || strings.Contains(keys.ResultSuffix+keys.ClaimSuffix, "/") {
		return whole
	}
	return func(yield func(Entry, error) bool) {
		parts, err := s.Parts(ctx, prefix)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		merged := merge(ctx, parts, func(ctx context.Context, p ossclient.Part) iter.Seq2[Entry, error] {
			if p.Objects == nil {
				return Pair(keys, b.List(ctx, p.Prefix, ""))
			}
			return Pair(keys, func(yield func(ossclient.Object, error) bool) {
				for _, o := range p.Objects {
					if !yield(o, nil) {
						return
					}
				}
			})
		})
		for e, err := range merged {
			if !yield(e, err) {
				return
			}
		}
	}
}

// merge reads the parts concurrently and yields what they hold as it comes. It ends with the first error, and when the loop over
// it is left it waits for what is under way.
func merge(ctx context.Context, parts []ossclient.Part, read func(context.Context, ossclient.Part) iter.Seq2[Entry, error]) iter.Seq2[Entry, error] {
	type item struct {
		entry Entry
		err   error
	}
	return func(yield func(Entry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		queue, items := make(chan ossclient.Part), make(chan item, 256)
		var work sync.WaitGroup
		for range min(maxStreams, len(parts)) {
			work.Go(func() {
				for p := range queue {
					for e, err := range read(ctx, p) {
						select {
						case items <- item{e, err}:
						case <-ctx.Done():
							return
						}
					}
				}
			})
		}
		work.Go(func() {
			defer close(queue)
			for _, p := range parts {
				select {
				case queue <- p:
				case <-ctx.Done():
					return
				}
			}
		})
		go func() {
			work.Wait()
			close(items)
		}()
		defer func() {
			cancel()
			for range items { // until all have ended
			}
		}()
		for i := range items {
			if !yield(i.entry, i.err) || i.err != nil {
				return
			}
		}
		if ctx.Err() != nil { // what is missing must not look like the end
			yield(Entry{}, ctx.Err())
		}
	}
}
