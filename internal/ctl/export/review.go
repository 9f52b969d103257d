package export

import (
	"context"
	"iter"
	"strings"

	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"
)

// candidate is a document of the listing, and whether a review lies beside it.
type candidate struct {
	object   ossclient.Object
	reviewed bool
}

// candidates picks the documents out of a listing, in its order. A document is held back until the listing is past its review's place,
// which is a few keys at most; a review that comes before its document is remembered as long.
func candidates(objects iter.Seq2[ossclient.Object, error], suffix string) iter.Seq2[candidate, error] {
	return func(yield func(candidate, error) bool) {
		var held []candidate
		reviews := map[string]struct{}{} // of these images
		image := func(c candidate) string { return strings.TrimSuffix(c.object.Key, suffix) }
		// flush yields what is held and cannot get a review any more, now that the listing is at a key; all of it at the end.
		flush := func(at string, end bool) bool {
			for len(held) > 0 && (end || held[0].reviewed || at > image(held[0])+result.ReviewSuffix) {
				if !yield(held[0], nil) {
					return false
				}
				held = held[1:]
			}
			return true
		}
		for o, err := range objects {
			if err != nil {
				_ = flush("", true) && yield(candidate{}, err)
				return
			}
			for reviewed := range reviews {
				if o.Key > reviewed+suffix {
					delete(reviews, reviewed)
				}
			}
			if reviewed, ok := strings.CutSuffix(o.Key, result.ReviewSuffix); ok {
				reviews[reviewed] = struct{}{}
				for n := range held {
					held[n].reviewed = held[n].reviewed || image(held[n]) == reviewed
				}
			} else if strings.HasSuffix(o.Key, suffix) {
				c := candidate{object: o}
				_, c.reviewed = reviews[image(c)]
				held = append(held, c)
			}
			if !flush(o.Key, false) {
				return
			}
		}
		flush("", true)
	}
}

// applyReview returns the document as a person reviewed it, if the review is about this document.
func applyReview(ctx context.Context, s inventory.Bucket, image string, d *result.Document) (reviewed *result.Document, applied bool, err error) {
	body, err := s.Read(ctx, image+result.ReviewSuffix, result.MaxBytes)
	if ossclient.NotFound(err) || ossclient.TooLarge(err) {
		return d, false, nil
	}
	if err != nil {
		return d, false, err
	}
	review, err := result.ParseReview(body)
	if err != nil || !review.About(d) {
		return d, false, nil
	}
	corrected := review.Apply(*d)
	return &corrected, true, nil
}
