// Package inventory lists the content of a bucket: it pairs images with the documents and claims beside them, from one pass over
// the listing in key order, reads documents and counts them. It never writes anything and never holds more of the bucket
// than a window.
package inventory

import (
	"context"
	"errors"
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/parallel"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// Options say what is counted.
type Options struct {
	Prefix string
	Keys   result.Keys
	// ClaimAge is how old a claim must be to count as stale.
	ClaimAge time.Duration
	// Read opens each document, at most Parallel at a time; without it only the listing is counted.
	Read     bool
	Parallel int
}

// State is where an image stands. Every image is in exactly one.
type State string

// The states.
const (
	Missing    State = "missing"    // neither document nor claim: its event was lost, or is on its way
	Outdated   State = "outdated"   // its document is older than it is
	Stale      State = "stale"      // its document is about another version of it
	InProgress State = "inProgress" // its claim is young
	StaleClaim State = "staleClaim" // its claim is old: its work broke off, or the outcome of a call is unknown
	Unreadable State = "unreadable" // its document cannot be read
	Documented State = "documented" // it has a document
)

// Image is an image and where it stands.
type Image struct {
	Entry
	State    State
	Document *result.Document // of Documented and Stale images, if documents are read
	Cause    string           // of Unreadable: that of an UnreadableError
}

// Contradictory reports that the card was read and contradicts itself.
func (i Image) Contradictory() bool {
	return i.Document != nil && i.Document.Validation != nil && i.Document.Validation.Contradicts()
}

// Report is the count. Every image is counted in exactly one of Missing, Outdated, Stale, InProgress, StaleClaims and Documents.
type Report struct {
	Images     int64 `json:"images"`
	ImageBytes int64 `json:"imageBytes"`

	Documents   int64 `json:"documents"` // images in the states Documented and Unreadable
	Missing     int64 `json:"missing"`
	Outdated    int64 `json:"outdated"`
	Stale       int64 `json:"stale"`
	InProgress  int64 `json:"inProgress"`
	StaleClaims int64 `json:"staleClaims"`

	// EqualImages are images whose bytes another image has, too, as far as ETags show, and EqualGroups of how many different
	// bytes they are. Each group needs one paid call.
	EqualImages int64 `json:"equalImages"`
	EqualGroups int64 `json:"equalGroups"`

	// Orphans are documents and claims whose image is gone.
	OrphanDocuments int64 `json:"orphanDocuments"`
	OrphanClaims    int64 `json:"orphanClaims"`

	// Of the Documents, if they were read:
	Statuses   map[result.Status]int64 `json:"statuses,omitempty"`
	Codes      map[result.Code]int64   `json:"codes,omitempty"`      // of those without a card
	Retryable  int64                   `json:"retryable"`            // failed, and not final
	Invalid    int64                   `json:"invalid"`              // recognised, and the card contradicts itself
	Charged    int64                   `json:"charged"`              // answers that were paid
	MoreCalls  int64                   `json:"moreCalls"`            // images that took two calls or more
	Extra      int64                   `json:"possibleExtraCharges"` // calls that may have been charged without a result
	Unreadable int64                   `json:"unreadable"`           // documents that cannot be read
	Causes     map[string]int64        `json:"unreadableCauses,omitempty"`
}

// found is an entry, or an error that ends the pass.
type found struct {
	image Image
	err   error
}

// Count counts the images of a bucket. Each, if not nil, is given every image as it is counted, in the order of the keys,
// with the report so far.
func Count(ctx context.Context, b Bucket, o Options, now time.Time, each func(Image, Report)) (Report, error) {
	r := Report{}
	if o.Read {
		r.Statuses, r.Codes, r.Causes = map[result.Status]int64{}, map[result.Code]int64{}, map[string]int64{}
	}
	var equal Duplicates
	reader := &Reader{Bucket: b}
	for f, err := range parallel.Map(Pair(o.Keys, b.List(ctx, o.Prefix, "")), o.Parallel, func(e Entry) found { return inspect(ctx, reader, o, now, e) }) {
		if err == nil {
			err = f.err
		}
		if err != nil {
			return r, err
		}
		if f.image.Image == nil {
			r.addOrphan(f.image.Entry)
			continue
		}
		r.add(f.image)
		r.EqualImages, r.EqualGroups = equal.Add(f.image.Image)
		if each != nil {
			each(f.image, r)
		}
	}
	return r, nil
}

// ErrNoImage is returned by Find for an image that is not there.
var ErrNoImage = message.Error("there is no such image")

// Find returns one image and the objects beside it.
func Find(ctx context.Context, b Bucket, o Options, key string, now time.Time) (Image, error) {
	for e, err := range Pair(o.Keys, b.List(ctx, key, "")) {
		if err != nil {
			return Image{}, err
		}
		if e.Key == key && e.Image != nil {
			f := inspect(ctx, &Reader{Bucket: b}, o, now, e)
			return f.image, f.err
		}
	}
	return Image{}, ErrNoImage
}

// inspect says where an image stands.
func inspect(ctx context.Context, reader *Reader, o Options, now time.Time, e Entry) found {
	i := Image{Entry: e}
	switch {
	case e.Image == nil:
		return found{image: i}
	case e.Claim != nil && now.Sub(e.Claim.LastModified) < o.ClaimAge:
		i.State = InProgress
	case e.Claim != nil:
		i.State = StaleClaim
	case e.Document == nil:
		i.State = Missing
	case !e.UpToDate():
		i.State = Outdated
	default:
		i.State = Documented
	}
	if !o.Read || i.State != Documented {
		return found{image: i}
	}
	var unreadable *UnreadableError
	document, err := reader.Read(ctx, e.Document.Key)
	switch {
	case errors.As(err, &unreadable):
		i.State, i.Cause = Unreadable, unreadable.Cause
	case ossclient.NotFound(err):
		i.State = Missing
	case err != nil:
		return found{err: err}
	default:
		i.Document = document
		if !About(document, e.Image) {
			i.State = Stale
		}
	}
	return found{image: i}
}

func (r *Report) addOrphan(e Entry) {
	if e.Document != nil {
		r.OrphanDocuments++
	}
	if e.Claim != nil {
		r.OrphanClaims++
	}
}

func (r *Report) add(i Image) {
	r.Images++
	r.ImageBytes += i.Image.Size
	switch i.State {
	case InProgress:
		r.InProgress++
	case StaleClaim:
		r.StaleClaims++
	case Missing:
		r.Missing++
	case Outdated:
		r.Outdated++
	case Stale:
		r.Stale++
	case Unreadable:
		r.Documents++
		r.Unreadable++
		r.Causes[i.Cause]++
	case Documented:
		r.Documents++
		if i.Document != nil {
			r.addDocument(i)
		}
	}
}

func (r *Report) addDocument(i Image) {
	d := i.Document
	r.Statuses[d.Status]++
	if d.Error != nil {
		r.Codes[d.Error.Code]++
		if d.Error.Retryable {
			r.Retryable++
		}
	}
	if i.Contradictory() {
		r.Invalid++
	}
	if d.OCR.Charged {
		r.Charged++
	}
	if d.OCR.Attempts > 1 {
		r.MoreCalls++
	}
	r.Extra += int64(d.OCR.PossibleExtraCharges)
}
