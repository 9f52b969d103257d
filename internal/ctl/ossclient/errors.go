package ossclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/safetext"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
)

// Error is a request to OSS that failed. Its text holds OSS's code, status and request ID, never a key, URL or secret.
type Error struct {
	Op        message.Key // what was tried, such as "list the bucket"
	Status    int         // HTTP status, 0 if no answer came
	Code      string      // OSS's, such as NoSuchKey
	EC        string      // OSS's finer code, such as 0048-00000401
	RequestID string

	err error
}

// Error returns the operation, and OSS's code, status and request ID.
func (e *Error) Error() string {
	var b strings.Builder
	message.Fprintf(&b, "OSS: could not %s", message.Text(e.Op))
	if e.err != nil {
		fmt.Fprintf(&b, ": %v", e.err)
	}
	if e.Code != "" {
		message.Fprintf(&b, ", code %s", e.Code)
	}
	if e.EC != "" {
		message.Fprintf(&b, ", EC %s", e.EC)
	}
	if e.RequestID != "" {
		message.Fprintf(&b, ", request %s", e.RequestID)
	}
	if e.Status != 0 {
		message.Fprintf(&b, ", status %d", e.Status)
	}
	return b.String()
}

// Unwrap returns the cause if no answer came.
func (e *Error) Unwrap() error { return e.err }

// NotFound reports that the object is not there.
func NotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code != "NoSuchBucket"
}

// codeTooLarge is the Code of Read's refusal. OSS has none of this name.
const codeTooLarge = "TooLarge"

// TooLarge reports that the object is larger than the limit of Read.
func TooLarge(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == codeTooLarge
}

// setUp are OSS's codes for what is wrong with credentials, clock, names or addresses: no request to the bucket will succeed.
var setUp = []string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "SecurityTokenExpired", "InvalidSecurityToken", "AccessKeyIdAndSecurityTokenNotMatch",
	"RequestTimeTooSkewed", "NoSuchBucket", "PublicEndpointForbidden", "SecondLevelDomainForbidden", "UserDisable"}

// Configuration reports that no such request will succeed until somebody changes credentials, permissions or addresses.
func Configuration(err error) bool {
	var e *Error
	if errors.Is(err, credentials.ErrNotFound) {
		return true
	}
	return errors.As(err, &e) && (e.Status == http.StatusForbidden || slices.Contains(setUp, e.Code) || (e.Status >= 300 && e.Status < 400))
}

// OfObject reports that OSS refuses this object, and may serve others: it is archived, or a policy forbids it.
func OfObject(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status >= 400 && e.Status < 500 && !Transient(err) && !slices.Contains(setUp, e.Code)
}

// Transient reports that the same request can succeed later without anybody changing anything.
func Transient(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code != codeTooLarge && !errors.Is(err, context.Canceled) &&
		(e.Status == 0 || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooManyRequests || e.Status >= 500)
}

func failure(op message.Key, err error) error {
	e := &Error{Op: op}
	var service *oss.ServiceError
	var address *url.Error
	var keyless *credentials.NotFound
	switch {
	case errors.As(err, &service):
		e.Status, e.Code, e.EC, e.RequestID = service.StatusCode, safetext.Token(service.Code, "-"), safetext.Token(service.EC, "-"), safetext.Token(service.RequestID, "-")
	case errors.As(err, &keyless): // without the SDK's name of the request, which was not made
		return keyless
	case errors.Is(err, context.Canceled):
		e.err = context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		e.err = context.DeadlineExceeded
	case errors.As(err, &address): // its address holds the key, and its text may hold a query
		e.err = address.Err
	default:
		e.err = message.Errorf("the answer is not understood, or the connection broke")
	}
	return e
}
