package handler

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFatesOfACall is the table of outcome classes: one delivery, and what it leaves behind.
func TestFatesOfACall(t *testing.T) {
	for name, test := range map[string]struct {
		plan     []string
		park     bool
		attempts int // OCR_MAX_ATTEMPTS, 0 means 3

		status    Status
		code      Code
		again     bool // an error for the platform, retryable document
		calls     int
		accepted  int
		extra     int // possibleExtraCharges
		charged   bool
		claimLeft bool
		nonces    string // which nonce each call had: 1, 2, ...
	}{
		"recognised at once":                        {plan: nil, status: Recognized, calls: 1, accepted: 1, charged: true, nonces: "1"},
		"never sent: again for free, same nonce":    {plan: []string{"never"}, status: Recognized, calls: 2, accepted: 1, charged: true, nonces: "11"},
		"never sent until the end":                  {plan: []string{"never", "never", "never"}, status: Failed, code: Unavailable, again: true, calls: 3, nonces: "111"},
		"throttled: later, new nonce":               {plan: []string{"throttled"}, status: Recognized, calls: 2, accepted: 1, charged: true, nonces: "12"},
		"throttled until the end":                   {plan: []string{"throttled", "throttled", "throttled"}, status: Failed, code: Throttled, again: true, calls: 3, nonces: "123"},
		"gateway out of order until the end":        {plan: []string{"503", "503", "503"}, status: Failed, code: Unavailable, again: true, calls: 3, nonces: "123"},
		"quota used up: no retry":                   {plan: []string{"quota"}, status: Failed, code: QuotaExhausted, calls: 1, nonces: "1"},
		"wrong key: no retry":                       {plan: []string{"wrongkey"}, status: Failed, code: Unauthorized, calls: 1, nonces: "1"},
		"wrong clock: no retry":                     {plan: []string{"clock"}, status: Failed, code: ClockSkew, calls: 1, nonces: "1"},
		"answer that cannot be parsed: never again": {plan: []string{"garbled"}, status: Failed, code: BadAnswer, calls: 1, accepted: 1, extra: 1, nonces: "1"},

		"lost on the way: the same nonce shows that it never arrived": {plan: []string{"lost"}, status: Recognized, calls: 2, accepted: 1, charged: true, nonces: "11"},
		"lost answer: the same nonce shows it, once more":             {plan: []string{"swallowed"}, status: Recognized, calls: 3, accepted: 2, extra: 1, charged: true, nonces: "112"},
		"lost answer, parked":                                   {plan: []string{"swallowed"}, park: true, status: Failed, code: AnswerLost, calls: 2, accepted: 1, extra: 1, nonces: "11"},
		"lost on the way, parked: nothing is lost":              {plan: []string{"lost"}, park: true, status: Recognized, calls: 2, accepted: 1, charged: true, nonces: "11"},
		"lost twice: once more":                                 {plan: []string{"lost", "lost"}, status: Recognized, calls: 3, accepted: 1, extra: 1, charged: true, nonces: "112"},
		"lost twice, parked":                                    {plan: []string{"lost", "lost"}, park: true, status: Failed, code: AnswerLost, calls: 2, extra: 1, nonces: "11"},
		"lost to the end: the fate of the last call stays open": {plan: []string{"lost", "lost", "lost"}, status: Failed, code: Timeout, again: true, calls: 3, extra: 2, claimLeft: true, nonces: "112"},
		"lost, and no attempt left":                             {plan: []string{"swallowed"}, attempts: 1, status: Failed, code: Timeout, again: true, calls: 1, accepted: 1, extra: 1, claimLeft: true, nonces: "1"},
		"lost, then throttled: the nonce is kept":               {plan: []string{"swallowed", "throttled"}, status: Failed, code: Timeout, again: true, calls: 3, accepted: 1, extra: 1, claimLeft: true, nonces: "111"},
		"lost, then refused for good":                           {plan: []string{"swallowed", "quota"}, status: Failed, code: QuotaExhausted, calls: 2, accepted: 1, extra: 1, nonces: "11"},

		"not recognised for free: once more without details": {plan: []string{"none"}, status: Recognized, calls: 2, accepted: 2, charged: true, nonces: "12"},
		"not recognised twice":                               {plan: []string{"none", "none"}, status: Unrecognized, code: NotRecognized, calls: 2, accepted: 2, nonces: "12"},
		"not recognised and charged: enough":                 {plan: []string{"paidnone"}, status: Unrecognized, code: NotRecognized, calls: 1, accepted: 1, charged: true, nonces: "1"},
		"URL not readable: the picture itself":               {plan: []string{"rejected"}, status: Recognized, calls: 2, accepted: 2, charged: true, nonces: "12"},
		"neither URL nor picture readable":                   {plan: []string{"rejected", "rejected"}, status: Unrecognized, code: ImageRejected, calls: 2, accepted: 2, nonces: "12"},
		"URL, details and number: every free way is tried":   {plan: []string{"rejected", "none"}, status: Recognized, calls: 3, accepted: 3, charged: true, nonces: "123"},
		"no second way without an attempt left":              {plan: []string{"none"}, attempts: 1, status: Unrecognized, code: NotRecognized, calls: 1, accepted: 1, nonces: "1"},
		"provider overloaded for free: later":                {plan: []string{"busy"}, status: Recognized, calls: 2, accepted: 2, charged: true, nonces: "12"},
		"provider overloaded to the end":                     {plan: []string{"busy", "busy", "busy"}, status: Failed, code: Throttled, again: true, calls: 3, accepted: 3, nonces: "123"},
		"provider's failure that is charged: never again":    {plan: []string{"paidbusy"}, status: Failed, code: Unavailable, calls: 1, accepted: 1, charged: true, nonces: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, test.plan...)
				w.ParkLost = test.park
				if test.attempts > 0 {
					w.MaxAttempts = test.attempts
				}
				report, err := w.Invoke(t.Context(), first("r1"), w.event())

				d := w.document()
				require.NotNil(t, d, "every image ends with a document")
				assert.Equal(t, test.status, d.Status)
				if test.code == "" {
					assert.Nil(t, d.Error)
				} else if assert.NotNil(t, d.Error) {
					assert.Equal(t, test.code, d.Error.Code)
					assert.Equal(t, test.again, d.Error.Retryable)
				}
				if test.again {
					assert.Equal(t, test.code, AsError(err).Code, "the platform is told to deliver again")
				} else if assert.NoError(t, err) {
					assert.Contains(t, string(report), string(test.status))
				}
				assert.Equal(t, test.charged, d.OCR.Charged)
				assert.Equal(t, test.calls, d.OCR.Attempts)
				assert.Equal(t, test.extra, d.OCR.PossibleExtraCharges)
				assert.Equal(t, test.accepted, w.ocr.accepted)
				assert.Equal(t, test.nonces, numbered(w.ocr.nonces()))
				assert.Equal(t, test.claimLeft, w.bucket.Content(claimKey) != nil)
				assert.GreaterOrEqual(t, 1+d.OCR.PossibleExtraCharges, w.ocr.charged, "no charge is hidden")
			})
		})
	}
}

// numbered names each nonce by the order of its first use.
func numbered(nonces []string) string {
	names := map[string]byte{}
	var s []byte
	for _, n := range nonces {
		if _, ok := names[n]; !ok {
			names[n] = byte('1' + len(names))
		}
		s = append(s, names[n])
	}
	return string(s)
}

func TestFallbacksChangeWhatTheyShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "rejected", "none")
		_, err := w.Invoke(t.Context(), first("r1"), w.event())
		require.NoError(t, err)
		require.Len(t, w.ocr.requests, 3)
		assert.NotEmpty(t, w.ocr.requests[0].ImageURL)
		assert.True(t, w.ocr.requests[0].Details)
		assert.Equal(t, "version 1", string(w.ocr.requests[1].Image), "the picture itself, with details")
		assert.True(t, w.ocr.requests[1].Details)
		assert.Equal(t, "version 1", string(w.ocr.requests[2].Image), "read once")
		assert.False(t, w.ocr.requests[2].Details)
		assert.Equal(t, SourceData, w.document().OCR.ImageSource)
		assert.False(t, w.document().OCR.Details)
	})
}

func TestSourcesWithoutFallback(t *testing.T) {
	for source, wantURL := range map[Source]bool{SourceURL: true, SourceData: false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "rejected")
			w.ImageSource = source
			_, err := w.Invoke(t.Context(), first("r1"), w.event())
			require.NoError(t, err)
			assert.Len(t, w.ocr.requests, 1)
			assert.Equal(t, wantURL, w.ocr.requests[0].ImageURL != "")
			assert.Equal(t, ImageRejected, w.document().Error.Code)
		})
	}
}

func TestDecisionsThatStopOrWait(t *testing.T) {
	fresh := func() *policy { return &policy{maxAttempts: 3, source: SourceURL, details: true} }
	d := fresh().after(nil, errors.New("no error of a call"))
	assert.Equal(t, giveUp, d.move)
	assert.Equal(t, Internal, d.failure.Code)
	assert.False(t, d.failure.Retryable)
	busy := fresh().after(parsed(`{"showapi_res_code":-1009,"showapi_fee_num":0}`), nil)
	assert.Equal(t, decision{move: afresh, pause: true}, busy, "an overloaded provider is given time")
	for _, retryable := range []bool{true, false} {
		for _, uncertain := range []bool{true, false} {
			for _, extra := range []int{0, 1} {
				p := &policy{uncertain: uncertain, extra: extra}
				keep := p.stop(failure(AccessDenied, retryable, "x")).keep
				assert.Equal(t, retryable && (uncertain || extra > 0), keep, "kept for a next attempt only, and only if there is something to remember")
			}
		}
	}
}
