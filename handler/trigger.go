package handler

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// httpEvent is a request as FC's HTTP trigger hands it to an event function (version v1). Several values of a header or
// parameter arrive joined by commas.
type httpEvent struct {
	RawPath         string            `json:"rawPath"` // percent-encoded, without the query
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"` // the only word on it: no content type tells
	Headers         map[string]string `json:"headers"`
	QueryParameters map[string]string `json:"queryParameters"`
	RequestContext  struct {
		HTTP struct {
			Method string `json:"method"`
		} `json:"http"`
	} `json:"requestContext"`
}

// httpAnswer is what the HTTP trigger makes a response of. Without statusCode it would wrap the whole answer in a 200.
type httpAnswer struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Body            string            `json:"body"`
}

func decodeHTTP(payload []byte) (*httpEvent, *Error) {
	var e httpEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, notUnderstood(err)
	}
	return &e, nil
}

// invokeHTTP serves one request of the trigger. It never fails: the caller is answered, and a repetition helps nobody.
func (h *Handler) invokeHTTP(ctx context.Context, inv Invocation, e *httpEvent) []byte {
	recorder := &recorder{header: make(http.Header), status: http.StatusOK}
	request, err := e.request(WithInvocation(ctx, inv))
	if err != nil {
		plain := (&http.Request{}).WithContext(WithInvocation(ctx, inv))
		problem(recorder, plain, http.StatusBadRequest, err)
	} else {
		h.API().ServeHTTP(recorder, request)
	}
	answer := httpAnswer{StatusCode: recorder.status, Headers: make(map[string]string, len(recorder.header)), Body: recorder.body.String()}
	for name, values := range recorder.header {
		answer.Headers[name] = strings.Join(values, ", ")
	}
	encoded, _ := json.Marshal(answer) // strings only
	return encoded
}

func (e *httpEvent) request(ctx context.Context) (*http.Request, *Error) {
	path, err := url.PathUnescape(e.RawPath)
	if err != nil || !strings.HasPrefix(path, "/") {
		return nil, failure(BadRequest, false, "the request's path is not valid")
	}
	query := make(url.Values, len(e.QueryParameters))
	for name, value := range e.QueryParameters {
		query.Set(name, value)
	}
	r := &http.Request{
		Method: strings.ToUpper(e.RequestContext.HTTP.Method), URL: &url.URL{Path: path, RawPath: e.RawPath, RawQuery: query.Encode()},
		Header: make(http.Header, len(e.Headers)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	r.Host, r.ContentLength, r.Body = r.Header.Get("Host"), -1, io.NopCloser(strings.NewReader(e.Body))
	if e.IsBase64Encoded {
		r.Body = encodedBody{Reader: base64.NewDecoder(base64.StdEncoding, strings.NewReader(e.Body)), text: e.Body}
	}
	return r.WithContext(ctx), nil
}

// recorder is an http.ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.status, r.wrote = status, true
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.body.Write(b)
}
