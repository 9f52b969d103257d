// Package backfill submits the images of a bucket that have no result yet to the function, at a given rate, and goes on where
// it stopped. It never recognises anything itself, never submits more than it was allowed to, and holds a window of the
// listing in memory, not the listing.
package backfill

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/parallel"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"

	"golang.org/x/time/rate"
)

// grace is how long submissions under way may take after an interruption.
const grace = 10 * time.Second

// Bucket is the bucket to list; *ossclient.Bucket implements it.
type Bucket interface {
	inventory.Bucket
	Remove(ctx context.Context, key string) error
}

// Invoker hands an event to the function; *fcclient.Client is the real one.
type Invoker interface {
	InvokeAsync(ctx context.Context, payload []byte) (requestID string, err error)
}

// Job is one backfill. All fields but Progress and Now are required; Invoker is not used in a dry run.
type Job struct {
	Options
	Objects    Bucket
	Invoker    Invoker
	Checkpoint *Checkpoint
	// Plan passes over images that get the answer of another one; nil passes over none.
	Plan *ReusePlan
	// Progress receives the counts after each image, from one goroutine. It must return soon.
	Progress func(Counts)
	// Failed receives each image that could not be classified or submitted for a reason of its own, likewise; cause is that of an
	// inventory.UnreadableError.
	Failed func(key string, why Skip, cause string)
	Now    func() time.Time // nil means time.Now

	reader   *inventory.Reader
	limiter  *rate.Limiter
	mu       sync.Mutex
	stop     Stop  // why nothing more is submitted
	reserved int64 // permits of this run
	charges  int64 // likewise, of paid calls
	earlier  int64 // paid calls of the runs before
}

// item is an image with the position that holds once it is dealt with.
type item struct {
	entry inventory.Entry
	after inventory.Position
}

// handled is what became of an item.
type handled struct {
	item
	reason  Reason // if it was submitted
	charged bool
	skip    Skip
	cause   string // of Unreadable and Unremovable
	stop    Stop
	err     error
}

// Run works through the listing, from the checkpoint on. The error, if any, is the first thing that went wrong; the report
// tells what was done until then, and the checkpoint is where the next run goes on.
func (j *Job) Run(ctx context.Context) (Report, error) {
	if j.Now == nil {
		j.Now = time.Now
	}
	j.reader = &inventory.Reader{Bucket: j.Objects}
	j.limiter = rate.NewLimiter(rate.Limit(j.Rate), 1)
	report := Report{Counts: Counts{Submitted: map[Reason]int64{}, Skipped: map[Skip]int64{}}}
	report.Earlier, report.EarlierCharges = j.Checkpoint.Submitted()
	j.earlier = report.EarlierCharges
	if !j.DryRun { // before anything is submitted that could not be remembered
		if err := j.Checkpoint.Save(); err != nil {
			return report, err
		}
	}

	// Each of these outlives the one before: pulling ends when no further image is to be looked at, working when none is to be
	// submitted any more, submitting when what was begun has taken too long to end.
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	pulling, stopPulling := context.WithCancel(working)
	defer stopPulling()
	submitting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(submitting, func() { timer.Stop() })
	})()

	var failed error
	stopped := false
	for r, err := range parallel.Map(j.items(pulling), j.Parallel, func(i item) handled { return j.handle(working, submitting, i) }) {
		if err == nil {
			err = r.err
		}
		switch {
		case err != nil && stopped && report.Stopped != aborted: // what was under way ends, too
		case err != nil && failed == nil:
			failed, stopped = err, true
			stopWorking()
		case r.stop != "" && !stopped:
			report.Stopped, stopped = r.stop, true
			stopPulling()
		case err != nil || r.stop != "" || (stopped && r.skip != ""): // the next run looks at it again
		default:
			report.count(r)
			if r.cause != "" && j.Failed != nil {
				j.Failed(r.entry.Key, r.skip, r.cause)
			}
			if !stopped && !j.DryRun {
				if err := j.Checkpoint.Advance(r.entry.Key, r.after); err != nil {
					failed, stopped = err, true
					stopWorking()
				}
			}
		}
		if j.Progress != nil {
			j.Progress(report.Counts)
		}
	}
	if report.Stopped == aborted {
		report.Stopped = ""
	}
	if ctx.Err() != nil {
		report.Stopped = Interrupted
		if errors.Is(failed, context.Canceled) {
			failed = nil
		}
	}
	report.At = j.Checkpoint.After()
	if j.DryRun {
		return report, failed
	}
	if failed == nil && report.Stopped == "" {
		return report, j.Checkpoint.Finish()
	}
	err := j.Checkpoint.Save()
	if errors.Is(failed, ErrCheckpoint) {
		err = nil // has been reported
	}
	return report, errors.Join(failed, err)
}

// items streams the images of the listing from the checkpoint on.
func (j *Job) items(ctx context.Context) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		p := inventory.Pairer{Keys: j.Keys, Position: j.Checkpoint.Position()}
		before := p.Snapshot()
		emit := func(done []inventory.Entry, after inventory.Position) bool {
			for i, e := range done {
				at := after
				if i < len(done)-1 { // the next run reads the last object again, to find the others complete
					before.Pending = without(before.Pending, e.Key)
					at = inventory.Position{After: before.After, Pending: before.Pending}
				}
				if e.Image != nil && !yield(item{e, at}, nil) {
					return false
				}
			}
			return true
		}
		for o, err := range j.Objects.List(ctx, j.Prefix, p.Position.After) {
			if err == nil {
				err = ctx.Err()
			}
			var done []inventory.Entry
			if err == nil {
				done, err = p.Add(o)
			}
			if err != nil {
				yield(item{}, err)
				return
			}
			after := p.Snapshot()
			if !emit(done, after) {
				return
			}
			before = after
		}
		done := p.End()
		emit(done, inventory.Position{After: p.Position.After})
	}
}

func without(open []inventory.Entry, key string) []inventory.Entry {
	var rest []inventory.Entry
	for _, e := range open {
		if e.Key != key {
			rest = append(rest, e)
		}
	}
	return rest
}

// handle decides about one image and submits it. It runs concurrently with itself.
func (j *Job) handle(working, submitting context.Context, i item) (r handled) {
	r.item = i
	defer func() {
		if r.err != nil {
			j.abort()
		}
	}()
	if j.Checkpoint.IsSubmitted(i.entry.Key) {
		r.skip = AlreadySubmitted
		return r
	}
	if r.stop = j.stopping(); r.stop != "" {
		return r
	}
	var document *result.Document
	r.reason, r.skip = j.classify(i.entry)
	if r.reason == Missing && j.Plan.defers(i.entry.Key) {
		r.reason, r.skip = "", EqualBytes
	}
	if r.skip == Done && j.Retry.Any() {
		document = j.readFailure(working, &r)
	}
	if r.skip != "" || r.err != nil {
		return r
	}
	r.charged = i.entry.Image.Size > 0 && i.entry.Image.Size <= j.MaxImageBytes
	if r.stop = j.reserve(r.charged); r.stop != "" || j.DryRun {
		return r
	}
	if j.limiter.Wait(working) != nil {
		r.stop = Interrupted
		return r
	}
	if r.skip, r.cause, r.err = j.submit(submitting, i.entry, document); r.skip != "" {
		j.giveBack(r.charged)
		return r
	}
	if r.err == nil {
		r.err = j.Checkpoint.Record(i.entry.Key, r.charged)
	}
	return r
}

// classify decides by the listing.
func (j *Job) classify(e inventory.Entry) (Reason, Skip) {
	switch {
	case e.Image.LastModified.Before(j.Since):
		return "", OlderThanSince
	case e.Claim != nil && j.Now().Sub(e.Claim.LastModified) < j.ClaimAge:
		return "", InProgress
	case e.Claim != nil:
		return Abandoned, ""
	case e.Document == nil:
		return Missing, ""
	case !e.UpToDate():
		return Outdated, ""
	}
	return "", Done
}

// readFailure reads the document of an image that is otherwise done, and returns it if it is a failure to be tried again.
func (j *Job) readFailure(ctx context.Context, r *handled) *result.Document {
	var unreadable *inventory.UnreadableError
	d, err := j.reader.Read(ctx, r.entry.Document.Key)
	switch {
	case errors.As(err, &unreadable):
		r.skip, r.cause = Unreadable, unreadable.Cause
	case ossclient.NotFound(err):
		r.reason, r.skip = Missing, ""
	case err != nil:
		r.err = err
	case !inventory.About(d, r.entry.Image):
		r.reason, r.skip = Stale, ""
	case j.Retry.Selects(d):
		r.reason, r.skip = Failed, ""
		return d
	}
	return nil
}

// stopping returns why no further image is taken. A run starts images before earlier ones are finished.
func (j *Job) stopping() Stop {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stop
}

// aborted is the Stop of images that come after one that failed.
const aborted Stop = "aborted"

// abort keeps images from being submitted that run ahead of one that failed.
func (j *Job) abort() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stop == "" {
		j.stop = aborted
	}
}

// reserve counts the submission, or returns why there must be none.
func (j *Job) reserve(charged bool) Stop {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.Limit > 0 && j.reserved >= j.Limit:
		j.stop = AtLimit
	case charged && j.MaxCharge > 0 && j.earlier+j.charges >= j.MaxCharge:
		j.stop = AtChargeLimit
	}
	if j.stop != "" {
		return j.stop
	}
	j.reserved++
	if charged {
		j.charges++
	}
	return ""
}

// giveBack undoes reserve for an image that is not submitted after all.
func (j *Job) giveBack(charged bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reserved--
	if charged {
		j.charges--
	}
}

// submit submits the image to the function, or returns why it must not. A final failure would count as done there, so its document
// is removed first, if it is still the one that was read: a kill in between leaves an image without a document, which every
// run submits.
func (j *Job) submit(ctx context.Context, e inventory.Entry, failed *result.Document) (Skip, string, error) {
	if failed != nil && failed.Final() {
		var unreadable *inventory.UnreadableError
		now, err := j.reader.Read(ctx, e.Document.Key)
		switch {
		case errors.As(err, &unreadable):
			return Unreadable, unreadable.Cause, nil
		case ossclient.NotFound(err):
		case err != nil:
			return "", "", err
		case now.RequestID != failed.RequestID || !now.CompletedAt.Equal(failed.CompletedAt): // made anew in the meantime
			return Done, "", nil
		default:
			if err := j.Objects.Remove(ctx, e.Document.Key); ossclient.OfObject(err) {
				return Unremovable, inventory.CauseOf(err), nil
			} else if err != nil {
				return "", "", err
			}
		}
	}
	if _, err := j.Invoker.InvokeAsync(ctx, uploadEvent(j.Bucket, j.Region, *e.Image, j.Now())); err != nil {
		return "", "", message.Errorf("an image could not be submitted: %w", err)
	}
	return "", "", nil
}
