package processor

import (
	"errors"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"
)

// retryState decides what follows each OCR call of one image. It does no I/O: callLoop carries out its decisions.
//
// A nonce is sent, and then
//
//	answered                 -> accept the answer, or a new nonce if it was free and another way may succeed
//	not sent                 -> the same nonce again
//	refused                  -> a new nonce (the same one if it may have arrived earlier)
//	configuration            -> stop, for good
//	indeterminate            -> the same nonce again, once; then the call counts as a possible extra charge
//	nonce used               -> the call counts as a possible extra charge; or, if it is not known that the nonce was sent
//	                            before, another holder is at work: stop for now
//	possible extra charge    -> park: stop for good; retry: a new nonce, once for the version; stop for now while the breaker is open
//	no attempt or time left  -> stop for now; an indeterminate call stays in the claim
type retryState struct {
	maxAttempts  int
	onLostAnswer config.LostAnswer
	fallback     bool // from URL to data, if the provider cannot read the URL
	secondLook   bool // call without details after a free answer without a card
	shared       bool // the nonce is that of every holder of the image

	source  config.ImageSource
	details bool

	attempts             int
	indeterminate        bool // the current nonce may have been accepted: its response was lost, or a previous holder may have sent it
	replayed             bool // the current nonce was sent a second time, or is a previous holder's
	possibleExtraCharges int  // calls that may have been charged without a result, without the current one
	paidAgain            bool // one of them was for this version, so that the current nonce is the version's second chance
}

// action is what to do next.
type action int

const (
	acceptAnswer   action = iota + 1 // the answer is the result
	retrySameNonce                   // send the same nonce
	retryNewNonce                    // write a new nonce into the claim and send that
	stop                             // for now or for good, see decision.failure
)

type decision struct {
	action   action
	pause    bool          // wait with back-off first
	failure  *result.Error // of stop
	consumed bool          // the nonce that was sent is not to be sent again
	convert  bool          // send the picture as OSS converts it
}

// stopWith stops.
func stopWith(e *result.Error) decision { return decision{action: stop, failure: e} }

func (s *retryState) attemptsLeft() bool { return s.attempts < s.maxAttempts }

// allPossibleExtraCharges counts all calls that may have been charged without a result, including the current one.
func (s *retryState) allPossibleExtraCharges() int {
	if s.indeterminate {
		return s.possibleExtraCharges + 1
	}
	return s.possibleExtraCharges
}

// after decides after one call. allowsSecondCall reports whether a call may be made after one that may have been charged.
func (s *retryState) after(a *ocrclient.Response, err error, allowsSecondCall func() bool) decision {
	if err == nil {
		d := s.answered(a)
		d.consumed = true
		return d
	}
	var e *ocrclient.Error
	if !errors.As(err, &e) {
		return stopWith(result.Errorf(result.Internal, false, "the call could not be made: %v", err))
	}
	switch e.Outcome {
	case ocrclient.NotSent:
		return s.notAccepted(retrySameNonce, e)
	case ocrclient.Refused:
		return s.notAccepted(retryNewNonce, e)
	case ocrclient.Indeterminate:
		s.indeterminate = true
		if s.replayed {
			return s.nonceConsumed(allowsSecondCall)
		}
		s.replayed = true
		if !s.attemptsLeft() {
			return stopWith(result.Errorf(e.Code, true, "%v", e))
		}
		return decision{action: retrySameNonce}
	case ocrclient.NonceUsed:
		if s.shared && !s.indeterminate {
			s.indeterminate = true
			return stopWith(result.Errorf(result.InProgress, true, "another invocation has made the call for this image"))
		}
		return s.nonceConsumed(allowsSecondCall)
	case ocrclient.Malformed:
		s.countPossibleCharge()
		return decision{action: stop, failure: result.Errorf(e.Code, false, "%v", e), consumed: true}
	default:
		return decision{action: stop, failure: result.Errorf(e.Code, false, "%v", e), consumed: !s.indeterminate}
	}
}

// answered: the response belongs to this nonce, so the outcome of the nonce is known.
func (s *retryState) answered(a *ocrclient.Response) decision {
	s.indeterminate, s.replayed = false, false
	code := a.Code()
	if a.Charged {
		return decision{action: acceptAnswer}
	}
	switch {
	case code == result.ImageRejected && s.fallback && s.source == config.URL && s.attemptsLeft():
		s.source = config.Data
		return decision{action: retryNewNonce, convert: true}
	case code == result.NotRecognized && s.details && s.secondLook && s.attemptsLeft():
		s.details = false
		return decision{action: retryNewNonce}
	case result.Transient(code) && s.attemptsLeft():
		return decision{action: retryNewNonce, pause: true}
	default:
		return decision{action: acceptAnswer}
	}
}

// notAccepted: this call was free. An earlier call with the same nonce may have been charged; then the nonce is kept.
func (s *retryState) notAccepted(next action, e *ocrclient.Error) decision {
	if s.indeterminate {
		next = retrySameNonce
	}
	d := decision{action: next, pause: true, consumed: next == retryNewNonce}
	if !s.attemptsLeft() {
		d.action, d.failure = stop, result.Errorf(e.Code, true, "%v", e)
	}
	return d
}

// breakerOpen ends an image whose next call would be paid a second time, for now.
func breakerOpen() *result.Error {
	return result.Errorf(result.Timeout, true, "the answer to a call that may have been charged never arrived; no call is paid a second time while no answers come")
}

// nonceConsumed: the call with this nonce may have been charged, and its response is lost.
func (s *retryState) nonceConsumed(allowsSecondCall func() bool) decision {
	switch {
	case s.onLostAnswer == config.Park || s.paidAgain:
		s.countPossibleCharge()
		return decision{action: stop, failure: result.Errorf(result.AnswerLost, false, "the answer to a call that may have been charged never arrived"), consumed: true}
	case !allowsSecondCall(): // the call stays indeterminate in the claim
		s.indeterminate, s.replayed = true, true
		return stopWith(breakerOpen())
	case !s.attemptsLeft():
		s.countPossibleCharge()
		return decision{action: stop, failure: result.Errorf(result.Timeout, true, "the answer to a call that may have been charged never arrived; the next attempt calls once more"), consumed: true}
	}
	s.countPossibleCharge()
	return decision{action: retryNewNonce, consumed: true}
}

// countPossibleCharge counts the current nonce as a possible extra charge; the next one is the version's second chance.
func (s *retryState) countPossibleCharge() {
	s.possibleExtraCharges++
	s.indeterminate, s.replayed, s.paidAgain = false, false, true
}
