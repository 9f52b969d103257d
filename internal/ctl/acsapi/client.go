// Package acsapi calls APIs of Alibaba Cloud that take its V3 signature. It tries again what can pass, follows no redirect, and
// never puts a payload, an address or a credential into an error.
package acsapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/pause"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/safetext"

	"github.com/cenkalti/backoff/v5"
)

const (
	callTimeout = 15 * time.Second
	// attempts and their pauses, of a call that can pass; together they ride out about half a minute.
	attempts = 7
	maxPause = 10 * time.Second
	// maxBody bounds what is read of a response, in bytes.
	maxBody = 4 << 20
)

// Client calls one API. It is safe for concurrent use.
type Client struct {
	API      message.Key // its name in errors, such as Function Compute
	Version  string      // such as 2023-03-30
	Endpoint string      // scheme and host
	// Credentials sign the requests.
	Credentials credentials.Provider
	// HTTP sends the requests; nil means a client of its own kind. Redirects are never followed: they would carry the
	// security token to another host.
	HTTP *http.Client
	// Sleep is called before a call is tried again, with what to wait; nil waits on the clock.
	Sleep func(context.Context, time.Duration) error
}

// Request is a call.
type Request struct {
	Method, Action, Path string
	Query                url.Values
	Header               map[string]string
	Body                 []byte
	Timeout              time.Duration // of one attempt; 0 means 15 s
}

// Response is what a call brought.
type Response struct {
	Body      []byte
	RequestID string
	Date      time.Time // of the API's clock; zero if the response has none
	Header    http.Header

	api message.Key
}

// Decode reads the body as JSON.
func (r Response) Decode(v any) error {
	if json.Unmarshal(r.Body, v) != nil {
		return &Error{API: r.api, Code: "BadAnswer", RequestID: r.RequestID}
	}
	return nil
}

// Refused returns the error of a response that says in its body that the call failed.
func (r Response) Refused(code string) error {
	return &Error{API: r.api, Status: http.StatusOK, Code: safetext.Token(code, "-."), RequestID: r.RequestID}
}

// Error is a call that failed. Its text holds the API's code, status and request ID.
type Error struct {
	API       message.Key // whose it is, such as Function Compute
	Status    int         // HTTP status, 0 if no answer came
	Code      string      // the API's, such as FunctionNotFound
	RequestID string

	err error
}

// Error returns code, status and request ID.
func (e *Error) Error() string {
	var b strings.Builder
	if e.err != nil {
		message.Fprintf(&b, "%s: no answer: %v", message.Text(e.API), e.err)
	} else {
		message.Fprintf(&b, "%s: the request was refused", message.Text(e.API))
	}
	if e.Code != "" {
		message.Fprintf(&b, ", code %s", e.Code)
	}
	if e.Status != 0 {
		message.Fprintf(&b, ", status %d", e.Status)
	}
	if e.RequestID != "" {
		message.Fprintf(&b, ", request %s", e.RequestID)
	}
	return b.String()
}

// Unwrap returns the cause if no answer came.
func (e *Error) Unwrap() error { return e.err }

// retryable reports whether the same call can succeed later without anybody changing anything.
func (e *Error) retryable() bool {
	return e.Status == 0 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= 500
}

// Configuration reports that no such call will succeed until somebody changes credentials, permissions, names or addresses.
func Configuration(err error) bool {
	var e *Error
	return errors.Is(err, credentials.ErrNotFound) || (errors.As(err, &e) && !e.retryable())
}

// Call makes the call, and again if it can pass (throttling, 5xx, a broken connection).
func (c *Client) Call(ctx context.Context, r Request) (Response, error) {
	pauses := backoff.ExponentialBackOff{InitialInterval: 250 * time.Millisecond, Multiplier: 2, RandomizationFactor: .5, MaxInterval: maxPause}
	pauses.Reset()
	for attempt := 1; ; attempt++ {
		response, err := c.once(ctx, r)
		var failed *Error
		if err == nil || !errors.As(err, &failed) || !failed.retryable() || attempt == attempts || ctx.Err() != nil {
			return response, err
		}
		if waitErr := c.sleep(ctx, pauses.NextBackOff()); waitErr != nil {
			return response, err
		}
	}
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	return pause.For(ctx, d)
}

func (c *Client) once(ctx context.Context, r Request) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Timeout, callTimeout))
	defer cancel()
	key, err := c.Credentials(ctx)
	if err != nil {
		return Response{}, err
	}
	u, err := url.Parse(strings.TrimSuffix(c.Endpoint, "/") + r.Path)
	if err != nil || u.Host == "" {
		return Response{}, message.Errorf("%q is no endpoint of %s; expected scheme and host, such as https://123456789.cn-hangzhou.fc.aliyuncs.com", c.Endpoint, message.Text(c.API))
	}
	u.RawQuery = r.Query.Encode()
	request, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return Response{}, c.failure(0, "", "", message.Errorf("the request cannot be made"))
	}
	for name, value := range r.Header {
		request.Header.Set(name, value)
	}
	sign(request, r.Action, c.Version, r.Body, key, time.Now())
	answer, err := c.http().Do(request)
	if err != nil {
		return Response{}, c.failure(0, "", "", withoutURL(err))
	}
	defer answer.Body.Close()
	response := Response{api: c.API, Header: answer.Header}
	response.Body, err = io.ReadAll(io.LimitReader(answer.Body, maxBody))
	response.Date, _ = http.ParseTime(answer.Header.Get("Date"))
	for _, name := range []string{"X-Fc-Request-Id", "X-Acs-Request-Id"} {
		if id := safetext.Token(answer.Header.Get(name), "-."); id != "" {
			response.RequestID = id
		}
	}
	if err != nil {
		return Response{}, c.failure(0, "", response.RequestID, withoutURL(err))
	}
	if answer.StatusCode >= 300 {
		var e struct {
			Code string `json:"Code"`
		}
		json.Unmarshal(response.Body, &e) //nolint:errcheck // the status says enough
		return Response{}, c.failure(answer.StatusCode, e.Code, response.RequestID, nil)
	}
	return response, nil
}

func (c *Client) failure(status int, code, requestID string, err error) *Error {
	return &Error{API: c.API, Status: status, Code: safetext.Token(code, "-."), RequestID: requestID, err: err}
}

// shared keeps one set of connections for all Clients that bring none.
var shared = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: 5 * time.Second}}

func (c *Client) http() *http.Client {
	client := shared
	if c.HTTP != nil {
		client = c.HTTP
	}
	plain := *client
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &plain
}

func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
