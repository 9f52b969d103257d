package processor

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/cenkalti/backoff/v5"
)

// callLoop makes the paid calls for one version of an image.
type callLoop struct {
	p        *Processor
	retry    retryState
	input    imageInput
	deadline time.Time    // of the invocation
	claim    *claim.Claim // nil for pictures that came with a request
	spending spending
	force    bool
	log      *slog.Logger

	current  claim.Call // the nonce that is next, or was last, and what is known of it
	consumed bool       // its outcome is known: it is not to be sent again
	judged   bool       // the document judges the picture that the call, or OSS, was asked about

	free    *ocrclient.Response // the answer before, if it was free
	refused bool                // the call before was not accepted
	took    time.Duration       // the call before
	unread  []byte              // what came of an answer that was not understood, or broke off, and may have been charged
}

func (p *Processor) newCallLoop(in imageInput, deadline time.Time, log *slog.Logger) *callLoop {
	o := p.options
	l := &callLoop{p: p, input: in, deadline: deadline, log: log, retry: retryState{
		maxAttempts: o.MaxAttempts, onLostAnswer: o.OnLostAnswer, details: o.Details,
		secondLook: o.SecondLook, source: o.ImageSource, fallback: o.ImageSource == config.Auto, shared: in.store != nil,
	}}
	switch {
	case in.store == nil || (in.archived && l.retry.fallback): // an archived picture is read first, to see whether it can be
		l.retry.source, l.retry.fallback = config.Data, false
	case l.retry.fallback:
		l.retry.source = config.URL
	}
	return l
}

// run makes calls until retryState stops and writes the outcome into the document. An error means that the claim is not ours
// any more, or that the image is gone or was replaced.
func (l *callLoop) run(ctx context.Context, d *result.Document) error {
	answer, failure, err := l.calls(ctx)
	l.input.forget()
	d.OCR = result.OCR{Attempts: l.retry.attempts, PossibleExtraCharges: l.retry.allPossibleExtraCharges(), Details: l.retry.details, ImageSource: l.retry.source}
	if l.retry.attempts == 0 {
		d.OCR.ImageSource = ""
	}
	l.current.Indeterminate, l.current.PaidAgain, l.current.PossibleExtraCharges = l.retry.indeterminate, l.retry.paidAgain, l.retry.possibleExtraCharges
	switch {
	case err != nil:
		return err
	case answer != nil:
		d.ApplyResponse(answer, time.Now())
	default:
		d.Fail(failure)
		d.KeepAnswer(l.unread)
	}
	l.judged = answer != nil || d.RawText != "" || slices.Contains([]result.Code{result.BadAnswer, result.ImageUnsupported, result.ImageTooLarge}, d.Error.Code)
	l.p.options.Retention.Apply(d)
	return nil
}

// calls returns the answer to accept, or the failure to stop with.
func (l *callLoop) calls(ctx context.Context) (*ocrclient.Response, *result.Error, error) {
	next, err := l.firstNonce(ctx)
	if err != nil {
		return nil, nil, err
	}
	pauses := backoff.ExponentialBackOff{InitialInterval: 300 * time.Millisecond, Multiplier: 2, RandomizationFactor: 1, MaxInterval: 5 * time.Second}
	pauses.Reset()
	lastErr := result.Errorf(result.Timeout, true, "too little time left for a call of up to %s", l.p.options.Timeout)
	for {
		if next.action == stop {
			return nil, next.failure, nil
		}
		request, failure, err := l.ready(ctx, next)
		switch {
		case err != nil:
			return nil, nil, err
		case failure == errNoTime:
			return l.endWithoutCall(lastErr)
		case failure != nil:
			return l.endWithoutCall(failure)
		}
		if l.retry.indeterminate && l.claim != nil && !l.current.Valid(time.Now()) {
			l.spending.giveBack()
			next = l.retry.nonceConsumed(l.p.breaker.allowsSecondCall) // the gateway may have forgotten it: sending it again proves nothing
			l.consumed = next.consumed
			continue
		}
		if l.retry.paidAgain && !l.retry.indeterminate && !l.p.breaker.allowsSecondCall() { // an earlier delivery left it to this one
			l.spending.giveBack()
			return l.endWithoutCall(breakerOpen())
		}
		started := time.Now()
		answer, callErr := l.call(ctx, request)
		l.observe(callErr)
		l.free, l.took = answer, time.Since(started)
		next = l.retry.after(answer, callErr, l.p.breaker.allowsSecondCall)
		l.consumed = next.consumed
		if next.failure != nil && next.failure.Code == result.InProgress {
			l.current = l.current.Used(time.Now())
		}
		if next.action == acceptAnswer {
			return answer, nil, nil
		}
		if next.convert { // the name may say JPEG and the bytes HEIC
			l.input.forget()
			l.input.process = resizeProcess
		}
		lastErr = l.logRetry(answer, callErr, next)
		if next.pause {
			if e := l.pause(ctx, pauses.NextBackOff(), callErr, lastErr); e != nil {
				return nil, e, nil
			}
		}
	}
}

// errNoTime means that the time left is too short for the next call.
var errNoTime = result.Errorf(result.Timeout, true, "too little time left")

// ready does everything that comes before the next call, and reserves it. What waits comes first, and what ages (the signed URL, the
// nonce) last; the time is checked again at the end. The error is one of run.
func (l *callLoop) ready(ctx context.Context, next decision) (request ocrclient.Request, failure *result.Error, err error) {
	if !l.hasTime() {
		return request, errNoTime, nil
	}
	waiting, cancel := context.WithDeadline(ctx, l.latest())
	defer cancel()
	if e := l.spending.take(waiting); e != nil {
		return request, e, nil
	}
	defer func() {
		if failure != nil || err != nil {
			l.spending.giveBack()
		}
	}()
	if l.p.limiter.Wait(waiting) != nil {
		if l.hasTime() {
			return request, result.Errorf(result.Throttled, true, "OCR_RATE_LIMIT leaves no call in the time of this invocation"), nil
		}
		return request, errNoTime, nil
	}
	if next.action == retryNewNonce {
		if err := l.newNonce(ctx); errors.Is(err, claim.ErrHeld) {
			return request, nil, err
		} else if err != nil { // without its nonce in the claim no call is made
			e := StorageError(err)
			e.Retryable = true
			return request, e, nil
		}
	}
	request, err = l.input.request(waiting, l.retry.source, l.p.options.URLTTL)
	request.Details = l.retry.details
	switch {
	case isNotFound(err) || errors.Is(err, errReplacedUnpaid):
		return request, nil, err
	case !l.hasTime():
		return request, errNoTime, nil
	case err != nil:
		return request, imageError(err), nil
	}
	return request, nil, nil
}

// firstNonce finds out which nonce is the next, and what is known of it.
func (l *callLoop) firstNonce(ctx context.Context) (decision, error) {
	if l.claim == nil {
		l.current = claim.Call{Nonce: ocrclient.NewNonce()}
		return decision{action: retrySameNonce}, nil
	}
	l.current = l.claim.Call(l.input.version)
	l.retry.possibleExtraCharges, l.retry.paidAgain = l.current.PossibleExtraCharges, l.current.PaidAgain
	l.retry.indeterminate, l.retry.replayed = l.current.Indeterminate, l.current.Indeterminate
	if l.input.archived && l.retry.source == config.URL {
		return stopWith(imageError(bucket.ErrArchived)), nil
	}
	if !l.force {
		return decision{action: retrySameNonce}, nil
	}
	if l.retry.indeterminate { // the forced call does not ask about it
		l.retry.countPossibleCharge()
	}
	l.retry.paidAgain = false
	return decision{action: retryNewNonce}, nil
}

// newNonce makes the next nonce the current one. A forced call has a random one: those of the version may have been used by
// earlier calls.
func (l *callLoop) newNonce(ctx context.Context) error {
	l.consumed = false
	if l.claim == nil {
		l.current = claim.Call{Nonce: ocrclient.NewNonce()}
		return nil
	}
	forced := ""
	if l.force {
		forced = ocrclient.NewNonce()
	}
	known := claim.Call{PossibleExtraCharges: l.retry.possibleExtraCharges, PaidAgain: l.retry.paidAgain}
	next, err := l.claim.NextGeneration(ctx, l.input.version, known, forced)
	if err != nil {
		l.consumed = true // the one before
		return err
	}
	l.current = next
	return nil
}

// minFollowUp is the least time for a call that follows a free answer.
const minFollowUp = time.Second

// callTime is the time that the next call needs. The first call and one that may be paid a second time need OCR_TIMEOUT, or an answer
// could be paid and lost. A call after a free answer needs as long as the one before. So does one after a refusal, which tells little
// of the provider, so that it needs a third of OCR_TIMEOUT, too.
func (l *callLoop) callTime() time.Duration {
	timeout := l.p.options.Timeout
	switch {
	case l.free != nil:
		return min(timeout, max(l.took, minFollowUp))
	case l.refused && !l.retry.indeterminate && !l.retry.paidAgain:
		return min(timeout, max(l.took, timeout/3, minFollowUp))
	}
	return timeout
}

// latest is the latest start of the next call: the time left has to cover the call and the writing of its result.
func (l *callLoop) latest() time.Time { return l.deadline.Add(-l.callTime() - writeReserve) }

// endWithoutCall ends without another call: with the free answer if that is one about the card, else with the failure.
func (l *callLoop) endWithoutCall(failure *result.Error) (*ocrclient.Response, *result.Error, error) {
	if l.free != nil && l.free.Code() == result.NotRecognized {
		l.retry.details = l.p.options.Details
		return l.free, nil, nil
	}
	return nil, failure, nil
}

func (l *callLoop) hasTime() bool { return time.Now().Before(l.latest()) }

func (l *callLoop) call(ctx context.Context, request ocrclient.Request) (*ocrclient.Response, error) {
	request.Nonce = l.current.Nonce
	l.current.Indeterminate = l.retry.indeterminate
	l.current = l.current.Sent(time.Now())
	l.retry.attempts++
	timeout := l.p.options.Timeout
	if l.retry.paidAgain { // the last chance to get what may be paid twice: it has all the time left
		timeout = max(timeout, time.Until(l.deadline)-writeReserve)
	} else {
		timeout = min(timeout, time.Until(l.deadline)-writeReserve)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return l.p.options.OCR.Recognize(ctx, request)
}

// observe reports the outcome of a call to budget and breaker, and keeps its response.
func (l *callLoop) observe(err error) {
	l.spending.settle(err)
	var e *ocrclient.Error
	if errors.As(err, &e) && len(e.Body) > 0 {
		l.unread = e.Body
	}
	outcome := ocrclient.OutcomeOf(err)
	l.refused = outcome == ocrclient.Refused || outcome == ocrclient.NotSent
	switch {
	case err == nil || outcome == ocrclient.Malformed:
		l.p.breaker.answered(l.log)
	case outcome == ocrclient.Indeterminate:
		l.p.breaker.lose(l.log)
	}
}

// logRetry logs why another call follows, without any text from the server, and returns the failure to report if none can.
func (l *callLoop) logRetry(a *ocrclient.Response, err error, next decision) *result.Error {
	reason, code := "answered", result.Timeout
	var e *ocrclient.Error
	switch {
	case errors.As(err, &e):
		reason, code = e.Outcome.String(), e.Code
	case a != nil:
		code = a.Code()
	}
	if next.action != stop {
		l.log.Info("retry", "call", "OCR", "reason", reason, "code", string(code), "attempt", l.retry.attempts, "sameNonce", next.action == retrySameNonce)
	}
	if err == nil || !result.Transient(code) {
		return result.Errorf(result.Timeout, true, "too little time left for another call of up to %s", l.p.options.Timeout)
	}
	return result.Errorf(code, true, "%v", err)
}

// pause waits before the next call, as long as the server asked for if it did, but not into the time that the call needs.
func (l *callLoop) pause(ctx context.Context, length time.Duration, err error, lastErr *result.Error) *result.Error {
	var e *ocrclient.Error
	if errors.As(err, &e) {
		length = max(length, e.RetryAfter)
	}
	if time.Now().Add(length).After(l.latest()) {
		return lastErr
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return lastErr
	}
}
