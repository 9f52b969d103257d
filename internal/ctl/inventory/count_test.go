package inventory

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type shelf map[string]struct {
	age  time.Duration
	body string
}

func (s shelf) put(key string, age time.Duration, body string) {
	s[key] = struct {
		age  time.Duration
		body string
	}{age, body}
}

func (s shelf) List(context.Context, string, string) iter.Seq2[ossclient.Object, error] {
	return func(yield func(ossclient.Object, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(s)) {
			if !yield(ossclient.Object{Key: key, Size: 10, LastModified: noon.Add(-s[key].age)}, nil) {
				return
			}
		}
	}
}

func (s shelf) Read(_ context.Context, key string, _ int64) ([]byte, error) {
	if s[key].body == "gone" {
		return nil, &ossclient.Error{Status: 404, Code: "NoSuchKey"}
	}
	if s[key].body == "broken" {
		return nil, &ossclient.Error{Status: 503}
	}
	return []byte(s[key].body), nil
}

func encode(t *testing.T, d result.Document) string {
	d.SchemaVersion = 1
	text, err := json.Marshal(d)
	require.NoError(t, err)
	return string(text)
}

func TestEveryImageIsCountedOnce(t *testing.T) {
	s := shelf{}
	for key, body := range map[string]string{
		"recognized":   encode(t, result.Document{Status: result.Recognized, Validation: &result.Validation{Valid: true}, OCR: result.OCR{Charged: true}}),
		"invalid":      encode(t, result.Document{Status: result.Recognized, Validation: &result.Validation{}, OCR: result.OCR{Charged: true, PossibleExtraCharges: 2}}),
		"unrecognized": encode(t, result.Document{Status: result.Unrecognized, Error: &result.Error{Code: result.NotRecognized}}),
		"throttled":    encode(t, result.Document{Status: result.Failed, Error: &result.Error{Code: result.Throttled, Retryable: true}}),
		"foreign":      "[1]",
		"deleted":      "gone",
	} {
		s.put(key+".jpg", time.Hour, "")
		s.put(key+".jpg.ocr.json", time.Minute, body)
	}
	s.put("missing.jpg", time.Hour, "")
	s.put("outdated.jpg", time.Minute, "")
	s.put("outdated.jpg.ocr.json", time.Hour, "broken")
	s.put("working.jpg", time.Hour, "")
	s.put("working.jpg.ocr.claim", time.Minute, "")
	s.put("stale.jpg", 2*time.Hour, "")
	s.put("stale.jpg.ocr.claim", time.Hour, "")
	s.put("orphan.jpg.ocr.json", time.Hour, "broken")
	s.put("orphan.jpg.ocr.claim", time.Hour, "")
	s.put("notes.txt", time.Hour, "")

	o := Options{Keys: result.Keys{ImageSuffixes: []string{".jpg"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}, ClaimAge: 10 * time.Minute, Parallel: 3, Read: true}
	r, err := Count(t.Context(), s, o, noon, nil)
	require.NoError(t, err)
	assert.Equal(t, Report{Images: 10, ImageBytes: 100, Documents: 5, Missing: 2, Outdated: 1, InProgress: 1, StaleClaims: 1, OrphanDocuments: 1, OrphanClaims: 1,
		Statuses: map[result.Status]int64{result.Recognized: 2, result.Unrecognized: 1, result.Failed: 1},
		Codes:    map[result.Code]int64{result.NotRecognized: 1, result.Throttled: 1}, Retryable: 1, Invalid: 1, Charged: 2, Extra: 2, Unreadable: 1}, r)
	assert.Equal(t, r.Images, r.Documents+r.Missing+r.Outdated+r.InProgress+r.StaleClaims)

	o.Read = false
	r, err = Count(t.Context(), s, o, noon, nil)
	require.NoError(t, err)
	assert.Equal(t, Report{Images: 10, ImageBytes: 100, Documents: 6, Missing: 1, Outdated: 1, InProgress: 1, StaleClaims: 1, OrphanDocuments: 1, OrphanClaims: 1}, r)

	s.put("recognized.jpg.ocr.json", time.Minute, "broken")
	o.Read = true
	_, err = Count(t.Context(), s, o, noon, nil)
	assert.ErrorContains(t, err, "503")
}
