package handler

import (
	"errors"

	"fc-idcard-ocr/ocrclient"
)

// policy decides what follows each OCR call of one image. It does no I/O: recognition carries out its decisions.
//
// A nonce is sent, and then
//
//	answered                 -> use the answer, or call afresh if it was free and another way may succeed
//	never sent               -> again, the same nonce
//	refused                  -> afresh, a new nonce (the same one if it may have arrived earlier)
//	configuration            -> give up, for good
//	lost                     -> again, the same nonce, once; then the call counts as a possible extra charge
//	nonce used               -> the call counts as a possible extra charge
//	possible extra charge    -> park: give up for good; retry: afresh, once
//	no attempt or time left  -> give up for now; an open fate stays in the claim
type policy struct {
	maxAttempts int
	park        bool
	fallback    bool // from URL to data, if the provider cannot read the URL

	source  Source
	details bool

	attempts  int
	uncertain bool // the current nonce may have arrived: it was lost once, or a dead owner may have sent it
	asked     bool // the current nonce was sent a second time, or is a dead owner's
	extra     int  // calls that may have been charged in vain, without the current one
}

// move is what to do next.
type move int

const (
	use    move = iota + 1 // the answer settles the image
	again                  // send the same nonce
	afresh                 // write a new nonce into the claim and send that
	giveUp                 // for now or for good, see decision.failure
)

type decision struct {
	move    move
	pause   bool   // wait with back-off first
	failure *Error // of giveUp
	keep    bool   // of giveUp: the claim must stay, as calls of open fate must not be forgotten
}

func giveUpFor(e *Error) decision { return decision{move: giveUp, failure: e} }

func (p *policy) left() bool { return p.attempts < p.maxAttempts }

// possibleExtraCharges counts all calls that may have been charged in vain.
func (p *policy) possibleExtraCharges() int {
	if p.uncertain {
		return p.extra + 1
	}
	return p.extra
}

// after decides after one call.
func (p *policy) after(a *ocrclient.Answer, err error) decision {
	if err == nil {
		return p.answered(a)
	}
	var e *ocrclient.Error
	if !errors.As(err, &e) {
		return giveUpFor(failure(Internal, false, "the call could not be made: %v", err))
	}
	switch e.Class {
	case ocrclient.NeverSent:
		return p.notTaken(again, e)
	case ocrclient.Refused:
		return p.notTaken(afresh, e)
	case ocrclient.Lost:
		p.uncertain = true
		if p.asked {
			return p.spent()
		}
		p.asked = true
		if !p.left() {
			return p.stop(failure(e.Code, true, "%v", e))
		}
		return decision{move: again}
	case ocrclient.NonceUsed:
		return p.spent()
	case ocrclient.Unreadable:
		p.settle()
		return giveUpFor(failure(e.Code, false, "%v", e))
	default:
		return giveUpFor(failure(e.Code, false, "%v", e))
	}
}

// answered: the answer is this nonce's, so the nonce's fate is known.
func (p *policy) answered(a *ocrclient.Answer) decision {
	p.uncertain = false
	code := a.Code()
	if a.Charged {
		return decision{move: use}
	}
	switch {
	case code == ImageRejected && p.fallback && p.source == SourceURL && p.left():
		p.source = SourceData
		return decision{move: afresh}
	case code == NotRecognized && p.details && p.left():
		p.details = false
		return decision{move: afresh}
	case transient(code) && p.left():
		return decision{move: afresh, pause: true}
	default:
		return decision{move: use}
	}
}

// notTaken: this call cost nothing. An earlier one with the same nonce may have, so that nonce is kept.
func (p *policy) notTaken(next move, e *ocrclient.Error) decision {
	if p.uncertain {
		next = again
	}
	if !p.left() {
		return p.stop(failure(e.Code, true, "%v", e))
	}
	return decision{move: next, pause: true}
}

// spent: the call with this nonce may have been charged and its answer is gone.
func (p *policy) spent() decision {
	paidAgain := p.extra > 0
	p.settle()
	if p.park || paidAgain {
		return giveUpFor(failure(AnswerLost, false, "the answer to a call that may have been charged never arrived"))
	}
	if !p.left() {
		return p.stop(failure(Timeout, true, "the answer to a call that may have been charged never arrived; the next attempt calls once more"))
	}
	return decision{move: afresh}
}

// settle counts the current nonce as a possible extra charge; the next one starts with a clean slate.
func (p *policy) settle() {
	p.extra++
	p.uncertain, p.asked = false, false
}

// stop gives up. If a later attempt is to follow, the claim keeps what it must know.
func (p *policy) stop(e *Error) decision {
	return decision{move: giveUp, failure: e, keep: e.Retryable && p.possibleExtraCharges() > 0}
}
