package handler

import (
	"errors"
	"fmt"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"
)

// Code names why an image has no card, for programs. The set is closed: the constants below and those it shares with
// package ocrclient.
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
)

// Error is a failure as it is reported to the platform and in documents. Message is fit for any eye: no card data, secret,
// URL or unmasked object key.
type Error struct {
	Code      Code
	Message   string
	Retryable bool // the same request can succeed later without anybody changing anything
}

// Error returns code and message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

func failure(code Code, retryable bool, format string, args ...any) *Error {
	return &Error{Code: code, Retryable: retryable, Message: fmt.Sprintf(format, args...)}
}

// storageFailure translates an error of a Store.
func storageFailure(err error) *Error {
	code := Internal
	switch {
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrNoBucket):
		code = ImageNotFound
	case errors.Is(err, bucket.ErrDenied), errors.Is(err, bucket.ErrExpired), errors.Is(err, bucket.ErrEndpoint):
		code = AccessDenied
	case errors.Is(err, bucket.ErrClock):
		code = ClockSkew
	case errors.Is(err, bucket.ErrTooLarge):
		code = ImageTooLarge
	case errors.Is(err, bucket.ErrInvalid):
		code = ImageUnsupported
	case errors.Is(err, bucket.ErrTransient):
		code = Unavailable
	}
	return failure(code, bucket.Retryable(err), "%v", err)
}
