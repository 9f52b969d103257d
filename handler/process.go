package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"fc-idcard-ocr/internal/bucket"
)

// The end of an invocation is divided so that each step leaves time for those after it.
const (
	writeReserve   = 2 * time.Second        // from the end of a call to the deadline
	keepReserve    = 800 * time.Millisecond // of that, to put an unwritten result into the claim
	releaseReserve = 400 * time.Millisecond // of that, to release the claim
)

// job is one image of one invocation.
type job struct {
	h          *Handler
	inv        Invocation
	store      Store
	log        *slog.Logger
	image      Image // as the event names it; the version is settled by look
	force      bool  // recognise also if a final document is there
	steps      steps
	releaseErr error
}

// outcome is how an image ended in this invocation.
type outcome struct {
	document *Document // written beside the image; nil if nothing was written
	status   Status    // of the document, or unchanged or missing
	err      *Error    // why there is no card, or why there is no document
}

// The outcomes without a document of this invocation.
const (
	unchanged Status = "unchanged" // a final document for this version of the image was there already
	missing   Status = "missing"   // the image is gone
)

// retry reports whether the platform should deliver the event again.
func (o outcome) retry() bool { return o.err != nil && o.err.Retryable }

// run is the way of one image. Its steps are those of the package's documentation (docs/guarantees.md).
func (j *job) run(ctx context.Context) (o outcome) {
	ctx, cancel := context.WithDeadline(ctx, j.inv.Deadline)
	defer cancel()
	defer func() { j.report(o) }()
	defer survive(j.log, &o)

	claim, err := j.claim(ctx)
	if err != nil {
		return j.unclaimed(ctx, err)
	}
	paid := j.paid(claim)
	seen, err := j.look(ctx)
	switch {
	case err != nil:
		return j.unseen(ctx, claim, paid, storageFailure(err))
	case seen.missing:
		return j.leave(ctx, claim, outcome{status: missing})
	}
	if paid != nil && claim.last.ETag == j.image.ETag { // newer than a document that is there: a forced one
		return j.finish(ctx, claim, paid, nil)
	}
	if seen.settled && !j.force {
		return j.leave(ctx, claim, outcome{status: unchanged})
	}
	if e := j.unfit(); e != nil {
		return j.finish(ctx, claim, j.failed(e), nil)
	}
	document, open, err := j.recognize(ctx, claim)
	switch {
	case errors.Is(err, errBusy):
		return outcome{status: Failed, err: busy()}
	case gone(err):
		return j.leave(ctx, claim, outcome{status: missing})
	case err != nil:
		return j.finish(ctx, claim, j.failed(storageFailure(err)), nil)
	}
	return j.finish(ctx, claim, document, open)
}

// survive makes a panic the outcome of its image. The panic's value may hold anything: only its type and place are told.
func survive(log *slog.Logger, o *outcome) {
	if p := recover(); p != nil {
		log.Error("panic", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		*o = outcome{status: Failed, err: failure(Internal, true, "the function broke off in an image")}
	}
}

func (j *job) claim(ctx context.Context) (*claim, error) {
	defer j.steps.time("claim")()
	ctx, cancel := j.until(ctx, keepReserve)
	defer cancel()
	return acquire(ctx, j.store, j.image.Key+j.h.ClaimSuffix, j.image.Bucket+"/"+j.image.Key, j.image.ETag, j.inv)
}

// sight is what is there before anything is paid.
type sight struct {
	missing bool // no image
	settled bool // a final document for the image's current version
}

// look asks for image and document side by side, and makes the image's current version the one that counts.
func (j *job) look(ctx context.Context) (s sight, err error) {
	defer j.steps.time("look")()
	ctx, cancel := j.until(ctx, keepReserve)
	defer cancel()
	var result bucket.Object
	var resultErr error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		result, resultErr = j.store.Stat(ctx, j.resultKey())
	}()
	image, imageErr := j.store.Stat(ctx, j.image.Key)
	<-asked
	switch {
	case gone(imageErr):
		return sight{missing: true}, nil
	case imageErr != nil:
		return s, imageErr
	}
	j.image.ETag, j.image.Size = image.ETag, image.Size
	switch {
	case gone(resultErr):
		return s, nil
	case resultErr != nil:
		return s, resultErr
	}
	s.settled, err = j.settles(ctx, result)
	return s, err
}

// settles reports whether a document is final and about the image's current version. A failed one must be read to know.
func (j *job) settles(ctx context.Context, result bucket.Object) (bool, error) {
	if bucket.ETag(result.Meta["source-etag"]) != j.image.ETag {
		return false, nil
	}
	switch Status(result.Meta["status"]) {
	case Recognized, Unrecognized:
		return true, nil
	case Failed:
		stored, err := j.stored(ctx)
		if err != nil && !gone(err) {
			return false, err
		}
		return stored != nil && stored.final(), nil
	}
	return false, nil
}

// stored reads the document beside the image; nil if there is none that can be read.
func (j *job) stored(ctx context.Context) (*Document, error) {
	body, err := j.store.Read(ctx, j.resultKey(), "", maxClaimBytes)
	if err != nil {
		return nil, err
	}
	var d Document
	if json.Unmarshal(body, &d) != nil {
		return nil, nil
	}
	return &d, nil
}

// paid returns the document that an earlier invocation paid for the claim's version and could not write; nil if there is none.
func (j *job) paid(c *claim) *Document {
	if d := j.h.unwritten.take(c.last.Nonce); d != nil && c.last.Document == nil {
		return d
	}
	return c.last.Document
}

// unfit refuses images that cannot be recognised, before anything is paid.
func (j *job) unfit() *Error {
	switch {
	case j.image.Size > j.h.MaxImageBytes:
		return failure(ImageTooLarge, false, "the image has %d bytes, more than MAX_IMAGE_BYTES (%d)", j.image.Size, j.h.MaxImageBytes)
	case j.image.Size == 0:
		return failure(ImageUnsupported, false, "the object is empty")
	}
	return nil
}

// recognize makes the paid calls. If one's fate stays open, open is what the claim must tell the next delivery.
func (j *job) recognize(ctx context.Context, c *claim) (d *Document, open *policy, err error) {
	defer j.steps.time("recognize")()
	r := j.h.newRecognition(picture{store: j.store, key: j.image.Key, process: processing(j.image.Key, j.image.Size)}, j.inv.Deadline, j.log)
	r.claim, r.etag = c, j.image.ETag
	d = &Document{Image: j.image}
	last, err := r.run(ctx, d)
	if last.keep {
		open = &r.policy
	}
	return d, open, err
}

func (j *job) failed(e *Error) *Document {
	d := &Document{Image: j.image, OCR: OCR{Details: j.h.Details}}
	d.fail(e)
	return d
}

// finish writes the document and gives the claim up. A final document that cannot be written is left in the claim, or, if
// not even that succeeds, in this process's memory: the next delivery writes it without paying.
func (j *job) finish(ctx context.Context, c *claim, d *Document, open *policy) outcome {
	err := j.write(ctx, d)
	if err != nil && d.final() {
		e := storageFailure(err)
		e.Retryable = true
		if e.Code != AccessDenied {
			e.Code = Unavailable
		}
		e.Message = "the result could not be written: " + e.Message
		return j.rest(ctx, c, d, nil, outcome{status: Failed, err: e})
	}
	o := outcome{document: d, status: d.Status}
	if d.Error != nil {
		o.err = failure(d.Error.Code, d.Error.Retryable, "%s", d.Error.Message)
	}
	if err != nil {
		o.document = nil
	}
	if open != nil {
		return j.rest(ctx, c, nil, open, o)
	}
	return j.leave(ctx, c, o)
}

func (j *job) write(ctx context.Context, d *Document) error { return j.put(ctx, d, j.store.Write) }

// put stores a document beside the image, by one of the store's two ways.
func (j *job) put(ctx context.Context, d *Document, store func(ctx context.Context, key, contentType string, meta map[string]string, body []byte) error) error {
	defer j.steps.time("write")()
	ctx, cancel := j.until(ctx, keepReserve)
	defer cancel()
	d.stamp(j.inv.RequestID)
	return store(ctx, j.resultKey(), documentType, d.metadata(), d.encode())
}

// leave releases the claim. If that fails, the claim ends with its lease: the image is settled all the same.
func (j *job) leave(ctx context.Context, c *claim, o outcome) outcome {
	defer j.steps.time("release")()
	j.releaseErr = c.release(ctx)
	return o
}

// rest leaves the claim behind for the next delivery.
func (j *job) rest(ctx context.Context, c *claim, paid *Document, open *policy, o outcome) outcome {
	defer j.steps.time("release")()
	ctx, cancel := j.until(ctx, releaseReserve)
	defer cancel()
	if j.releaseErr = c.keep(ctx, paid, open); j.releaseErr != nil && paid != nil && paid.OCR.Attempts > 0 {
		j.h.unwritten.put(c.last.Nonce, paid)
	}
	return o
}

// unclaimed ends an image whose claim could not be had. Without it nothing is paid; a document is written only where none
// is, as the image may be somebody else's to settle.
func (j *job) unclaimed(ctx context.Context, err error) outcome {
	if errors.Is(err, errBusy) {
		return outcome{status: Failed, err: busy()}
	}
	e := storageFailure(err)
	if errors.Is(err, errForeignClaim) {
		e = failure(Internal, false, "%v; remove it or change CLAIM_SUFFIX", err)
	}
	return j.unpaid(ctx, e)
}

// unseen ends an image that could not be looked at. What a former owner of the claim paid, or may have, stays in it.
func (j *job) unseen(ctx context.Context, c *claim, paid *Document, e *Error) outcome {
	if !c.inherited {
		return j.leave(ctx, c, j.unpaid(ctx, e))
	}
	e.Retryable = true
	return j.rest(ctx, c, paid, nil, j.unpaid(ctx, e))
}

// unpaid ends an image before anything is known of it. A document is written only where none is: one that is there may be
// paid, and in its place a failure would have the image paid again.
func (j *job) unpaid(ctx context.Context, e *Error) outcome {
	o := outcome{status: Failed, err: e}
	stat, cancel := j.until(ctx, keepReserve)
	defer cancel()
	_, err := j.store.Stat(stat, j.resultKey())
	useless := errors.Is(err, bucket.ErrClock) || errors.Is(err, bucket.ErrExpired) // OSS takes nothing from this invocation
	if err != nil && !useless {                                                     // not there, or nobody knows
		if d := j.failed(e); j.put(ctx, d, j.store.Create) == nil {
			o.document = d
			return o
		}
	}
	o.err.Retryable = true // nothing says beside the image what happened, so the platform must hear it
	return o
}

func busy() *Error { return failure(InProgress, true, "%v", errBusy) }

func (j *job) resultKey() string { return j.image.Key + j.h.ResultSuffix }

// until bounds a step so that reserve is left to the steps after it.
func (j *job) until(ctx context.Context, reserve time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, j.inv.Deadline.Add(-reserve))
}
