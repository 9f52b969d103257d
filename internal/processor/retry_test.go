package processor_test

import (
	"testing"
	"testing/synctest"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRetryRules is the table of outcome classes: one delivery, and what it leaves behind.
func TestRetryRules(t *testing.T) {
	for name, test := range map[string]struct {
		plan     []ocrtest.Outcome
		park     bool
		attempts int // OCR_MAX_ATTEMPTS, 0 means 3

		status    result.Status
		code      result.Code
		retryable bool // an error for the platform, retryable document
		calls     int
		accepted  int
		extra     int // possibleExtraCharges
		charged   bool
		nonces    string // which nonce each call had: 1, 2, ...
	}{
		"recognized":                                                 {plan: nil, status: result.Recognized, calls: 1, accepted: 1, charged: true, nonces: "1"},
		"not sent: same nonce, nothing charged":                      {plan: []ocrtest.Outcome{ocrtest.NotSent}, status: result.Recognized, calls: 2, accepted: 1, charged: true, nonces: "11"},
		"not sent in any attempt: retryable":                         {plan: []ocrtest.Outcome{ocrtest.NotSent, ocrtest.NotSent, ocrtest.NotSent}, status: result.Failed, code: result.Unavailable, retryable: true, calls: 3, nonces: "111"},
		"throttled: pause, new nonce":                                {plan: []ocrtest.Outcome{ocrtest.Throttled}, status: result.Recognized, calls: 2, accepted: 1, charged: true, nonces: "12"},
		"throttled in every attempt: retryable":                      {plan: []ocrtest.Outcome{ocrtest.Throttled, ocrtest.Throttled, ocrtest.Throttled}, status: result.Failed, code: result.Throttled, retryable: true, calls: 3, nonces: "123"},
		"gateway unavailable in every attempt: retryable":            {plan: []ocrtest.Outcome{ocrtest.GatewayUnavailable, ocrtest.GatewayUnavailable, ocrtest.GatewayUnavailable}, status: result.Failed, code: result.Unavailable, retryable: true, calls: 3, nonces: "123"},
		"quota exhausted: no retry":                                  {plan: []ocrtest.Outcome{ocrtest.QuotaExhausted}, status: result.Failed, code: result.QuotaExhausted, calls: 1, nonces: "1"},
		"wrong key: no retry":                                        {plan: []ocrtest.Outcome{ocrtest.WrongKey}, status: result.Failed, code: result.Unauthorized, calls: 1, nonces: "1"},
		"wrong clock: no retry":                                      {plan: []ocrtest.Outcome{ocrtest.WrongClock}, status: result.Failed, code: result.ClockSkew, calls: 1, nonces: "1"},
		"malformed response: no retry, counted as a possible charge": {plan: []ocrtest.Outcome{ocrtest.Garbled}, status: result.Failed, code: result.BadAnswer, calls: 1, accepted: 1, extra: 1, nonces: "1"},

		"indeterminate, not accepted: same nonce, accepted":                 {plan: []ocrtest.Outcome{ocrtest.LostBeforeAcceptance}, status: result.Recognized, calls: 2, accepted: 1, charged: true, nonces: "11"},
		"indeterminate, accepted: same nonce is used, new nonce":            {plan: []ocrtest.Outcome{ocrtest.LostAfterCharge}, status: result.Recognized, calls: 3, accepted: 2, extra: 1, charged: true, nonces: "112"},
		"indeterminate, accepted, park: same nonce is used, stop":           {plan: []ocrtest.Outcome{ocrtest.LostAfterCharge}, park: true, status: result.Failed, code: result.AnswerLost, calls: 2, accepted: 1, extra: 1, nonces: "11"},
		"indeterminate, not accepted, park: same nonce, accepted":           {plan: []ocrtest.Outcome{ocrtest.LostBeforeAcceptance}, park: true, status: result.Recognized, calls: 2, accepted: 1, charged: true, nonces: "11"},
		"indeterminate twice: new nonce":                                    {plan: []ocrtest.Outcome{ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance}, status: result.Recognized, calls: 3, accepted: 1, extra: 1, charged: true, nonces: "112"},
		"indeterminate twice, park: stop":                                   {plan: []ocrtest.Outcome{ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance}, park: true, status: result.Failed, code: result.AnswerLost, calls: 2, extra: 1, nonces: "11"},
		"indeterminate in every attempt: the last nonce stays in the claim": {plan: []ocrtest.Outcome{ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance, ocrtest.LostBeforeAcceptance}, status: result.Failed, code: result.Timeout, retryable: true, calls: 3, extra: 2, nonces: "112"},
		"indeterminate, no attempt left: the nonce stays in the claim":      {plan: []ocrtest.Outcome{ocrtest.LostAfterCharge}, attempts: 1, status: result.Failed, code: result.Timeout, retryable: true, calls: 1, accepted: 1, extra: 1, nonces: "1"},
		"indeterminate, then throttled: same nonce":                         {plan: []ocrtest.Outcome{ocrtest.LostAfterCharge, ocrtest.Throttled}, status: result.Failed, code: result.Timeout, retryable: true, calls: 3, accepted: 1, extra: 1, nonces: "111"},
		"indeterminate, then quota exhausted: no retry":                     {plan: []ocrtest.Outcome{ocrtest.LostAfterCharge, ocrtest.QuotaExhausted}, status: result.Failed, code: result.QuotaExhausted, calls: 2, accepted: 1, extra: 1, nonces: "11"},

		"not recognized, free: new nonce, without details":               {plan: []ocrtest.Outcome{ocrtest.NotRecognized}, status: result.Recognized, calls: 2, accepted: 2, charged: true, nonces: "12"},
		"not recognized, free, without details too: unrecognized":        {plan: []ocrtest.Outcome{ocrtest.NotRecognized, ocrtest.NotRecognized}, status: result.Unrecognized, code: result.NotRecognized, calls: 2, accepted: 2, nonces: "12"},
		"not recognized, charged: unrecognized":                          {plan: []ocrtest.Outcome{ocrtest.PaidNotRecognized}, status: result.Unrecognized, code: result.NotRecognized, calls: 1, accepted: 1, charged: true, nonces: "1"},
		"URL rejected: new nonce, data":                                  {plan: []ocrtest.Outcome{ocrtest.Rejected}, status: result.Recognized, calls: 2, accepted: 2, charged: true, nonces: "12"},
		"URL and data rejected: unrecognized":                            {plan: []ocrtest.Outcome{ocrtest.Rejected, ocrtest.Rejected}, status: result.Unrecognized, code: result.ImageRejected, calls: 2, accepted: 2, nonces: "12"},
		"URL rejected, not recognized, free: data, then without details": {plan: []ocrtest.Outcome{ocrtest.Rejected, ocrtest.NotRecognized}, status: result.Recognized, calls: 3, accepted: 3, charged: true, nonces: "123"},
		"not recognized, free, no attempt left: unrecognized":            {plan: []ocrtest.Outcome{ocrtest.NotRecognized}, attempts: 1, status: result.Unrecognized, code: result.NotRecognized, calls: 1, accepted: 1, nonces: "1"},
		"provider busy, free: pause, new nonce":                          {plan: []ocrtest.Outcome{ocrtest.Busy}, status: result.Recognized, calls: 2, accepted: 2, charged: true, nonces: "12"},
		"provider busy in every attempt: retryable":                      {plan: []ocrtest.Outcome{ocrtest.Busy, ocrtest.Busy, ocrtest.Busy}, status: result.Failed, code: result.Throttled, retryable: true, calls: 3, accepted: 3, nonces: "123"},
		"provider failure, charged: no retry":                            {plan: []ocrtest.Outcome{ocrtest.PaidFailure}, status: result.Failed, code: result.Unavailable, calls: 1, accepted: 1, charged: true, nonces: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, test.plan...)
				if test.park {
					f.Options.OnLostAnswer = config.Park
				}
				if test.attempts > 0 {
					f.Options.MaxAttempts = test.attempts
				}
				o := f.Process(ocrtest.First("r1"))

				d := f.Document()
				require.NotNil(t, d, "every image ends with a document")
				assert.Equal(t, test.status, d.Status)
				if test.code == "" {
					assert.Nil(t, d.Error)
				} else if assert.NotNil(t, d.Error) {
					assert.Equal(t, test.code, d.Error.Code)
					assert.Equal(t, test.retryable, d.Error.Retryable)
				}
				assert.Equal(t, test.retryable, o.Retry(), "the platform is told to deliver again")
				assert.Equal(t, test.status, o.Status)
				assert.Equal(t, d.Error, o.Err)
				assert.Equal(t, test.charged, d.OCR.Charged)
				assert.Equal(t, test.calls, d.OCR.Attempts)
				assert.Equal(t, test.extra, d.OCR.PossibleExtraCharges)
				assert.Equal(t, test.accepted, f.OCR.Accepted())
				assert.Equal(t, test.nonces, f.OCR.Nonces())
				if test.retryable {
					assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState(), "the next holder must know the generation")
				} else {
					assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
				}
				assert.GreaterOrEqual(t, 1+d.OCR.PossibleExtraCharges, f.OCR.Charged(), "no charge is hidden")
			})
		})
	}
}

func TestFallbacksChangeWhatTheyShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.Rejected, ocrtest.NotRecognized)
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		require.Len(t, f.OCR.Requests(), 3)
		assert.NotEmpty(t, f.OCR.Requests()[0].ImageURL)
		assert.True(t, f.OCR.Requests()[0].Details)
		assert.Equal(t, "version 1", string(f.OCR.Requests()[1].Image), "the picture itself, with details")
		assert.True(t, f.OCR.Requests()[1].Details)
		assert.Equal(t, "version 1", string(f.OCR.Requests()[2].Image), "read once")
		assert.False(t, f.OCR.Requests()[2].Details)
		assert.Equal(t, config.Data, f.Document().OCR.ImageSource)
		assert.False(t, f.Document().OCR.Details)
	})
}

func TestSourcesWithoutFallback(t *testing.T) {
	for source, wantURL := range map[config.ImageSource]bool{config.URL: true, config.Data: false} {
		synctest.Test(t, func(t *testing.T) {
			f := ocrtest.NewFixture(t, ocrtest.Rejected)
			f.Options.ImageSource = source
			o := f.Process(ocrtest.First("r1"))
			require.False(t, o.Retry(), o.Err)
			assert.Len(t, f.OCR.Requests(), 1)
			assert.Equal(t, wantURL, f.OCR.Requests()[0].ImageURL != "")
			assert.Equal(t, result.ImageRejected, f.Document().Error.Code)
		})
	}
}
