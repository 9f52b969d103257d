// Package listing pairs images with the documents and claims beside them, from one pass over a bucket's listing in key
// order. It never asks for an object by itself and never holds more of the listing than a few hundred entries, however
// large the bucket is.
package listing

import (
	"fmt"
	"iter"
	"strings"
	"time"
)

// Object is one line of a listing: all that is known of an object without a request of its own.
type Object struct {
	Key          string    `json:"key"`
	ETag         string    `json:"etag"` // upper case, without quotes
	Size         int64     `json:"size"` // bytes
	LastModified time.Time `json:"lastModified"`
}

// Names tells images, documents and claims apart by the ends of their keys, as the function does.
type Names struct {
	Images   []string // suffixes of images, compared without regard to case
	Document string   // appended to the whole key of the image
	Claim    string   // likewise
}

// IsImage reports whether the function would take an object of this key for an image.
func (n Names) IsImage(key string) bool {
	key = strings.ToLower(key)
	for _, suffix := range n.Images {
		if strings.HasSuffix(key, strings.ToLower(suffix)) {
			return true
		}
	}
	return false
}

// Entry is an image with what lies beside it. Without Image it is a document or a claim whose image is not in the listing.
type Entry struct {
	Key      string  `json:"key"` // of the image
	Image    *Object `json:"image,omitempty"`
	Document *Object `json:"document,omitempty"`
	Claim    *Object `json:"claim,omitempty"`
}

// Current reports whether the entry's document is about the image as it is now, as far as a listing can tell: a document that is
// not older than its image is. (The ETag that the document is about stands in its metadata, which no listing shows.)
func (e Entry) Current() bool {
	return e.Image != nil && e.Document != nil && !e.Document.LastModified.Before(e.Image.LastModified)
}

// Position is where a pass over a listing stands: enough to go on from there later, in another process.
type Position struct {
	After string `json:"after"` // the last key that was read
	// Open are the images whose document or claim may still come, each key a prefix of the next.
	Open []Entry `json:"open,omitempty"`
}

// Pairer turns objects, given in key order, into entries. The zero value but for Names is ready for the start of a listing.
//
// It rests on this: all keys between an image's key and that key with a suffix begin with the image's key. So the images
// that may still get their document are prefixes of the key just read, and of each other: a stack, which can hold no more
// images than an object key (1,023 bytes) has places for their suffixes.
type Pairer struct {
	Names    Names
	Position Position
}

// Add takes the next object and returns the entries that are complete with it; the slice is valid until the next call.
// A key that is not greater than the one before is an error: pairing would silently go wrong, and cost money.
func (p *Pairer) Add(o Object) ([]Entry, error) {
	if p.Position.After != "" && o.Key <= p.Position.After {
		return nil, fmt.Errorf("listing: the bucket's listing is not in the order of keys")
	}
	p.Position.After = o.Key
	open := p.Position.Open
	var done []Entry
	for len(open) > 0 && !strings.HasPrefix(o.Key, open[len(open)-1].Key) {
		done = append(done, open[len(open)-1])
		open = open[:len(open)-1]
	}
	p.Position.Open = open
	switch {
	case p.Names.IsImage(o.Key):
		p.Position.Open = append(open, Entry{Key: o.Key, Image: &o})
	case strings.HasSuffix(o.Key, p.Names.Document):
		image := strings.TrimSuffix(o.Key, p.Names.Document)
		if e := p.find(image); e != nil {
			e.Document = &o
		} else {
			done = append(done, Entry{Key: image, Document: &o})
		}
	case strings.HasSuffix(o.Key, p.Names.Claim):
		image := strings.TrimSuffix(o.Key, p.Names.Claim)
		if e := p.find(image); e != nil {
			e.Claim = &o
		} else {
			done = append(done, Entry{Key: image, Claim: &o})
		}
	}
	return done, nil
}

func (p *Pairer) find(key string) *Entry {
	for i := len(p.Position.Open) - 1; i >= 0; i-- {
		if p.Position.Open[i].Key == key {
			return &p.Position.Open[i]
		}
	}
	return nil
}

// End returns the entries that are still open when the listing is over.
func (p *Pairer) End() []Entry {
	var done []Entry
	for i := len(p.Position.Open) - 1; i >= 0; i-- {
		done = append(done, p.Position.Open[i])
	}
	p.Position.Open = nil
	return done
}

// Snapshot returns a copy of the position that later calls do not change.
func (p *Pairer) Snapshot() Position {
	return Position{After: p.Position.After, Open: append([]Entry(nil), p.Position.Open...)}
}

// Pair returns the entries of a whole listing. An error of the listing ends it.
func Pair(names Names, objects iter.Seq2[Object, error]) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		p := Pairer{Names: names}
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
