package processor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/cenkalti/backoff/v5"
)

// callLoop makes the paid calls of one image.
type callLoop struct {
	p        *Processor
	retry    retryState
	input    imageInput
	deadline time.Time    // of the invocation
	claim    *claim.Claim // nil for pictures that came with a request
	etag     string
	log      *slog.Logger
}

func (p *Processor) newCallLoop(in imageInput, deadline time.Time, log *slog.Logger) *callLoop {
	o := p.options
	l := &callLoop{p: p, input: in, deadline: deadline, log: log, retry: retryState{
		maxAttempts: o.MaxAttempts, onLostAnswer: o.OnLostAnswer, details: o.Details,
		source: o.ImageSource, fallback: o.ImageSource == config.Auto,
	}}
	switch {
	case in.store == nil:
		l.retry.source, l.retry.fallback = config.Data, false
	case l.retry.fallback:
		l.retry.source = config.URL
	}
	return l
}

// run makes calls until retryState is satisfied and tells the document how it went. The decision says what becomes of the
// claim.
func (l *callLoop) run(ctx context.Context, d *result.Document) (decision, error) {
	answer, last, err := l.calls(ctx)
	if err != nil {
		return decision{}, err
	}
	d.OCR = result.OCR{Attempts: l.retry.attempts, PossibleExtraCharges: l.retry.allPossibleExtraCharges(), Details: l.retry.details, ImageSource: l.retry.source}
	if l.retry.attempts == 0 {
		d.OCR.ImageSource = ""
	}
	if last.action == acceptAnswer {
		d.ApplyResponse(answer, time.Now())
	} else {
		d.Fail(last.failure)
	}
	return last, nil
}

// calls returns the answer to accept, or the decision to stop. An error means that the claim is not ours any more, or that
// nothing can be said about the image.
func (l *callLoop) calls(ctx context.Context) (*ocrclient.Response, decision, error) {
	nonce, next, err := l.firstNonce()
	pauses := backoff.ExponentialBackOff{InitialInterval: 300 * time.Millisecond, Multiplier: 2, RandomizationFactor: 1, MaxInterval: 5 * time.Second}
	pauses.Reset()
	lastErr := result.Errorf(result.Timeout, true, "too little time left for a call of up to %s", l.p.options.Timeout)
	for err == nil {
		if next.action == stop {
			return nil, next, nil
		}
		if next.action == retryNewNonce {
			nonce, err = l.newNonce(ctx)
			if errors.Is(err, claim.ErrHeld) {
				break
			}
			if err != nil { // without its nonce in the claim no call is made
				e := StorageError(err)
				e.Retryable = true
				return nil, l.retry.stopForNow(e), nil
			}
		}
		if l.retry.indeterminate && l.claim != nil && !l.claim.NonceValid() {
			next = l.retry.nonceConsumed() // the gateway may have forgotten the nonce: sending it again proves nothing
			continue
		}
		if e := l.waitForRateLimit(ctx, lastErr); e != nil {
			return nil, l.retry.stopForNow(e), nil
		}
		answer, callErr, prepareErr := l.call(ctx, nonce)
		if isNotFound(prepareErr) {
			return nil, decision{}, prepareErr
		}
		if prepareErr != nil {
			return nil, l.retry.stopForNow(StorageError(prepareErr)), nil
		}
		next = l.retry.after(answer, callErr)
		if next.action == acceptAnswer {
			return answer, next, nil
		}
		lastErr = l.logRetry(answer, callErr, next)
		if next.pause {
			if e := l.pause(ctx, pauses.NextBackOff(), callErr, lastErr); e != nil {
				return nil, l.retry.stopForNow(e), nil
			}
		}
	}
	return nil, decision{}, err
}

// firstNonce is the claim's, unless that is about another version of the image.
func (l *callLoop) firstNonce() (string, decision, error) {
	if l.claim == nil {
		return ocrclient.NewNonce(), decision{action: retrySameNonce}, nil
	}
	if l.claim.Last.ETag != l.etag {
		return "", decision{action: retryNewNonce}, nil
	}
	l.retry.possibleExtraCharges = l.claim.Last.PossibleExtraCharges
	l.retry.indeterminate, l.retry.replayed = l.claim.TakenOver, l.claim.TakenOver
	return l.claim.Last.Nonce, decision{action: retrySameNonce}, nil
}

func (l *callLoop) newNonce(ctx context.Context) (string, error) {
	if l.claim == nil {
		return ocrclient.NewNonce(), nil
	}
	err := l.claim.RecordNonce(ctx, l.etag, l.retry.possibleExtraCharges)
	return l.claim.Last.Nonce, err
}

// waitForRateLimit refuses a call for which the time left is too short: it must cover the whole call and the writing of its
// result, or an answer could be paid and lost.
func (l *callLoop) waitForRateLimit(ctx context.Context, lastErr *result.Error) *result.Error {
	latest := l.deadline.Add(-l.p.options.Timeout - writeReserve)
	if !time.Now().Before(latest) {
		return lastErr
	}
	ctx, cancel := context.WithDeadline(ctx, latest)
	defer cancel()
	if l.p.limiter.Wait(ctx) != nil {
		return result.Errorf(result.Throttled, true, "OCR_RATE_LIMIT leaves no call in the time of this invocation")
	}
	return nil
}

func (l *callLoop) call(ctx context.Context, nonce string) (answer *ocrclient.Response, callErr, prepareErr error) {
	prepare, cancel := context.WithDeadline(ctx, l.deadline.Add(-l.p.options.Timeout-writeReserve))
	defer cancel()
	request, err := l.input.request(prepare, l.retry.source, l.p.options.URLTTL)
	if err != nil {
		return nil, nil, err
	}
	request.Details, request.Nonce = l.retry.details, nonce
	l.retry.attempts++
	call, cancelCall := context.WithTimeout(ctx, l.p.options.Timeout)
	defer cancelCall()
	answer, callErr = l.p.options.OCR.Recognize(call, request)
	return answer, callErr, nil
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
	if time.Until(l.deadline) < length+l.p.options.Timeout+writeReserve {
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
