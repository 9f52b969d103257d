package erase

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/parallel"
	"fc-idcard-ocr/internal/idnumber"
	"fc-idcard-ocr/internal/result"
)

// Search says what was searched for numbers.
type Search struct {
	Images     []string // whose key, document or claim holds one of the numbers
	Read       int      // versions of documents and claims
	Unreadable int      // of these, those that OSS refuses or that are too large: they may hold a number
}

// WithNumbers finds the images below a prefix of which a key, a document, or a claim in which a document waits holds one of the
// numbers, in any version. Images are not read.
func (e *Eraser) WithNumbers(ctx context.Context, prefix string, numbers []string, requests int) (Search, error) {
	type outcome struct {
		image            string
		hit, read, unfit bool
		err              error
	}
	var s Search
	found := make(map[string]bool)
	for o, err := range parallel.Map(e.Bucket.Versions(ctx, prefix), requests, func(v ossclient.Version) outcome {
		image, own := ImageOf(e.Keys, v.Key)
		switch {
		case !own:
			return outcome{}
		case contains([]byte(image), numbers):
			return outcome{image: image, hit: true}
		case v.Marker || v.Key == image:
			return outcome{}
		}
		body, err := e.Bucket.ReadVersion(ctx, v, max(result.MaxBytes, claimBytes))
		switch {
		case ossclient.NotFound(err):
			return outcome{}
		case ossclient.TooLarge(err) || err != nil && ossclient.OfObject(err):
			return outcome{unfit: true}
		case err != nil:
			return outcome{err: err}
		}
		return outcome{image: image, read: true, hit: contains(body, numbers)}
	}) {
		if err = errors.Join(err, o.err); err != nil {
			return s, err
		}
		if o.hit {
			found[o.image] = true
		}
		if o.read {
			s.Read++
		}
		if o.unfit {
			s.Unreadable++
		}
	}
	s.Images = sorted(found)
	return s, nil
}

// contains reports whether a text holds one of the numbers, with a small or a large X.
func contains(text []byte, numbers []string) bool {
	for _, number := range numbers {
		if bytes.Contains(text, []byte(number)) || bytes.Contains(text, []byte(strings.ToLower(number))) {
			return true
		}
	}
	return false
}

// Number returns an ID number in normal form: 18 characters, or the 15 digits of the first generation. It is false for other text.
func Number(text string) (string, bool) {
	if n, err := idnumber.Parse(text); err == nil {
		return n.Plain(), true
	}
	n, err := idnumber.ParseFirstGeneration(text)
	return n.Plain(), err == nil
}
