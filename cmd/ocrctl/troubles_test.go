package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/budget"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spoiled is a bucket of ten images with documents, three of which cannot be read.
func spoiled(t *testing.T) *cloud {
	c := start(t)
	c.putMany(10)
	require.Equal(t, 0, c.run("backfill", "--all", "--rate", "1000").code)
	c.work.Wait()
	c.put("2026/0004.jpg.ocr.json", "<html>")
	c.refuse(map[string]string{"GET 2026/0002.jpg.ocr.json": "InvalidObjectState", "GET 2026/0003.jpg.ocr.json": "AccessDenied"})
	return c
}

func TestOneBadDocumentStopsNoCommandAndIsNamed(t *testing.T) {
	c := spoiled(t)
	for _, args := range [][]string{{"status"}, {"export"}, {"export", "-F", "table"}, {"export", "-F", "jsonl"}, {"backfill", "--all", "--retry-failed", "all"},
		{"report", "--month", time.Now().In(budget.Zone).Format("2006-01")}} {
		r := c.run(args...)
		assert.Equal(t, exitFailed, r.code, "%v: %s", args, r.stderr)
		assert.Contains(t, r.stderr, "2026/0002.jpg: its document cannot be read: it is archived; restore it first (ossutil restore) (InvalidObjectState)", args)
		assert.Contains(t, r.stderr, "2026/0003.jpg: its document cannot be read: a permission is missing", args)
		assert.Contains(t, r.stderr, "2026/0004.jpg: its document cannot be read: it is none of this program (NoDocument)", args)
		assert.Contains(t, r.stderr, "3 documents could not be read", args)
		if args[0] == "export" {
			assert.Equal(t, 7, strings.Count(r.stdout, "2026/"), args)
		}
	}
	r := c.run("status", "-o", "json")
	var report struct {
		Unreadable       int
		UnreadableCauses map[string]int
		Statuses         map[string]int
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &report))
	assert.Equal(t, 3, report.Unreadable)
	assert.Equal(t, map[string]int{"InvalidObjectState": 1, "AccessDenied": 1, "NoDocument": 1}, report.UnreadableCauses)
	assert.Equal(t, map[string]int{"recognized": 7}, report.Statuses)
	r = c.run("status", "--list", "recognized")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "3 documents could not be read, so images may be missing here")
	r = c.run("status", "--list", "unreadable")
	assert.Equal(t, 0, r.code, "they are what was asked for")
	assert.Equal(t, "InvalidObjectState  2026/0002.jpg\nAccessDenied      2026/0003.jpg\nNoDocument        2026/0004.jpg\n", r.stdout)
}

func TestOnlySoManyBadDocumentsAreNamed(t *testing.T) {
	c := start(t)
	c.putMany(maxTroubles + 5)
	require.Equal(t, 0, c.run("backfill", "--all", "--rate", "1000").code)
	c.work.Wait()
	refused := map[string]string{}
	for _, request := range c.seen() {
		if key, ok := strings.CutPrefix(request, "PUT /cards/"); ok {
			refused["GET "+key] = "AccessDenied"
		}
	}
	c.refuse(refused)
	r := c.run("status")
	assert.Equal(t, exitFailed, r.code)
	assert.Equal(t, maxTroubles, strings.Count(r.stderr, "cannot be read"))
	assert.Contains(t, r.stderr, "... and 5 more")
}

func TestEveryCodeHasAHintWithItsCommandAndCost(t *testing.T) {
	for _, code := range result.Codes {
		h := hints[code]
		assert.NotEmpty(t, h.fix, code)
		assert.Equal(t, h.again, h.cost != "", code)
		if h.again {
			assert.Contains(t, hintFor(code), "ocrctl backfill --retry-failed "+string(code))
			assert.Contains(t, hintFor(code), "paid call")
		}
	}
	for _, state := range listStates {
		assert.NotEmpty(t, stateHints[state], state)
		assert.NotEmpty(t, stateWords[state], state)
	}
}

func TestALostOutputIsToldBesideBadDocuments(t *testing.T) {
	c := spoiled(t)
	for _, args := range [][]string{{"status"}, {"export"}} {
		var stderr bytes.Buffer
		code := run(t.Context(), append(args, "--sandbox-dir", c.dir), strings.NewReader(""), full{}, &stderr)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, stderr.String(), "no space left on device", args)
		assert.Contains(t, stderr.String(), "2026/0002.jpg: its document cannot be read", args)
	}
}
