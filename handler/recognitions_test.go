package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// HTTP_ALLOW is compared literally, as it is configured and as the key is in OSS.
func TestHTTPAllowIsLiteral(t *testing.T) {
	for _, c := range []struct {
		allow        string // as in the environment
		bucket, key  string
		want         bool
		configurable bool // the configuration takes the entry
	}{
		{"cards", "cards", "a.jpg", true, true},
		{"cards", "cards", "any/where/a.jpg", true, true},
		{"cards", "cards-evil", "a.jpg", false, true},
		{"cards", "card", "s/a.jpg", false, true},
		{"cards", "Cards", "a.jpg", false, true},
		{"cards", "cards ", "a.jpg", false, true},
		{"cards", "cards/", "a.jpg", false, true},
		{"cards", "cards\x00", "a.jpg", false, true},
		{"cards", "сards", "a.jpg", false, true}, // a Cyrillic letter
		{"cards", "evil", "cards/a.jpg", false, true},
		{"cards", "evil/../cards", "a.jpg", false, true},
		{"cards/", "cards", "a.jpg", true, true},
		{"cards/2026/", "cards", "2026/a.jpg", true, true},
		{"cards/2026/", "cards", "2026/", true, true}, // the key is the prefix
		{"cards/2026/", "cards", "2026", false, true},
		{"cards/2026/", "cards", "2026-evil/a.jpg", false, true},
		{"cards/2026/", "cards", "2027/a.jpg", false, true},
		{"cards/2026/", "cards", "./2026/a.jpg", false, true},
		{"cards/2026/", "cards", "2027/../2026/a.jpg", false, true},
		{"cards/2026/", "cards", "2026%2Fa.jpg", false, true},
		{"cards/2026/", "cards", "2026\\a.jpg", false, true},
		{"cards/2026/", "cards", "２０２６/a.jpg", false, true}, // full-width digits
		{"cards/2026/", "scans", "2026/a.jpg", false, true},
		{"cards/2026", "cards", "2026-evil/a.jpg", true, true}, // a prefix is no folder: end it with a slash
		{"cards//", "cards", "/a.jpg", true, true},
		{"cards//", "cards", "a.jpg", false, true},
		{"cards/%2F", "cards", "/a.jpg", false, true},
		{"cards/%2F", "cards", "%2Fa.jpg", true, true},
		{"cards/*", "cards", "a.jpg", false, true},
		{"cards/*", "cards", "*a.jpg", true, true}, // a star is a star
		{"cards/é/", "cards", "e\u0301/a.jpg", false, true},
		{"*", "cards", "a.jpg", false, false},
		{"*", "*", "a.jpg", true, false},
		{"card?", "cards", "a.jpg", false, false},
		{"/", "cards", "a.jpg", false, false},
		{"/cards", "cards", "a.jpg", false, false},
		{"", "cards", "a.jpg", false, true},
		{",,", "cards", "a.jpg", false, true},
		{" , cards , ", "cards", "a.jpg", true, true},
		{"scans,cards/2026/", "cards", "2026/a.jpg", true, true},
		{"scans,cards/2026/", "cards", "a.jpg", false, true},
	} {
		parsed, err := config.Parse([]string{"OCR_APP_CODE=c", "HTTP_ALLOW=" + c.allow})
		assert.Equal(t, c.configurable, err == nil, "%q: %v", c.allow, err)
		h := New(Options{HTTPAllow: parsed.HTTPAllow})
		assert.Equal(t, c.want, h.allows(c.bucket, c.key), "%q allows %q in %q", c.allow, c.key, c.bucket)
	}
}

// However a prefix is walked around in a key, OSS is asked for that very key, and it is another object.
func TestKeysAreNotCleaned(t *testing.T) {
	for _, key := range []string{"2026/../secret/a.jpg", "2026//../secret/a.jpg", "2026/./a.jpg", "2026/%2e%2e/secret/a.jpg", "2026/..\\secret\\a.jpg", "2026/?a.jpg", "2026/#a.jpg", "2026/+ %.jpg"} {
		f := newFixture(t)
		f.handlerOptions.HTTPAllow = []string{"cards/2026/"}
		require.NoError(t, f.Bucket.Put(t.Context(), "secret/a.jpg", []byte("secret"), bucket.PutOptions{ContentType: "image/jpeg"}))
		f.Bucket.Requests()
		body, err := json.Marshal(map[string]string{"bucket": "cards", "key": key})
		require.NoError(t, err)
		for name, way := range ways {
			got := way(t, f.handler(), ocrtest.First("request-7"), postObject(string(body)))
			assert.Equal(t, 404, got.status, name)
			assert.ElementsMatch(t, []string{"APPEND " + key + ".ocr.claim", "HEAD " + key, "HEAD " + key + ".ocr.json", "DELETE " + key + ".ocr.claim"}, f.Bucket.Requests(), name)
			got = way(t, f.handler(), ocrtest.First("request-7"), getStored("cards", key))
			assert.Equal(t, 404, got.status, name)
			assert.Equal(t, []string{"GET " + key + ".ocr.json"}, f.Bucket.Requests(), name)
		}
		assert.Empty(t, f.OCR.Requests())
	}
}

func FuzzHTTPAllow(f *testing.F) {
	for _, seed := range [][3]string{{"cards", "cards", "a.jpg"}, {"cards", "cards-evil", "a.jpg"}, {"cards/2026/", "cards", "2026/../a.jpg"}, {"cards/2026", "cards", "2026"}, {"cards//", "cards", "/"},
		{"", "", ""}, {"/", "", "a"}, {"*", "cards", "a"}, {"cards/%2F", "cards", "/"}, {"a/b", "a/b", ""}, {"a/b", "a", "b"}, {"é/", "é", ""}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, entry, name, key string) {
		h := New(Options{HTTPAllow: []string{entry}})
		r := httptest.NewRecorder()
		got := h.authorize(r, httptest.NewRequest("POST", "/recognitions", nil), name, key)
		// An object is "bucket/key", in which the first slash ends the bucket's name. An entry is one of its beginnings that
		// reaches at least that slash, or the bucket's name.
		path := name + "/" + key
		want := !strings.Contains(name, "/") && (entry == name || strings.HasPrefix(path, entry) && len(entry) > len(name))
		want = want && name != "" && key != "" && utf8.ValidString(key) && len(key) <= 1023 && key[0] != '/' && key[0] != '\\'
		if got != want {
			t.Fatalf("%q allows %q in %q: %v", entry, key, name, got)
		}
		if got == (r.Body.Len() > 0) {
			t.Fatal("answered what is allowed, or did not answer what is not")
		}
	})
}

func FuzzObjectRequest(f *testing.F) {
	for _, c := range routes {
		if c.call.contentType == "application/json" && len(c.call.body) < 1000 {
			f.Add(c.call.body)
		}
	}
	for _, seed := range []string{`{"a":{"key":"x"},"key":"y"}`, `{"key":"\ud800"}`, `{"":1}`, `{"key":"a","bucket":"b","force":true}x`, `{"key" "a"}`, `{"key":"a",}`, strings.Repeat("[", 20000), strings.Repeat(`{"key":`, 2000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		o, e := decodeObjectRequest(strings.NewReader(body))
		if e != nil {
			if (e.Code != result.BadRequest && e.Code != result.ImageTooLarge) || e.Retryable || len(e.Message) > 500 || !utf8.ValidString(e.Message) {
				t.Fatalf("%+v", e)
			}
			return
		}
		// What is taken means the same to any other reader of JSON.
		var members map[string]any
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatalf("took what is not JSON: %v", err)
		}
		for name, value := range members {
			switch name {
			case "bucket":
				assert.Equal(t, o.Bucket, value)
			case "key":
				assert.Equal(t, o.Key, value)
			case "force":
				assert.Equal(t, o.Force, value)
			default:
				t.Fatalf("took the member %q", name)
			}
		}
		var again objectRequest
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&again))
		assert.Equal(t, o, again)
	})
}

func (f *fixture) get(target string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	f.handler().API().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, target, nil).WithContext(WithInvocation(f.t.Context(), ocrtest.First("r1"))))
	return answer
}

func (f *fixture) post(contentType, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, "/recognitions", strings.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	answer := httptest.NewRecorder()
	f.handler().API().ServeHTTP(answer, request.WithContext(WithInvocation(f.t.Context(), ocrtest.First("r1"))))
	return answer
}

func TestFailedDocumentOfAnotherTimeIsAnsweredByItsCode(t *testing.T) {
	f := newFixture(t, ocrtest.QuotaExhausted)
	_, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), f.Event())
	require.NoError(t, err)
	body := fmt.Sprintf(`{"bucket":"cards","key":%q}`, ocrtest.ImageKey)
	answer := f.post("application/json", body)
	assert.Equal(t, http.StatusBadGateway, answer.Code)
	assert.Contains(t, answer.Body.String(), `"QuotaExhausted"`)
	assert.Len(t, f.OCR.Requests(), 1)

	f = newFixture(t)
	f.PutResult(map[string]string{"source-etag": f.ETag(), "status": "failed"}, `{"schemaVersion":1,"status":"failed","image":{"etag":"`+f.ETag()+`"}}`)
	answer = f.post("application/json", body)
	assert.Equal(t, http.StatusInternalServerError, answer.Code, "a failure that does not say why")
	assert.Empty(t, f.OCR.Requests())

	answer = httptest.NewRecorder()
	writeFailure(answer, httptest.NewRequest(http.MethodGet, "/", nil), result.Errorf("Unheard", false, "x"))
	assert.Equal(t, http.StatusInternalServerError, answer.Code)
}

func TestMembersThatGoCannotHoldAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, body := range []string{`{"bucket":1e999}`, `{"bucket":"cards","key":-1e400}`, `{"force":1e999}`} {
		answer := f.post("application/json", body)
		assert.Equal(t, http.StatusBadRequest, answer.Code, body)
	}
}

func TestPictureWhoseChargeIsUnknownSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ocrtest.LostAfterCharge)
		f.Options.MaxAttempts = 1
		answer := f.post("image/jpeg", "a picture")
		assert.Equal(t, http.StatusGatewayTimeout, answer.Code)
		assert.Contains(t, answer.Body.String(), "the call may have been charged")
	})
}

// The key of an image that was recognised before may hold a name or an ID number, and HTTP_ALLOW says which keys a caller may know.
func TestAnAnswerNamesNoReusedKeyOutsideHTTPAllow(t *testing.T) {
	const private, public = "private/11010519491231002X.jpg", "public/a.jpg"
	for way, send := range ways {
		for entry, named := range map[string]bool{"cards/public/": false, "cards": true} {
			t.Run(way+" "+entry, func(t *testing.T) {
				f := newFixture(t)
				f.Options.Reuse, f.handlerOptions.HTTPAllow = true, []string{entry}
				f.Put(private, "the same")
				f.Put(public, "the same")
				_, err := f.handler().Invoke(t.Context(), ocrtest.First("earlier"), eventOf(private))
				require.NoError(t, err)
				post := postObject(`{"bucket":"cards","key":"` + public + `"}`)
				for _, c := range []call{post, post, getStored("cards", public)} { // made, found, asked for
					got := send(t, f.handler(), ocrtest.First("request-7"), c)
					require.Equal(t, http.StatusOK, got.status, "%s", got.body)
					d, err := result.Parse(got.body)
					require.NoError(t, err)
					stored := f.Bucket.Content(public + ".ocr.json")
					if named {
						assert.Equal(t, string(stored), string(got.body))
						assert.Equal(t, private, d.OCR.ReusedFrom)
						continue
					}
					assert.NotContains(t, string(got.body), "reusedFrom")
					want, err := result.Parse(stored)
					require.NoError(t, err)
					require.Equal(t, private, want.OCR.ReusedFrom, "the document keeps it")
					want.OCR.ReusedFrom = ""
					assert.Equal(t, string(want.Encode()), string(got.body), "and nothing else is left out")
				}
				assert.Equal(t, 1, f.OCR.Accepted())
			})
		}
	}
}
