package processor

import (
	"context"
	"errors"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/result"
)

// finish writes the document and ends the claim. It removes the claim if the document is final, and otherwise saves the state
// for the next holder in it. A final document that cannot be written is saved in the claim or, if that fails, in the memory of
// the process: the next delivery writes it without paying.
func (t *imageTask) finish(ctx context.Context, c *claim.Claim, seen inspection, done attempt) Outcome {
	d := done.document
	var err error
	written := true
	if d.Status == result.Failed && seen.final { // a forced call's: the document that is there stays
		return t.endForced(ctx, c, seen, done)
	}
	switch {
	case d.Status != result.Failed:
		err = t.writeResult(ctx, d, bucket.PutOptions{})
	case d.Error.Code == result.InProgress: // the other holder writes the document
		written = false
	default:
		written, err = t.writeFailure(ctx, seen.stored, d)
	}
	switch {
	case err != nil && d.Final():
		return t.saveResult(ctx, c, seen, done, err)
	case err != nil || !written:
		var unwritten []byte
		if d.Final() { // the next delivery must not call again because this failure could not be written
			d.Stamp(t.inv.RequestID, time.Now())
			unwritten = d.Encode()
		}
		e := *d.Error
		e.Retryable = true // there is no document, so the platform must get the error
		return t.saveCalls(ctx, c, seen, done, unwritten, Outcome{Status: d.Status, Err: &e})
	case d.Final():
		t.remember(ctx, done.sum, d)
		return t.release(ctx, c, Outcome{Document: d, Status: d.Status, Err: d.Error})
	default:
		return t.saveCalls(ctx, c, seen, done, nil, Outcome{Document: d, Status: d.Status, Err: d.Error})
	}
}

// endForced ends a forced call that failed. Its caller gets the error; the claim keeps the count of possible extra charges.
func (t *imageTask) endForced(ctx context.Context, c *claim.Claim, seen inspection, done attempt) Outcome {
	o := Outcome{Status: result.Failed, Err: done.document.Error}
	if done.document.OCR.PossibleExtraCharges == 0 {
		return t.release(ctx, c, o)
	}
	return t.saveCalls(ctx, c, seen, done, nil, o)
}

// writeResult stores a document beside the image.
func (t *imageTask) writeResult(ctx context.Context, d *result.Document, o bucket.PutOptions) error {
	defer t.timings.start("write")()
	ctx, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	d.Stamp(t.inv.RequestID, time.Now())
	o.ContentType, o.Meta = result.ContentType, d.Metadata()
	return t.store.Put(ctx, t.resultKey(), d.Encode(), o)
}

// writeFailure stores the document of a failure, unless it would cover a document that this invocation has not seen: that one
// may be paid, and with a failure in its place the image would be paid again. seen is the document that was seen; nil if
// there was none.
func (t *imageTask) writeFailure(ctx context.Context, seen *bucket.Object, d *result.Document) (written bool, err error) {
	head, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	now, err := t.store.Head(head, t.resultKey())
	switch {
	case errors.Is(err, bucket.ErrClockSkew) || errors.Is(err, bucket.ErrCredentialsExpired): // so nothing of this invocation is taken
		return false, nil
	case err == nil && !sameObject(&now, seen):
		return false, nil
	case err != nil && seen != nil && !isNotFound(err):
		return false, nil
	}
	err = t.writeResult(ctx, d, bucket.PutOptions{IfAbsent: err != nil})
	if errors.Is(err, bucket.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// sameObject reports whether what is at a key is what was there; a nil is nothing.
func sameObject(now, before *bucket.Object) bool {
	return now != nil && before != nil && now.ETag == before.ETag && now.LastModified.Equal(before.LastModified)
}

// release removes the claim. If that fails, the claim expires with its lease; the document is final anyway.
func (t *imageTask) release(ctx context.Context, c *claim.Claim, o Outcome) Outcome {
	defer t.timings.start("release")()
	t.releaseErr = c.Release(ctx)
	return o
}

// endUnchanged ends an image whose document is final. A document that came late is of a holder that did not know of the calls
// after its own. The claim counts these and its own as possible extra charges: the document includes them from now on.
func (t *imageTask) endUnchanged(ctx context.Context, c *claim.Claim, seen inspection) Outcome {
	o := Outcome{Status: Unchanged}
	extra := othersCalls(c.Call(seen.version))
	if extra <= 0 {
		return t.release(ctx, c, o)
	}
	read, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	body, _, err := t.store.Read(read, t.resultKey(), bucket.ReadOptions{Limit: result.MaxBytes})
	if err == nil {
		d, parseErr := result.Parse(body)
		if parseErr != nil || d.OCR.PossibleExtraCharges >= extra {
			return t.release(ctx, c, o)
		}
		d.OCR.PossibleExtraCharges = extra
		err = t.writeResult(ctx, d, bucket.PutOptions{})
	}
	if err != nil {
		return t.giveBack(ctx, c, o)
	}
	return t.release(ctx, c, o)
}

// saveCalls leaves an image without a final document to the next delivery, with a final failure that could not be written.
func (t *imageTask) saveCalls(ctx context.Context, c *claim.Claim, seen inspection, done attempt, unwritten []byte, o Outcome) Outcome {
	defer t.timings.start("release")()
	ctx, cancel := t.withReserve(ctx, releaseReserve)
	defer cancel()
	t.releaseErr = save(ctx, c, seen, done, unwritten)
	return o
}

// save ends the lease. A document that the claim holds is not saved again: the claim would grow with each delivery until nobody reads it.
func save(ctx context.Context, c *claim.Claim, seen inspection, done attempt, unwritten []byte) error {
	if done.inClaim {
		return c.Return(ctx)
	}
	return c.SaveAndRelease(ctx, seen.version, done.call, done.consumed, unwritten)
}

// saveResult leaves a final document that could not be written to the next delivery.
func (t *imageTask) saveResult(ctx context.Context, c *claim.Claim, seen inspection, done attempt, err error) Outcome {
	defer t.timings.start("release")()
	ctx, cancel := t.withReserve(ctx, releaseReserve)
	defer cancel()
	t.releaseErr = save(ctx, c, seen, done, done.document.Encode())
	if t.releaseErr != nil && done.document.OCR.Attempts > 0 {
		t.p.pending.put(pendingResult{document: done.document, beside: seen.stored})
	}
	e := StorageError(err)
	e.Retryable = true
	e.Message = "the result could not be written: " + e.Message
	return Outcome{Status: result.Failed, Err: e}
}

// saveUnchecked ends an image about which OSS refuses to say more, after a call or before it. A final document about an answer is
// saved: the next delivery writes it if the image is still of the version that was inspected. Until then an image without a document
// gets one of a failure, after the lease: what only creates covers no document of the next holder.
func (t *imageTask) saveUnchecked(ctx context.Context, c *claim.Claim, seen inspection, done attempt, err error) Outcome {
	if !done.judged || !done.document.Final() {
		return t.finish(ctx, c, seen, attempt{document: t.failedResult(imageError(err)), call: done.call, consumed: done.consumed})
	}
	done.document.Stamp(t.inv.RequestID, time.Now())
	o := t.saveResult(ctx, c, seen, done, err)
	if seen.stored == nil {
		t.writeFailure(ctx, nil, t.withoutAnswer(done.document, o.Err))
	}
	return o
}

// failUnclaimed ends an image whose claim could not be had. Without it nothing is paid.
func (t *imageTask) failUnclaimed(ctx context.Context, err error) Outcome {
	switch {
	case errors.Is(err, claim.ErrHeld):
		return Outcome{Status: result.Failed, Err: inProgress()}
	case errors.Is(err, claim.ErrTooLarge):
		return t.failUnseen(ctx, result.Errorf(result.StorageRefused, true, "%v; a paid result may be in it: move it to a key of its own, or change CLAIM_SUFFIX", err))
	case errors.Is(err, claim.ErrForeign):
		return t.failUnseen(ctx, result.Errorf(result.StorageRefused, true, "%v; remove it or change CLAIM_SUFFIX", err))
	}
	return t.failUnseen(ctx, StorageError(err))
}

// failInspection ends an image that could not be inspected. The claim keeps what its previous holder left in it.
func (t *imageTask) failInspection(ctx context.Context, c *claim.Claim, e *result.Error) Outcome {
	if c.Inherited() {
		e.Retryable = true
	}
	o := t.failUnseen(ctx, e)
	if !e.Retryable {
		return t.release(ctx, c, o)
	}
	return t.giveBack(ctx, c, o)
}

// failUnseen ends an image before it is known whether a document is there.
func (t *imageTask) failUnseen(ctx context.Context, e *result.Error) Outcome {
	d := t.failedResult(e)
	if t.removed { // a document is not to appear where one is to go
		e.Retryable = true
		return Outcome{Status: result.Failed, Err: e}
	}
	if written, err := t.writeFailure(ctx, nil, d); !written || err != nil {
		e.Retryable = true // there is no document, so the platform must get the error
		return Outcome{Status: result.Failed, Err: e}
	}
	return Outcome{Document: d, Status: result.Failed, Err: e}
}

func inProgress() *result.Error { return result.Errorf(result.InProgress, true, "%v", claim.ErrHeld) }
