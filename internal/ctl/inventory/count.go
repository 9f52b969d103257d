// Package inventory tells what is in a bucket: it pairs images with the documents and claims beside them, from one pass over
// the listing in key order, reads documents and counts them. It never writes anything and never holds more of the bucket
// than a window.
package inventory

import (
	"context"
	"errors"
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/parallel"
	"fc-idcard-ocr/internal/result"
)

// Options say what is counted.
type Options struct {
	Prefix string
	Keys   result.Keys
	// ClaimAge is how old a claim must be to count as stale.
	ClaimAge time.Duration
	// Read opens each document, at most Parallel at a time; without it only what a listing tells is counted.
	Read     bool
	Parallel int
}

// Report is the count. Every image is counted in exactly one of Missing, Outdated, InProgress, StaleClaims and Documents.
type Report struct {
	Images     int64 `json:"images"`
	ImageBytes int64 `json:"imageBytes"`

	Documents   int64 `json:"documents"`   // images whose document is not older than they are
	Missing     int64 `json:"missing"`     // images with neither document nor claim: their event was lost, or is on its way
	Outdated    int64 `json:"outdated"`    // images whose document is older than they are
	InProgress  int64 `json:"inProgress"`  // images with a young claim
	StaleClaims int64 `json:"staleClaims"` // images with an old claim: their work broke off, or a call's fate is open

	// Orphans are documents and claims whose image is gone.
	OrphanDocuments int64 `json:"orphanDocuments"`
	OrphanClaims    int64 `json:"orphanClaims"`

	// Of the Documents, if they were read:
	Statuses   map[result.Status]int64 `json:"statuses,omitempty"`
	Codes      map[result.Code]int64   `json:"codes,omitempty"`      // of those without a card
	Retryable  int64                   `json:"retryable"`            // failed, and not final
	Invalid    int64                   `json:"invalid"`              // recognised, and the card contradicts itself
	Charged    int64                   `json:"charged"`              // answers that were paid
	Extra      int64                   `json:"possibleExtraCharges"` // calls that may have been paid in vain
	Unreadable int64                   `json:"unreadable"`           // no documents of this program
}

// found is an entry with its document, if that was read.
type found struct {
	entry    Entry
	document *result.Document
	gone     bool
	err      error
}

// Count counts the images of a bucket. Progress, if not nil, is told the report so far after each entry.
func Count(ctx context.Context, s Bucket, o Options, now time.Time, progress func(Report)) (Report, error) {
	r := Report{}
	if o.Read {
		r.Statuses, r.Codes = map[result.Status]int64{}, map[result.Code]int64{}
	}
	entries := Pair(o.Keys, s.List(ctx, o.Prefix, ""))
	for f, err := range parallel.Map(entries, o.Parallel, func(e Entry) found { return inspect(ctx, s, o, now, e) }) {
		if err == nil {
			err = f.err
		}
		if err != nil {
			return r, err
		}
		r.add(f, o, now)
		if progress != nil {
			progress(r)
		}
	}
	return r, nil
}

// settled reports that the entry counts among Documents.
func settled(e Entry) bool { return e.Image != nil && e.Claim == nil && e.UpToDate() }

func inspect(ctx context.Context, s Bucket, o Options, now time.Time, e Entry) found {
	f := found{entry: e}
	if !o.Read || !settled(e) {
		return f
	}
	document, err := ReadDocument(ctx, s, e.Document.Key)
	switch {
	case ossclient.NotFound(err):
		f.gone = true
	case errors.Is(err, result.ErrForeign): // counted as unreadable
	case err != nil:
		f.err = err
	default:
		f.document = document
	}
	return f
}

func (r *Report) add(f found, o Options, now time.Time) {
	e := f.entry
	if e.Image == nil {
		if e.Document != nil {
			r.OrphanDocuments++
		}
		if e.Claim != nil {
			r.OrphanClaims++
		}
		return
	}
	r.Images++
	r.ImageBytes += e.Image.Size
	switch {
	case e.Claim != nil && now.Sub(e.Claim.LastModified) < o.ClaimAge:
		r.InProgress++
	case e.Claim != nil:
		r.StaleClaims++
	case e.Document == nil || f.gone:
		r.Missing++
	case !e.UpToDate():
		r.Outdated++
	default:
		r.Documents++
		if o.Read {
			r.read(f.document)
		}
	}
}

func (r *Report) read(d *result.Document) {
	if d == nil {
		r.Unreadable++
		return
	}
	r.Statuses[d.Status]++
	if d.Error != nil {
		r.Codes[d.Error.Code]++
		if d.Error.Retryable {
			r.Retryable++
		}
	}
	if d.Validation != nil && !d.Validation.Valid {
		r.Invalid++
	}
	if d.OCR.Charged {
		r.Charged++
	}
	r.Extra += int64(d.OCR.PossibleExtraCharges)
}
