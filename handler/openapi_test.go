package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	validatorconfig "github.com/pb33f/libopenapi-validator/config"
	openapierrors "github.com/pb33f/libopenapi-validator/errors"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// description is openapi.yaml, read by a validator that is not ours.
type description struct {
	mu        sync.Mutex // the validator's caches are not safe for concurrent use
	validator validator.Validator
	document  map[string]any
}

func newDescription(t testing.TB) *description {
	document, err := libopenapi.NewDocument(openAPI)
	require.NoError(t, err)
	v, errs := validator.NewValidator(document, validatorconfig.WithFormatAssertions())
	require.Empty(t, errs)
	d := &description{validator: v}
	require.NoError(t, yaml.Unmarshal(openAPI, &d.document))
	return d
}

// operation returns the description of a call, nil if it describes none.
func (d *description) operation(c call) map[string]any {
	path, _, _ := strings.Cut(c.target, "?")
	item, _ := d.document["paths"].(map[string]any)[path].(map[string]any)
	operation, _ := item[strings.ToLower(c.method)].(map[string]any)
	return operation
}

func (c call) request(t testing.TB) *http.Request {
	request, err := http.NewRequest(c.method, "https://cards.cn-hangzhou.fcapp.run"+c.target, strings.NewReader(c.body))
	require.NoError(t, err)
	if c.contentType != "" {
		request.Header.Set("Content-Type", c.contentType)
	}
	return request
}

func (d *description) checkRequest(t testing.TB, c call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ok, errs := d.validator.ValidateHttpRequestSync(c.request(t))
	assert.True(t, ok, "the request is not as described: %s", explain(errs))
}

// checkResponse checks the answer to a call that the description knows, be the request good or bad.
func (d *description) checkResponse(t testing.TB, c call, r reply) {
	if d.operation(c) == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ok, errs := d.validator.ValidateHttpResponse(c.request(t), &http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body))})
	assert.True(t, ok, "the answer %d is not as described: %s\n%s", r.status, explain(errs), r.body)
}

func explain(errs []*openapierrors.ValidationError) string {
	var b strings.Builder
	for _, e := range errs {
		fmt.Fprintf(&b, "\n%s: %s", e.Message, e.Reason)
		for _, s := range e.SchemaValidationErrors {
			fmt.Fprintf(&b, "\n  %s at %s", s.Reason, s.Location)
		}
	}
	return b.String()
}

func TestDescriptionIsValidOpenAPI31(t *testing.T) {
	d := newDescription(t)
	ok, errs := d.validator.ValidateDocument()
	assert.True(t, ok, explain(errs))
	assert.Equal(t, "3.1.0", d.document["openapi"])
}

// The validator must see what is wrong: an answer with another member, type, code, header or status.
func TestDescriptionRefusesOtherAnswers(t *testing.T) {
	d := newDescription(t)
	good := reply{status: 409, header: http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "Retry-After": {"5"}},
		body: []byte(`{"type":"about:blank","title":"Conflict","status":409,"detail":"x","code":"InProgress","retryable":true}`)}
	check := func(r reply) bool {
		ok, _ := d.validator.ValidateHttpResponse(postObject(theObject).request(t), &http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body))})
		return ok
	}
	require.True(t, check(good))
	for name, change := range map[string]func(*reply){
		"other status": func(r *reply) { r.status = 418 },
		"HTML":         func(r *reply) { r.header.Set("Content-Type", "text/html") },
		"no header":    func(r *reply) { r.header.Del("Retry-After") },
		"other header": func(r *reply) { r.header.Set("Cache-Control", "public") },
		"other code":   func(r *reply) { r.body = bytes.ReplaceAll(r.body, []byte("InProgress"), []byte("Busy")) },
		"other member": func(r *reply) { r.body = bytes.ReplaceAll(r.body, []byte("detail"), []byte("details")) },
		"other type":   func(r *reply) { r.body = bytes.ReplaceAll(r.body, []byte("409"), []byte(`"409"`)) },
	} {
		r := reply{status: good.status, header: good.header.Clone(), body: bytes.Clone(good.body)}
		change(&r)
		assert.False(t, check(r), name)
	}
}

// resolve follows $ref.
func (d *description) resolve(node any) map[string]any {
	m, _ := node.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var at any = d.document
	for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.(map[string]any)[name]
	}
	return d.resolve(at)
}

// answers returns the documented example answers by "operationId status name".
func (d *description) answers() map[string]any {
	found := map[string]any{}
	for _, item := range d.document["paths"].(map[string]any) {
		for _, node := range item.(map[string]any) {
			operation := node.(map[string]any)
			for status, response := range operation["responses"].(map[string]any) {
				for _, media := range d.resolve(response)["content"].(map[string]any) {
					examples, _ := media.(map[string]any)["examples"].(map[string]any)
					for name, example := range examples {
						found[fmt.Sprintf("%s %s %s", operation["operationId"], status, name)] = d.resolve(example)["value"]
					}
				}
			}
		}
	}
	return found
}

// requestExample returns a documented example of the JSON body of POST /recognitions.
func (d *description) requestExample(t testing.TB, name string) call {
	examples := d.document["paths"].(map[string]any)["/recognitions"].(map[string]any)["post"].(map[string]any)["requestBody"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)["examples"].(map[string]any)
	body, err := json.Marshal(d.resolve(examples[name])["value"])
	require.NoError(t, err)
	return postObject(string(body))
}

// getExample is GET with the documented examples of its parameters.
func (d *description) getExample() call {
	query := url.Values{}
	parameters := d.document["paths"].(map[string]any)["/recognitions"].(map[string]any)["get"].(map[string]any)["parameters"].([]any)
	for _, node := range parameters {
		p := node.(map[string]any)
		query.Set(p["name"].(string), p["example"].(string))
	}
	return call{method: "GET", target: "/recognitions?" + query.Encode()}
}

// wire answers like the gateway, and counts.
type wire struct {
	mu      sync.Mutex
	answers []string // "status error-message|body" in turn; the last for all that follow
	calls   int
}

func (g *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	io.Copy(io.Discard, r.Body)
	g.mu.Lock()
	answer := g.answers[min(g.calls, len(g.answers)-1)]
	g.calls++
	g.mu.Unlock()
	head, body, _ := strings.Cut(answer, "|")
	status, message, _ := strings.Cut(head, " ")
	code, _ := strconv.Atoi(status)
	header := http.Header{"X-Ca-Request-Id": {"6C7D1D7B-0A5E-4D6B-9C2F-3B1A2C3D4E5F"}}
	if message != "" {
		header.Set("X-Ca-Error-Message", message)
	}
	return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
}

const (
	cardAnswer = `200|{"showapi_res_code":0,"showapi_res_id":"642644970de376872d071c9f","showapi_res_body":{"msg":"识别成功!","flag":true,"ret_code":0,"idNo":"11010119040307001X","name":"张三","sex":"男","nationality":"汉","birthday":"1904年3月7日","addr":"北京市东城区样本胡同12号院3号楼4单元501室"}}`
	noneAnswer = `200|{"showapi_res_code":0,"showapi_res_id":"642644970de376872d071c9f","showapi_res_body":{"ret_code":-1,"flag":false,"msg":"识别失败"}}`
	badPicture = `200|{"showapi_res_code":0,"showapi_res_id":"642644970de376872d071c9f","showapi_res_body":{"ret_code":-1,"flag":false,"msg":"错误的 imgData 或 imgUrl 参数！"}}`
)

// documented is the fixture in which the examples are true.
type documented struct {
	*fixture
	picture string
	wire    *wire
	inv     processor.Invocation
}

func newDocumented(t testing.TB) *documented {
	picture, err := os.ReadFile("../testdata/cards/scan-01.jpg")
	require.NoError(t, err)
	f := &documented{fixture: newFixture(t), picture: string(picture), wire: &wire{answers: []string{cardAnswer}}, inv: ocrtest.First("1-6740f0ad-15a1c7d2-0f1e2d3c4b5a")}
	f.Options.OCR, f.Options.MaxAttempts = &ocrclient.Client{Auth: ocrclient.AppCode("c"), HTTP: &http.Client{Transport: f.wire}}, 2
	f.handlerOptions.Version = "1.0.0"
	f.handlerOptions.PublicConfig = map[string]any{"OCR_APP_KEY": true, "OCR_APP_SECRET": true, "OCR_TIMEOUT": "20s", "HTTP_ALLOW": []string{"cards"}}
	f.Upload(f.picture)
	return f
}

func (f *documented) gateway(attempts int, answers ...string) {
	f.Options.MaxAttempts, f.wire.answers = attempts, answers
	f.restart()
}

func (f *documented) recognise() {
	_, err := f.handler().Invoke(context.Background(), f.inv, ocrtest.Event(ocrtest.ImageKey, ""))
	require.NoError(f.t, err)
}

// scenario makes one documented example come true: what is there before, and what is asked.
type scenario struct {
	request   string // a documented request example; or
	call      call   // any request
	undefined bool   // the request is one that the description forbids
	before    func(f *documented)
}

var get = call{method: "GET", target: "documented example"}

var scenarios = map[string]scenario{
	"postRecognition 200 object":          {request: "object"},
	"postRecognition 200 picture":         {call: postPicture("the picture")},
	"postRecognition 400 unknownMember":   {call: postObject(`{"bucket":"cards","key":"2026/a.jpg","url":"https://example.com/a.jpg"}`), undefined: true},
	"postRecognition 400 notAnImage":      {call: postObject(`{"bucket":"cards","key":"2026/a.jpg.ocr.json"}`)},
	"postRecognition 400 noPicture":       {call: postPicture("")},
	"postRecognition 403 otherBucket":     {request: "object", before: func(f *documented) { f.handlerOptions.HTTPAllow = []string{"scans"} }},
	"postRecognition 404 noImage":         {request: "object", before: func(f *documented) { f.Bucket.Delete(f.t.Context(), ocrtest.ImageKey) }},
	"postRecognition 405 otherMethod":     {call: call{method: "DELETE", target: "/recognitions"}, undefined: true},
	"postRecognition 413 objectTooLarge":  {request: "object", before: func(f *documented) { f.Options.MaxImageBytes = 65536 }},
	"postRecognition 413 pictureTooLarge": {call: postPicture("the picture"), before: func(f *documented) { f.Options.MaxImageBytes = 65536 }},
	"postRecognition 415 contentType":     {call: call{method: "POST", target: "/recognitions", contentType: "text/plain", body: "x"}, undefined: true},
	"postRecognition 415 emptyObject":     {request: "object", before: func(f *documented) { f.Upload("") }},
	"postRecognition 422 notRecognized":   {request: "force", before: func(f *documented) { f.recognise(); f.gateway(2, noneAnswer) }},
	"postRecognition 422 imageRejected":   {call: postPicture("the picture"), before: func(f *documented) { f.gateway(1, badPicture) }},
	"postRecognition 429 throttled":       {request: "object", before: func(f *documented) { f.gateway(1, "403 Throttled by USER Flow Control|") }},
	"postRecognition 500 brokeOff":        {call: postPicture("the picture"), before: func(f *documented) { f.Options.OCR = panicking{} }},
	"postRecognition 502 accessDenied": {request: "object", before: func(f *documented) {
		f.Options.ImageSource = config.Data
		f.storageFails(bucket.ErrAccessDenied, ", code AccessDenied, status 403")
	}},
	"postRecognition 502 quotaExhausted":    {request: "object", before: func(f *documented) { f.gateway(1, "403 Quota Exhausted|") }},
	"postRecognition 502 badAnswer":         {request: "object", before: func(f *documented) { f.gateway(1, "200|<html></>") }},
	"postRecognition 504 timeout":           {request: "object", before: func(f *documented) { f.inv.Deadline = time.Now().Add(20 * time.Second) }},
	"getRecognition 200 recognized":         {call: get, before: func(f *documented) { f.recognise() }},
	"getRecognition 200 failed":             {call: get, before: func(f *documented) { f.gateway(1, "403 Quota Exhausted|"); f.recognise() }},
	"getRecognition 400 noKey":              {call: call{method: "GET", target: "/recognitions?bucket=cards"}, undefined: true},
	"getRecognition 403 otherBucket":        {call: get, before: func(f *documented) { f.handlerOptions.HTTPAllow = []string{"scans"} }},
	"getRecognition 404 noDocument":         {call: get},
	"getRecognition 405 otherMethod":        {call: call{method: "PUT", target: "/recognitions"}, undefined: true},
	"getRecognition 502 foreignDocument":    {call: get, before: func(f *documented) { f.Put(ocrtest.ResultKey, "my notes") }},
	"getRecognition 502 accessDenied":       {call: get, before: func(f *documented) { f.storageFails(bucket.ErrAccessDenied, ", code AccessDenied, status 403") }},
	"getRecognition 503 storageUnavailable": {call: get, before: func(f *documented) { f.storageFails(bucket.ErrUnavailable, ", status 503") }},
	"getHealth 200 healthy":                 {call: call{method: "GET", target: "/healthz"}},
	"postRecognition 409 inProgress": {request: "object", before: func(f *documented) {
		f.HoldClaim("other")
	}},
	"postRecognition 503 gatewayUnavailable": {request: "object", before: func(f *documented) { f.gateway(1, "503 Service Unavailable|") }},
}

func (f *documented) storageFails(err error, tail string) {
	f.Bucket.Fail = func(op, _ string) error {
		if op != "GET" {
			return nil
		}
		return fmt.Errorf("OSS GET: %w%s", err, tail)
	}
}

func TestEveryDocumentedExampleIsTrue(t *testing.T) {
	t.Parallel()
	d := newDescription(t)
	answers := d.answers()
	require.ElementsMatch(t, slices.Collect(maps.Keys(answers)), slices.Collect(maps.Keys(scenarios)), "each example has its scenario")
	for wayName, way := range ways {
		for name, s := range scenarios {
			t.Run(wayName+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := newDocumented(t)
				if s.before != nil {
					s.before(f)
				}
				c := s.call
				switch {
				case s.request != "":
					c = d.requestExample(t, s.request)
				case c.target == get.target:
					c = d.getExample()
				case c.body == "the picture":
					c.body = f.picture
				}
				if !s.undefined {
					d.checkRequest(t, c)
				}
				got := way(t, f.handler(), f.inv, c)
				assert.Equal(t, strings.Fields(name)[1], strconv.Itoa(got.status))
				described := c
				if d.operation(c) == nil { // another method: described with those of the path
					described = d.getExample()
				}
				d.checkResponse(t, described, got)
				want, err := json.Marshal(answers[name])
				require.NoError(t, err)
				assert.JSONEq(t, string(want), atTheDocumentedTime(t, got.body))
			})
		}
	}
}

// Only when image and document were made cannot be as documented.
func atTheDocumentedTime(t testing.TB, body []byte) string {
	var answer map[string]any
	require.NoError(t, json.Unmarshal(body, &answer))
	document := func(members map[string]any, name, documented string) {
		if at, ok := members[name].(string); ok {
			made, err := time.Parse(time.RFC3339, at)
			require.NoError(t, err)
			assert.WithinDuration(t, time.Now(), made, time.Minute)
			members[name] = documented
		}
	}
	document(answer, "completedAt", "2026-11-23T08:00:00Z")
	if image, ok := answer["image"].(map[string]any); ok {
		document(image, "lastModified", "2026-11-23T07:59:58Z")
	}
	encoded, err := json.Marshal(answer)
	require.NoError(t, err)
	return string(encoded)
}

// What is sent as answer must be the published format, and there must be one such format.
func TestDescriptionHoldsThePublishedSchema(t *testing.T) {
	published, err := os.ReadFile("../docs/result.schema.json")
	require.NoError(t, err)
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(published))
	require.NoError(t, err)
	delete(schema.(map[string]any), "$schema")
	want, err := json.Marshal(schema)
	require.NoError(t, err)
	schemas := newDescription(t).document["components"].(map[string]any)["schemas"].(map[string]any)
	described, err := json.Marshal(schemas["Result"])
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(described))

	codes := schemas["Problem"].(map[string]any)["properties"].(map[string]any)["code"].(map[string]any)["enum"]
	assert.Equal(t, asAny(result.Codes), codes)
	assert.Equal(t, asAny(result.Codes), schemas["Result"].(map[string]any)["properties"].(map[string]any)["error"].(map[string]any)["properties"].(map[string]any)["code"].(map[string]any)["enum"])
}

func asAny(codes []result.Code) (list []any) {
	for _, code := range codes {
		list = append(list, string(code))
	}
	return list
}
