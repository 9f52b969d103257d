// Package fcclient calls the API of Function Compute 3.0 (version 2023-03-30): it hands events to a function
// asynchronously or synchronously and asks how a function is set up. It never puts a payload, a
// credential or a function's environment into an error.
package fcclient

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/acsapi"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/message"
)

// Version is that of the API, and the first part of its paths.
const Version = "2023-03-30"

// invocationTimeout is that of a synchronous invocation: the function's own in the deployments here, and some time to start.
const invocationTimeout = 200 * time.Second

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
	response, err := c.invoke(ctx, payload, "Async", 0)
	return response.RequestID, err
}

// Invoke has the function handle an event, and returns its answer. What can pass is tried again, as by InvokeAsync. A function
// that fails is an *Error with the type of its error.
func (c *Client) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	response, err := c.invoke(ctx, payload, "Sync", invocationTimeout)
	if err != nil {
		return nil, err
	}
	if kind := response.Header.Get("X-Fc-Error-Type"); kind != "" {
		var e struct {
			Type string `json:"errorType"`
		}
		json.Unmarshal(response.Body, &e) //nolint:errcheck // the header says enough
		return nil, message.Errorf("the function failed: %w", response.Refused(cmp.Or(e.Type, kind)))
	}
	return response.Body, nil
}

func (c *Client) invoke(ctx context.Context, payload []byte, kind string, timeout time.Duration) (acsapi.Response, error) {
	request := acsapi.Request{Method: http.MethodPost, Action: "InvokeFunction", Body: payload, Timeout: timeout,
		Header: map[string]string{"Content-Type": "application/json", "X-Fc-Invocation-Type": kind}}
	if c.Qualifier != "" {
		request.Query = url.Values{"qualifier": {c.Qualifier}}
	}
	return c.call(ctx, request, "/invocations")
}

// Function is how a function is set up, as far as it matters here.
type Function struct {
	ARN                  string            `json:"functionArn"` // acs:fc:<region>:<account>:functions/<name>
	Runtime              string            `json:"runtime"`
	Timeout              int               `json:"timeout"`              // seconds
	Role                 string            `json:"role"`                 // its ARN
	EnvironmentVariables map[string]string `json:"environmentVariables"` // holds secrets
	InstanceConcurrency  int               `json:"instanceConcurrency"`
	InternetAccess       *bool             `json:"internetAccess"`
	VPC                  struct {
		ID string `json:"vpcId"`
	} `json:"vpcConfig"`
	Log struct {
		Project  string `json:"project"`
		Logstore string `json:"logstore"`
	} `json:"logConfig"`
}

// Describe asks how the function is set up.
func (c *Client) Describe(ctx context.Context) (f Function, err error) {
	response, err := c.call(ctx, acsapi.Request{Method: http.MethodGet, Action: "GetFunction"}, "")
	if err != nil {
		return f, err
	}
	return f, response.Decode(&f)
}

// Trigger is one trigger of a function.
type Trigger struct {
	Name      string `json:"triggerName"`
	Type      string `json:"triggerType"` // oss, eventbridge, http ...
	Config    string `json:"triggerConfig"`
	SourceARN string `json:"sourceArn"` // of OSS triggers acs:oss:<region>:<account>:<bucket>
	Role      string `json:"invocationRole"`
}

// AsyncInvocation is what Function Compute does with events.
type AsyncInvocation struct {
	Retries     *int64 `json:"maxAsyncRetryAttempts"`
	MaxAge      *int64 `json:"maxAsyncEventAgeInSeconds"`
	Destination struct {
		OnFailure struct {
			ARN string `json:"destination"`
		} `json:"onFailure"`
	} `json:"destinationConfig"`
}

// AsyncInvocation asks what becomes of events that fail. Without a configuration of its own a function has the platform's defaults.
// (GetAsyncInvokeConfig)
func (c *Client) AsyncInvocation(ctx context.Context) (a AsyncInvocation, err error) {
	response, err := c.call(ctx, acsapi.Request{Method: http.MethodGet, Action: "GetAsyncInvokeConfig"}, "/async-invoke-config")
	var failed *Error
	if errors.As(err, &failed) && failed.Status == http.StatusNotFound && failed.Code != "FunctionNotFound" {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	return a, response.Decode(&a)
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
	response, err := c.call(ctx, acsapi.Request{Method: http.MethodGet, Action: "ListTriggers"}, "/triggers")
	if err != nil {
		return nil, err
	}
	var list struct {
		Triggers []Trigger `json:"triggers"`
	}
	return list.Triggers, response.Decode(&list)
}

// Error is a call that failed. Its text holds the API's code, status and request ID.
type Error = acsapi.Error

// call calls an operation of the function.
func (c *Client) call(ctx context.Context, r acsapi.Request, operation string) (acsapi.Response, error) {
	r.Path = "/" + Version + "/functions/" + url.PathEscape(c.Function) + operation
	api := acsapi.Client{API: "Function Compute", Version: Version, Endpoint: c.Endpoint, Credentials: c.Credentials, HTTP: c.HTTP, Sleep: c.Sleep}
	return api.Call(ctx, r)
}
