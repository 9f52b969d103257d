package backfill

// Reason says why an image is submitted.
type Reason string

// The reasons.
const (
	Missing   Reason = "missing"   // it has no document
	Outdated  Reason = "outdated"  // its document is older than it is
	Abandoned Reason = "abandoned" // a claim exists: the processing broke off, or the outcome of a call is unknown
	Failed    Reason = "failed"    // its document says that a retry can help
	Stale     Reason = "stale"     // its document is about another version; known only if documents are read
)

// Skip says why an image is not submitted.
type Skip string

// The reasons to skip an image.
const (
	Done             Skip = "done"             // its document is not older than it is
	InProgress       Skip = "inProgress"       // its claim is young: the function is at it
	OlderThanSince   Skip = "beforeSince"      // not changed since Options.Since
	AlreadySubmitted Skip = "alreadySubmitted" // by an earlier run of this job
	Unreadable       Skip = "unreadable"       // its document cannot be read
	Unremovable      Skip = "unremovable"      // the document of its final failure cannot be removed
)

// Stop says why a run ended before the end of the listing.
type Stop string

// The reasons to stop.
const (
	AtLimit       Stop = "limit"       // Options.Limit
	AtChargeLimit Stop = "budget"      // Options.MaxCharge
	Interrupted   Stop = "interrupted" // by the caller
)

// Counts are what a run found and did.
type Counts struct {
	Images    int64            `json:"images"` // seen
	Submitted map[Reason]int64 `json:"submitted"`
	Skipped   map[Skip]int64   `json:"skipped"`
	// Charges is how many of the submitted images cause a paid call, if each is recognised at the first call.
	Charges int64 `json:"charges"`
}

// Total is the number of images submitted.
func (c Counts) Total() (n int64) {
	for _, count := range c.Submitted {
		n += count
	}
	return n
}

// Report is how a run ended.
type Report struct {
	Counts
	// Earlier is what the runs before this one submitted, and EarlierCharges what of it counts as paid calls.
	Earlier        int64 `json:"submittedEarlier"`
	EarlierCharges int64 `json:"chargesEarlier"`
	// Stopped is empty if the whole listing was worked through.
	Stopped Stop `json:"stopped,omitempty"`
	// At is the key after which the next run goes on.
	At string `json:"-"`
}

func (r *Report) count(done handled) {
	r.Images++
	if done.skip != "" {
		r.Skipped[done.skip]++
		return
	}
	r.Submitted[done.reason]++
	if done.charged {
		r.Charges++
	}
}
