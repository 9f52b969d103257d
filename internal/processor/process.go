package processor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/result"
)

// The end of an invocation is divided so that each step leaves time for those after it.
const (
	writeReserve   = 2 * time.Second        // from the end of a call to the deadline
	saveReserve    = 800 * time.Millisecond // of that, to save an unwritten result in the claim
	releaseReserve = 400 * time.Millisecond // of that, to release the claim
)

// imageTask is one image in one invocation.
type imageTask struct {
	p          *Processor
	inv        Invocation
	store      Bucket
	log        *slog.Logger
	image      result.Image // as the event names it; inspect sets the version
	force      bool         // recognise also if a final document is there
	timings    timings
	releaseErr error
}

// run takes one image through its steps (docs/guarantees.md).
func (t *imageTask) run(ctx context.Context) (o Outcome) {
	ctx, cancel := context.WithDeadline(ctx, t.inv.Deadline)
	defer cancel()
	defer func() { t.logOutcome(o) }()
	defer recoverPanic(t.log, &o)

	c, err := t.claim(ctx)
	if err != nil {
		return t.failUnclaimed(ctx, err)
	}
	pending := t.pendingResult(c)
	seen, err := t.inspect(ctx)
	switch {
	case err != nil:
		return t.failInspection(ctx, c, pending, StorageError(err))
	case seen.missing:
		return t.release(ctx, c, Outcome{Status: Missing})
	}
	if pending != nil && c.Last.ETag == t.image.ETag { // newer than a document that is there: a forced one
		return t.finish(ctx, c, pending, nil)
	}
	if seen.final && !t.force {
		return t.release(ctx, c, Outcome{Status: Unchanged})
	}
	if e := t.checkSize(); e != nil {
		return t.finish(ctx, c, t.failedResult(e), nil)
	}
	document, open, err := t.recognize(ctx, c)
	switch {
	case errors.Is(err, claim.ErrHeld):
		return Outcome{Status: result.Failed, Err: inProgress()}
	case isNotFound(err):
		return t.release(ctx, c, Outcome{Status: Missing})
	case err != nil:
		return t.finish(ctx, c, t.failedResult(StorageError(err)), nil)
	}
	return t.finish(ctx, c, document, open)
}

// recoverPanic makes a panic the outcome of its image. The panic's value may hold anything: only its type and place are logged.
func recoverPanic(log *slog.Logger, o *Outcome) {
	if p := recover(); p != nil {
		log.Error("panic", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		*o = Outcome{Status: result.Failed, Err: result.Errorf(result.Internal, true, "the function broke off in an image")}
	}
}

func (t *imageTask) claim(ctx context.Context) (*claim.Claim, error) {
	defer t.timings.start("claim")()
	ctx, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	holder := claim.Holder{RequestID: t.inv.RequestID, RetryCount: t.inv.RetryCount, LeaseEnd: t.inv.Deadline}
	return claim.Acquire(ctx, t.store, t.keys().Claim(t.image.Key), t.image.Bucket+"/"+t.image.Key, t.image.ETag, holder)
}

// inspection is what is there before anything is paid.
type inspection struct {
	missing bool // no image
	final   bool // a final document for the image's current version
}

// inspect sends HEAD for image and document side by side, and makes the image's current version the one that counts.
func (t *imageTask) inspect(ctx context.Context) (s inspection, err error) {
	defer t.timings.start("inspect")()
	ctx, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	var stored bucket.Object
	var storedErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		stored, storedErr = t.store.Head(ctx, t.resultKey())
	}()
	image, imageErr := t.store.Head(ctx, t.image.Key)
	<-done
	switch {
	case isNotFound(imageErr):
		return inspection{missing: true}, nil
	case imageErr != nil:
		return s, imageErr
	}
	t.image.ETag, t.image.Size = image.ETag, image.Size
	switch {
	case isNotFound(storedErr):
		return s, nil
	case storedErr != nil:
		return s, storedErr
	}
	s.final, err = t.isFinal(ctx, stored)
	return s, err
}

// isFinal reports whether a document is final and about the image's current version. A failed one must be read to know.
func (t *imageTask) isFinal(ctx context.Context, stored bucket.Object) (bool, error) {
	etag, status := result.FromMetadata(stored.Meta)
	if bucket.ETag(etag) != t.image.ETag {
		return false, nil
	}
	switch status {
	case result.Recognized, result.Unrecognized:
		return true, nil
	case result.Failed:
		d, err := t.readResult(ctx)
		if err != nil && !isNotFound(err) {
			return false, err
		}
		return d != nil && d.Final(), nil
	}
	return false, nil
}

// readResult reads the document beside the image; nil if there is none that can be read.
func (t *imageTask) readResult(ctx context.Context) (*result.Document, error) {
	body, err := t.store.Read(ctx, t.resultKey(), "", result.MaxBytes)
	if err != nil {
		return nil, err
	}
	var d result.Document
	if json.Unmarshal(body, &d) != nil {
		return nil, nil
	}
	return &d, nil
}

// pendingResult returns the document that an earlier invocation paid for the claim's version and could not write; nil if
// there is none.
func (t *imageTask) pendingResult(c *claim.Claim) *result.Document {
	inMemory := t.p.pending.take(c.Last.Nonce)
	var saved result.Document
	if c.Last.Result == nil || json.Unmarshal(c.Last.Result, &saved) != nil {
		return inMemory
	}
	return &saved
}

// checkSize refuses images that cannot be recognised, before anything is paid.
func (t *imageTask) checkSize() *result.Error {
	switch limit := t.p.options.MaxImageBytes; {
	case t.image.Size > limit:
		return result.Errorf(result.ImageTooLarge, false, "the image has %d bytes, more than MAX_IMAGE_BYTES (%d)", t.image.Size, limit)
	case t.image.Size == 0:
		return result.Errorf(result.ImageUnsupported, false, "the object is empty")
	}
	return nil
}

// recognize makes the paid calls. If the outcome of one stays unknown, open is what the claim must tell the next delivery.
func (t *imageTask) recognize(ctx context.Context, c *claim.Claim) (d *result.Document, open *retryState, err error) {
	defer t.timings.start("recognize")()
	input := imageInput{store: t.store, key: t.image.Key, process: ossProcess(t.image.Key, t.image.Size)}
	loop := t.p.newCallLoop(input, t.inv.Deadline, t.log)
	loop.claim, loop.etag = c, t.image.ETag
	d = &result.Document{Image: t.image}
	last, err := loop.run(ctx, d)
	if last.saveState {
		open = &loop.retry
	}
	return d, open, err
}

func (t *imageTask) failedResult(e *result.Error) *result.Document {
	d := &result.Document{Image: t.image, OCR: result.OCR{Details: t.p.options.Details}}
	d.Fail(e)
	return d
}

// finish writes the document and releases the claim. A final document that cannot be written is saved in the claim, or, if
// not even that succeeds, in this process's memory: the next delivery writes it without paying.
func (t *imageTask) finish(ctx context.Context, c *claim.Claim, d *result.Document, open *retryState) Outcome {
	err := t.writeResult(ctx, d, t.store.Put)
	if err != nil && d.Final() {
		e := StorageError(err)
		e.Retryable = true
		if e.Code != result.AccessDenied {
			e.Code = result.Unavailable
		}
		e.Message = "the result could not be written: " + e.Message
		return t.saveResult(ctx, c, d, Outcome{Status: result.Failed, Err: e})
	}
	o := Outcome{Document: d, Status: d.Status, Err: d.Error}
	if err != nil {
		o.Document = nil
	}
	if open != nil {
		return t.saveCalls(ctx, c, open, o)
	}
	return t.release(ctx, c, o)
}

// writeResult stores a document beside the image, by one of the store's two ways.
func (t *imageTask) writeResult(ctx context.Context, d *result.Document, put func(ctx context.Context, key, contentType string, meta map[string]string, body []byte) error) error {
	defer t.timings.start("write")()
	ctx, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	d.Stamp(t.inv.RequestID, time.Now())
	return put(ctx, t.resultKey(), result.ContentType, d.Metadata(), d.Encode())
}

// release removes the claim. If that fails, the claim ends with its lease: the image is final all the same.
func (t *imageTask) release(ctx context.Context, c *claim.Claim, o Outcome) Outcome {
	defer t.timings.start("release")()
	t.releaseErr = c.Release(ctx)
	return o
}

// saveResult leaves a result that could not be written to the next delivery.
func (t *imageTask) saveResult(ctx context.Context, c *claim.Claim, pending *result.Document, o Outcome) Outcome {
	defer t.timings.start("release")()
	ctx, cancel := t.withReserve(ctx, releaseReserve)
	defer cancel()
	var body json.RawMessage
	if pending != nil {
		body = pending.Encode()
	}
	if t.releaseErr = c.SaveResult(ctx, body); t.releaseErr != nil && pending != nil && pending.OCR.Attempts > 0 {
		t.p.pending.put(c.Last.Nonce, pending)
	}
	return o
}

// saveCalls leaves the calls whose outcome is unknown to the next delivery.
func (t *imageTask) saveCalls(ctx context.Context, c *claim.Claim, open *retryState, o Outcome) Outcome {
	defer t.timings.start("release")()
	ctx, cancel := t.withReserve(ctx, releaseReserve)
	defer cancel()
	t.releaseErr = c.SaveCalls(ctx, open.possibleExtraCharges, open.indeterminate)
	return o
}

// failUnclaimed ends an image whose claim could not be had. Without it nothing is paid; a document is written only where none
// is, as another holder may be about to write one.
func (t *imageTask) failUnclaimed(ctx context.Context, err error) Outcome {
	if errors.Is(err, claim.ErrHeld) {
		return Outcome{Status: result.Failed, Err: inProgress()}
	}
	e := StorageError(err)
	if errors.Is(err, claim.ErrForeign) {
		e = result.Errorf(result.Internal, false, "%v; remove it or change CLAIM_SUFFIX", err)
	}
	return t.writeFailureIfAbsent(ctx, e)
}

// failInspection ends an image that could not be inspected. The claim keeps what its previous holder paid, or may have.
func (t *imageTask) failInspection(ctx context.Context, c *claim.Claim, pending *result.Document, e *result.Error) Outcome {
	if !c.TakenOver {
		return t.release(ctx, c, t.writeFailureIfAbsent(ctx, e))
	}
	e.Retryable = true
	return t.saveResult(ctx, c, pending, t.writeFailureIfAbsent(ctx, e))
}

// writeFailureIfAbsent ends an image before anything is known of it. A document that is there may be paid; with a failure in
// its place the image would be paid again.
func (t *imageTask) writeFailureIfAbsent(ctx context.Context, e *result.Error) Outcome {
	o := Outcome{Status: result.Failed, Err: e}
	head, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	_, err := t.store.Head(head, t.resultKey())
	refusesWrites := errors.Is(err, bucket.ErrClockSkew) || errors.Is(err, bucket.ErrCredentialsExpired) // of this invocation
	if err != nil && !refusesWrites {                                                                    // not there, or unknown
		if d := t.failedResult(e); t.writeResult(ctx, d, t.store.PutIfAbsent) == nil {
			o.Document = d
			return o
		}
	}
	o.Err.Retryable = true // nothing says beside the image what happened, so the platform must hear it
	return o
}

func inProgress() *result.Error { return result.Errorf(result.InProgress, true, "%v", claim.ErrHeld) }

func (t *imageTask) keys() result.Keys { return t.p.options.Keys }

func (t *imageTask) resultKey() string { return t.keys().Result(t.image.Key) }

// withReserve bounds a step so that reserve is left to the steps after it.
func (t *imageTask) withReserve(ctx context.Context, reserve time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, t.inv.Deadline.Add(-reserve))
}
