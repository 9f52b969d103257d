package processor

import (
	"context"
	"errors"

	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/result"
)

// endMissing ends an image that is gone: HEAD has said so. Its document and its review go too if REMOVE_WITH_IMAGE is on; the claim
// is removed last, so that nobody begins with the key meanwhile. Nothing is written beside the image, so only the claim can tell of calls
// that may have been charged without a result: the next image with this key takes them over. With the document
// goes a result that waits in the claim, in any of its lines.
func (t *imageTask) endMissing(ctx context.Context, c *claim.Claim, seen inspection, done attempt) Outcome {
	o := Outcome{Status: Missing}
	held := c.HoldsResults
	if t.p.options.RemoveWithImage {
		removed, err := t.removeBeside(ctx, seen)
		if err != nil {
			return t.giveBack(ctx, c, Outcome{Status: result.Failed, Err: removalError(err)})
		}
		if removed {
			o.Status = Removed
		}
		c.ForgetResults()
	}
	switch {
	case done.call.PossibleExtraCharges == 0:
		o = t.release(ctx, c, o)
	case !seen.missing:
		o = t.saveCalls(ctx, c, seen, done, nil, o)
	default:
		o = t.giveBack(ctx, c, o)
	}
	if held && t.p.options.RemoveWithImage {
		return t.checkForgotten(c, done, o)
	}
	return o
}

// checkForgotten fails a removal after which a claim with a result may be there: the next delivery removes it. If the count
// may have gone with the result, the log keeps it.
func (t *imageTask) checkForgotten(c *claim.Claim, done attempt, o Outcome) Outcome {
	switch {
	case t.releaseErr == nil:
	case errors.Is(t.releaseErr, claim.ErrHeld):
		o = Outcome{Status: result.Failed, Err: inProgress()}
	case c.HoldsResults:
		o = Outcome{Status: result.Failed, Err: removalError(t.releaseErr)}
	default:
		t.log.Warn("count of calls may be lost", "possibleExtraCharges", done.call.PossibleExtraCharges, "reason", t.releaseErr.Error())
	}
	return o
}

// removalError is the failure of a removal. It is retryable, as there is no document: it would be beside a deleted image.
func removalError(err error) *result.Error {
	e := StorageError(err)
	e.Retryable = true
	e.Message = "the image is gone, and what stands beside it could not be removed: " + e.Message
	return e
}

// removeBeside removes document and review where they are, or where nobody knows: a DELETE of nothing would leave a delete marker
// in a bucket with versioning.
func (t *imageTask) removeBeside(ctx context.Context, seen inspection) (removed bool, err error) {
	defer t.timings.start("remove")()
	ctx, cancel := t.withReserve(ctx, saveReserve)
	defer cancel()
	review := t.image.Key + result.ReviewSuffix
	if _, err := t.store.Head(ctx, review); !isNotFound(err) {
		if err := t.store.Delete(ctx, review); err != nil {
			return false, err
		}
		removed = true
	}
	if seen.stored == nil {
		return removed, nil
	}
	return true, t.store.Delete(ctx, t.resultKey())
}

// giveBack ends the lease and leaves the claim as it was found.
func (t *imageTask) giveBack(ctx context.Context, c *claim.Claim, o Outcome) Outcome {
	if o.Err == nil && !c.Inherited() { // there is nothing in it
		return t.release(ctx, c, o)
	}
	defer t.timings.start("release")()
	ctx, cancel := t.withReserve(ctx, releaseReserve)
	defer cancel()
	t.releaseErr = c.Return(ctx)
	return o
}
