package billing_test

import (
	"fmt"
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

const lag = 15 * time.Minute

var (
	begin = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	end   = begin.Add(24 * time.Hour)
)

func snapshot(at time.Time, used int64) billing.Snapshot {
	return billing.Snapshot{At: at, Meter: marketclient.Meter{Product: "cmapi1", Used: used, Left: 1000 - used}}
}

// charged puts n charged documents, completed at a time, into the bucket.
func (d documents) charged(n int, at time.Time) {
	for i := range n {
		d[fmt.Sprintf("%d/%d.jpg", at.Unix(), i)] = completed(at, result.Recognized, true, 0)
	}
}

func compare(t *testing.T, d documents, metered int64) billing.Comparison {
	c, err := billing.Compare(t.Context(), d, options, ".ocr.claim", snapshot(begin, 100), snapshot(end, 100+metered), lag)
	require.NoError(t, err)
	return c
}

func TestWhatWasMeteredIsComparedWithTheDocumentsOfThatTime(t *testing.T) {
	noon := begin.Add(4 * time.Hour)
	bucket := documents{"free.jpg": completed(noon, result.Failed, false, 0), "foreign.jpg": {CompletedAt: noon}}
	bucket.charged(50, noon)
	bucket.charged(7, begin.Add(-time.Hour))
	bucket["open.jpg"] = completed(noon, result.Failed, false, 2)
	for metered, want := range map[int64]billing.Comparison{
		50: {Verdict: billing.Equal},
		51: {Verdict: billing.More, Difference: 1, Open: 1},
		52: {Verdict: billing.More, Difference: 2, Open: 2},
		60: {Verdict: billing.More, Difference: 10, Open: 2, Unexplained: 8}, // another user of the package, or drift
		45: {Verdict: billing.Less, Difference: 5, Unexplained: 5},
	} {
		c := compare(t, bucket, metered)
		assert.Equal(t, []int64{metered, 50, 2}, []int64{c.Metered, c.Charged, c.Extra})
		assert.Equal(t, []any{want.Verdict, want.Difference, want.Open, want.Timing, want.Unexplained}, []any{c.Verdict, c.Difference, c.Open, c.Timing, c.Unexplained}, "metered %d", metered)
		assert.Equal(t, []billing.OpenCalls{{Key: "open.jpg", Calls: 2, CompletedAt: noon}}, c.OpenCalls)
		assert.EqualValues(t, 1, c.Unreadable)
	}
}

func TestALateMeterIsNoDrift(t *testing.T) {
	bucket := documents{}
	bucket.charged(10, begin.Add(4*time.Hour))
	bucket.charged(3, begin.Add(-time.Minute))     // metered only after the first snapshot
	bucket.charged(4, begin.Add(time.Minute))      // charged before it, and documented after
	bucket.charged(5, end.Add(-time.Minute))       // not metered yet
	bucket.charged(1, end.Add(time.Second))        // charged before the second snapshot
	bucket.charged(90, begin.Add(-16*time.Minute)) // of the time before
	for metered, want := range map[int64][2]int64{ // timing, unexplained
		19: {0, 0}, 22: {3, 0}, 23: {4, 0}, 24: {4, 1}, 14: {5, 0}, 10: {9, 0}, 9: {9, 1},
	} {
		c := compare(t, bucket, metered)
		assert.EqualValues(t, 19, c.Charged)
		assert.Equal(t, want, [2]int64{c.Timing, c.Unexplained}, "metered %d", metered)
	}
}

func TestImagesInWorkCanExplainMore(t *testing.T) {
	bucket := documents{"work.jpg": nil, ".fc-idcard-ocr/budget/2026-11-25": nil}
	c := compare(t, bucket, 2)
	assert.Equal(t, []int64{1, 1, 1}, []int64{c.InWork, c.Timing, c.Unexplained}, "the day's budget is no claim")
}

func TestAMeterThatWentBackIsANewBaseline(t *testing.T) {
	c := compare(t, documents{}, -1)
	assert.Equal(t, billing.Baseline, c.Verdict)
	assert.Zero(t, c.Unexplained)
}

func TestSnapshotsAreKeptAndChosenByTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "meter.jsonl")
	list, err := billing.ReadSnapshots(path)
	require.NoError(t, err)
	_, ok := billing.Before(list, time.Time{})
	assert.False(t, ok)
	for hour := range 3 {
		require.NoError(t, billing.AppendSnapshot(path, snapshot(begin.Add(time.Duration(hour)*time.Hour), int64(hour))))
	}
	list, err = billing.ReadSnapshots(path)
	require.NoError(t, err)
	require.Len(t, list, 3)
	for used, at := range map[int64]time.Time{2: {}, 1: begin.Add(90 * time.Minute), 0: begin.Add(-time.Hour)} {
		s, ok := billing.Before(list, at)
		assert.True(t, ok)
		assert.Equal(t, used, s.Used, at)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text[:len(text)-5], 0o600)) // a write that broke off
	require.NoError(t, billing.AppendSnapshot(path, snapshot(end, 9)))
	list, err = billing.ReadSnapshots(path)
	require.NoError(t, err)
	assert.Len(t, list, 3)
	require.NoError(t, os.WriteFile(path, []byte("hello\n"), 0o600))
	assert.ErrorContains(t, billing.AppendSnapshot(path, snapshot(end, 9)), "no file of meter snapshots")
}
