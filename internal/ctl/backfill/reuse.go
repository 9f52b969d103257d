package backfill

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/parallel"
	"fc-idcard-ocr/internal/result"
)

// EqualBytes is why an image is not submitted: it gets the answer of another image with the same bytes.
const EqualBytes Skip = "equalBytes"

const (
	// maxSources is how many images with documents are tried as the source of a group's answer.
	maxSources = 10
	// The pauses between two checks for documents that do not exist yet.
	firstPause, maxPause = time.Second, 30 * time.Second
)

// ReusePlan says which images of a bucket have equal bytes, as far as ETags of simple uploads show, so that one of each group is
// submitted, or none if one has its answer already. The others get that answer without a call.
type ReusePlan struct {
	groups   []*group
	deferred map[string]bool // keys of the others
}

// group is images of equal bytes.
type group struct {
	source  ossclient.Object   // whose answer the others get
	missing []ossclient.Object // without a document, in the order of their keys
	done    []inventory.Entry  // with one
	known   []string           // what is known to be kept of the source's answer
}

// PlanReuse reads the listing twice, and the documents of images whose answer can be reused. It holds some 60 bytes for each
// image with bytes of its own, and more for the others.
func PlanReuse(ctx context.Context, j *Job) (*ReusePlan, error) {
	if j.Now == nil {
		j.Now = time.Now
	}
	var equal inventory.Duplicates
	for e, err := range inventory.Pair(j.Keys, j.Objects.List(ctx, j.Prefix, "")) {
		if err != nil {
			return nil, err
		}
		equal.Add(e.Image)
	}
	p := &ReusePlan{deferred: map[string]bool{}}
	groups := map[inventory.Content]*group{}
	for e, err := range inventory.Pair(j.Keys, j.Objects.List(ctx, j.Prefix, "")) {
		if err != nil {
			return nil, err
		}
		content, ok := inventory.ContentOf(e.Image)
		if !ok || !equal.Repeated(content) || e.Image.Size > j.MaxImageBytes {
			continue
		}
		g := groups[content]
		if g == nil {
			g = &group{}
			groups[content] = g
			p.groups = append(p.groups, g)
		}
		switch reason, skip := j.classify(e); {
		case reason == Missing:
			g.missing = append(g.missing, *e.Image)
		case skip == Done && len(g.done) < maxSources:
			g.done = append(g.done, e)
		}
	}
	kept := p.groups[:0]
	for _, g := range p.groups {
		if err := g.choose(ctx, j); err != nil {
			return nil, err
		}
		if len(g.missing) > 0 {
			kept = append(kept, g)
		}
		for _, image := range g.missing {
			p.deferred[image.Key] = true
		}
	}
	p.groups = kept
	return p, nil
}

// choose finds the group's source: the first image whose answer can be reused, else the first that is submitted anyway.
func (g *group) choose(ctx context.Context, j *Job) error {
	if len(g.missing) == 0 {
		return nil
	}
	for _, e := range g.done {
		g.source = *e.Image
		d, err := g.document(ctx, j)
		if err != nil {
			return err
		}
		if reusable(d) && j.Retention.Satisfied(d, nil) {
			return nil
		}
	}
	g.source, g.missing, g.known = g.missing[0], g.missing[1:], j.Retention.Kept()
	return nil
}

// document reads the source's document; nil if there is none about its version.
func (g *group) document(ctx context.Context, j *Job) (*result.Document, error) {
	reader := &inventory.Reader{Bucket: j.Objects}
	d, err := reader.Read(ctx, j.Keys.Result(g.source.Key))
	var unreadable *inventory.UnreadableError
	switch {
	case ossclient.NotFound(err) || errors.As(err, &unreadable):
		return nil, nil
	case err != nil:
		return nil, err
	case bucket.ETag(d.Image.ETag) != g.source.ETag:
		return nil, nil
	}
	return d, nil
}

// reusable reports whether the document describes the content of the image: a failure describes a call only.
func reusable(d *result.Document) bool {
	return d != nil && d.Final() && (d.Status == result.Recognized || d.Status == result.Unrecognized)
}

func (p *ReusePlan) defers(key string) bool { return p != nil && p.deferred[key] }

// Others is how many images get the answer of another one.
func (p *ReusePlan) Others() int { return len(p.deferred) }

// Writer writes documents; *bucket.Bucket is the real one.
type Writer interface {
	Head(ctx context.Context, key string) (bucket.Object, error)
	Read(ctx context.Context, key string, o bucket.ReadOptions) ([]byte, bucket.Object, error)
	Put(ctx context.Context, key string, body []byte, o bucket.PutOptions) error
}

// Reused is what became of the images that were to get the answer of another one. Those that did not get it are submitted, or
// get it, in the next run.
type Reused struct {
	Written   int64 `json:"written"`   // documents
	Present   int64 `json:"present"`   // had a document by then
	Changed   int64 `json:"changed"`   // were replaced or removed meanwhile, or the source was
	Different int64 `json:"different"` // same MD5 and other bytes
	NoAnswer  int64 `json:"noAnswer"`  // the source's document is a final failure
	Waiting   int64 `json:"waiting"`   // the source has no final document yet
}

func (r *Reused) add(o Reused) {
	r.Written += o.Written
	r.Present += o.Present
	r.Changed += o.Changed
	r.Different += o.Different
	r.NoAnswer += o.NoAnswer
	r.Waiting += o.Waiting
}

// Finish writes the documents of the others, as soon as those of their sources are final, for which it waits at most the given
// time. Before an answer is reused, the bytes of both images are read and compared by SHA-256: two pictures can be made
// to have the same MD5. Nothing is written over a document, and nothing about an image that was replaced.
func (p *ReusePlan) Finish(ctx context.Context, j *Job, w Writer, wait time.Duration) (Reused, error) {
	total := Reused{}
	deadline := time.Now().Add(wait)
	open := p.groups
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		var rest []*group
		waiting := Reused{}
		for f, err := range parallel.Map(each(open), j.Parallel, func(g *group) finished { return g.finish(ctx, j, w) }) {
			if err == nil {
				err = f.err
			}
			if err != nil {
				return total, err
			}
			if f.Waiting > 0 {
				rest = append(rest, f.group)
				waiting.add(f.Reused)
			} else {
				total.add(f.Reused)
			}
		}
		if open = rest; len(open) == 0 {
			return total, nil
		}
		pause = min(pause, time.Until(deadline))
		if pause <= 0 {
			total.add(waiting)
			return total, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return total, ctx.Err()
		}
	}
}

func each(groups []*group) iter.Seq2[*group, error] {
	return func(yield func(*group, error) bool) {
		for _, g := range groups {
			if !yield(g, nil) {
				return
			}
		}
	}
}

// finished is what became of a group.
type finished struct {
	Reused
	group *group
	err   error
}

func (g *group) finish(ctx context.Context, j *Job, w Writer) finished {
	f, others := finished{group: g}, int64(len(g.missing))
	d, err := g.document(ctx, j)
	switch {
	case err != nil:
		f.err = err
		return f
	case d == nil || !d.Final():
		f.Waiting = others
		return f
	case !reusable(d):
		f.NoAnswer = others
		return f
	}
	sum, _, ok, err := g.read(ctx, j, w, g.source.Key)
	if err != nil || !ok {
		f.err, f.Changed = err, others
		return f
	}
	for _, image := range g.missing {
		if f.err = g.reuse(ctx, j, w, d, sum, image.Key, &f.Reused); f.err != nil {
			return f
		}
	}
	return f
}

// read hashes the bytes of one image of the group; false if it is not of the group any more.
func (g *group) read(ctx context.Context, j *Job, w Writer, key string) (sum [sha256.Size]byte, o bucket.Object, ok bool, err error) {
	bytes, o, err := w.Read(ctx, key, bucket.ReadOptions{Limit: j.MaxImageBytes})
	switch {
	case errors.Is(err, bucket.ErrNotFound) || errors.Is(err, bucket.ErrTooLarge) || errors.Is(err, bucket.ErrArchived):
		return sum, o, false, nil
	case err != nil:
		return sum, o, false, err
	}
	return sha256.Sum256(bytes), o, o.ETag == g.source.ETag, nil
}

// reuse writes the document of one image from the source's.
func (g *group) reuse(ctx context.Context, j *Job, w Writer, paid *result.Document, source [sha256.Size]byte, key string, r *Reused) error {
	if _, err := w.Head(ctx, j.Keys.Result(key)); err == nil {
		r.Present++
		return nil
	} else if !errors.Is(err, bucket.ErrNotFound) {
		return err
	}
	sum, o, ok, err := g.read(ctx, j, w, key)
	switch {
	case err != nil:
		return err
	case !ok:
		r.Changed++
		return nil
	case sum != source:
		r.Different++
		return nil
	}
	d := j.Retention.Reuse(paid, g.known, g.source.Key, result.Image{Bucket: j.Bucket, Key: key, ETag: o.ETag, VersionID: o.VersionID, LastModified: o.LastModified.UTC(), Size: o.Size})
	if d == nil { // written anew by a function that keeps less
		r.NoAnswer++
		return nil
	}
	d.OCR.ImageSource = "" // no call was made for this image
	d.Stamp(d.RequestID, j.Now())
	err = w.Put(ctx, j.Keys.Result(key), d.Encode(), bucket.PutOptions{ContentType: result.ContentType, Meta: d.Metadata(), IfAbsent: true})
	switch {
	case errors.Is(err, bucket.ErrExists):
		r.Present++
	case err != nil:
		return err
	default:
		r.Written++
	}
	return nil
}
