// Package fcclient calls the API of Function Compute 3.0 (version 2023-03-30): it hands events to a function
// asynchronously and asks how a function is set up. It never runs anything synchronously and never puts a payload, a
// credential or a function's environment into an error.
package fcclient

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/safetext"

	"github.com/alibabacloud-go/openapi-util/service"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/cenkalti/backoff/v5"
)

// Version is that of the API, and the first part of its paths.
const Version = "2023-03-30"

const (
	algorithm   = "ACS3-HMAC-SHA256" // "V3 request signature": help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
	callTimeout = 15 * time.Second
	// attempts and their pauses, of a call that can pass; together they ride out about half a minute.
	attempts = 7
	maxPause = 10 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 4 << 20
)

// Client calls the API for one function. It is safe for concurrent use.
type Client struct {
	Endpoint string // such as https://<account ID>.cn-hangzhou.fc.aliyuncs.com
	Function string
	// Qualifier is a version or alias; empty means LATEST.
	Qualifier string
	// Credentials sign the requests.
	Credentials credentials.Provider
	// HTTP sends the requests; nil means a client of its own kind. Redirects are never followed: they would carry the
	// security token to another host.
	HTTP *http.Client
	// Sleep is called before a call is tried again, with what to wait; nil waits on the clock.
	Sleep func(context.Context, time.Duration) error
}

// Endpoint is the API's public address for an account (help.aliyun.com/zh/functioncompute/fc/developer-reference/fc-endpoints).
func Endpoint(accountID, region string) string {
	return "https://" + accountID + "." + strings.TrimPrefix(region, "oss-") + ".fc.aliyuncs.com"
}

// InvokeAsync hands an event to the function and returns the request ID. FC delivers it later, with retries. What can pass
// (throttling, 5xx, a broken connection) is tried again: an event that arrives twice is harmless, as deliveries of FC are
// at least once anyway.
func (c *Client) InvokeAsync(ctx context.Context, payload []byte) (requestID string, err error) {
	answer, err := c.call(ctx, http.MethodPost, "InvokeFunction", "/functions/"+url.PathEscape(c.Function)+"/invocations", payload)
	if err != nil {
		return "", err
	}
	return answer.requestID, nil
}

// Function is how a function is set up, as far as it matters here.
type Function struct {
	Runtime              string            `json:"runtime"`
	Timeout              int               `json:"timeout"` // seconds
	Role                 string            `json:"role"`
	EnvironmentVariables map[string]string `json:"environmentVariables"` // holds secrets
	InstanceConcurrency  int               `json:"instanceConcurrency"`
}

// Describe asks how the function is set up.
func (c *Client) Describe(ctx context.Context) (f Function, err error) {
	answer, err := c.call(ctx, http.MethodGet, "GetFunction", "/functions/"+url.PathEscape(c.Function), nil)
	if err != nil {
		return f, err
	}
	return f, decode(answer.body, &f)
}

// Trigger is one trigger of a function.
type Trigger struct {
	Name      string `json:"triggerName"`
	Type      string `json:"triggerType"` // oss, eventbridge, http ...
	Config    string `json:"triggerConfig"`
	SourceARN string `json:"sourceArn"` // of OSS triggers acs:oss:<region>:<account>:<bucket>
}

// OSSTrigger is the configuration of an OSS trigger.
type OSSTrigger struct {
	Events []string `json:"events"` // with the oss: prefix
	Filter struct {
		Key struct {
			Prefix string `json:"prefix"`
			Suffix string `json:"suffix"`
		} `json:"key"`
	} `json:"filter"`
}

// OSS returns the configuration of an OSS trigger, false of others.
func (t Trigger) OSS() (o OSSTrigger, ok bool) {
	return o, t.Type == "oss" && json.Unmarshal([]byte(t.Config), &o) == nil
}

// Triggers lists the function's triggers.
func (c *Client) Triggers(ctx context.Context) ([]Trigger, error) {
	answer, err := c.call(ctx, http.MethodGet, "ListTriggers", "/functions/"+url.PathEscape(c.Function)+"/triggers", nil)
	if err != nil {
		return nil, err
	}
	var list struct {
		Triggers []Trigger `json:"triggers"`
	}
	return list.Triggers, decode(answer.body, &list)
}

func decode(body []byte, v any) error {
	if json.Unmarshal(body, v) != nil {
		return &Error{Code: "BadAnswer"}
	}
	return nil
}

// Error is a call that failed. Its text holds the API's code, status and request ID.
type Error struct {
	Status    int    // HTTP status, 0 if no answer came
	Code      string // the API's, such as FunctionNotFound
	RequestID string

	err error
}

// Error tells code, status and request ID.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("Function Compute: ")
	if e.err != nil {
		fmt.Fprintf(&b, "no answer: %v", e.err)
	} else {
		fmt.Fprintf(&b, "the request was refused")
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

type answer struct {
	body      []byte
	requestID string
}

func (c *Client) call(ctx context.Context, method, action, path string, body []byte) (answer, error) {
	pauses := backoff.ExponentialBackOff{InitialInterval: 250 * time.Millisecond, Multiplier: 2, RandomizationFactor: .5, MaxInterval: maxPause}
	pauses.Reset()
	for attempt := 1; ; attempt++ {
		a, err := c.once(ctx, method, action, "/"+Version+path, body)
		var failed *Error
		if err == nil || !errors.As(err, &failed) || !failed.retryable() || attempt == attempts || ctx.Err() != nil {
			return a, err
		}
		if waitErr := c.sleep(ctx, pauses.NextBackOff()); waitErr != nil {
			return a, err
		}
	}
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) once(ctx context.Context, method, action, path string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	key, err := c.Credentials(ctx)
	if err != nil {
		return answer{}, err
	}
	u, err := url.Parse(strings.TrimSuffix(c.Endpoint, "/") + path)
	if err != nil || u.Host == "" {
		return answer{}, fmt.Errorf("%q is no endpoint of Function Compute; expected one like https://123456789.cn-hangzhou.fc.aliyuncs.com", c.Endpoint)
	}
	query := map[string]*string{}
	if c.Qualifier != "" && method == http.MethodPost {
		query["qualifier"] = &c.Qualifier
		u.RawQuery = "qualifier=" + url.QueryEscape(c.Qualifier)
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, &Error{err: errors.New("the request cannot be made")}
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		r.Header.Set("X-Fc-Invocation-Type", "Async")
	}
	sign(r, query, action, body, key, time.Now())
	response, err := c.http().Do(r)
	if err != nil {
		return answer{}, &Error{err: withoutURL(err)}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	requestID := safetext.Token(response.Header.Get("X-Fc-Request-Id"), "-.")
	if err != nil {
		return answer{}, &Error{RequestID: requestID, err: withoutURL(err)}
	}
	if response.StatusCode >= 300 {
		var e struct {
			Code string `json:"Code"`
		}
		json.Unmarshal(text, &e) //nolint:errcheck // the status says enough
		return answer{}, &Error{Status: response.StatusCode, Code: safetext.Token(e.Code, "-."), RequestID: requestID}
	}
	return answer{body: text, requestID: requestID}, nil
}

// sign adds what the ACS3 signature wants. The vendor's own library computes it.
func sign(r *http.Request, query map[string]*string, action string, body []byte, key credentials.Credentials, now time.Time) {
	sum := sha256.Sum256(body)
	var nonce [16]byte
	rand.Read(nonce[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	r.Header.Set("x-acs-action", action)
	r.Header.Set("x-acs-version", Version)
	r.Header.Set("x-acs-date", now.UTC().Format("2006-01-02T15:04:05Z"))
	r.Header.Set("x-acs-signature-nonce", hex.EncodeToString(nonce[:]))
	r.Header.Set("x-acs-content-sha256", hex.EncodeToString(sum[:]))
	if key.SecurityToken != "" {
		r.Header.Set("x-acs-security-token", key.SecurityToken)
	}
	headers := map[string]*string{"host": tea.String(r.URL.Host)}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-acs-") || lower == "content-type" {
			headers[lower] = tea.String(r.Header.Get(name))
		}
	}
	path := r.URL.EscapedPath()
	request := &tea.Request{Method: &r.Method, Pathname: &path, Headers: headers, Query: query}
	r.Header.Set("Authorization", tea.StringValue(service.GetAuthorization(request, tea.String(algorithm), tea.String(hex.EncodeToString(sum[:])),
		&key.AccessKeyID, &key.AccessKeySecret)))
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
