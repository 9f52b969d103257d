package handler

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"

	"github.com/cenkalti/backoff/v5"
)

const (
	// plainBytes is the size up to which the provider wants pictures ("better under 1.5 MB").
	plainBytes = 1_500_000
	// shrink makes any picture that OSS can read one that the provider takes. Resizing comes before turning, which has a
	// limit of 4,096 pixels a side, and format comes last, as OSS's documents want it.
	shrink = "image/resize,l_2048/auto-orient,1/quality,Q_85/format,jpg"
	// maxDataBytes bounds what is sent as imgData after processing.
	maxDataBytes = 20 << 20
)

// picture is what is to be recognised: an object, or bytes that came with a request.
type picture struct {
	store   Store // with key and process, or
	key     string
	process string
	image   []byte // the bytes, read once, or
	base64  string // the bytes in base64
}

// processing returns the x-oss-process that makes the object fit for the provider, empty if it is so already.
func processing(key string, size int64) string {
	switch strings.ToLower(path.Ext(key)) {
	case ".jpg", ".jpeg", ".png", ".bmp":
		if size <= plainBytes {
			return ""
		}
	}
	return shrink
}

// request prepares one call. The URL is signed anew each time, so that its whole life is ahead.
func (p *picture) request(ctx context.Context, source Source, ttl time.Duration) (ocrclient.Request, error) {
	if p.store == nil {
		return ocrclient.Request{Image: p.image, ImageBase64: p.base64}, nil
	}
	if source == SourceURL {
		url, err := p.store.SignURL(p.key, p.process, ttl)
		return ocrclient.Request{ImageURL: url}, err
	}
	if p.image == nil {
		image, err := p.store.Read(ctx, p.key, p.process, maxDataBytes)
		if err != nil {
			return ocrclient.Request{}, err
		}
		p.image = image
	}
	return ocrclient.Request{Image: p.image}, nil
}

// recognition is the paid part of one image's way.
type recognition struct {
	h        *Handler
	policy   policy
	picture  picture
	deadline time.Time // of the invocation
	claim    *claim    // nil for pictures that came with a request
	etag     string
	log      *slog.Logger
}

func (h *Handler) newRecognition(p picture, deadline time.Time, log *slog.Logger) *recognition {
	r := &recognition{h: h, picture: p, deadline: deadline, log: log, policy: policy{
		maxAttempts: h.MaxAttempts, park: h.ParkLost, details: h.Details,
		source: h.ImageSource, fallback: h.ImageSource == SourceAuto,
	}}
	switch {
	case p.store == nil:
		r.policy.source, r.policy.fallback = SourceData, false
	case r.policy.fallback:
		r.policy.source = SourceURL
	}
	return r
}

// run makes calls until policy is satisfied and tells the document how it went. The decision says what becomes of the claim.
func (r *recognition) run(ctx context.Context, d *Document) (decision, error) {
	answer, last, err := r.calls(ctx)
	if err != nil {
		return decision{}, err
	}
	d.OCR = OCR{Attempts: r.policy.attempts, PossibleExtraCharges: r.policy.possibleExtraCharges(), Details: r.policy.details, ImageSource: r.policy.source}
	if r.policy.attempts == 0 {
		d.OCR.ImageSource = ""
	}
	if last.move == use {
		d.understand(answer)
	} else {
		d.fail(last.failure)
	}
	return last, nil
}

// calls returns the answer to use, or the decision to give up. An error means that the claim is not ours any more, or
// that nothing can be said about the image.
func (r *recognition) calls(ctx context.Context) (*ocrclient.Answer, decision, error) {
	nonce, next, err := r.firstNonce(ctx)
	pauses := backoff.ExponentialBackOff{InitialInterval: 300 * time.Millisecond, Multiplier: 2, RandomizationFactor: 1, MaxInterval: 5 * time.Second}
	pauses.Reset()
	blame := failure(Timeout, true, "too little time left for a call of up to %s", r.h.Timeout)
	for err == nil {
		if next.move == giveUp {
			return nil, next, nil
		}
		if next.move == afresh {
			nonce, err = r.freshNonce(ctx)
			if errors.Is(err, errBusy) {
				break
			}
			if err != nil { // without its nonce in the claim no call is made
				e := storageFailure(err)
				e.Retryable = true
				return nil, r.policy.stop(e), nil
			}
		}
		if r.policy.uncertain && r.claim != nil && !r.claim.remembered() {
			next = r.policy.spent() // the gateway may have forgotten the nonce: sending it again proves nothing
			continue
		}
		if stop := r.wait(ctx, blame); stop != nil {
			return nil, r.policy.stop(stop), nil
		}
		answer, callErr, prepareErr := r.call(ctx, nonce)
		if gone(prepareErr) {
			return nil, decision{}, prepareErr
		}
		if prepareErr != nil {
			return nil, r.policy.stop(storageFailure(prepareErr)), nil
		}
		next = r.policy.after(answer, callErr)
		if next.move == use {
			return answer, next, nil
		}
		blame = r.tell(answer, callErr, next)
		if next.pause {
			if stop := r.pause(ctx, pauses.NextBackOff(), callErr, blame); stop != nil {
				return nil, r.policy.stop(stop), nil
			}
		}
	}
	return nil, decision{}, err
}

// firstNonce is the claim's, unless that is about another version of the image.
func (r *recognition) firstNonce(ctx context.Context) (string, decision, error) {
	if r.claim == nil {
		return ocrclient.NewNonce(), decision{move: again}, nil
	}
	if r.claim.last.ETag != r.etag {
		return "", decision{move: afresh}, nil
	}
	r.policy.extra = r.claim.last.ExtraCharges
	r.policy.uncertain, r.policy.asked = r.claim.inherited, r.claim.inherited
	return r.claim.last.Nonce, decision{move: again}, nil
}

func (r *recognition) freshNonce(ctx context.Context) (string, error) {
	if r.claim == nil {
		return ocrclient.NewNonce(), nil
	}
	err := r.claim.renew(ctx, r.etag, r.policy.extra)
	return r.claim.last.Nonce, err
}

// wait waits for the rate limit, and refuses a call for which the time left is too short: it must cover the whole call and
// the writing of its result, or an answer could be paid and lost.
func (r *recognition) wait(ctx context.Context, blame *Error) *Error {
	latest := r.deadline.Add(-r.h.Timeout - writeReserve)
	if !time.Now().Before(latest) {
		return blame
	}
	ctx, cancel := context.WithDeadline(ctx, latest)
	defer cancel()
	if r.h.limiter.Wait(ctx) != nil {
		return failure(Throttled, true, "OCR_RATE_LIMIT leaves no call in the time of this invocation")
	}
	return nil
}

func (r *recognition) call(ctx context.Context, nonce string) (answer *ocrclient.Answer, callErr, prepareErr error) {
	prepare, cancel := context.WithDeadline(ctx, r.deadline.Add(-r.h.Timeout-writeReserve))
	defer cancel()
	request, err := r.picture.request(prepare, r.policy.source, r.h.URLTTL)
	if err != nil {
		return nil, nil, err
	}
	request.Details, request.Nonce = r.policy.details, nonce
	r.policy.attempts++
	call, cancelCall := context.WithTimeout(ctx, r.h.Timeout)
	defer cancelCall()
	answer, callErr = r.h.OCR.Recognize(call, request)
	return answer, callErr, nil
}

// tell logs why another call follows, in words that no server chose, and returns the failure to report if none can.
func (r *recognition) tell(a *ocrclient.Answer, err error, next decision) *Error {
	reason, code := "answered", Timeout
	var e *ocrclient.Error
	switch {
	case errors.As(err, &e):
		reason, code = e.Class.String(), e.Code
	case a != nil:
		code = a.Code()
	}
	if next.move != giveUp {
		r.log.Info("retry", "call", "OCR", "reason", reason, "code", string(code), "attempt", r.policy.attempts, "sameNonce", next.move == again)
	}
	if err == nil || !transient(code) {
		return failure(Timeout, true, "too little time left for another call of up to %s", r.h.Timeout)
	}
	return failure(code, true, "%v", err)
}

// pause waits before the next call, as long as the server asked for if it did, but not into the time that the call needs.
func (r *recognition) pause(ctx context.Context, length time.Duration, err error, blame *Error) *Error {
	var e *ocrclient.Error
	if errors.As(err, &e) {
		length = max(length, e.RetryAfter)
	}
	if time.Until(r.deadline) < length+r.h.Timeout+writeReserve {
		return blame
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return blame
	}
}

// gone reports that an error means the image is not there any more.
func gone(err error) bool { return errors.Is(err, bucket.ErrNotFound) }
