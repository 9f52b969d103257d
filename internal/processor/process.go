package processor

import (
	"context"
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

// maxRestarts limits how often an invocation restarts an image that was replaced before the paid call.
const maxRestarts = 3

// imageTask is one image in one invocation.
type imageTask struct {
	p          *Processor
	inv        Invocation
	store      Bucket
	log        *slog.Logger
	image      result.Image // as the event names it; inspect sets the version
	force      bool         // recognise also if a final document is there
	removed    bool         // the event says that the image is gone
	attempts   int          // OCR calls so far
	ocr        result.OCR   // of the last calls, for the log
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
	for range maxRestarts {
		seen, err := t.inspect(ctx)
		switch {
		case err != nil:
			return t.failInspection(ctx, c, StorageError(err))
		case seen.missing:
			return t.endMissing(ctx, c, seen, attempt{call: c.Call(seen.version)})
		case t.removed: // it is there again
			return t.giveBack(ctx, c, Outcome{Status: Unchanged})
		}
		// A pending document is newer than the stored one: a forced call made it. But a failure does not replace a final document.
		if d, inClaim := t.pendingResult(c, seen); d != nil && (d.Status != result.Failed || !seen.final) {
			return t.finish(ctx, c, seen, attempt{document: d, call: c.Call(seen.version), inClaim: inClaim})
		}
		if seen.final && !t.force {
			return t.endUnchanged(ctx, c, seen)
		}
		done, err := t.recognizeOnce(ctx, c, seen)
		if err == nil {
			err = t.checkVersion(ctx, seen, &done)
		}
		switch {
		case err == nil:
			return t.finish(ctx, c, seen, done)
		case errors.Is(err, errReplacedUnpaid):
			continue
		case errors.Is(err, claim.ErrHeld):
			return Outcome{Status: result.Failed, Err: inProgress()}
		case isNotFound(err):
			return t.endMissing(ctx, c, seen, done)
		default:
			return t.saveUnchecked(ctx, c, seen, done, err)
		}
	}
	return t.failInspection(ctx, c, result.Errorf(result.ImageReplaced, true, "the image was replaced %d times before it could be read", maxRestarts))
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
	object := claim.Object{Store: t.store, Key: t.keys().Claim(t.image.Key), Image: t.image.Bucket + "/" + t.image.Key, Auth: t.p.options.ClaimKey}
	c, err := claim.Acquire(ctx, object, claim.Holder{RequestID: t.inv.RequestID, RetryCount: t.inv.RetryCount, LeaseEnd: t.inv.Deadline})
	if err == nil && c.Replaced {
		t.log.Warn("claim replaced", "reason", "its lines were not written with this function's key")
	}
	return c, err
}

// inspection is the state of image and document before the paid call.
type inspection struct {
	missing  bool // no image
	final    bool // a final document for the image's current version
	version  claim.Version
	archived bool             // the image has to be restored before it can be read
	failure  *result.Document // the final document, if it is a failure or without metadata
	stored   *bucket.Object   // the document; nil if there is none. For a missing image it is also set if the HEAD failed
}

// inspect sends HEAD for image and document concurrently, and makes the image's current version the one that counts.
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
		s.missing = true
		if !isNotFound(storedErr) {
			s.stored = &stored
		}
		return s, nil
	case imageErr != nil:
		return s, imageErr
	}
	s.version, s.archived = versionOf(image), image.Archived()
	t.image.ETag, t.image.Size, t.image.VersionID, t.image.LastModified = image.ETag, image.Size, image.VersionID, image.LastModified
	switch {
	case isNotFound(storedErr):
		return s, nil
	case storedErr != nil:
		return s, storedErr
	}
	s.stored = &stored
	s.final, s.failure, err = t.isFinal(ctx, stored)
	return s, err
}

func versionOf(o bucket.Object) claim.Version {
	return claim.Version{ETag: o.ETag, LastModified: o.LastModified, VersionID: o.VersionID}
}

// isFinal reports whether a document is final and about the current version of the image. It reads documents of failures, and
// documents without metadata, such as copies by another tool, and returns them if they are final.
func (t *imageTask) isFinal(ctx context.Context, stored bucket.Object) (bool, *result.Document, error) {
	etag, status := result.FromMetadata(stored.Meta)
	switch {
	case etag != "" && bucket.ETag(etag) != t.image.ETag:
		return false, nil, nil
	case etag != "" && (status == result.Recognized || status == result.Unrecognized):
		return true, nil, nil
	}
	body, _, err := t.store.Read(ctx, t.resultKey(), bucket.ReadOptions{Limit: result.MaxBytes})
	switch {
	case isNotFound(err) || errors.Is(err, bucket.ErrTooLarge): // gone, or no document
		return false, nil, nil
	case err != nil:
		return false, nil, err
	}
	d, err := result.Parse(body)
	if err != nil || !d.Final() || bucket.ETag(d.Image.ETag) != t.image.ETag {
		return false, nil, nil
	}
	return true, d, nil
}

// pendingResult returns the paid document for this version that an earlier invocation could not write; nil if there is none. The
// claim's is the last word of its holders. But after this process remembered one, another holder may have paid again: its final
// document, which counts the remembered one's call, stays, unless it is a failure without an answer.
func (t *imageTask) pendingResult(c *claim.Claim, seen inspection) (d *result.Document, inClaim bool) {
	remembered := t.p.pending.take(t.image)
	if saved, version := c.Result(); saved != nil && version.Equal(seen.version) {
		d, err := result.Parse(saved)
		if err == nil && d.Image.Bucket == t.image.Bucket && d.Image.Key == t.image.Key && d.Image.ETag == t.image.ETag {
			return d, true
		}
	}
	d = remembered.document
	f := seen.failure
	unanswered := f != nil && f.Status == result.Failed && f.Error != nil && !f.OCR.Charged && f.Error.Code != result.BadAnswer
	if d == nil || (seen.final && !unanswered && !sameObject(seen.stored, remembered.beside)) {
		return nil, false
	}
	d.OCR.PossibleExtraCharges = max(d.OCR.PossibleExtraCharges, othersCalls(c.Call(seen.version)))
	if unanswered {
		d.OCR.PossibleExtraCharges = max(d.OCR.PossibleExtraCharges, f.OCR.PossibleExtraCharges-1)
	}
	return d, false
}

// othersCalls counts the calls that may have been charged beside the one whose answer somebody has, for claims that count that one, too.
func othersCalls(call claim.Call) int {
	if call.Indeterminate {
		return call.PossibleExtraCharges
	}
	return call.PossibleExtraCharges - 1
}

// attempt is the result of the calls for one version.
type attempt struct {
	document *result.Document
	call     claim.Call // the state of the next call
	consumed bool       // the nonce of call must not be sent again
	judged   bool       // document judges the picture: by an answer of the provider, a part of one, or what OSS says of its bytes
	inClaim  bool       // document is the one that the claim holds
	pinned   bool       // the response is certainly about the version that was inspected
	sum      string     // SHA-256 of the picture, if it was needed
}

// recognize makes the paid calls, unless the image cannot be recognised.
func (t *imageTask) recognize(ctx context.Context, c *claim.Claim, seen inspection) (attempt, error) {
	if e := t.checkSize(); e != nil {
		return attempt{document: t.failedResult(e), call: c.Call(seen.version)}, nil
	}
	defer t.timings.start("recognize")()
	loop := t.p.newCallLoop(imageInput{store: t.store, buffers: &t.p.buffers, key: t.image.Key, process: ossProcess(t.image.Key, t.image.Size), version: seen.version, archived: seen.archived},
		t.inv.Deadline, t.log)
	loop.claim, loop.force, loop.retry.attempts = c, t.force, t.attempts
	var e *result.Error
	if loop.spending, e = t.p.spending(t.image.Bucket, t.store, t.inv); e != nil {
		return attempt{document: t.failedResult(e), call: c.Call(seen.version)}, nil
	}
	defer func() { t.attempts = loop.retry.attempts }()
	d := &result.Document{Image: t.image}
	err := loop.run(ctx, d)
	t.ocr = d.OCR
	return attempt{document: d, call: loop.current, consumed: loop.consumed, judged: loop.judged, pinned: loop.input.pinned}, err
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

// checkVersion makes sure that an answer is about the version that was inspected. The provider fetches what is at the key, so
// unless the call named a version the image must be the same before and after. Otherwise it is unknown which version was read:
// the document records the call, but makes no statement about either version.
func (t *imageTask) checkVersion(ctx context.Context, seen inspection, done *attempt) error {
	if done.pinned || !done.judged {
		return nil
	}
	defer t.timings.start("check")()
	ctx, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	now, err := t.store.Head(ctx, t.image.Key)
	if err != nil || versionOf(now).Equal(seen.version) {
		return err
	}
	if done.document.OCR.Attempts == 0 {
		return errReplacedUnpaid
	}
	done.document = t.withoutAnswer(done.document, result.Errorf(result.ImageReplaced, true, "the image was replaced during the call; its present version is recognised by its own event"))
	done.consumed = !done.call.Indeterminate
	return nil
}

// withoutAnswer returns the document of a failure that tells of the calls, and nothing of their answer.
func (t *imageTask) withoutAnswer(of *result.Document, e *result.Error) *result.Document {
	d := &result.Document{Image: t.image, OCR: of.OCR}
	d.OCR.RequestID, d.OCR.Message = "", ""
	d.Fail(e)
	return d
}

func (t *imageTask) failedResult(e *result.Error) *result.Document {
	d := &result.Document{Image: t.image, OCR: result.OCR{Details: t.p.options.Details, Attempts: t.attempts}}
	d.Fail(e)
	return d
}

func (t *imageTask) keys() result.Keys { return t.p.options.Keys }

func (t *imageTask) resultKey() string { return t.keys().Result(t.image.Key) }

// withReserve bounds a step so that reserve is left to the steps after it.
func (t *imageTask) withReserve(ctx context.Context, reserve time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, t.inv.Deadline.Add(-reserve))
}
