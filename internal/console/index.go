package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"
)

// index is what the console knows of the bucket, in memory only: the listing, and of each document what the table shows. An image takes
// about half a kilobyte.
type index struct {
	config *Config
	secret []byte // of the IDs

	mu       sync.RWMutex
	rows     map[string]*row // by key
	ids      map[string]*row
	progress Progress
}

// Progress is how complete the index is.
type Progress struct {
	Listed   int       `json:"listed"`
	Unread   int       `json:"unread"` // documents that have not been read yet
	Complete bool      `json:"complete"`
	Scanning bool      `json:"scanning"`
	At       time.Time `json:"at"`              // when the last listing was complete
	Error    string    `json:"error,omitempty"` // why the last listing was not
}

func newIndex(config *Config, secret []byte) *index {
	return &index{config: config, secret: secret, rows: map[string]*row{}, ids: map[string]*row{}}
}

// id names an image in the page's address, which ends up in the browser's history: keys often hold what is personal. It is good as long as
// the console runs.
func (x *index) id(key string) string {
	mac := hmac.New(sha256.New, x.secret)
	mac.Write([]byte(key)) //nolint:errcheck // a hash never fails
	return hex.EncodeToString(mac.Sum(nil)[:10])
}

// row returns a copy of the image's row.
func (x *index) row(id string) (row, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if r := x.ids[id]; r != nil {
		return *r, true
	}
	return row{}, false
}

// sameVersion reports whether two listings show the same object.
func sameVersion(a, b *ossclient.Object) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ETag == b.ETag && a.Size == b.Size && a.LastModified.Equal(b.LastModified)
}

// put takes an entry that was listed at a time, and reports whether something is new about it. An entry that was listed later is kept.
func (x *index) put(e inventory.Entry, at time.Time) (changed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.rows[e.Key]
	if r == nil {
		r = &row{id: x.id(e.Key)}
		x.rows[e.Key], x.ids[r.id] = r, r
		changed = true
	}
	if r.touched.After(at) {
		return changed
	}
	changed = changed || !sameVersion(r.entry.Image, e.Image) || !sameVersion(r.entry.Document, e.Document) ||
		!sameVersion(r.entry.Claim, e.Claim) || !sameVersion(r.entry.Review, e.Review)
	switch {
	case e.Document == nil:
		r.facts = facts{}
	case !sameVersion(r.entry.Document, e.Document):
		r.facts.read = false
	}
	r.entry, r.touched = e, at
	return changed
}

// drop forgets the image, unless it was listed after the time.
func (x *index) drop(key string, at time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.rows[key]
	if r == nil || r.touched.After(at) {
		return false
	}
	delete(x.rows, key)
	delete(x.ids, r.id)
	return true
}

// scan lists the bucket and reads the documents that are new. told is called now and then while it does.
func (x *index) scan(ctx context.Context, told func()) (changed bool, err error) {
	at := time.Now()
	x.update(func(p *Progress) { p.Scanning, p.Error = true, "" })
	defer func() {
		x.update(func(p *Progress) {
			p.Scanning = false
			if err != nil {
				p.Error = err.Error()
			}
		})
	}()
	seen := map[string]struct{}{}
	for e, err := range inventory.Pair(x.config.Keys, x.config.Bucket.List(ctx, x.config.Prefix, "")) {
		if err != nil {
			return changed, err
		}
		if e.Image == nil {
			continue
		}
		seen[e.Key] = struct{}{}
		changed = x.put(e, at) || changed
		if len(seen)%1000 == 0 {
			x.update(func(p *Progress) { p.Listed = max(p.Listed, len(seen)) })
			told()
		}
	}
	x.mu.RLock()
	var gone []string
	var unread []*row
	for key, r := range x.rows {
		if _, ok := seen[key]; !ok {
			gone = append(gone, key)
		} else if r.unread() {
			unread = append(unread, r)
		}
	}
	x.mu.RUnlock()
	for _, key := range gone {
		changed = x.drop(key, at) || changed
	}
	x.update(func(p *Progress) { p.Listed, p.Complete, p.At = len(seen), true, at })
	if len(unread) == 0 {
		return changed, nil
	}
	told()
	x.mu.RLock()
	slices.SortFunc(unread, func(a, b *row) int { return b.entry.Image.LastModified.Compare(a.entry.Image.LastModified) })
	x.mu.RUnlock()
	for batch := range slices.Chunk(unread, 2000) {
		if err := x.read(ctx, batch); err != nil {
			return true, err
		}
		told()
	}
	return true, nil
}

func (x *index) update(change func(*Progress)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change(&x.progress)
}

// unread reports whether the row's document has to be read. The caller holds the index.
func (r *row) unread() bool { return r.entry.Document != nil && !r.facts.read }

// maxFailures is how many documents may be refused at a time before that counts as an outage.
const maxFailures = 20

// read reads the documents of the rows, several at a time.
func (x *index) read(ctx context.Context, rows []*row) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(x.config.Parallel)
	var failures atomic.Int64
	for _, r := range rows {
		x.mu.RLock()
		entry, needed := r.entry, r.unread()
		x.mu.RUnlock()
		if !needed {
			continue
		}
		group.Go(func() error {
			d, err := readDocument(ctx, x.config.Bucket, entry.Document.Key)
			switch {
			case ossclient.NotFound(err):
				return nil // the next listing tells
			case err != nil && ctx.Err() == nil && failures.Add(1) <= maxFailures:
				return nil // one object that is refused must not hide the others; it stays unread
			case err != nil:
				return err
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			if sameVersion(r.entry.Document, entry.Document) {
				r.facts = factsOf(d)
			}
			return nil
		})
	}
	return group.Wait()
}

// refresh lists one image and reads its document.
func (x *index) refresh(ctx context.Context, key string) error {
	at := time.Now()
	beside := func(yield func(ossclient.Object, error) bool) {
		for o, err := range x.config.Bucket.List(ctx, key, "") {
			// Whatever lies beside the image begins with its key and one of the suffixes; what comes behind the last is of others.
			if err == nil && o.Key > key && !strings.HasPrefix(o.Key, key+".") && o.Key > key+x.last() {
				return
			}
			if !yield(o, err) {
				return
			}
		}
	}
	for e, err := range inventory.Pair(x.config.Keys, beside) {
		if err != nil {
			return err
		}
		if e.Key != key {
			continue
		}
		if e.Image == nil {
			break
		}
		x.put(e, at)
		x.mu.RLock()
		r := x.rows[key]
		x.mu.RUnlock()
		return x.read(ctx, []*row{r})
	}
	x.drop(key, at)
	return nil
}

// last is the greatest of the suffixes of what lies beside an image.
func (x *index) last() string {
	return max(x.config.Keys.ResultSuffix, x.config.Keys.ClaimSuffix, result.ReviewSuffix)
}
