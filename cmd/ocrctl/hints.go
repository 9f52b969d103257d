package main

import (
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// hint says what helps an image, and what that costs.
type hint struct {
	fix message.Key
	// again says that `ocrctl backfill --retry-failed CODE` helps, once fix is done.
	again bool
	cost  message.Key // of again
}

const (
	onePaidCall = "one paid call each"
	secondCall  = "one paid call each, and the first may have been charged too"
)

// hints has one for each code of a document. Codes of newer functions may stand here before package result knows them.
var hints = map[result.Code]hint{
	result.NotRecognized:           {"upload a better picture; the same one would be paid again for the same answer", false, ""},
	result.ImageRejected:           {"upload another picture; the provider cannot read this one", false, ""},
	result.ImageTooLarge:           {"upload a smaller picture, or raise MAX_IMAGE_BYTES of the function", true, onePaidCall},
	result.ImageUnsupported:        {"upload a picture in another format", false, ""},
	result.ImageNotFound:           {"nothing: the object was not there when an HTTP request named it", false, ""},
	result.AccessDenied:            {"compare the role's policy with deploy/ram-policy.json, and run `ocrctl doctor`", true, onePaidCall},
	result.Throttled:               {"wait, or lower the reserved concurrency or OCR_RATE_LIMIT", true, onePaidCall},
	result.QuotaExhausted:          {"buy or renew calls in the cloud market", true, onePaidCall},
	result.Unauthorized:            {"correct key and secret; `ocrctl doctor` tries them for free", true, onePaidCall},
	result.ClockSkew:               {"wait: another instance has another clock", true, onePaidCall},
	result.Unavailable:             {"wait until network, gateway, provider and OSS answer", true, onePaidCall},
	result.Timeout:                 {"wait, or raise the function's time-out", true, onePaidCall},
	result.BadAnswer:               {"report it to the provider", true, secondCall},
	result.AnswerLost:              {"decide whether a second call is worth it", true, secondCall},
	result.InProgress:              {"wait: another invocation is at work on the image", false, ""},
	result.BadRequest:              {"check OCR_ENDPOINT of the function; `ocrctl doctor` tries it for free", true, onePaidCall},
	result.NotAllowed:              {"add the object to HTTP_ALLOW of the function, if it is meant to be there", false, ""},
	result.Internal:                {"report it with the function's log", true, onePaidCall},
	result.Code("ImageArchived"):   {"restore the picture (ossutil restore), or move it to another storage class", true, onePaidCall},
	result.Code("ImageReplaced"):   {"nothing: the picture's present version has its own delivery", true, onePaidCall},
	result.Code("StorageRefused"):  {"correct the bucket's set-up: storage class, encryption or retention", true, onePaidCall},
	result.Code("BudgetExhausted"): {"wait for the next day, or raise OCR_DAILY_LIMIT of the function", true, onePaidCall},
}

// stateHints likewise, by the state of an image without a document of its own.
var stateHints = map[inventory.State]message.Key{
	inventory.Missing:    "its event was lost, or is on its way; `ocrctl backfill` submits it (" + onePaidCall + ")",
	inventory.Outdated:   "`ocrctl backfill` submits it (" + onePaidCall + ")",
	inventory.Stale:      "`ocrctl backfill --retry-failed stale` submits it (" + onePaidCall + ")",
	inventory.InProgress: "wait: the function is at work on it",
	inventory.StaleClaim: "its work broke off; `ocrctl backfill` submits it (a paid answer that waits in its claim costs nothing more)",
	inventory.Unreadable: "see to its document: restore, permit or remove it; a removed one is paid for again",
}

// hintFor is the hint of a code in one sentence.
func hintFor(code result.Code) string {
	h, ok := hints[code]
	switch {
	case !ok:
		return ""
	case !h.again:
		return message.Text(h.fix)
	}
	return message.Sprintf("%s; then `ocrctl backfill --retry-failed %s` (%s)", message.Text(h.fix), code, message.Text(h.cost))
}

// imageHint is what helps one image; empty if it needs no help.
func imageHint(i inventory.Image) string {
	if i.State != inventory.Documented {
		return message.Text(stateHints[i.State])
	}
	if i.Document == nil || i.Document.Error == nil {
		if i.Contradictory() {
			return message.Text("compare the card with the picture (`ocrctl show KEY --no-mask --open`, free); what was misread stays so when it is paid again")
		}
		return ""
	}
	return hintFor(i.Document.Error.Code)
}
