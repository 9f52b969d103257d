package billing

import (
	"context"
	"iter"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"
)

// maxOpenCalls bounds how many images with open calls are named.
const maxOpenCalls = 1000

// Verdict is how documents and meter compare.
type Verdict string

// The verdicts.
const (
	Baseline Verdict = "baseline" // nothing to compare with yet
	Equal    Verdict = "equal"
	More     Verdict = "more" // the provider metered more calls than documents were charged
	Less     Verdict = "less" // fewer
)

// OpenCalls are calls of one image that may have been charged: their responses never came.
type OpenCalls struct {
	Key         string    `json:"key"`
	Calls       int64     `json:"calls"`
	CompletedAt time.Time `json:"completedAt"`
}

// Comparison is what documents and meter say about the time between two snapshots. Where they differ, Difference is
// Open + Timing + Unexplained.
type Comparison struct {
	Verdict Verdict   `json:"verdict"`
	From    *Snapshot `json:"from,omitempty"` // nil of a Baseline
	To      Snapshot  `json:"to"`

	Metered int64 `json:"metered"`              // by the meter
	Charged int64 `json:"charged"`              // by the documents
	Extra   int64 `json:"possibleExtraCharges"` // by the documents

	Difference  int64 `json:"difference"`       // between Metered and Charged, never negative
	Open        int64 `json:"explainedByOpen"`  // as far as calls whose responses never came explain it
	Timing      int64 `json:"explainedByDelay"` // as far as the meter's delay, and calls under way at a snapshot, can explain the rest
	Unexplained int64 `json:"unexplained"`

	OpenCalls  []OpenCalls `json:"openCalls"` // of Extra; a thousand images at most
	InWork     int64       `json:"inWork"`    // images with a claim now: their calls have no document yet
	Unreadable int64       `json:"unreadable"`
}

// Compare compares the meter's growth between two snapshots with the documents that were completed in that time. A charge
// whose document was completed within lag of a snapshot may be metered on either side of it.
func Compare(ctx context.Context, b inventory.Bucket, o inventory.DocumentOptions, claimSuffix string, from, to Snapshot, lag time.Duration) (Comparison, error) {
	c := Comparison{From: &from, To: to, Metered: to.Used - from.Used, OpenCalls: []OpenCalls{}}
	o.Since = from.At.Add(-lag - writtenLate)
	claims := &claimCounter{Bucket: b, suffix: claimSuffix}
	var meteredLate, meteredEarly int64 // calls that may be metered in this time and documented outside, and the other way round
	for s, err := range inventory.Documents(ctx, claims, o) {
		if err != nil {
			return c, err
		}
		if s.Document == nil {
			c.Unreadable++
			continue
		}
		var t Totals
		t.Add(s.Document)
		at := s.Document.CompletedAt
		switch {
		case at.After(to.At) || !at.After(from.At) && at.After(from.At.Add(-lag)):
			meteredLate += t.Charged + t.Extra
		case at.After(from.At):
			c.Charged += t.Charged
			c.Extra += t.Extra
			if t.Extra > 0 && len(c.OpenCalls) < maxOpenCalls {
				c.OpenCalls = append(c.OpenCalls, OpenCalls{s.Key, t.Extra, at})
			}
			if !at.After(from.At.Add(lag)) || at.After(to.At.Add(-lag)) {
				meteredEarly += t.Charged
			}
		}
	}
	c.InWork = claims.n
	c.judge(meteredLate+c.InWork, meteredEarly)
	return c, nil
}

func (c *Comparison) judge(meteredLate, meteredEarly int64) {
	switch difference := c.Metered - c.Charged; {
	case c.Metered < 0: // another package, or a meter that was set back
		c.Verdict, c.From = Baseline, nil
		return
	case difference == 0:
		c.Verdict = Equal
	case difference > 0:
		c.Verdict, c.Difference = More, difference
		c.Open = min(difference, c.Extra)
		c.Timing = min(difference-c.Open, meteredLate)
	default:
		c.Verdict, c.Difference = Less, -difference
		c.Timing = min(-difference, meteredEarly)
	}
	c.Unexplained = c.Difference - c.Open - c.Timing
}

// claimCounter counts the claims in a listing that is read for its documents.
type claimCounter struct {
	inventory.Bucket
	suffix string
	n      int64
}

func (c *claimCounter) List(ctx context.Context, prefix, after string) iter.Seq2[ossclient.Object, error] {
	return func(yield func(ossclient.Object, error) bool) {
		for o, err := range c.Bucket.List(ctx, prefix, after) {
			if strings.HasSuffix(o.Key, c.suffix) && !strings.HasPrefix(o.Key, result.OwnPrefix) {
				c.n++
			}
			if !yield(o, err) {
				return
			}
		}
	}
}
