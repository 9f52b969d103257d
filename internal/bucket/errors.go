package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/safetext"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"
)

// What an *Error is about; test with errors.Is.
var (
	ErrNotFound           = errors.New("object not found")                         // no such object (404)
	ErrNoBucket           = errors.New("bucket not found")                         // no such bucket (404)
	ErrAccessDenied       = errors.New("access denied")                            // key, policy or account forbids it (403)
	ErrCredentialsExpired = errors.New("credentials expired")                      // this invocation's credentials are over; the next has new ones
	ErrClockSkew          = errors.New("this machine's clock is off")              // OSS refuses the request's time stamp (15 minutes); another instance may do better
	ErrPositionMismatch   = errors.New("object has another length")                // a conditional append that lost (409)
	ErrNotAppendable      = errors.New("object is not appendable")                 // an append to an object that was written otherwise (409)
	ErrExists             = errors.New("object exists")                            // PutOptions.IfAbsent, and something is there (409)
	ErrArchived           = errors.New("object is archived")                       // it has to be restored before it can be read (403 InvalidObjectState)
	ErrInvalid            = errors.New("request refused")                          // OSS will not take this request as it is (4xx), such as a picture it cannot process
	ErrRefused            = errors.New("account or bucket refuses it")             // 403 that no policy changes, such as KmsServiceNotEnabled
	ErrTooLarge           = errors.New("object larger than allowed")               // more bytes than the caller's limit
	ErrUnavailable        = errors.New("storage unavailable")                      // network, 5xx or throttling, also after retries
	ErrWrongRegion        = errors.New("the request is signed for another region") // than that of the endpoint
	ErrWrongEndpoint      = errors.New("the endpoint does not serve the bucket")   // wrong region, custom domain needed, or a redirect
)

// Error is a call to OSS that failed. Its text holds OSS's own error code and request ID, never a key, URL or token.
type Error struct {
	Op        string // HEAD, GET, PUT, APPEND, DELETE or sign
	Status    int    // HTTP status, 0 if no answer came
	Code      string // OSS's error code, such as AccessDenied
	RequestID string // x-oss-request-id

	kind error
	err  error
}

// Error returns operation, kind, code, status and request ID.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "OSS %s: %v", e.Op, e.kind)
	if e.err != nil {
		fmt.Fprintf(&b, ": %v", e.err)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ", code %s", e.Code)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d", e.Status)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, ", request %s", e.RequestID)
	}
	return b.String()
}

// Unwrap returns the kind (one of this package's Err values) and the cause.
func (e *Error) Unwrap() []error {
	if e.err == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.err}
}

// Retryable reports whether the same call can succeed later without anybody changing anything.
func Retryable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrCredentialsExpired) || errors.Is(err, ErrClockSkew)
}

// reason names the kind of an error in few words, for the retry log.
func reason(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return "unknown"
	}
	if e.Code != "" {
		return e.Code
	}
	if e.Status != 0 {
		return http.StatusText(e.Status)
	}
	return e.kind.Error()
}

func classify(op string, seen response, err error) *Error {
	status := seen.status
	e := &Error{Op: op, Status: status}
	var service oss.ServiceError
	var network net.Error
	switch {
	case errors.Is(err, ErrTooLarge):
		e.kind = ErrTooLarge
		return e
	case errors.As(err, &service):
		e.Status, e.Code, e.RequestID = service.StatusCode, safetext.Token(service.Code, "-"), safetext.Token(service.RequestID, "-")
	case errors.As(err, new(oss.CRCCheckError)):
		e.kind, e.Code = ErrUnavailable, "CRCCheckError"
		return e
	case status < 300 && (errors.As(err, &network) || isTransport(err)):
		e.kind, e.Status, e.err = ErrUnavailable, 0, sanitizeURL(err)
		return e
	case status == 0: // the SDK refused before sending, such as an object key it takes for invalid
		e.kind = ErrInvalid
		return e
	}
	e.kind = kindOf(e.Status, e.Code)
	if slices.Contains(ecWrongRegion, service.Ec) || slices.Contains(ecWrongRegion, seen.ec) {
		e.kind = ErrWrongRegion
	}
	if !seen.date.IsZero() && e.kind == ErrClockSkew {
		e.err = fmt.Errorf("by %s", time.Since(seen.date).Round(time.Second).Abs())
	}
	return e
}

// ecWrongRegion are OSS's detail codes of a V4 signature for another region, of a URL and of a header
// (https://api.aliyun.com/troubleshoot?q=0002-00000226, likewise 228).
var ecWrongRegion = []string{"0002-00000226", "0002-00000228"}

// kindOf sorts by code where codes differ within one status, else by status: answers to HEAD often have no code.
func kindOf(status int, code string) error {
	switch code {
	case "PositionNotEqualToLength":
		return ErrPositionMismatch
	case "ObjectNotAppendable":
		return ErrNotAppendable
	case "FileAlreadyExists":
		return ErrExists
	case "InvalidObjectState":
		return ErrArchived
	case "NoSuchBucket":
		return ErrNoBucket
	case "SecurityTokenExpired", "InvalidSecurityToken", "InvalidAccessKeyId", "AccessKeyIdAndSecurityTokenNotMatch":
		return ErrCredentialsExpired // keys come with the invocation, so the next one brings others
	case "RequestTimeTooSkewed":
		return ErrClockSkew
	case "RequestTimeout":
		return ErrUnavailable
	case "PublicEndpointForbidden", "SecondLevelDomainForbidden":
		return ErrWrongEndpoint
	}
	switch {
	case status == http.StatusNotFound:
		return ErrNotFound
	case code == "ImageDamage":
		return ErrInvalid
	case status == http.StatusForbidden && code != "" && code != "AccessDenied" && code != "SignatureDoesNotMatch" && code != "UserDisable":
		return ErrRefused
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return ErrAccessDenied
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return ErrUnavailable
	case status >= 300 && status < 400:
		return ErrWrongEndpoint
	default:
		return ErrInvalid
	}
}

func isTransport(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, new(*url.Error))
}

// sanitizeURL drops the *url.Error around a transport error: its address holds the object key.
func sanitizeURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		return err
	}
	return errors.New("broken connection") // net/http's other errors can quote what the server sent
}
