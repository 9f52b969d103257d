package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// document puts a document beside an image that is there.
func (c *cloud) document(key string, change func(*result.Document)) {
	image, err := c.bucket.Head(c.t.Context(), key)
	require.NoError(c.t, err)
	d := result.Document{SchemaVersion: 1, Status: result.Recognized, Image: result.Image{Bucket: bucketName, Key: key, ETag: image.ETag, Size: image.Size}, CompletedAt: time.Now()}
	change(&d)
	require.NoError(c.t, c.bucket.Put(c.t.Context(), key+".ocr.json", d.Encode(), bucket.PutOptions{ContentType: result.ContentType, Meta: d.Metadata()}))
}

func TestListNamesTheImagesOfAKind(t *testing.T) {
	c := start(t)
	no := false
	for key, change := range map[string]func(*result.Document){
		"good.jpg": func(d *result.Document) {},
		"wrong.jpg": func(d *result.Document) {
			d.Validation = &result.Validation{Verdict: result.Contradictory, CheckDigit: &no, Reasons: []result.Reason{result.CheckDigitWrong}}
		},
		"throttled.jpg": func(d *result.Document) { d.Fail(&result.Error{Code: result.Throttled, Retryable: true}) },
		"quota.jpg":     func(d *result.Document) { d.Fail(&result.Error{Code: result.QuotaExhausted}) },
		"twice.jpg":     func(d *result.Document) { d.OCR.PossibleExtraCharges = 1 },
		"replaced.jpg":  func(d *result.Document) { d.Image.ETag = "AB" },
		"110105194912310021.jpg": func(d *result.Document) {
			d.Status, d.Error = result.Unrecognized, &result.Error{Code: result.NotRecognized}
		},
	} {
		c.put(key, "picture "+key)
		c.document(key, change)
	}
	c.put("lost.jpg", "a picture")
	for kind, want := range map[string]string{
		"contradictory": "wrong.jpg", "retryable": "throttled.jpg", "twice-called": "twice.jpg", "stale": "replaced.jpg", "missing": "lost.jpg",
		"QuotaExhausted": "quota.jpg", "unrecognized": "1101**********0021.jpg", "NotRecognized": "1101**********0021.jpg", "outdated": "", "Timeout": "",
	} {
		r := c.run("status", "--list", kind)
		require.Equal(t, 0, r.code, r.stderr)
		if want == "" {
			assert.Empty(t, r.stdout, kind)
			continue
		}
		assert.Equal(t, 1, strings.Count(r.stdout, "\n"), kind)
		if !strings.Contains(want, "*") {
			assert.Contains(t, r.stdout, want)
		}
		assert.NotContains(t, r.stdout, "110105194912310021", "keys are masked")
	}
	assert.Equal(t, 3, strings.Count(c.run("status", "--list", "recognized").stdout, "\n"))
	assert.Contains(t, c.run("status", "--list", "QuotaExhausted").stderr, "then `ocrctl backfill --retry-failed QuotaExhausted` (one paid call each)")
	var line struct{ Key, State, Status, Code string }
	require.NoError(t, json.Unmarshal([]byte(c.run("status", "--list", "NotRecognized", "-o", "json").stdout), &line))
	assert.Equal(t, "110105194912310021.jpg", line.Key)
	assert.Equal(t, "NotRecognized", line.Code)
	for _, args := range [][]string{{"--list", "x"}, {"--list", "stale", "--listing-only"}, {"--list", "stale", "--watch", "2s"}} {
		assert.Equal(t, exitUsage, c.run(append([]string{"status"}, args...)...).code, args)
	}
	text := c.run("status").stdout
	assert.Contains(t, text, "1    document of another version")
	assert.Contains(t, text, "buy or renew calls")
}

func TestShowPutsTheDocumentBesideItsChecks(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	no := false
	c.document("a.jpg", func(d *result.Document) {
		d.Card = &result.Card{Name: "卡\u202e纳丽", IDNumber: card.IDNumber, Address: card.Address}
		d.Validation = &result.Validation{Verdict: result.Contradictory, CheckDigit: &no, Reasons: []result.Reason{result.CheckDigitWrong}}
		d.OCR.Charged, d.OCR.PossibleExtraCharges = true, 2
	})
	r := c.run("show", "a.jpg")
	require.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "110***********002X")
	assert.Contains(t, r.stdout, "no: check-digit-wrong")
	assert.Contains(t, r.stdout, "what helps compare the card with the picture (`ocrctl show 'a.jpg'")
	assert.Contains(t, r.stdout, "cost       1 calls charged, and 2 possible extra charges")
	assert.NotContains(t, r.stdout, card.IDNumber)
	r = c.run("show", "a.jpg", "--no-mask")
	assert.Contains(t, r.stdout, card.IDNumber)
	assert.Contains(t, r.stdout, `卡\u202e纳丽`, "nothing of the card turns the terminal's text around")
	assert.NotContains(t, r.stdout, "\u202e")
	var shown struct {
		State    string
		Document *result.Document
	}
	require.NoError(t, json.Unmarshal([]byte(c.run("show", "a.jpg", "-o", "json").stdout), &shown))
	assert.Equal(t, "documented", shown.State)
	assert.Equal(t, card.IDNumber, shown.Document.Card.IDNumber)

	c.document("a.jpg", func(d *result.Document) { d.Fail(result.Errorf(result.QuotaExhausted, false, "used up")) })
	assert.Contains(t, c.run("show", "a.jpg").stdout, "ocrctl backfill --retry-failed QuotaExhausted")
	c.put("new.jpg", "a picture")
	assert.Contains(t, c.run("show", "new.jpg").stdout, "no document")
	const masked = "110101194912310021.jpg" // a key that is not shown as it is cannot be typed from the terminal
	c.put(masked, "a picture")
	c.document(masked, func(d *result.Document) {
		d.Card, d.Validation = &result.Card{}, &result.Validation{Verdict: result.Contradictory}
	})
	assert.Contains(t, c.run("show", masked).stdout, "`ocrctl show KEY")
	assert.Contains(t, c.run("show", masked, "--no-mask").stdout, "`ocrctl show '"+masked+"'")
	assert.Equal(t, exitFailed, c.run("show", "nothing.jpg").code)
	assert.Equal(t, exitUsage, c.run("show", "notes.txt").code)
	assert.Equal(t, exitUsage, c.run("show").code)
}

func TestShowOpensThePictureByAURLThatIsNotPrinted(t *testing.T) {
	c := start(t)
	c.put("a b.jpg", "a picture")
	seen := filepath.Join(t.TempDir(), "url")
	browser := filepath.Join(t.TempDir(), "browser")
	require.NoError(t, os.WriteFile(browser, []byte("#!/bin/sh\nprintf %s \"$1\" > "+seen+"\n"), 0o700))
	t.Setenv("BROWSER", browser)
	r := c.run("show", "a b.jpg", "--open")
	require.Equal(t, 0, r.code, r.stderr)
	url, err := os.ReadFile(seen)
	require.NoError(t, err)
	response, err := http.Get(string(url))
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, "a picture", string(body))
	assert.NotContains(t, strings.ToLower(r.stdout+r.stderr), "signature")
	t.Setenv("BROWSER", filepath.Join(t.TempDir(), "nothing"))
	r = c.run("show", "a b.jpg", "--open")
	assert.Equal(t, exitFailed, r.code)
	assert.NotContains(t, strings.ToLower(r.stdout+r.stderr), "signature")
}
