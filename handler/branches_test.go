package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/bucket/buckettest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestErrorsOfTheStoreHaveTheirCode(t *testing.T) {
	for k, want := range map[error]struct {
		code  Code
		again bool
	}{
		bucket.ErrNotFound: {ImageNotFound, false}, bucket.ErrNoBucket: {ImageNotFound, false}, bucket.ErrDenied: {AccessDenied, false},
		bucket.ErrExpired: {AccessDenied, true}, bucket.ErrEndpoint: {AccessDenied, false}, bucket.ErrClock: {ClockSkew, true},
		bucket.ErrTooLarge: {ImageTooLarge, false}, bucket.ErrInvalid: {ImageUnsupported, false}, bucket.ErrTransient: {Unavailable, true},
		bucket.ErrPosition: {Internal, false}, errors.New("unheard of"): {Internal, false},
	} {
		e := storageFailure(kind(k))
		assert.Equal(t, want.code, e.Code, k)
		assert.Equal(t, want.again, e.Retryable, k)
		assert.Contains(t, statusOf, e.Code)
	}
	assert.Equal(t, Internal, AsError(errors.New("canary")).Code)
	assert.NotContains(t, AsError(errors.New("canary")).Error(), "canary")
}

// Whatever somebody put into the claim's place, it is told what to do about it, and the picture is not blamed.
func TestObjectInTheClaimsPlaceIsBlamedAndNotThePicture(t *testing.T) {
	put := map[string]func(t *testing.T, store *buckettest.Memory){
		"not appendable": func(t *testing.T, store *buckettest.Memory) {
			require.NoError(t, store.Write(t.Context(), claimKey, "text/plain", nil, []byte("mine")))
		},
		"not appendable, empty": func(t *testing.T, store *buckettest.Memory) {
			require.NoError(t, store.Write(t.Context(), claimKey, "text/plain", nil, nil))
		},
		"too large": func(t *testing.T, store *buckettest.Memory) {
			_, err := store.Append(t.Context(), claimKey, 0, make([]byte, maxClaimBytes+1))
			require.NoError(t, err)
		},
	}
	for name, put := range put {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			put(t, w.bucket)
			before := w.bucket.Content(claimKey)
			_, err := w.Invoke(t.Context(), first("r1"), w.event())
			require.NoError(t, err)
			assert.Equal(t, Internal, w.document().Error.Code)
			assert.Contains(t, w.document().Error.Message, "CLAIM_SUFFIX")
			assert.Equal(t, before, w.bucket.Content(claimKey))
			assert.Empty(t, w.ocr.requests)
		})
	}
	t.Run("a key that OSS refuses is the key's fault", func(t *testing.T) {
		w := newWorld(t)
		event := w.event()
		w.bucket.Fail = func(op, key string) error {
			if op == "APPEND" {
				return kind(bucket.ErrInvalid)
			}
			return nil
		}
		_, err := w.Invoke(t.Context(), first("r1"), event)
		require.NoError(t, err)
		assert.Equal(t, ImageUnsupported, w.document().Error.Code)
	})
}

func TestBucketThatCannotBeOpenedIsRetried(t *testing.T) {
	w := newWorld(t)
	event := w.event()
	w.Open = func(string, string, bucket.Credentials, *slog.Logger) (Store, error) {
		return nil, errors.New("no credentials")
	}
	_, err := w.Invoke(t.Context(), first("r1"), event)
	assert.Equal(t, AccessDenied, AsError(err).Code)
	assert.True(t, AsError(err).Retryable)
	answer := w.get("/recognitions?bucket=cards&key=" + url.QueryEscape(imageKey))
	assert.Equal(t, http.StatusBadGateway, answer.Code)
	assert.Contains(t, answer.Body.String(), "no credentials")
}

func (w *world) get(target string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.API().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, target, nil).WithContext(WithInvocation(w.t.Context(), first("r1"))))
	return answer
}

func (w *world) post(contentType, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, "/recognitions", strings.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	answer := httptest.NewRecorder()
	w.API().ServeHTTP(answer, request.WithContext(WithInvocation(w.t.Context(), first("r1"))))
	return answer
}

func TestRegionIsTheEventsElseTheInvocationsElseTheFunctions(t *testing.T) {
	for _, test := range []struct{ event, invocation, function, want string }{
		{"a", "b", "c", "a"}, {"", "b", "c", "b"}, {"", "", "c", "c"}, {"", "", "", ""},
	} {
		h := New(Options{Region: test.function})
		assert.Equal(t, test.want, h.region(Invocation{Region: test.invocation}, test.event))
	}
}

func TestInvocationWithoutDeadlineHasAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "swallowed")
		w.ocr.slow = 19500 * time.Millisecond
		inv := first("r1")
		inv.Deadline = time.Time{}
		_, err := w.Invoke(t.Context(), inv, w.event())
		require.Error(t, err)
		assert.Len(t, w.ocr.requests, 2, "a third would begin after the 38th second")
		assert.Equal(t, Timeout, w.document().Error.Code, "the time is over; what is lost is lost for a next call only")
	})
}

func TestFailedDocumentOfAnotherTimeIsAnsweredByItsCode(t *testing.T) {
	w := newWorld(t, "quota")
	_, err := w.Invoke(t.Context(), first("r1"), w.event())
	require.NoError(t, err)
	body := fmt.Sprintf(`{"bucket":"cards","key":%q}`, imageKey)
	answer := w.post("application/json", body)
	assert.Equal(t, http.StatusBadGateway, answer.Code)
	assert.Contains(t, answer.Body.String(), `"QuotaExhausted"`)
	assert.Len(t, w.ocr.requests, 1)

	w = newWorld(t)
	require.NoError(t, w.bucket.Write(t.Context(), resultKey, documentType, map[string]string{"source-etag": w.etag(), "status": "failed"}, []byte(`{"status":"failed"}`)))
	answer = w.post("application/json", body)
	assert.Equal(t, http.StatusInternalServerError, answer.Code, "a failure that does not say why")
	assert.Empty(t, w.ocr.requests)

	answer = httptest.NewRecorder()
	writeFailure(answer, httptest.NewRequest(http.MethodGet, "/", nil), failure("Unheard", false, "x"))
	assert.Equal(t, http.StatusInternalServerError, answer.Code)
}

func TestMembersThatGoCannotHoldAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{`{"bucket":1e999}`, `{"bucket":"cards","key":-1e400}`, `{"force":1e999}`} {
		answer := w.post("application/json", body)
		assert.Equal(t, http.StatusBadRequest, answer.Code, body)
	}
}

func TestPictureWhoseChargeIsUnknownSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "swallowed")
		w.MaxAttempts = 1
		answer := w.post("image/jpeg", "a picture")
		assert.Equal(t, http.StatusGatewayTimeout, answer.Code)
		assert.Contains(t, answer.Body.String(), "the call may have been charged")
	})
}

func TestRawThatIsNoJSONCostsOnlyItself(t *testing.T) {
	d := &Document{Status: Recognized, Card: &Card{IDNumber: "1"}, Raw: json.RawMessage("{")}
	var back Document
	require.NoError(t, json.Unmarshal(d.encode(), &back))
	assert.Equal(t, "1", back.Card.IDNumber)
	assert.Nil(t, back.Raw)
}

func TestBodyInBase64IsReadByWhoeverWantsItsBytes(t *testing.T) {
	body, ok := newEncodedBody("aGVsbG8=")
	require.True(t, ok)
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(text))
	assert.NoError(t, body.Close())
}
