package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	attempts        = 3
	requestTimeout  = 5 * time.Second  // one attempt of a call that moves no picture
	downloadTimeout = 30 * time.Second // one attempt to read a picture of up to 20 MB
)

// withRetry makes a call up to three times, as the SDK itself never retries. Only failures that can pass are retried, with full
// jitter, and never beyond the context's deadline. call must start from fresh readers.
func (b *Bucket) withRetry(ctx context.Context, op string, limit time.Duration, call func(context.Context) error) error {
	pause := &backoff.ExponentialBackOff{InitialInterval: 100 * time.Millisecond, Multiplier: 2, RandomizationFactor: 1, MaxInterval: time.Second}
	n := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		n++
		err := b.attempt(ctx, op, limit, call)
		if err != nil && (!errors.Is(err, ErrUnavailable) || ctx.Err() != nil) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxTries(attempts), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			b.log.InfoContext(ctx, "retry", "call", "OSS "+op, "reason", reason(err), "attempt", n, "waitMs", wait.Milliseconds())
		}))
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	var known *Error
	if err != nil && !errors.As(err, &known) { // the context ended while waiting
		err = &Error{Op: op, kind: ErrUnavailable, err: err}
	}
	return err
}

func (b *Bucket) attempt(ctx context.Context, op string, limit time.Duration, call func(context.Context) error) error {
	var seen response
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, responseKey{}, &seen), limit)
	defer cancel()
	err := call(ctx)
	if err == nil {
		return nil
	}
	e := classify(op, seen, err)
	if e.kind == ErrWrongRegion {
		e.err = fmt.Errorf("signed for %s, sent to %s", b.region, b.endpoint)
	}
	return e
}

// response is what classify wants to know of the answer to a call.
type response struct {
	status int       // 0 if there was none
	date   time.Time // OSS's clock; zero if there is no Date header
	ec     string    // OSS's detail code, which answers to HEAD have in a header only
}

// transport belongs to one client and returns the HTTP status once: the SDK forgets it where an error's body is not the XML it
// expects.
type transport struct{ *http.Transport }

type responseKey struct{}

var errNotHTTP = errors.New("the response has no final status")

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r, err := bufferSmallBody(r)
	if err != nil {
		return nil, err
	}
	answer, err := t.Transport.RoundTrip(r)
	if err == nil && answer.StatusCode < http.StatusOK { // such as 101, whose body is the bare connection and never ends
		answer.Body.Close()
		return nil, errNotHTTP
	}
	if seen, ok := r.Context().Value(responseKey{}).(*response); ok && err == nil {
		seen.status = answer.StatusCode
		seen.date, _ = http.ParseTime(answer.Header.Get("Date"))
		seen.ec = answer.Header.Get("x-oss-ec")
	}
	return answer, err
}

// bufferSmallBody lets header and body of a small request leave together. The SDK reads bodies through a checksum, and net/http
// sends the header of a request by itself unless it sees that the body is in memory.
func bufferSmallBody(r *http.Request) (*http.Request, error) {
	const small = 64 << 10
	if r.Body == nil || r.ContentLength <= 0 || r.ContentLength > small {
		return r, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, small+1))
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	whole := *r // a RoundTripper leaves its request as it is
	whole.Body = io.NopCloser(bytes.NewReader(body))
	return &whole, nil
}
