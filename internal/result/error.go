package result

import (
	"errors"
	"fmt"

	"fc-idcard-ocr/ocrclient"
)

// Code names why an image has no card, for programs. The set is closed: the constants below, some of which package
// ocrclient defines.
type Code = ocrclient.Code

// The codes of a result document, an HTTP problem or an error of the function.
const (
	NotRecognized    = ocrclient.NotRecognized
	ImageRejected    = ocrclient.ImageRejected
	ImageTooLarge    = ocrclient.ImageTooLarge
	ImageUnsupported = Code("ImageUnsupported") // the object is no picture that OSS or the provider takes
	ImageNotFound    = Code("ImageNotFound")    // no such object
	AccessDenied     = Code("AccessDenied")     // the function's role may not do this in OSS
	Throttled        = ocrclient.Throttled
	QuotaExhausted   = ocrclient.QuotaExhausted
	Unauthorized     = ocrclient.Unauthorized
	ClockSkew        = ocrclient.ClockSkew
	Unavailable      = ocrclient.Unavailable
	Timeout          = ocrclient.Timeout
	BadAnswer        = ocrclient.BadAnswer
	AnswerLost       = ocrclient.AnswerLost
	InProgress       = Code("InProgress") // another invocation holds the image's claim
	BadRequest       = ocrclient.BadRequest
	NotAllowed       = Code("NotAllowed") // HTTP_ALLOW does not name this object
	Internal         = Code("Internal")
	StorageRefused   = Code("StorageRefused")  // the configuration of the bucket refuses claim, document or HEAD
	ImageArchived    = Code("ImageArchived")   // the object has to be restored before it can be read
	ImageReplaced    = Code("ImageReplaced")   // the object changed while it was recognised
	BudgetExhausted  = Code("BudgetExhausted") // OCR_DAILY_LIMIT is used up for today
)

// Codes lists the set, in the order of the published schema.
var Codes = []Code{NotRecognized, ImageRejected, ImageTooLarge, ImageUnsupported, ImageNotFound, AccessDenied, Throttled, QuotaExhausted,
	Unauthorized, ClockSkew, Unavailable, Timeout, BadAnswer, AnswerLost, InProgress, BadRequest, NotAllowed, Internal,
	StorageRefused, ImageArchived, ImageReplaced, BudgetExhausted}

// Transient reports whether failures with this code pass without a change.
func Transient(code Code) bool { return code == Throttled || code == Timeout || code == Unavailable }

// Error says why there is no card: in a document, to the platform, and to a caller of the HTTP API. Message holds no card
// data, secret, URL or unmasked object key. An image whose document has Retryable true is not done.
type Error struct {
	Code      Code   `json:"code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"` // the same request can succeed later without anybody changing anything
}

// Error returns code and message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Errorf returns an *Error with a formatted message.
func Errorf(code Code, retryable bool, format string, args ...any) *Error {
	return &Error{Code: code, Retryable: retryable, Message: fmt.Sprintf(format, args...)}
}

// AsError returns the *Error in err, or one that only says that the function failed.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Errorf(Internal, true, "the function failed")
}
