package handler

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The base64 flag is obeyed, and no content type is asked what the body is.
func TestOnlyTheFlagTellsWhetherABodyIsBase64(t *testing.T) {
	const jpeg = "/9j/4AAQSkZJRg=="
	for name, c := range map[string]struct {
		contentType, body string
		flag              bool
		status            int
		says              string
		sent              string // ImageBase64 of the call
		sentBytes         string // Image of the call
	}{
		"picture in base64":               {"image/jpeg", jpeg, true, 200, "", jpeg, ""},
		"picture as it is":                {"image/jpeg", "haha", false, 200, "", "", "haha"},
		"picture that looks like base64":  {"image/jpeg", jpeg, false, 200, "", "", jpeg},
		"JSON in base64":                  {"application/json", base64.StdEncoding.EncodeToString([]byte(theObject)), true, 200, "", "", ""},
		"JSON as it is":                   {"application/json", theObject, false, 200, "", "", ""},
		"JSON that should be base64":      {"application/json", theObject, true, 400, "not standard base64", "", ""},
		"no body":                         {"image/jpeg", "", true, 400, "empty", "", ""},
		"no body, no base64":              {"image/jpeg", "", false, 400, "empty", "", ""},
		"base64 without padding":          {"image/jpeg", "/9j/4AAQSkZJRg", true, 400, "not standard base64", "", ""},
		"base64 with padding in between":  {"image/jpeg", "/9j=4AAQSkZJRg==", true, 400, "not standard base64", "", ""},
		"base64 and more":                 {"image/jpeg", jpeg + "AAAA", true, 400, "not standard base64", "", ""},
		"base64 with too much padding":    {"image/jpeg", "/9j/4AAQSkZJRg=====", true, 400, "not standard base64", "", ""},
		"base64 of URLs":                  {"image/jpeg", "_9j_4AAQSkZJRg==", true, 400, "not standard base64", "", ""},
		"base64 in lines":                 {"image/jpeg", "/9j/\r\n4AAQSkZJRg==\r\n", true, 400, "not standard base64", "", ""},
		"a data URL":                      {"image/jpeg", "data:image/jpeg;base64," + jpeg, true, 400, "not standard base64", "", ""},
		"only padding":                    {"image/jpeg", "====", true, 400, "not standard base64", "", ""},
		"a NUL":                           {"image/jpeg", "\x00\x00\x00\x00", true, 400, "not standard base64", "", ""},
		"a picture of one byte in base64": {"image/jpeg", "AA==", true, 200, "", "AA==", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			event, err := json.Marshal(map[string]any{"version": "v1", "rawPath": "/recognitions", "body": c.body, "isBase64Encoded": c.flag,
				"headers": map[string]string{"Content-Type": c.contentType}, "queryParameters": map[string]string{}, "requestContext": map[string]any{"http": map[string]string{"method": "POST"}}})
			require.NoError(t, err)
			output, err := f.handler().Invoke(t.Context(), ocrtest.First("request-7"), event)
			require.NoError(t, err)
			got := platformReply(t, output)
			require.Equal(t, c.status, got.status, "%s", got.body)
			if c.status == http.StatusBadRequest {
				checkAnswer(t, call{method: "POST"}, got)
				checkProblem(t, 400, result.BadRequest, c.says, got)
				assert.Empty(t, f.OCR.Requests())
				return
			}
			require.Len(t, f.OCR.Requests(), 1)
			sent := f.OCR.Requests()[0]
			assert.Equal(t, c.sent, sent.ImageBase64, "base64 goes on as it came")
			assert.Equal(t, c.sentBytes, string(sent.Image))
			if strings.HasPrefix(c.contentType, "image/") {
				var d result.Document
				require.NoError(t, json.Unmarshal(got.body, &d))
				size := int64(len(c.sentBytes))
				if c.flag {
					decoded, err := base64.StdEncoding.DecodeString(c.sent)
					require.NoError(t, err)
					size = int64(len(decoded))
				}
				assert.Equal(t, size, d.Image.Size, "bytes of the picture, not of its base64")
			}
		})
	}
}

// The very string of the event reaches the OCR client: 20 MiB are not decoded, encoded or copied on the way.
func TestBase64PictureIsNotCopied(t *testing.T) {
	text := strings.Repeat("QUJD", 1<<20)
	body, ok := newEncodedBody(text)
	require.True(t, ok)
	f := newFixture(t)
	h := f.handler()
	r := httptest.NewRequest("POST", "/recognitions", nil)
	r.Body = body
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, _, e := h.picture(r)
	runtime.ReadMemStats(&after)
	require.Nil(t, e)
	assert.EqualValues(t, 3<<20, p.Size)
	assert.Same(t, unsafe.StringData(text), unsafe.StringData(p.Base64))
	assert.Nil(t, p.Image)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10), "only the beginning is decoded, to tell the type")
}

func TestHTTPEventsAreAlwaysAnswered(t *testing.T) {
	for name, want := range map[string]int{
		"http-get-without-body": 200, "http-post-object": 200, "http-post-object-base64": 200, "http-post-picture": 200, "http-post-picture-plain": 200,
		"http-get-stored": 404, "http-post-picture-not-base64": 400, "http-headers-of-wrong-type": 400, "http-path-not-valid": 400,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.handlerOptions.PublicConfig = map[string]any{}
			output, err := f.handler().Invoke(t.Context(), ocrtest.First("request-7"), readEvent(t, name))
			require.NoError(t, err)
			got := platformReply(t, output)
			assert.Equal(t, want, got.status, "%s", got.body)
			checkAnswer(t, call{method: "GET"}, got)
			assert.NotContains(t, f.Log.String(), "canary", "not even the signature of the caller is logged")
			if want >= 400 {
				assert.NotContains(t, string(got.body), "canary", "the answer echoes the request")
			}
		})
	}
}

func TestHeaderNamesOfEventsHaveAnyCase(t *testing.T) {
	for _, name := range []string{"Content-Type", "content-type", "CONTENT-TYPE", "cOnTeNt-tYpE"} {
		e := &httpEvent{Headers: map[string]string{name: "image/png"}, RawPath: "/recognitions"}
		r, refused := e.request(t.Context())
		require.Nil(t, refused)
		assert.Equal(t, "image/png", r.Header.Get("Content-Type"))
	}
}

func TestAnswerThatIsNoTextIsBase64(t *testing.T) {
	r := &recorder{header: http.Header{}, status: 200}
	r.Write([]byte("\xff\xfe"))
	got := platformReply(t, r.answer(false))
	assert.Equal(t, "\xff\xfe", string(got.body))
}

// A document is answered byte by byte as it is stored, although it travels in JSON.
func TestStoredBytesSurviveTheTrigger(t *testing.T) {
	const document = `{"schemaVersion":1,"status":"recognized","raw":"<&>\u2028 \ud83d\ude00 ` + "\u2028😀" + `"}`
	f := newFixture(t)
	stored(document)(f)
	assert.Equal(t, document, string(throughEvent(t, f.handler(), ocrtest.First("r"), getStored("cards", ocrtest.ImageKey)).body))
}

func FuzzHTTPEvent(f *testing.F) {
	for name, e := range events {
		if e.http {
			var event struct {
				RawPath, Body   string
				IsBase64Encoded bool
				Headers         map[string]string
				QueryParameters map[string]string
				RequestContext  struct{ HTTP struct{ Method string } }
			}
			json.Unmarshal(readEvent(f, name), &event) // one is malformed on purpose
			f.Add(event.RequestContext.HTTP.Method, event.RawPath, "Content-Type", event.Headers["Content-Type"], event.QueryParameters["bucket"], event.QueryParameters["key"], event.Body, event.IsBase64Encoded)
		}
	}
	for _, c := range routes {
		path, _, _ := strings.Cut(c.call.target, "?")
		if len(c.call.body) < 1000 {
			f.Add(c.call.method, path, "Content-Type", c.call.contentType, "cards", ocrtest.ImageKey, c.call.body, false)
		}
	}
	f.Fuzz(func(t *testing.T, method, path, header, value, bucketName, key, body string, encoded bool) {
		f := newFixture(t)
		f.handlerOptions.PublicConfig = map[string]any{}
		event, err := json.Marshal(map[string]any{"version": "v1", "rawPath": path, "body": body, "isBase64Encoded": encoded, "headers": map[string]string{header: value},
			"queryParameters": map[string]string{"bucket": bucketName, "key": key}, "requestContext": map[string]any{"http": map[string]string{"method": method}}})
		require.NoError(t, err)
		output, err := f.handler().Invoke(t.Context(), ocrtest.First("r"), event)
		require.NoError(t, err)
		got := platformReply(t, output)
		checkAnswer(t, call{method: method}, got)
		if got.status < 200 || got.status >= 600 || got.status == 500 {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		for name, value := range got.header {
			if strings.ContainsAny(name+value[0], "\r\n\x00") {
				t.Fatalf("the header %q cannot be sent", name)
			}
		}
	})
}

func TestBodyInBase64IsReadByWhoeverWantsItsBytes(t *testing.T) {
	body, ok := newEncodedBody("aGVsbG8=")
	require.True(t, ok)
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(text))
	assert.NoError(t, body.Close())
}
