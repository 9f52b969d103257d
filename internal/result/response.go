package result

import (
	"strings"
	"time"

	"fc-idcard-ocr/ocrclient"
)

// ApplyResponse puts the provider's response into the document. Dates after now are no birth dates.
func (d *Document) ApplyResponse(a *ocrclient.Response, now time.Time) {
	d.OCR.RequestID, d.OCR.Charged, d.OCR.Message = shorten(a.RequestID), a.Charged, shorten(a.Message)
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

// maxWords bounds the provider's words, in bytes. A mebibyte of control characters, six bytes each in JSON, would make a document of more
// than MaxBytes: one that nobody reads, so that its image is paid again.
const maxWords = 4 << 10

func shorten(s string) string {
	if len(s) <= maxWords {
		return s
	}
	return strings.ToValidUTF8(s[:maxWords], "") + "…" // the cut may be within a character
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
