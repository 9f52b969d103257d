package inventory

import (
	"iter"
	"strings"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// Entry is an image with what lies beside it. Without Image it is a document or a claim whose image is not in the listing.
type Entry struct {
	Key      string            `json:"key"` // of the image
	Image    *ossclient.Object `json:"image,omitempty"`
	Document *ossclient.Object `json:"document,omitempty"`
	Claim    *ossclient.Object `json:"claim,omitempty"`
	Review   *ossclient.Object `json:"review,omitempty"`
}

// UpToDate reports whether the entry's document is about the image as it is now, as far as a listing shows: a document that is
// not older than its image is. (The ETag that the document is about stands in its metadata, which no listing shows.)
func (e Entry) UpToDate() bool {
	return e.Image != nil && e.Document != nil && !e.Document.LastModified.Before(e.Image.LastModified)
}

// Position is where a pass over a listing stands: enough to go on from there later, in another process.
type Position struct {
	After string `json:"after"` // the last key that was read
	// Pending are the images whose document or claim may still come, each key a prefix of the next.
	Pending []Entry `json:"open,omitempty"`
}

// Pairer turns objects, given in key order, into entries. The zero value but for Keys is ready for the start of a listing.
//
// It rests on this: all keys between an image's key and that key with a suffix begin with the image's key. So the images
// that may still get their document are prefixes of the key just read, and of each other: a stack, which can hold no more
// images than an object key (1,023 bytes) has places for their suffixes.
type Pairer struct {
	Keys     result.Keys
	Position Position
}

// Add takes the next object and returns the entries that are complete with it; the slice is valid until the next call.
// A key that is not greater than the one before is an error: pairing would go wrong unnoticed, and cost money.
func (p *Pairer) Add(o ossclient.Object) ([]Entry, error) {
	if p.Position.After != "" && o.Key <= p.Position.After {
		return nil, message.Errorf("the bucket's listing is not in the order of keys")
	}
	p.Position.After = o.Key
	pending := p.Position.Pending
	var done []Entry
	for len(pending) > 0 && !strings.HasPrefix(o.Key, pending[len(pending)-1].Key) {
		done = append(done, pending[len(pending)-1])
		pending = pending[:len(pending)-1]
	}
	p.Position.Pending = pending
	switch {
	case strings.HasPrefix(o.Key, result.OwnPrefix): // named like claims and documents, and beside no image
	case p.Keys.IsImage(o.Key):
		p.Position.Pending = append(pending, Entry{Key: o.Key, Image: &o})
	case strings.HasSuffix(o.Key, result.ReviewSuffix): // before documents, whose suffix may be a part of it
		if e := p.find(strings.TrimSuffix(o.Key, result.ReviewSuffix)); e != nil {
			e.Review = &o
		}
	case strings.HasSuffix(o.Key, p.Keys.ResultSuffix):
		done = p.attach(done, strings.TrimSuffix(o.Key, p.Keys.ResultSuffix), func(e *Entry) { e.Document = &o })
	case strings.HasSuffix(o.Key, p.Keys.ClaimSuffix):
		done = p.attach(done, strings.TrimSuffix(o.Key, p.Keys.ClaimSuffix), func(e *Entry) { e.Claim = &o })
	}
	return done, nil
}

// attach puts what lies beside an image to its entry, or adds an entry of its own if there is no such image.
func (p *Pairer) attach(done []Entry, image string, set func(*Entry)) []Entry {
	if e := p.find(image); e != nil {
		set(e)
		return done
	}
	orphan := Entry{Key: image}
	set(&orphan)
	return append(done, orphan)
}

func (p *Pairer) find(key string) *Entry {
	for i := len(p.Position.Pending) - 1; i >= 0; i-- {
		if p.Position.Pending[i].Key == key {
			return &p.Position.Pending[i]
		}
	}
	return nil
}

// End returns the entries that are still pending when the listing is over.
func (p *Pairer) End() []Entry {
	var done []Entry
	for i := len(p.Position.Pending) - 1; i >= 0; i-- {
		done = append(done, p.Position.Pending[i])
	}
	p.Position.Pending = nil
	return done
}

// Snapshot returns a copy of the position that later calls do not change.
func (p *Pairer) Snapshot() Position {
	return Position{After: p.Position.After, Pending: append([]Entry(nil), p.Position.Pending...)}
}

// Pair returns the entries of a whole listing. An error of the listing ends it.
func Pair(keys result.Keys, objects iter.Seq2[ossclient.Object, error]) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		p := Pairer{Keys: keys}
		for o, err := range objects {
			var done []Entry
			if err == nil {
				done, err = p.Add(o)
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range done {
				if !yield(e, nil) {
					return
				}
			}
		}
		for _, e := range p.End() {
			if !yield(e, nil) {
				return
			}
		}
	}
}
