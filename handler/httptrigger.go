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
	"unicode/utf8"

	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
)

// httpEvent is a request as FC's HTTP trigger hands it to an event function (version v1). Several values of a header or
// parameter arrive joined by commas.
type httpEvent struct {
	RawPath         string            `json:"rawPath"` // percent-encoded, without the query
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"` // the content type does not say it
	Headers         map[string]string `json:"headers"`
	QueryParameters map[string]string `json:"queryParameters"`
	RequestContext  struct {
		HTTP struct {
			Method string `json:"method"`
		} `json:"http"`
	} `json:"requestContext"`

	malformed *result.Error // the event is the HTTP trigger's, but not as it should be
}

// httpAnswer is what the HTTP trigger makes a response of. Without statusCode it would wrap the whole answer in a 200.
type httpAnswer struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Body            string            `json:"body"`
}

// decodeHTTP always returns an event: whoever sent the request is answered also if it cannot be understood.
func decodeHTTP(payload []byte) *httpEvent {
	var e httpEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return &httpEvent{malformed: malformedEvent(err)}
	}
	return &e
}

// invokeHTTP serves one request of the trigger. It never fails: the caller is answered, and a repetition helps nobody.
func (h *Handler) invokeHTTP(ctx context.Context, inv processor.Invocation, e *httpEvent) []byte {
	recorder := &recorder{header: make(http.Header), status: http.StatusOK}
	ctx = WithInvocation(ctx, inv)
	request, err := e.request(ctx)
	if err != nil {
		refuse := func(w http.ResponseWriter, r *http.Request) { problem(w, r, http.StatusBadRequest, err) }
		withSecurityHeaders(http.HandlerFunc(refuse)).ServeHTTP(recorder, (&http.Request{}).WithContext(ctx))
	} else {
		h.API().ServeHTTP(recorder, request)
	}
	return recorder.answer(e.RequestContext.HTTP.Method == http.MethodHead)
}

func (e *httpEvent) request(ctx context.Context) (*http.Request, *result.Error) {
	if e.malformed != nil {
		return nil, e.malformed
	}
	path, err := url.PathUnescape(e.RawPath)
	if err != nil || !strings.HasPrefix(path, "/") {
		return nil, result.Errorf(result.BadRequest, false, "the request's path is not valid")
	}
	query := make(url.Values, len(e.QueryParameters))
	for name, value := range e.QueryParameters {
		query.Set(name, value)
	}
	r := &http.Request{
		Method: e.RequestContext.HTTP.Method, URL: &url.URL{Path: path, RawPath: e.RawPath, RawQuery: query.Encode()},
		Header: make(http.Header, len(e.Headers)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	r.Host, r.ContentLength, r.Body = r.Header.Get("Host"), int64(len(e.Body)), io.NopCloser(strings.NewReader(e.Body))
	if e.IsBase64Encoded {
		body, ok := newEncodedBody(e.Body)
		if !ok {
			return nil, result.Errorf(result.BadRequest, false, "isBase64Encoded is true, but the body is not standard base64")
		}
		r.ContentLength, r.Body = body.size, body
	}
	return r.WithContext(ctx), nil
}

// encodedBody is a body that the platform brought in base64. It is passed on so, and decoded only where its bytes are wanted.
type encodedBody struct {
	io.Reader
	text string
	size int64 // of the bytes, decoded
}

// newEncodedBody reports !ok if text is not padded standard base64 in one line, which is what the OCR API takes.
func newEncodedBody(text string) (body encodedBody, ok bool) {
	if strings.ContainsAny(text, "\r\n") { // the decoder would skip them
		return body, false
	}
	size, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)))
	return encodedBody{Reader: base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)), text: text, size: size}, err == nil
}

// Close implements io.Closer.
func (encodedBody) Close() error { return nil }

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

// answer is what the platform makes the response of.
func (r *recorder) answer(withoutBody bool) []byte {
	a := httpAnswer{StatusCode: r.status, Headers: make(map[string]string, len(r.header))}
	for name, values := range r.header {
		a.Headers[name] = strings.Join(values, ", ")
	}
	switch body := r.body.Bytes(); {
	case withoutBody:
	case utf8.Valid(body):
		a.Body = string(body)
	default: // a stored document of unknown origin: JSON would change its bytes
		a.Body, a.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	encoded, _ := json.Marshal(a) // strings only
	return encoded
}
