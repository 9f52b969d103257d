package verify

import (
	"bytes"
	"context"
	"errors"
	"time"

	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/ocrclient"
)

// noPicture is refused by the provider free of charge ("错误的 imgData", ret_code -1), after the gateway has accepted the call.
var noPicture = []byte("not a picture: ocrctl verify")

// auth is the configured key, or another one.
func (r *run) auth() ocrclient.Auth {
	if r.Config.AppCode != "" {
		return ocrclient.AppCode(r.Config.AppCode)
	}
	return ocrclient.AppKey{Key: string(r.Config.AppKey), Secret: string(r.Config.AppSecret)}
}

// call makes one call and counts it.
func (r *run) call(ctx context.Context, auth ocrclient.Auth, now func() time.Time, request ocrclient.Request) (*ocrclient.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Config.Timeout)
	defer cancel()
	r.report.Calls.Made++
	answer, err := (&ocrclient.Client{Endpoint: r.Config.Endpoint, Auth: auth, Now: now}).Recognize(ctx, request)
	if err == nil && answer.Charged {
		r.report.Calls.Charged++
		if bytes.Equal(request.Image, noPicture) { // against expectation: it counts against MaxCharge
			r.charges++
		}
	}
	return answer, err
}

// gateway tries what the nonce rests on. All calls are without a picture.
func (r *run) gateway(ctx context.Context) {
	if r.Config.AppCode == "" && (r.Config.AppKey == "" || r.Config.AppSecret == "") {
		for _, id := range []string{"signature-refused", "clock-refused", "nonce-signature", "nonce-appcode", "refused-free", "refused-free-meter"} {
			r.skip(id, "there is no key of the OCR API")
		}
		return
	}
	var failed *ocrclient.Error
	var wrong ocrclient.Auth = ocrclient.AppKey{Key: string(r.Config.AppKey), Secret: "ocrctl-verify"}
	if r.Config.AppCode != "" {
		wrong = ocrclient.AppCode("ocrctl-verify")
	}
	_, err := r.call(ctx, wrong, nil, ocrclient.Request{Image: noPicture})
	r.judge("signature-refused", errors.As(err, &failed) && failed.Code == ocrclient.Unauthorized, "%s", told(err, "a wrong key was accepted"))
	if r.Config.AppCode != "" {
		r.skip("clock-refused", "an AppCode signs no time")
	} else {
		_, err = r.call(ctx, r.auth(), func() time.Time { return time.Now().Add(-20 * time.Minute) }, ocrclient.Request{Image: noPicture})
		r.judge("clock-refused", errors.As(err, &failed) && failed.Code == ocrclient.ClockSkew, "%s", told(err, "an old time stamp was accepted"))
	}
	mine, other := "nonce-signature", "nonce-appcode"
	if r.Config.AppCode != "" {
		mine, other = other, mine
	}
	nonce := ocrclient.NewNonce()
	first, err := r.call(ctx, r.auth(), nil, ocrclient.Request{Image: noPicture, Nonce: nonce})
	if err != nil {
		r.skip(mine, "the first call failed: %v", err)
		r.skip("refused-free", "the call failed: %v", err)
	} else {
		_, err = r.call(ctx, r.auth(), nil, ocrclient.Request{Image: noPicture, Nonce: nonce})
		r.judge(mine, ocrclient.OutcomeOf(err) == ocrclient.NonceUsed, "%s", told(err, "the same nonce was accepted twice"))
		r.judge("refused-free", !first.Charged, "the answer about no picture says charged=%t", first.Charged)
	}
	r.skip(other, "the other way to authenticate is configured")
	r.skip("refused-free-meter", "compare the provider's meter yourself: it should count the charged calls of this report")
}

// charge reserves one charged call.
func (r *run) charge() bool {
	if r.charges >= r.MaxCharge {
		return false
	}
	r.charges++
	return true
}

// tooDear is why a check was left out.
func (r *run) tooDear(ids ...string) {
	for _, id := range ids {
		r.skip(id, "it needs a call that is charged: --max-charge is %d", r.MaxCharge)
	}
}

// paid makes calls with a picture.
func (r *run) paid(ctx context.Context) {
	switch {
	case r.Config.AppCode == "" && (r.Config.AppKey == "" || r.Config.AppSecret == ""):
		for _, id := range []string{"answer-shape", "call-time", "provider-fetches"} {
			r.skip(id, "there is no key of the OCR API")
		}
		return
	case !r.charge():
		r.tooDear("answer-shape", "call-time")
	default:
		start := time.Now()
		answer, err := r.call(ctx, r.auth(), nil, ocrclient.Request{Image: r.Picture, Details: true})
		took := time.Since(start).Round(10 * time.Millisecond)
		switch {
		case err != nil:
			r.fails("answer-shape", "%v", err)
		default:
			r.judge("answer-shape", answer.Recognized && answer.Charged && answer.RequestID != "" && answer.Card.Name != "", "recognized=%t, charged=%t, with a request ID: %t, with a name: %t",
				answer.Recognized, answer.Charged, answer.RequestID != "", answer.Card.Name != "")
		}
		r.judge("call-time", err == nil && took < r.Config.Timeout, "%s, of OCR_TIMEOUT %s", took, r.Config.Timeout)
	}
	switch {
	case r.Config.ImageSource == "data":
		r.skip("provider-fetches", "OCR_IMAGE_SOURCE is data")
	case !r.charge():
		r.tooDear("provider-fetches")
	default:
		signed, err := r.Store.SignURL(r.scratch+"picture", "", "", r.Config.OSSURLTTL)
		var answer *ocrclient.Response
		if err == nil {
			answer, err = r.call(ctx, r.auth(), nil, ocrclient.Request{ImageURL: signed, Details: true})
		}
		r.judge("provider-fetches", err == nil && answer.Recognized, "%s", told(err, map[bool]message.Key{true: "the card was read", false: "no card was read"}[err == nil && answer.Recognized]))
	}
}
