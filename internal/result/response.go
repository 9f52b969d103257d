package result

import (
	"time"

	"fc-idcard-ocr/ocrclient"
)

// ApplyResponse puts the provider's response into the document. Dates after now are no birth dates.
func (d *Document) ApplyResponse(a *ocrclient.Response, now time.Time) {
	d.OCR.RequestID, d.OCR.Charged, d.OCR.Message = a.RequestID, a.Charged, a.Message
	d.Raw = dropOversizedRaw(a.Raw)
	if a.Recognized {
		d.Status = Recognized
		card := normalCard(a.Card)
		d.Card, d.Validation = &card, validate(a.Card, card.IDNumber, now)
		return
	}
	switch code := a.Code(); code {
	case NotRecognized, ImageRejected:
		d.Status = Unrecognized
		d.Error = &Error{Code: code, Message: providerMessages[code]}
	default:
		d.Fail(Errorf(code, Transient(code) && !a.Charged, "%s", providerMessages[code]))
	}
}

// providerMessages explains the codes of the provider's own failures; the provider's text is in ocr.message.
var providerMessages = map[Code]string{
	NotRecognized:  "the provider found no ID number in the picture",
	ImageRejected:  "the provider cannot read the picture",
	QuotaExhausted: "the provider reports that the calls are used up",
	Unauthorized:   "the provider's platform refuses the market's credentials",
	Throttled:      "the provider reports too many calls",
	Timeout:        "the provider reports a time-out of its own",
	Unavailable:    "the provider reports a failure of its platform",
}
