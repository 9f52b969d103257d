package handler

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// call is an HTTP request as a caller makes it.
type call struct {
	method, target string // target: path and query, percent-encoded
	contentType    string
	header         map[string]string
	body           string
}

// reply is what the caller gets.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ways are the two ways of a call to the handler: as an event of FC's HTTP trigger, and to the custom runtime's port.
var ways = map[string]func(t testing.TB, h *Handler, inv processor.Invocation, c call) reply{
	"event": throughEvent, "custom runtime": throughServer,
}

// triggerEvent is what FC's HTTP trigger makes of a call. Only text of some types is left as it is, and an empty body is
// base64 of nothing, as in the captured events.
func triggerEvent(t testing.TB, c call) []byte {
	path, rawQuery, _ := strings.Cut(c.target, "?")
	query, err := url.ParseQuery(rawQuery)
	require.NoError(t, err)
	kind, _, _ := mime.ParseMediaType(c.contentType)
	headers := map[string]string{"Host": "cards-abcdefghij.cn-hangzhou.fcapp.run", "User-Agent": "curl/8.5.0", "Accept": "*/*"}
	if c.contentType != "" {
		headers["Content-Type"] = c.contentType
	}
	for name, value := range c.header {
		headers[name] = value
	}
	body, encoded := c.body, kind != "application/json" && !strings.HasPrefix(kind, "text/") || c.body == ""
	if encoded {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	decodedPath, err := url.PathUnescape(path)
	require.NoError(t, err)
	event, err := json.Marshal(map[string]any{
		"version": "v1", "rawPath": path, "body": body, "isBase64Encoded": encoded, "headers": headers, "queryParameters": joined(query),
		"requestContext": map[string]any{
			"accountId": "1234567890123456", "domainName": headers["Host"], "domainPrefix": "cards-abcdefghij", "requestId": "1-6740f0ad-15a1c7d2-0f1e2d3c4b5a",
			"time": "2026-11-23T08:00:00Z", "timeEpoch": "1795420800000",
			"http": map[string]any{"method": c.method, "path": decodedPath, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "curl/8.5.0"},
		},
	})
	require.NoError(t, err)
	return event
}

func joined(values map[string][]string) map[string]string {
	single := map[string]string{}
	for name, list := range values {
		single[name] = strings.Join(list, ",")
	}
	return single
}

func throughEvent(t testing.TB, h *Handler, inv processor.Invocation, c call) reply {
	output, err := h.Invoke(t.Context(), inv, triggerEvent(t, c))
	require.NoError(t, err, "a caller of the HTTP trigger is answered, whatever happens")
	return platformReply(t, output)
}

// platformReply is what FC makes of a function's output: with FC's strictness, and none of its leniency.
func platformReply(t testing.TB, output []byte) reply {
	decoder := json.NewDecoder(bytes.NewReader(output))
	decoder.DisallowUnknownFields()
	var answer struct {
		StatusCode      *int              `json:"statusCode"`
		Headers         map[string]string `json:"headers"` // one value each
		IsBase64Encoded *bool             `json:"isBase64Encoded"`
		Body            *string           `json:"body"`
	}
	require.NoError(t, decoder.Decode(&answer), "%s", output)
	require.NotNil(t, answer.StatusCode, "without it FC would make a 200 of the whole output")
	require.NotNil(t, answer.IsBase64Encoded)
	require.NotNil(t, answer.Body)
	r := reply{status: *answer.StatusCode, header: http.Header{}, body: []byte(*answer.Body)}
	if *answer.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(*answer.Body)
		require.NoError(t, err)
		r.body = decoded
	}
	for name, value := range answer.Headers {
		r.header.Set(name, value)
	}
	return r
}

// platformHeaders are those that FC adds to a request to a custom runtime.
func platformHeaders(inv processor.Invocation, controlPath string) http.Header {
	header := http.Header{}
	for name, value := range map[string]string{
		"x-fc-request-id": inv.RequestID, "x-fc-region": inv.Region, "x-fc-retry-count": strconv.Itoa(inv.RetryCount), "x-fc-control-path": controlPath,
		"x-fc-access-key-id": inv.Credentials.AccessKeyID, "x-fc-access-key-secret": inv.Credentials.AccessKeySecret, "x-fc-security-token": inv.Credentials.SecurityToken,
		"x-fc-function-deadline": strconv.FormatInt(inv.Deadline.UnixMilli(), 10),
	} {
		header.Set(name, value)
	}
	return header
}

func throughServer(t testing.TB, h *Handler, inv processor.Invocation, c call) reply {
	server := httptest.NewServer(h.CustomRuntime())
	defer server.Close()
	return send(t, server, c, platformHeaders(inv, httpInvoke))
}

func send(t testing.TB, server *httptest.Server, c call, header http.Header) reply {
	request, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.target, strings.NewReader(c.body))
	require.NoError(t, err)
	request.Header = header
	if c.contentType != "" {
		request.Header.Set("Content-Type", c.contentType)
	}
	for name, value := range c.header {
		request.Header.Set(name, value)
	}
	client := *server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	for name, values := range response.Header {
		assert.Len(t, values, 1, "the header %s is not single-valued", name)
	}
	return reply{status: response.StatusCode, header: response.Header, body: body}
}

// postObject is POST /recognitions for an object.
func postObject(body string) call {
	return call{method: "POST", target: "/recognitions", contentType: "application/json", body: body}
}

func postPicture(body string) call {
	return call{method: "POST", target: "/recognitions", contentType: "image/jpeg", body: body}
}

func getStored(bucketName, key string) call {
	return call{method: "GET", target: "/recognitions?" + url.Values{"bucket": {bucketName}, "key": {key}}.Encode()}
}

const theObject = `{"bucket":"cards","key":"2026/a.jpg"}`

// settled makes the image one that was recognised before.
func settled(f *fixture) {
	_, err := f.handler().Invoke(f.t.Context(), ocrtest.First("earlier"), f.Event())
	require.NoError(f.t, err)
	f.OCR.ForgetRequests()
	f.Bucket.Fail = nil
	f.Bucket.Requests()
}

func stored(document string) func(*fixture) {
	return func(f *fixture) {
		f.PutResult(nil, document)
	}
}

func allow(entries ...string) func(*fixture) {
	return func(f *fixture) { f.handlerOptions.HTTPAllow = entries }
}

func storageFails(err error) func(*fixture) {
	return func(f *fixture) {
		f.Bucket.Fail = func(op, key string) error { return fmt.Errorf("OSS %s: %w", op, err) }
	}
}

// panicking is a Recognizer with a fault, whose text must be seen nowhere.
type panicking struct{}

func (panicking) Recognize(context.Context, ocrclient.Request) (*ocrclient.Response, error) {
	panic("canary-name 11010519491231002X")
}

const (
	failedDocument = `{"schemaVersion":1,"status":"failed","image":{"bucket":"cards","key":"2026/a.jpg","size":9},"ocr":{"requestId":"","charged":false,"message":"","imageSource":"","details":true,"attempts":0,"possibleExtraCharges":0},"error":{"code":"Throttled","message":"too many","retryable":true},"requestId":"r","completedAt":"2026-11-23T08:00:00Z"}`
)

// routes is the whole route table with good and bad input.
var routes = []struct {
	name   string
	plan   []ocrtest.Outcome // of the gateway
	setup  func(*fixture)
	call   call
	only   string // one of ways, if the case can go one way only
	status int
	code   result.Code // of a problem
	says   string      // part of its detail
	calls  int         // to the OCR API
	check  func(t *testing.T, f *fixture, r reply)
}{
	// Objects.
	{name: "an object is recognised", call: postObject(theObject), status: 200, calls: 1, check: func(t *testing.T, f *fixture, r reply) {
		assert.Equal(t, string(f.Bucket.Content(ocrtest.ResultKey)), string(r.body), "the answer is the document beside the image")
		assert.Nil(t, f.Bucket.Content(ocrtest.ClaimKey))
	}},
	{name: "the media type may have parameters and any case", call: call{method: "POST", target: "/recognitions", contentType: `Application/JSON; charset="utf-8"`, body: theObject}, status: 200, calls: 1},
	{name: "header names have any case", call: call{method: "POST", target: "/recognitions", header: map[string]string{"cONTENT-tYPE": "application/json"}, body: theObject}, status: 200, calls: 1},
	{name: "blanks around the JSON do not count", call: postObject(" \r\n" + theObject + "\n"), status: 200, calls: 1},
	{name: "a path may be percent-encoded", call: call{method: "POST", target: "/%72ecognitions", contentType: "application/json", body: theObject}, status: 200, calls: 1},
	{name: "a settled object is not paid again", setup: settled, call: postObject(theObject), status: 200, check: func(t *testing.T, f *fixture, r reply) {
		assert.Equal(t, string(f.Bucket.Content(ocrtest.ResultKey)), string(r.body))
	}},
	{name: "force false is no force", setup: settled, call: postObject(`{"bucket":"cards","key":"2026/a.jpg","force":false}`), status: 200},
	{name: "force pays again", setup: settled, call: postObject(`{"bucket":"cards","key":"2026/a.jpg","force":true}`), status: 200, calls: 1},
	{name: "no ID number in an object", plan: []ocrtest.Outcome{ocrtest.PaidNotRecognized}, call: postObject(theObject), status: 422, calls: 1, check: func(t *testing.T, f *fixture, r reply) {
		assert.Equal(t, string(f.Bucket.Content(ocrtest.ResultKey)), string(r.body))
	}},
	{name: "a settled object without ID number", plan: []ocrtest.Outcome{ocrtest.PaidNotRecognized}, setup: settled, call: postObject(theObject), status: 422},
	{name: "an object that is not there", call: postObject(`{"bucket":"cards","key":"2026/b.jpg"}`), status: 404, code: result.ImageNotFound, says: "no such object"},
	{name: "an object in a bucket that is not there", setup: storageFails(bucket.ErrNoBucket), call: postObject(theObject), status: 404, code: result.ImageNotFound},
	{name: "a URL for a key is a key", call: postObject(`{"bucket":"cards","key":"https://169.254.169.254/a.jpg"}`), status: 404, code: result.ImageNotFound, check: func(t *testing.T, f *fixture, r reply) {
		assert.Contains(t, f.Bucket.Requests(), "HEAD https://169.254.169.254/a.jpg")
	}},
	{name: "a percent-encoded key is not decoded", call: postObject(`{"bucket":"cards","key":"2026%2Fa.jpg"}`), status: 404, code: result.ImageNotFound},
	{name: "an image that somebody works on", setup: func(f *fixture) {
		f.HoldClaim("other")
	}, call: postObject(theObject), status: 409, code: result.InProgress, check: func(t *testing.T, f *fixture, r reply) { assert.Equal(t, "5", r.header.Get("Retry-After")) }},
	{name: "an object over MAX_IMAGE_BYTES", setup: func(f *fixture) { f.Options.MaxImageBytes = 8 }, call: postObject(theObject), status: 413, code: result.ImageTooLarge, says: "MAX_IMAGE_BYTES (8)"},
	{name: "an empty object", setup: func(f *fixture) { f.Upload("") }, call: postObject(theObject), status: 415, code: result.ImageUnsupported},
	{name: "a foreign object in the claim's place", setup: func(f *fixture) {
		f.AppendClaim("mine")
	}, call: postObject(theObject), status: 502, code: result.StorageRefused, says: "CLAIM_SUFFIX"},
	{name: "a panic at an object", setup: func(f *fixture) { f.Options.OCR = panicking{} }, call: postObject(theObject), status: 500, code: result.Internal},

	// What happens at OSS, gateway and provider.
	{name: "OSS denies access", setup: storageFails(bucket.ErrAccessDenied), call: postObject(theObject), status: 502, code: result.AccessDenied},
	{name: "OSS is away", setup: storageFails(bucket.ErrUnavailable), call: postObject(theObject), status: 503, code: result.Unavailable, check: func(t *testing.T, f *fixture, r reply) {
		assert.NotEmpty(t, r.header.Get("Retry-After"))
	}},
	{name: "no bucket can be opened", setup: func(f *fixture) {
		f.Options.Open = func(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) {
			return nil, fmt.Errorf("bucket: the invocation brought no credentials")
		}
	}, call: postObject(theObject), status: 502, code: result.AccessDenied},
	{name: "the gateway throttles", plan: []ocrtest.Outcome{ocrtest.Throttled}, call: postObject(theObject), status: 429, code: result.Throttled, calls: 1, check: func(t *testing.T, f *fixture, r reply) {
		assert.Equal(t, "10", r.header.Get("Retry-After"))
	}},
	{name: "the gateway is away", plan: []ocrtest.Outcome{ocrtest.GatewayUnavailable}, call: postObject(theObject), status: 503, code: result.Unavailable, calls: 1},
	{name: "no connection to the gateway", plan: []ocrtest.Outcome{ocrtest.NotSent}, call: postObject(theObject), status: 503, code: result.Unavailable, calls: 1},
	{name: "no calls left", plan: []ocrtest.Outcome{ocrtest.QuotaExhausted}, call: postObject(theObject), status: 502, code: result.QuotaExhausted, calls: 1},
	{name: "a wrong AppKey", plan: []ocrtest.Outcome{ocrtest.WrongKey}, call: postObject(theObject), status: 502, code: result.Unauthorized, calls: 1},
	{name: "a wrong clock", plan: []ocrtest.Outcome{ocrtest.WrongClock}, call: postObject(theObject), status: 502, code: result.ClockSkew, calls: 1},
	{name: "an answer that cannot be parsed", plan: []ocrtest.Outcome{ocrtest.Garbled}, call: postObject(theObject), status: 502, code: result.BadAnswer, calls: 1},
	{name: "an answer that is lost", setup: func(f *fixture) { f.Options.OnLostAnswer, f.Options.MaxAttempts = config.Park, 2 }, plan: []ocrtest.Outcome{ocrtest.LostAfterCharge}, call: postObject(theObject), status: 504, code: result.AnswerLost, calls: 2},
	{name: "too little time for a call", setup: func(f *fixture) { f.Options.Timeout = 2 * time.Minute }, call: postObject(theObject), status: 504, code: result.Timeout},

	// Bodies that are not understood.
	{name: "an empty JSON body", call: postObject(""), status: 400, code: result.BadRequest, says: "not a JSON object; expected"},
	{name: "a body that is not JSON", call: postObject("bucket=cards"), status: 400, code: result.BadRequest, says: "not a JSON object"},
	{name: "a cut JSON body", call: postObject(`{"bucket":"cards","key":"2026/a.j`), status: 400, code: result.BadRequest, says: "not a JSON object"},
	{name: "an array", call: postObject(`[` + theObject + `]`), status: 400, code: result.BadRequest, says: "not a JSON object"},
	{name: "null", call: postObject(`null`), status: 400, code: result.BadRequest, says: "not a JSON object"},
	{name: "something after the object", call: postObject(theObject + theObject), status: 400, code: result.BadRequest, says: "something after the JSON object"},
	{name: "garbage after the object", call: postObject(theObject + "x"), status: 400, code: result.BadRequest, says: "something after the JSON object"},
	{name: "an unknown member is named", call: postObject(`{"bucket":"cards","key":"2026/a.jpg","url":"https://x"}`), status: 400, code: result.BadRequest, says: `member "url" is not known`},
	{name: "a long unknown member is cut", call: postObject(`{"` + strings.Repeat("长", 100) + `":1}`), status: 400, code: result.BadRequest, says: strings.Repeat("长", 21) + `…" is not known`},
	{name: "a member in other case is another member", call: postObject(`{"bucket":"cards","Key":"2026/a.jpg"}`), status: 400, code: result.BadRequest, says: `member "Key" is not known`},
	{name: "a member twice", call: postObject(`{"bucket":"cards","key":"2026/a.jpg","key":"2026/b.jpg"}`), status: 400, code: result.BadRequest, says: `member "key" is there twice`},
	{name: "a member twice, once escaped", call: postObject(`{"bucket":"cards","key":"2026/a.jpg","\u006bey":"2026/b.jpg"}`), status: 400, code: result.BadRequest, says: `member "key" is there twice`},
	{name: "a number for a key", call: postObject(`{"bucket":"cards","key":1}`), status: 400, code: result.BadRequest, says: `member "key" has the wrong type`},
	{name: "null for a key", call: postObject(`{"bucket":"cards","key":null}`), status: 400, code: result.BadRequest, says: `member "key" has the wrong type`},
	{name: "an object for a bucket", call: postObject(`{"bucket":{"name":"cards"},"key":"2026/a.jpg"}`), status: 400, code: result.BadRequest, says: `member "bucket" has the wrong type`},
	{name: "text for force", call: postObject(`{"bucket":"cards","key":"2026/a.jpg","force":"true"}`), status: 400, code: result.BadRequest, says: `member "force" has the wrong type`},
	{name: "no key", call: postObject(`{"bucket":"cards"}`), status: 400, code: result.BadRequest, says: "bucket and key are required"},
	{name: "an empty bucket", call: postObject(`{"bucket":"","key":"2026/a.jpg"}`), status: 400, code: result.BadRequest, says: "bucket and key are required"},
	{name: "a body that is not UTF-8", call: postObject("{\"bucket\":\"cards\",\"key\":\"\xff.jpg\"}"), only: "custom runtime", status: 400, code: result.BadRequest, says: "not UTF-8"},
	{name: "a key too long for its suffixes", call: postObject(`{"bucket":"cards","key":"` + strings.Repeat("k", 1010) + `.jpg"}`), status: 400, code: result.BadRequest, says: "longer than 1023 bytes"},
	{name: "a key that OSS does not have", call: postObject(`{"bucket":"cards","key":"/2026/a.jpg"}`), status: 400, code: result.BadRequest, says: "begins with a slash"},
	{name: "a key that is no image's", call: postObject(`{"bucket":"cards","key":"2026/a.txt"}`), status: 400, code: result.BadRequest, says: "IMAGE_SUFFIXES (.jpg, .heic)"},
	{name: "a result is no image", setup: settled, call: postObject(`{"bucket":"cards","key":"` + ocrtest.ResultKey + `"}`), status: 400, code: result.BadRequest, says: "IMAGE_SUFFIXES"},
	{name: "a claim is no image", call: postObject(`{"bucket":"cards","key":"` + ocrtest.ClaimKey + `"}`), status: 400, code: result.BadRequest, says: "IMAGE_SUFFIXES"},
	{name: "a JSON body of 16 KiB and more", call: postObject(`{"bucket":"cards","key":"` + strings.Repeat("k", 16<<10) + `.jpg"}`), status: 413, code: result.ImageTooLarge, says: "16384 bytes"},
	{name: "no media type", call: call{method: "POST", target: "/recognitions", body: theObject}, status: 415, code: result.BadRequest, says: "application/json"},
	{name: "a form", call: call{method: "POST", target: "/recognitions", contentType: "application/x-www-form-urlencoded", body: "bucket=cards"}, status: 415, code: result.BadRequest},
	{name: "a multipart form", call: call{method: "POST", target: "/recognitions", contentType: "multipart/form-data; boundary=x", body: "--x--"}, status: 415, code: result.BadRequest},
	{name: "a media type that is none", call: call{method: "POST", target: "/recognitions", contentType: "image/", body: "x"}, status: 415, code: result.BadRequest},
	{name: "a media type that ends like JSON", call: call{method: "POST", target: "/recognitions", contentType: "text/json", body: theObject}, status: 415, code: result.BadRequest},

	// Pictures.
	{name: "a picture is recognised and nothing is stored", call: postPicture("\xff\xd8\xff picture"), status: 200, calls: 1, check: func(t *testing.T, f *fixture, r reply) {
		var d result.Document
		require.NoError(t, json.Unmarshal(r.body, &d))
		assert.Equal(t, result.Image{Size: 11}, d.Image)
		assert.Equal(t, config.Data, d.OCR.ImageSource)
		assert.Empty(t, f.Bucket.Requests())
		assert.Empty(t, f.OCR.Requests()[0].ImageURL)
	}},
	{name: "any image type is taken", call: call{method: "POST", target: "/recognitions", contentType: "IMAGE/Heic", body: "picture"}, status: 200, calls: 1},
	{name: "a picture needs no HTTP_ALLOW", setup: allow(), call: postPicture("picture"), status: 200, calls: 1},
	{name: "no ID number in a picture", plan: []ocrtest.Outcome{ocrtest.PaidNotRecognized}, call: postPicture("picture"), status: 422, calls: 1},
	{name: "a picture that the provider cannot read", plan: []ocrtest.Outcome{ocrtest.Rejected}, call: postPicture("picture"), status: 422, calls: 1},
	{name: "a picture of no bytes", call: postPicture(""), status: 400, code: result.BadRequest, says: "empty"},
	{name: "a picture of MAX_IMAGE_BYTES", setup: func(f *fixture) { f.Options.MaxImageBytes = 1000 }, call: postPicture(strings.Repeat("p", 1000)), status: 200, calls: 1},
	{name: "a picture over MAX_IMAGE_BYTES", setup: func(f *fixture) { f.Options.MaxImageBytes = 1000 }, call: postPicture(strings.Repeat("p", 1001)), status: 413, code: result.ImageTooLarge, says: "MAX_IMAGE_BYTES (1000)"},
	{name: "a picture when the gateway throttles", plan: []ocrtest.Outcome{ocrtest.Throttled}, call: postPicture("picture"), status: 429, code: result.Throttled, calls: 1},
	{name: "a picture whose answer is lost", setup: func(f *fixture) { f.Options.OnLostAnswer, f.Options.MaxAttempts = config.Park, 2 }, plan: []ocrtest.Outcome{ocrtest.LostAfterCharge}, call: postPicture("picture"), status: 504, code: result.AnswerLost, calls: 2},
	{name: "a panic at a picture", setup: func(f *fixture) { f.Options.OCR = panicking{} }, call: postPicture("picture"), status: 500, code: result.Internal},

	// Stored documents.
	{name: "a stored document", setup: settled, call: getStored("cards", ocrtest.ImageKey), status: 200, check: func(t *testing.T, f *fixture, r reply) {
		assert.Equal(t, string(f.Bucket.Content(ocrtest.ResultKey)), string(r.body))
		assert.Equal(t, []string{"GET " + ocrtest.ResultKey}, f.Bucket.Requests())
	}},
	{name: "a stored failure is a document, too", setup: stored(failedDocument), call: getStored("cards", ocrtest.ImageKey), status: 200, check: func(t *testing.T, f *fixture, r reply) {
		assert.Equal(t, failedDocument, string(r.body))
	}},
	{name: "a stored document without ID number", plan: []ocrtest.Outcome{ocrtest.PaidNotRecognized}, setup: settled, call: getStored("cards", ocrtest.ImageKey), status: 200},
	{name: "HEAD of a stored document", setup: settled, call: call{method: "HEAD", target: "/recognitions?bucket=cards&key=2026/a.jpg"}, status: 200},
	{name: "no document", call: getStored("cards", ocrtest.ImageKey), status: 404, code: result.ImageNotFound, says: "no document"},
	{name: "HEAD of no document", call: call{method: "HEAD", target: "/recognitions?bucket=cards&key=2026/a.jpg"}, status: 404},
	{name: "no key in the query", call: call{method: "GET", target: "/recognitions?bucket=cards"}, status: 400, code: result.BadRequest, says: "?bucket=...&key=..."},
	{name: "no query", call: call{method: "GET", target: "/recognitions"}, status: 400, code: result.BadRequest},
	{name: "an empty key in the query", call: call{method: "GET", target: "/recognitions?bucket=cards&key="}, status: 400, code: result.BadRequest, says: "required"},
	{name: "a parameter twice", setup: settled, call: call{method: "GET", target: "/recognitions?bucket=cards&key=2026/a.jpg&key=2026/b.jpg"}, only: "custom runtime", status: 400, code: result.BadRequest, says: "once each"},
	{name: "a parameter twice is another key through the trigger", setup: settled, call: call{method: "GET", target: "/recognitions?bucket=cards&key=2026/a.jpg&key=2026/b.jpg"}, only: "event", status: 404, code: result.ImageNotFound},
	{name: "a query that is not percent-encoded", call: call{method: "GET", target: "/recognitions?bucket=cards&key=100%25%zz.jpg"}, only: "custom runtime", status: 400, code: result.BadRequest, says: "percent-encoded"},
	{name: "a document outside HTTP_ALLOW", setup: allow("scans"), call: getStored("cards", ocrtest.ImageKey), status: 403, code: result.NotAllowed},
	{name: "a foreign object in the document's place", setup: stored("<html>"), call: getStored("cards", ocrtest.ImageKey), status: 502, code: result.StorageRefused},
	{name: "foreign JSON in the document's place", setup: stored(`{"secret":"canary-foreign"}`), call: getStored("cards", ocrtest.ImageKey), status: 502, code: result.StorageRefused},
	{name: "a document that cannot be one", setup: stored(strings.Repeat(" ", result.MaxBytes+1)), call: getStored("cards", ocrtest.ImageKey), status: 502, code: result.StorageRefused},
	{name: "a document that OSS does not give", setup: storageFails(bucket.ErrAccessDenied), call: getStored("cards", ocrtest.ImageKey), status: 502, code: result.AccessDenied},
	{name: "a document when OSS is away", setup: storageFails(bucket.ErrUnavailable), call: getStored("cards", ocrtest.ImageKey), status: 503, code: result.Unavailable},
	{name: "a document that OSS refuses to look for", setup: storageFails(bucket.ErrInvalid), call: getStored("cards", ocrtest.ImageKey), status: 502, code: result.StorageRefused, says: "check the bucket"},
	{name: "an archived document", setup: storageFails(bucket.ErrArchived), call: getStored("cards", ocrtest.ImageKey), status: 502, code: result.StorageRefused, says: "restore it"},

	// HTTP_ALLOW.
	{name: "another bucket", call: postObject(`{"bucket":"scans","key":"2026/a.jpg"}`), status: 403, code: result.NotAllowed, says: "HTTP_ALLOW"},
	{name: "a bucket that begins like an allowed one", call: postObject(`{"bucket":"cards-evil","key":"2026/a.jpg"}`), status: 403, code: result.NotAllowed},
	{name: "a bucket with a path in it", call: postObject(`{"bucket":"cards/2026","key":"a.jpg"}`), status: 403, code: result.NotAllowed},
	{name: "nothing is allowed by default", setup: allow(), call: postObject(theObject), status: 403, code: result.NotAllowed},
	{name: "a key outside the prefix", setup: allow("cards/2027/"), call: postObject(theObject), status: 403, code: result.NotAllowed},

	// The service, and paths and methods that are none.
	{name: "health", call: call{method: "GET", target: "/healthz"}, status: 200, check: func(t *testing.T, f *fixture, r reply) {
		assert.JSONEq(t, `{"status":"ok","problems":[],"version":"1.2.3","uptimeSeconds":0,"calls":{"breaker":"closed","lostInARow":0},"configuration":{"HTTP_ALLOW":["cards"],"OCR_APP_SECRET":true}}`, string(r.body))
		assert.Empty(t, f.Bucket.Requests())
	}},
	{name: "HEAD of health", call: call{method: "HEAD", target: "/healthz"}, status: 200},
	{name: "the description", call: call{method: "GET", target: "/openapi.yaml"}, status: 200, check: func(t *testing.T, f *fixture, r reply) {
		assert.Equal(t, "application/yaml", r.header.Get("Content-Type"))
		assert.Equal(t, string(openAPI), string(r.body))
	}},
	{name: "HEAD of the description", call: call{method: "HEAD", target: "/openapi.yaml"}, status: 200},
	{name: "the root", call: call{method: "GET", target: "/"}, status: 404, code: result.BadRequest, says: "/recognitions, /healthz and /openapi.yaml"},
	{name: "an unknown path", call: call{method: "POST", target: "/recognition", contentType: "application/json", body: theObject}, status: 404, code: result.BadRequest},
	{name: "two slashes are not redirected", call: call{method: "POST", target: "//recognitions", contentType: "application/json", body: theObject}, status: 404, code: result.BadRequest},
	{name: "a slash at the end is not redirected", call: call{method: "GET", target: "/recognitions/?bucket=cards&key=2026/a.jpg"}, status: 404, code: result.BadRequest},
	{name: "dots are not redirected", call: call{method: "GET", target: "/x/../healthz"}, status: 404, code: result.BadRequest},
	{name: "encoded dots are not redirected", call: call{method: "GET", target: "/healthz%2F.."}, status: 404, code: result.BadRequest},
	{name: "another case is another path", call: call{method: "GET", target: "/Healthz"}, status: 404, code: result.BadRequest},
	{name: "a caller cannot send events", call: call{method: "POST", target: "/invoke", contentType: "application/json", body: string(ocrtest.Event(ocrtest.ImageKey, ""))}, status: 404, code: result.BadRequest},
	{name: "a caller cannot initialize", call: call{method: "POST", target: "/initialize"}, status: 404, code: result.BadRequest},
	{name: "a caller cannot stop", call: call{method: "GET", target: "/pre-stop"}, status: 404, code: result.BadRequest},
	{name: "PUT", call: call{method: "PUT", target: "/recognitions", contentType: "application/json", body: theObject}, status: 405, code: result.BadRequest, check: allows("GET, HEAD, POST")},
	{name: "DELETE", call: call{method: "DELETE", target: "/recognitions?bucket=cards&key=2026/a.jpg"}, status: 405, code: result.BadRequest, check: allows("GET, HEAD, POST")},
	{name: "PATCH", call: call{method: "PATCH", target: "/recognitions"}, status: 405, code: result.BadRequest, check: allows("GET, HEAD, POST")},
	{name: "OPTIONS", call: call{method: "OPTIONS", target: "/recognitions"}, status: 405, code: result.BadRequest, check: allows("GET, HEAD, POST")},
	{name: "POST to health", call: call{method: "POST", target: "/healthz"}, status: 405, code: result.BadRequest, check: allows("GET, HEAD")},
	{name: "a method of nobody", call: call{method: "BREW", target: "/openapi.yaml"}, status: 405, code: result.BadRequest, check: allows("GET, HEAD")},
}

func allows(methods string) func(*testing.T, *fixture, reply) {
	return func(t *testing.T, f *fixture, r reply) { assert.Equal(t, methods, r.header.Get("Allow")) }
}

func TestEveryRouteBothWays(t *testing.T) {
	t.Parallel()
	description := newDescription(t)
	for wayName, way := range ways {
		for _, c := range routes {
			if c.only != "" && c.only != wayName {
				continue
			}
			t.Run(wayName+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, c.plan...)
				f.Options.MaxAttempts, f.handlerOptions.Version, f.handlerOptions.PublicConfig = 1, "1.2.3", map[string]any{"OCR_APP_SECRET": true, "HTTP_ALLOW": []string{"cards"}}
				if c.setup != nil {
					c.setup(f)
				}
				f.Bucket.Requests()
				got := way(t, f.handler(), ocrtest.First("request-7"), c.call)

				require.Equal(t, c.status, got.status, "%s", got.body)
				checkAnswer(t, c.call, got)
				if c.code != "" {
					checkProblem(t, c.status, c.code, c.says, got)
				}
				assert.Len(t, f.OCR.Requests(), c.calls, "calls to the OCR API")
				if c.check != nil {
					c.check(t, f, got)
				}
				for _, secret := range []string{"canary", "11010519491231002X", "19491231"} {
					assert.NotContains(t, f.Log.String(), secret, "the log tells what nobody may know")
				}
				description.checkResponse(t, c.call, got)
			})
		}
	}
}

// checkAnswer checks what holds of every answer.
func checkAnswer(t *testing.T, c call, got reply) {
	assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	assert.Empty(t, got.header.Get("Location"))
	kind, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	require.NoError(t, err)
	assert.Contains(t, []string{"application/json", "application/problem+json", "application/yaml"}, kind)
	assert.Equal(t, got.status >= 400 && got.status != 422, kind == "application/problem+json")
	switch {
	case c.method == "HEAD":
		assert.Empty(t, got.body)
	case kind != "application/yaml":
		assert.True(t, json.Valid(got.body), "%s", got.body)
	}
	if waits := got.status == 409 || got.status == 429 || got.status == 503; waits {
		seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
		assert.True(t, err == nil && seconds > 0, "Retry-After: %s", got.header.Get("Retry-After"))
	} else {
		assert.Empty(t, got.header.Get("Retry-After"))
	}
}

func checkProblem(t *testing.T, status int, code result.Code, says string, got reply) {
	var p problemDocument
	decoder := json.NewDecoder(bytes.NewReader(got.body))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&p))
	assert.Equal(t, "about:blank", p.Type)
	assert.Equal(t, http.StatusText(status), p.Title)
	assert.Equal(t, status, p.Status)
	assert.Equal(t, code, p.Code)
	assert.Equal(t, "request-7", p.RequestID)
	assert.Contains(t, p.Detail, says)
	assert.NotEmpty(t, p.Detail)
	assert.NotContains(t, p.Detail, "canary")
}

// Every code that a document can have needs its status; a new one must not become a 500 unnoticed.
func TestEveryCodeHasItsStatus(t *testing.T) {
	for _, code := range result.Codes {
		if code == result.NotRecognized || code == result.ImageRejected { // these are documents
			continue
		}
		assert.Contains(t, statusOf, code)
	}
}

// The tables of statuses in the documentation are those of the program.
func TestDocumentedStatuses(t *testing.T) {
	for _, name := range []string{"../docs/http-api.md", "../docs/http-api.zh-CN.md"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		rows := regexp.MustCompile(`(?m)^\| (\d{3}) \|([^|]*)\|`).FindAllStringSubmatch(string(text), -1)
		documented := map[result.Code][]int{}
		for _, row := range rows {
			status, _ := strconv.Atoi(row[1])
			for _, code := range regexp.MustCompile("[A-Za-z]+").FindAllString(row[2], -1) {
				documented[result.Code(code)] = append(documented[result.Code(code)], status)
			}
		}
		for code, status := range statusOf {
			assert.Contains(t, documented[code], status, "%s: %s", name, code)
		}
		assert.Len(t, documented, len(statusOf))
		for _, c := range routes {
			if c.code != "" {
				assert.Contains(t, documented[c.code], c.status, "%s: %s", name, c.name)
			}
		}
	}
}

func TestHealthTellsWhatWouldMakeImagesFail(t *testing.T) {
	f := newFixture(t)
	inv := ocrtest.First("r")
	inv.Credentials = bucket.Credentials{}
	answer, err := f.handler().Invoke(t.Context(), inv, []byte(`{"version":"v1","rawPath":"/healthz","headers":{},"queryParameters":{},"body":"","isBase64Encoded":false,"requestContext":{"http":{"method":"GET","path":"/healthz"}}}`))
	require.NoError(t, err)
	var response struct {
		StatusCode int
		Body       string
	}
	require.NoError(t, json.Unmarshal(answer, &response))
	assert.Equal(t, 200, response.StatusCode)
	assert.Contains(t, response.Body, `"status":"misconfigured"`)
	assert.Contains(t, response.Body, "deploy/ram-policy.json")
	assert.Empty(t, f.Bucket.Requests(), "nobody was asked")
}
