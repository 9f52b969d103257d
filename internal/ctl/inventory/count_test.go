package inventory

import (
	"context"
	"encoding/json"
	"fmt"
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
			if !yield(ossclient.Object{Key: key, ETag: "9B2CF535F27731C974343645A3985328-2", Size: 10, LastModified: noon.Add(-s[key].age)}, nil) {
				return
			}
		}
	}
}

func (s shelf) Read(_ context.Context, key string, _ int64) ([]byte, error) {
	if s[key].body == "gone" {
		return nil, &ossclient.Error{Status: 404, Code: "NoSuchKey"}
	}
	switch s[key].body {
	case "broken":
		return nil, &ossclient.Error{Status: 503}
	case "archived":
		return nil, &ossclient.Error{Status: 403, Code: "InvalidObjectState"}
	case "denied":
		return nil, &ossclient.Error{Status: 403, Code: "AccessDenied"}
	case "unknown key":
		return nil, &ossclient.Error{Status: 403, Code: "InvalidAccessKeyId"}
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
		"archived":     "archived",
		"denied":       "denied",
		"newer":        encode(t, result.Document{Status: result.Failed, Error: &result.Error{Code: "\x1b[2J"}}),
		"replaced":     encode(t, result.Document{Status: result.Recognized, Image: result.Image{ETag: "OTHER-2"}, OCR: result.OCR{Charged: true}}),
		"same":         encode(t, result.Document{Status: result.Unrecognized, Image: result.Image{ETag: `"9b2cf535f27731c974343645a3985328-2"`}, Error: &result.Error{Code: result.ImageRejected}}),
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
	var each []Image
	r, err := Count(t.Context(), s, o, noon, func(i Image, r Report) { each = append(each, i) })
	require.NoError(t, err)
	assert.Equal(t, Report{Images: 15, ImageBytes: 150, Documents: 9, Missing: 2, Outdated: 1, Stale: 1, InProgress: 1, StaleClaims: 1, OrphanDocuments: 1, OrphanClaims: 1,
		Statuses: map[result.Status]int64{result.Recognized: 2, result.Unrecognized: 2, result.Failed: 1},
		Codes:    map[result.Code]int64{result.NotRecognized: 1, result.ImageRejected: 1, result.Throttled: 1}, Retryable: 1, Invalid: 1, Charged: 2, Extra: 2,
		Unreadable: 4, Causes: map[string]int64{NoDocument: 1, UnknownCode: 1, "InvalidObjectState": 1, "AccessDenied": 1}}, r)
	assert.Equal(t, r.Images, r.Documents+r.Missing+r.Outdated+r.Stale+r.InProgress+r.StaleClaims)
	assert.Len(t, each, 15)
	for _, i := range each {
		assert.Equal(t, i.Key == "invalid.jpg", i.Contradictory(), i.Key)
		assert.Equal(t, i.State == Unreadable, i.Cause != "", i.Key)
	}

	o.Read = false
	r, err = Count(t.Context(), s, o, noon, nil)
	require.NoError(t, err)
	assert.Equal(t, Report{Images: 15, ImageBytes: 150, Documents: 11, Missing: 1, Outdated: 1, InProgress: 1, StaleClaims: 1, OrphanDocuments: 1, OrphanClaims: 1}, r)
}

func TestOneDocumentThatFailsDoesNotEndThePassAndAnOutageDoes(t *testing.T) {
	s := shelf{}
	for i := range 3 * maxFailures {
		s.put(fmt.Sprintf("%03d.jpg", i), time.Hour, "")
		s.put(fmt.Sprintf("%03d.jpg.ocr.json", i), time.Minute, encode(t, result.Document{Status: result.Recognized}))
	}
	o := Options{Keys: result.Keys{ImageSuffixes: []string{".jpg"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}, ClaimAge: time.Hour, Parallel: 3, Read: true}
	for i := 0; i < 3*maxFailures; i += 4 {
		s.put(fmt.Sprintf("%03d.jpg.ocr.json", i), time.Minute, "broken")
	}
	r, err := Count(t.Context(), s, o, noon, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"Unavailable": 3 * maxFailures / 4}, r.Causes)

	for i := range 3 * maxFailures {
		s.put(fmt.Sprintf("%03d.jpg.ocr.json", i), time.Minute, "broken")
	}
	_, err = Count(t.Context(), s, o, noon, nil)
	assert.ErrorContains(t, err, "503")

	s.put("000.jpg.ocr.json", time.Minute, "unknown key")
	_, err = Count(t.Context(), s, o, noon, nil)
	assert.True(t, ossclient.Configuration(err), "no other document would be readable")
}
