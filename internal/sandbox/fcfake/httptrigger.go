package fcfake

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FC's limits on HTTP triggers, in bytes (help.aliyun.com/document_detail/51907.html).
const (
	maxTriggerHeaders = 8 << 10
	maxTriggerPath    = 4 << 10
)

// HTTPTrigger returns the function's HTTP trigger: requests become events of version v1 in the Go runtime, and are
// passed through in the custom runtime. X-Fc-Invocation-Type: Async makes them asynchronous, which needs the Go runtime.
func (r *Runtime) HTTPTrigger() http.Handler { return http.HandlerFunc(r.serveTrigger) }

func (r *Runtime) serveTrigger(w http.ResponseWriter, request *http.Request) {
	requestID := newRequestID()
	w.Header().Set("X-Fc-Request-Id", requestID)
	async := strings.EqualFold(request.Header.Get("X-Fc-Invocation-Type"), "Async")
	body, problem := readTrigger(w, request, async)
	if problem != "" {
		triggerError(w, http.StatusBadRequest, "InvalidArgument", problem)
		return
	}
	// No caller may speak in FC's name.
	for name := range request.Header {
		if strings.HasPrefix(name, "X-Fc-") {
			delete(request.Header, name)
		}
	}
	switch {
	case async && r.config.Mode == ModeCustom:
		triggerError(w, http.StatusBadRequest, "InvalidArgument", "the sandbox takes asynchronous HTTP requests in the Go runtime only")
	case async:
		// FC limits the body, not the event that is made of it, which is larger.
		if _, err := r.enqueue(r.triggerEvent(request, body, requestID), Options{RequestID: requestID}); err != nil {
			triggerError(w, http.StatusServiceUnavailable, "ServiceUnavailable", err.Error())
			return
		}
		w.WriteHeader(http.StatusAccepted)
	case r.config.Mode == ModeCustom:
		r.passThrough(w, request, body, requestID)
	default:
		// An invocation goes on when the caller hangs up.
		ctx := context.WithoutCancel(request.Context())
		result, err := r.invoke(ctx, r.newInvocation(r.triggerEvent(request, body, requestID), Options{RequestID: requestID}))
		if err != nil {
			triggerFailure(w, err)
			return
		}
		writeTriggerResponse(w, result.Payload)
	}
}

// readTrigger reads the body and applies FC's limits. problem is empty if they are kept.
func readTrigger(w http.ResponseWriter, request *http.Request, async bool) (body []byte, problem string) {
	size := 0
	for name, values := range request.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	limit := int64(maxPayload)
	if async {
		limit = maxAsyncPayload
	}
	switch {
	case size > maxTriggerHeaders:
		return nil, "the request headers are larger than 8 KB"
	case len(request.URL.RequestURI()) > maxTriggerPath:
		return nil, "path and query are longer than 4 KB"
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, limit))
	if err != nil {
		return nil, "the request body is larger than " + strconv.FormatInt(limit>>10, 10) + " KB, or incomplete"
	}
	return body, ""
}

// triggerEvent is the event of version v1 (events.HTTPTriggerEvent of the SDK; here written out, with the field order
// of FC's documentation).
func (r *Runtime) triggerEvent(request *http.Request, body []byte, requestID string) []byte {
	now := time.Now().UTC()
	type httpContext struct {
		Method    string `json:"method"`
		Path      string `json:"path"`
		Protocol  string `json:"protocol"`
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent"`
	}
	type requestContext struct {
		AccountID    string      `json:"accountId"`
		DomainName   string      `json:"domainName"`
		DomainPrefix string      `json:"domainPrefix"`
		HTTP         httpContext `json:"http"`
		RequestID    string      `json:"requestId"`
		Time         string      `json:"time"`
		TimeEpoch    string      `json:"timeEpoch"`
	}
	sourceIP, _, err := net.SplitHostPort(request.RemoteAddr)
	if err != nil {
		sourceIP = request.RemoteAddr
	}
	encoded := len(body) == 0 || !isText(request.Header.Get("Content-Type"))
	text := string(body)
	if encoded {
		text = base64.StdEncoding.EncodeToString(body)
	}
	headers := joinValues(request.Header)
	headers["Host"] = request.Host
	event, err := json.Marshal(struct {
		Version         string            `json:"version"`
		RawPath         string            `json:"rawPath"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
		Headers         map[string]string `json:"headers"`
		QueryParameters map[string]string `json:"queryParameters"`
		RequestContext  requestContext    `json:"requestContext"`
	}{
		Version: "v1", RawPath: request.URL.EscapedPath(), Body: text, IsBase64Encoded: encoded,
		Headers: headers, QueryParameters: joinValues(request.URL.Query()),
		RequestContext: requestContext{
			AccountID: r.config.AccountID, DomainName: request.Host, DomainPrefix: r.config.FunctionName,
			HTTP:      httpContext{request.Method, request.URL.Path, request.Proto, sourceIP, request.UserAgent()},
			RequestID: requestID, Time: now.Format("2006-01-02T15:04:05Z"), TimeEpoch: strconv.FormatInt(now.UnixMilli(), 10),
		},
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	return event
}

// joinValues has one string for each name, as FC has it; several values are joined with a comma.
func joinValues(all map[string][]string) map[string]string {
	joined := map[string]string{}
	for name, values := range all {
		joined[name] = strings.Join(values, ",")
	}
	return joined
}

// textTypes are the media types whose bodies FC is known to pass on as they are; all others come in base64.
var textTypes = []string{
	"text/plain", "text/html", "text/css", "text/csv", "text/javascript", "text/xml", "application/json",
	"application/ld+json", "application/xhtml+xml", "application/xml", "application/atom+xml", "application/javascript",
}

func isText(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains(textTypes, mediaType)
}

// reservedHeaders cannot be set by a function (help.aliyun.com/document_detail/2513634.html).
var reservedHeaders = []string{"Connection", "Content-Length", "Date", "Keep-Alive", "Server"}

func isReserved(name string) bool {
	return strings.HasPrefix(name, "X-Fc-") || slices.Contains(reservedHeaders, name)
}

// writeTriggerResponse turns what the function returned into an HTTP response. If it is no response document, it is
// itself the body, as FC's documentation says.
func writeTriggerResponse(w http.ResponseWriter, payload []byte) {
	var response struct {
		StatusCode      *int              `json:"statusCode"`
		Headers         map[string]string `json:"headers"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
		Body            string            `json:"body"`
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.Unmarshal(payload, &response); err != nil || response.StatusCode == nil {
		w.Write(payload) //nolint:errcheck // the caller has left
		return
	}
	body, size := []byte(response.Body), 0
	if response.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(response.Body)
		if err != nil {
			triggerError(w, http.StatusBadGateway, "BadResponse", "the function's body is not base64, although it says so")
			return
		}
		body = decoded
	}
	for name, value := range response.Headers {
		size += len(name) + len(value)
	}
	if *response.StatusCode < 200 || *response.StatusCode > 599 || size > maxTriggerHeaders {
		triggerError(w, http.StatusBadGateway, "BadResponse", "the function's status is not 200 to 599, or its headers are larger than 8 KB")
		return
	}
	for name, value := range response.Headers {
		if name = http.CanonicalHeaderKey(name); !isReserved(name) {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(*response.StatusCode)
	w.Write(body) //nolint:errcheck // the caller has left
}

// passThrough hands the request to an instance of a custom runtime as it is.
func (r *Runtime) passThrough(w http.ResponseWriter, request *http.Request, body []byte, requestID string) {
	v := r.newInvocation(body, Options{RequestID: requestID})
	_, err := r.run(context.WithoutCancel(request.Context()), v, func(ctx context.Context, i *instance) error {
		driver := i.driver.(*customDriver)
		var failure error
		proxy := &httputil.ReverseProxy{
			Transport: driver.client.Transport,
			ErrorLog:  log.New(io.Discard, "", 0),
			Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(driver.base)
				p.Out.Host = p.In.Host
				p.SetXForwarded()
				for name, values := range r.headers(v) {
					p.Out.Header[name] = values
				}
				p.Out.Header.Set("x-fc-control-path", pathHTTP)
			},
			ModifyResponse: func(response *http.Response) error {
				for name := range response.Header {
					if isReserved(name) && name != "Content-Length" {
						delete(response.Header, name)
					}
				}
				return nil
			},
			ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
				failure = driver.transportError(ctx, err)
			},
		}
		out := request.Clone(ctx)
		out.Body, out.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
		if len(body) == 0 {
			out.Body = http.NoBody
		}
		proxy.ServeHTTP(w, out)
		return failure
	})
	if err != nil {
		triggerFailure(w, err)
	}
}

// triggerFailure answers for a function that failed. FC does not document the status; 502 says where the fault is.
func triggerFailure(w http.ResponseWriter, err error) {
	var failure *FunctionError
	var system *SystemError
	switch {
	case errors.As(err, &system):
		triggerError(w, system.Status, system.Code, "the function was not run")
		return
	case !errors.As(err, &failure):
		triggerError(w, http.StatusServiceUnavailable, "ServiceUnavailable", err.Error())
		return
	}
	w.Header().Set("X-Fc-Error-Type", failure.Type)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadGateway)
	w.Write(failure.Payload) //nolint:errcheck // the caller has left
}

// triggerError is an error of FC itself.
func triggerError(w http.ResponseWriter, status int, code, message string) {
	document, err := json.Marshal(map[string]string{
		"Code": code, "Message": message, "RequestId": w.Header().Get("X-Fc-Request-Id"),
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(document) //nolint:errcheck // the caller has left
}
