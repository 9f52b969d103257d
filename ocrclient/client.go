package ocrclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultEndpoint is the address of the API as its provider's market page gives it.
const DefaultEndpoint = "https://idcare7.market.alicloudapi.com/ocrIdCard"

const (
	// The server signs over exactly what it receives, so both are sent explicitly: a proxy that adds its own Accept
	// would otherwise break the signature (Alibaba Cloud document 29475).
	acceptHeader      = "application/json; charset=utf-8"
	contentTypeHeader = "application/x-www-form-urlencoded; charset=UTF-8"

	// maxAnswerBytes bounds what is read of one answer. A card's answer has about 1 KB.
	maxAnswerBytes = 1 << 20
)

// Client calls the API. The zero value with Auth set is ready to use; a Client is safe for concurrent use as long as its
// fields are not changed.
type Client struct {
	// Endpoint is the full URL of the API; empty means DefaultEndpoint.
	Endpoint string
	// Auth is required: an AppKey or an AppCode.
	Auth Auth
	// HTTP sends the requests; nil means a client made by NewHTTPClient that all such Clients share. Its redirect policy
	// is not used: redirects are never followed, as they would carry the signed form elsewhere.
	HTTP *http.Client
	// UserAgent is sent if it is not empty.
	UserAgent string
	// Now is the clock that stamps requests; nil means time.Now. The gateway refuses a request whose clock is 15 minutes off.
	Now func() time.Time
}

// Request is one picture to recognise. Exactly one of ImageURL, Image and ImageBase64 must be set.
type Request struct {
	// ImageURL is an address the provider can fetch without further authentication, for the time of the call.
	ImageURL string
	// Image is the picture's bytes. They are encoded while they are sent; no second copy is made. They are the caller's
	// again when Recognize has returned.
	Image []byte
	// ImageBase64 is the picture in standard base64 (padded, no line breaks, no "data:" prefix), sent as it is.
	ImageBase64 string
	// Details asks for name, sex, ethnicity, birth date and address beside the number, "at a somewhat lower success
	// rate" in the provider's words.
	Details bool
	// Nonce identifies the call: the gateway accepts one nonce once in 15 minutes, so sending a request again with the
	// same nonce can never be charged twice. Empty means a fresh one.
	Nonce string
}

var sharedHTTP = sync.OnceValue(NewHTTPClient)

// NewHTTPClient returns an HTTP client with the time limits this API wants: 3 s to connect, 5 s for TLS, TLS verified and its
// sessions resumed, HTTP/1.1, proxies from the environment. The limit of a whole call is the context's deadline.
func NewHTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			TLSClientConfig:     &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(8)},
			MaxIdleConns:        128,
			MaxIdleConnsPerHost: 128,
			IdleConnTimeout:     50 * time.Second,
			DisableCompression:  true,
		},
		CheckRedirect: refuseRedirect,
	}
}

func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Recognize sends one request and returns the provider's answer, be it a card or the provider's own "not recognised".
// A call that brought no usable answer returns an *Error; its Outcome says whether it may have been charged. A Client or
// Request that cannot be sent at all is refused with ErrInvalid before anything happens. If ctx ended the call, or had ended
// before it, the error wraps both ctx.Err() and context.Cause(ctx).
func (c *Client) Recognize(ctx context.Context, r Request) (*Response, error) {
	if ctx.Err() != nil {
		return nil, notSent(ctx)
	}
	endpoint, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	form, err := newForm(r)
	if err != nil {
		return nil, err
	}
	if err := checkImageURL(r.ImageURL); err != nil {
		return nil, err
	}
	if c.Auth == nil {
		return nil, fmt.Errorf("%w: Client.Auth is not set; it takes an AppKey or an AppCode", ErrInvalid)
	}
	if err := c.Auth.check(); err != nil {
		return nil, err
	}
	if r.Nonce == "" {
		r.Nonce = NewNonce()
	}

	req := &http.Request{
		Method:  http.MethodPost,
		URL:     endpoint,
		Host:    endpoint.Host,
		Header:  make(http.Header, 9),
		GetBody: form.body,
	}
	defer form.end()
	req.Body, _ = req.GetBody()
	req.Header.Set("Accept", acceptHeader)
	req.Header.Set("Content-Type", contentTypeHeader)
	req.Header.Set("User-Agent", c.UserAgent) // an empty value keeps net/http from adding its own
	signed := canonicalRequest{
		method:      req.Method,
		accept:      acceptHeader,
		contentType: contentTypeHeader,
		headers: []param{
			{name: "x-ca-nonce", value: r.Nonce},
			{name: "x-ca-timestamp", value: strconv.FormatInt(c.now().UnixMilli(), 10)},
		},
		path:   endpoint.EscapedPath(),
		params: slices.Concat(form.params, queryParams(endpoint.Query())), // on a clash of names the form is signed
	}
	c.Auth.authorize(req.Header, &signed)
	req.ContentLength = form.length() // after the signature, which passes over the picture anyway
	return c.do(ctx, req, &signed)
}

func (c *Client) endpoint() (*url.URL, error) {
	raw := c.Endpoint
	if raw == "" {
		raw = DefaultEndpoint
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%w: Client.Endpoint is not an http(s) URL without user and fragment", ErrInvalid)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Client) httpClient() *http.Client {
	base := c.HTTP
	if base == nil {
		base = sharedHTTP()
	}
	if base.CheckRedirect == nil || base.Jar != nil {
		own := *base
		own.CheckRedirect, own.Jar = refuseRedirect, nil
		return &own
	}
	return base
}

// do sends the request and sorts what comes back into an answer or an *Error.
func (c *Client) do(ctx context.Context, req *http.Request, signed *canonicalRequest) (*Response, error) {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	resp, err := c.httpClient().Do(req.WithContext(ctx))
	if err != nil {
		return nil, transportError(ctx, err, connected.Load())
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 { // after 101 the body is the raw connection, which has no deadline
		return nil, &Error{Outcome: Indeterminate, Code: Unavailable, StatusCode: resp.StatusCode, RequestID: gatewayRequestID(resp.Header),
			message: "the request may have arrived, but the status is that of no answer"}
	}
	body, err := readBody(resp)
	if err != nil {
		return nil, &Error{Outcome: Indeterminate, Code: lostCode(err), StatusCode: resp.StatusCode, RequestID: gatewayRequestID(resp.Header), Body: body,
			message: "the answer broke off", err: withContext(ctx, sanitizeEcho(err))}
	}
	answer, parseErr := parseResponse(resp.StatusCode, body, resp.Header.Get("Content-Type"))
	if parseErr == nil {
		return answer, nil
	}
	return nil, c.answerError(resp, body, parseErr, signed)
}

// transportError sorts an error of net/http: without a connection nothing was sent; with one the request may have arrived.
func transportError(ctx context.Context, err error, connected bool) *Error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the *url.Error repeats method and address, which the message gives already
	}
	if !connected {
		return &Error{Outcome: NotSent, Code: Unavailable, message: "no connection to the OCR endpoint", err: withContext(ctx, sanitizeAddress(err))}
	}
	return &Error{Outcome: Indeterminate, Code: lostCode(withContext(ctx, err)), message: "the request may have arrived, but no answer came",
		err: withContext(ctx, sanitizeEcho(err))}
}

// notSent is the error of a call whose context had ended before it.
func notSent(ctx context.Context) *Error {
	return &Error{Outcome: NotSent, Code: lostCode(ctx.Err()), message: "the call was not begun", err: withContext(ctx, nil)}
}

// withContext returns the context's error, with its cause, in place of err if the context has ended: net/http reports the cause
// alone.
func withContext(ctx context.Context, err error) error {
	ended := ctx.Err()
	switch cause := context.Cause(ctx); {
	case ended == nil:
		return err
	case cause == nil || errors.Is(cause, ended):
		return ended
	default:
		return fmt.Errorf("%w: %w", ended, cause)
	}
}

// sanitizeEcho drops the text of errors that quote what the server sent, such as net/http's "malformed HTTP response".
func sanitizeEcho(err error) error {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		return err
	}
	return errNotHTTP
}

var errNotHTTP = errors.New("the answer is not valid HTTP")

func lostCode(err error) Code {
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		return Timeout
	}
	return Unavailable
}

// statusBusinessFailure is a status that no gateway or proxy sends, only the provider.
const statusBusinessFailure = 450

// answerError sorts an answer that is not the provider's. Order: what the gateway says in its headers, then the status.
func (c *Client) answerError(resp *http.Response, body []byte, parseErr error, signed *canonicalRequest) *Error {
	e := &Error{StatusCode: resp.StatusCode, RequestID: gatewayRequestID(resp.Header)}
	code, text := resp.Header.Get("X-Ca-Error-Code"), resp.Header.Get("X-Ca-Error-Message")
	explained := resp.StatusCode >= 400 && (code != "" || text != "")
	e.PassedOn = !explained && resp.Header.Get("X-Ca-Request-Id") != ""
	switch {
	case explained:
		e.gateway(code, text)
		switch {
		case e.Code == Unauthorized && hasPrefixFold(text, invalidSignature):
			e.message += ": " + signed.diffStringToSign(text)
		case e.Code == ClockSkew:
			e.message += clockDifference(c.now(), resp.Header.Get("Date"))
		}
	case resp.StatusCode == http.StatusTooManyRequests:
		e.set(Refused, Throttled, "too many requests")
	case resp.StatusCode == http.StatusRequestEntityTooLarge:
		e.set(Configuration, ImageTooLarge, "the request is larger than the gateway takes")
	case timedOut(resp.StatusCode):
		e.set(Indeterminate, Timeout, "the gateway waited in vain for the provider")
	case resp.StatusCode >= 500:
		e.set(Indeterminate, Unavailable, "an error status without the gateway's explanation")
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		e.set(Configuration, Unauthorized, "refused without the gateway's explanation")
	case resp.StatusCode >= 300 && resp.StatusCode != statusBusinessFailure:
		e.set(Configuration, BadRequest, "this is not the answer of the API; is the endpoint right? (redirects are not followed)")
	case resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && errors.Is(parseErr, io.ErrUnexpectedEOF):
		e.set(Indeterminate, Unavailable, "the answer broke off") // delimited by the end of the connection only: a cut looks like an end
	default:
		e.set(Malformed, BadAnswer, "the answer cannot be parsed ("+strconv.Itoa(len(body))+" bytes)")
	}
	if e.MayHaveCharged() {
		e.Body = body
	}
	e.RetryAfter = c.retryAfter(resp.Header)
	return e
}

// maxRetryAfter bounds what a server can ask to wait.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads seconds or an HTTP date (RFC 9110, 10.2.3), which counts from the server's own clock if the response has it.
func (c *Client) retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = c.now()
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

func clockDifference(now time.Time, date string) string {
	server, err := http.ParseTime(date)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (this clock is %s off the gateway's)", now.Sub(server).Round(time.Second).Abs())
}
