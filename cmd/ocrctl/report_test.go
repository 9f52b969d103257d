package main

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReportAddsUpAMonthAsTextCSVAndJSON(t *testing.T) {
	c := start(t)
	at := time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC) // the 25th in China
	for key, d := range map[string]result.Document{
		"north/a.jpg": {Status: result.Recognized, OCR: result.OCR{Charged: true}},
		"north/b.jpg": {Status: result.Recognized, OCR: result.OCR{Charged: true, PossibleExtraCharges: 1}},
		"=cmd/c.jpg":  {Status: result.Failed, Error: &result.Error{Code: result.Timeout}},
	} {
		d.CompletedAt = at
		c.putDocument(key, d)
	}
	r := c.run("report", "--month", "2026-11", "--price", "0.05")
	require.Equal(t, 0, r.code, r.stderr)
	assert.Regexp(t, `2 +2 +1 +2 +0 +0 +0 +0\.10 +0\.15 +north/`, r.stdout)
	assert.Regexp(t, `3 +2 +1 +2 +0 +1 +0 +0\.10 +0\.15 +total`, r.stdout)

	r = c.run("report", "--month", "2026-11", "--format", "csv")
	require.Equal(t, 0, r.code, r.stderr)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(r.stdout, "\ufeff"))).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, [][]string{
		{"prefix", "images", "charged", "possibleExtraCharges", "recognized", "unrecognized", "failed", "reused"},
		{"'=cmd/", "1", "0", "0", "0", "0", "1", "0"}, {"north/", "2", "2", "1", "2", "0", "0", "0"}}, rows)

	r = c.run("report", "--month", "2026-11", "--by", "day", "-o", "json", "--price", "0.05")
	require.Equal(t, 0, r.code, r.stderr)
	assert.JSONEq(t, `{"bucket":"cards","prefix":"","month":"2026-11","by":"day","price":0.05,"unreadable":0,
		"groups":[{"name":"2026-11-25","images":3,"recognized":2,"unrecognized":0,"failed":1,"charged":2,"possibleExtraCharges":1,"reused":0,"yuan":0.1,"yuanAtMost":0.15}],
		"total":{"images":3,"recognized":2,"unrecognized":0,"failed":1,"charged":2,"possibleExtraCharges":1,"reused":0,"yuan":0.1,"yuanAtMost":0.15}}`, r.stdout)

	r = c.run("report", "--month", "2026-12", "-o", "json")
	var empty struct{ Groups []any }
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &empty))
	assert.NotNil(t, empty.Groups)
	assert.Empty(t, empty.Groups)
}

func TestReportRefusesWhatItDoesNotKnow(t *testing.T) {
	c := start(t)
	for _, args := range [][]string{{}, {"--month", "November"}, {"--month", "2026-11", "--by", "week"}, {"--month", "2026-11", "--price", "-1"}, {"--month", "2026-11", "--format", "xls"}, {"--month", "2026-11", "extra"}} {
		r := c.run(append([]string{"report"}, args...)...)
		assert.Equal(t, exitUsage, r.code, "%v: %s", args, r.stderr)
	}
	assert.Empty(t, c.seen())
}

func TestReportMasksNumbersInFolderNames(t *testing.T) {
	c := start(t)
	c.putDocument("11010519491231002X\x1b[2J/a.jpg", result.Document{Status: result.Recognized, CompletedAt: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)})
	r := c.run("report", "--month", "2026-11")
	require.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "110***********002X")
	assert.NotContains(t, r.stdout, "\x1b")
}
