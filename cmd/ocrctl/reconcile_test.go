package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/billing"
	"fc-idcard-ocr/internal/ctl/marketclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// market is a meter of the gateway's own charges, with what a real one may do to them.
type market struct {
	used     int64 // beside the function's calls
	capacity int64
	late     int64 // calls that are not metered yet
	more     []map[string]any
	requests int
}

func (c *cloud) market(m *market) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.requests++
		used := int64(c.gateway.Ledger.Charged()) + m.used - m.late
		rows := append([]map[string]any{{"ProductCode": "cmapi1", "ProductName": "ID cards", "TotalUsage": used, "TotalQuota": m.capacity - used, "TotalCapacity": m.capacity}}, m.more...)
		json.NewEncoder(w).Encode(map[string]any{"Success": true, "Code": "200", "Count": len(rows), "Result": rows})
	}))
	c.t.Cleanup(server.Close)
	return server.URL
}

// recognised lets the function recognise n images, and waits for their documents.
func (c *cloud) recognised(n int) {
	c.putMany(n)
	r := c.run("backfill", "--all", "--rate", "1000")
	require.Equal(c.t, 0, r.code, r.stderr)
	c.work.Wait()
}

func TestReconcileProvesTheBill(t *testing.T) {
	c := start(t)
	m := &market{used: 7, capacity: 100}
	at := c.market(m)
	file := filepath.Join(t.TempDir(), "meter.jsonl")
	reconcile := func(args ...string) runResult {
		return c.run(append([]string{"reconcile", "--market-endpoint", at, "--snapshots", file, "--lag", "0"}, args...)...)
	}
	// The first snapshot is an hour old, so that documents and snapshot do not share a second.
	hourAgo := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	require.NoError(t, billing.AppendSnapshot(file, billing.Snapshot{At: hourAgo, Meter: marketclient.Meter{Product: "cmapi1", Used: 7}}))
	c.recognised(5)
	c.later()
	r := reconcile()
	assert.Equal(t, 0, r.code, r.stdout+r.stderr)
	assert.Contains(t, r.stdout, "12 used, 88 left of 100")
	assert.Contains(t, r.stdout, "verdict   equal")

	since := []string{"--since", hourAgo.Format(time.RFC3339)}
	m.used += 3 // another user of the package
	r = reconcile(since...)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stdout, "metered 3 more, of which 0 are explained")
	assert.Contains(t, r.stdout, "3 calls are not explained. Possible causes: another user of the package")

	c.putDocument("lost/11010519491231002X.jpg", result.Document{Status: result.Failed, Error: &result.Error{Code: result.AnswerLost},
		OCR: result.OCR{PossibleExtraCharges: 3}, CompletedAt: time.Now().Add(-time.Minute).UTC()})
	r = reconcile(since...)
	assert.Equal(t, 0, r.code, r.stdout)
	assert.Contains(t, r.stdout, "metered 3 more, of which 3 are explained by calls whose responses never came")
	assert.Contains(t, r.stdout, "110***********002X.jpg")

	m.used, m.late = 7, 2
	r = reconcile(since...)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stdout, "metered 2 fewer")
	r = reconcile(append(since, "--lag", "15m")...)
	assert.Equal(t, 0, r.code, r.stdout)
	assert.Contains(t, r.stdout, "of which 2 can be explained by timing")

	r = reconcile(append(since, "--output", "json")...)
	var got struct {
		billing.Comparison
		Bucket string
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	assert.Equal(t, []int64{3, 5, 3, 2, 2}, []int64{got.Metered, got.Charged, got.Extra, got.Difference, got.Unexplained})
	assert.EqualValues(t, "less", got.Verdict)
}

// later waits until the documents that are there are older than the present second, in which a snapshot's time is told.
func (c *cloud) later() {
	now := time.Now().Truncate(time.Second)
	require.Eventually(c.t, func() bool { return time.Now().Truncate(time.Second).After(now) }, 5*time.Second, 10*time.Millisecond)
}

func TestReconcileNamesTheDocumentsThatItCannotCount(t *testing.T) {
	c := start(t)
	file := filepath.Join(t.TempDir(), "meter.jsonl")
	require.NoError(t, billing.AppendSnapshot(file, billing.Snapshot{At: time.Now().Add(-time.Hour).UTC().Truncate(time.Second), Meter: marketclient.Meter{Product: "cmapi1"}}))
	c.put("a.jpg.ocr.json", "<html>")
	r := c.run("reconcile", "--market-endpoint", c.market(&market{capacity: 100}), "--snapshots", file)
	assert.Equal(t, exitFailed, r.code, r.stdout)
	assert.Contains(t, r.stdout, "verdict   equal")
	assert.Contains(t, r.stderr, "a.jpg: its document cannot be read: it is none of this program (NoDocument)")
}

func TestReconcileSeesTheLastCallsComing(t *testing.T) {
	c := start(t)
	m := &market{used: 90, capacity: 100}
	at := c.market(m)
	r := c.run("reconcile", "--market-endpoint", at, "--warn-below", "10")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "nothing to compare with: this is the first snapshot")
	r = c.run("reconcile", "--market-endpoint", at, "--warn-below", "11")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stdout, "10 left of 100; WARNING: fewer than 11")
	assert.Contains(t, r.stdout, "verdict   equal")
	m.used = 0
	r = c.run("reconcile", "--market-endpoint", at)
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "the meter has gone back")
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(cache, "ocrctl", "meter-*.jsonl"))
	require.NoError(t, err)
	assert.Len(t, files, 1)
}

func TestReconcileAsksWhichProduct(t *testing.T) {
	c := start(t)
	m := &market{capacity: 10, more: []map[string]any{{"ProductCode": "cmapi2", "ProductName": "weather\x1b[2J"}}}
	at := c.market(m)
	r := c.run("reconcile", "--market-endpoint", at)
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.stderr, "cmapi1 (ID cards), cmapi2")
	assert.NotContains(t, r.stderr, "\x1b")
	assert.Equal(t, 0, c.run("reconcile", "--market-endpoint", at, "--product", "cmapi1").code)
	assert.Equal(t, exitConfiguration, c.run("reconcile", "--market-endpoint", at, "--product", "cmapi3").code)
}

func TestReconcileRefusesWhatItDoesNotKnow(t *testing.T) {
	c := start(t)
	m := &market{}
	at := c.market(m)
	for _, args := range [][]string{{}, {"--market-endpoint", "http://market.aliyuncs.com"}, {"--market-endpoint", "market"}, {"--market-endpoint", at, "--product", "../x"},
		{"--market-endpoint", at, "--package", "many"}, {"--market-endpoint", at, "--lag", "-1s"}, {"--market-endpoint", at, "--warn-below", "-1"}, {"--market-endpoint", at, "--since", "yesterday"}, {"--market-endpoint", at, "extra"}} {
		r := c.run(append([]string{"reconcile"}, args...)...)
		assert.Equal(t, exitUsage, r.code, "%v: %s", args, r.stderr)
	}
	assert.Zero(t, m.requests)
}
