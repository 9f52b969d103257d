package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"fc-idcard-ocr/internal/ctl/doctor"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRecognizeMasksUnlessToldToShow(t *testing.T) {
	c := start(t)
	file := picture(t, "a picture")
	r := c.run("recognize", file)
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "recognized (charged)")
	assert.Contains(t, r.stdout, "卡**")
	assert.Contains(t, r.stdout, "110***********002X")
	for _, personal := range []string{card.Name, card.IDNumber, card.Address, card.BirthDate} {
		assert.NotContains(t, r.stdout, personal)
	}
	r = c.run("recognize", "--no-mask", file)
	assert.Contains(t, r.stdout, card.Name)
	assert.Contains(t, r.stdout, card.IDNumber)
	r = c.run("recognize", "--show", file)
	assert.Contains(t, r.stdout, card.IDNumber, "the flag's former name")
	assert.Contains(t, r.stderr, "use --no-mask")
	assert.Equal(t, 3, c.gateway.Ledger.Charged())
}

func TestRecognizeGivesMachinesALineForEachPicture(t *testing.T) {
	c := start(t)
	r := c.run("recognize", "-o", "json", "-", picture(t, "no card"), picture(t, "not a picture"))
	assert.Equal(t, 1, r.code)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	require.Len(t, lines, 3)
	for i, want := range []string{"recognized", "unrecognized", "unrecognized"} {
		var got recognition
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &got))
		require.NotNil(t, got.Document, lines[i])
		assert.EqualValues(t, want, got.Document.Status)
	}
}

func TestRecognizeByURLLetsTheProviderFetch(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	signed, err := c.bucket.SignURL("a.jpg", "", "", 60e9)
	require.NoError(t, err)
	r := c.run("recognize", "--source", "url", signed)
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, "url", c.gateway.Ledger.Calls()[0].Source)
	assert.NotContains(t, r.stdout, "ignature")
}

func TestRecognizePaysNothingBeforeAllFilesAreThere(t *testing.T) {
	c := start(t)
	for _, args := range [][]string{{picture(t, "a picture"), "there-is-no-such-file.jpg"}, {picture(t, "a picture"), picture(t, "")}, {"--source", "url", "card.jpg"}, {"--details", "perhaps", "-"}, {}} {
		r := c.run(append([]string{"recognize"}, args...)...)
		assert.Equal(t, 2, r.code, r.stderr)
	}
	assert.Empty(t, c.gateway.Ledger.Calls())
}

func TestAWrongKeyIsAMatterOfConfiguration(t *testing.T) {
	c := start(t)
	t.Setenv("OCR_APP_KEY", "canary-key")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"recognize", picture(t, "a picture")}, strings.NewReader(""), &stdout, &stderr)
	assert.Equal(t, 3, code)
	assert.Contains(t, stderr.String(), "OCR_APP_SECRET")
	assert.NotContains(t, stderr.String(), "canary")
	assert.Empty(t, c.gateway.Ledger.Calls())
}

func TestBackfillRefusesToPayForEverythingUnasked(t *testing.T) {
	c := start(t)
	c.putMany(3)
	c.seen()
	for _, args := range [][]string{{}, {"--all", "--prefix", "a"}, {"--all", "--rate", "0"}, {"--all", "--limit", "-1"}, {"--all", "--retry-failed", "Nonsense"}, {"--all", "--since", "yesterday"},
		{"--all", "--parallel", "0"}, {"--all", "--price", "-1"}, {"--all", "extra"}, {"--all", "--output", "xml"}, {"--all", "--nonsense"}} {
		r := c.run(append([]string{"backfill"}, args...)...)
		assert.Equal(t, 2, r.code, "%v: %s", args, r.stderr)
		assert.Contains(t, r.stderr, "-h")
	}
	assert.Empty(t, c.seen())
	assert.Empty(t, c.keys())
}

func TestADryRunMakesListingsOnly(t *testing.T) {
	c := start(t)
	c.putMany(7)
	c.put("2026/0000.jpg.ocr.json", "{}")
	c.seen()
	r := c.run("backfill", "--all", "--dry-run", "--price", "0.5")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "7 images seen, 6 to submit (missing 6); 1 skipped (done 1)")
	assert.Contains(t, r.stdout, "3.00 at 0.5 each")
	assert.Equal(t, []string{"GET /cards/"}, slices.Compact(c.seen()))
	assert.Empty(t, c.keys())
	assert.Empty(t, c.gateway.Ledger.Calls())
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	assert.Empty(t, left, "not even a checkpoint")
}

func TestABackfillThatIsInterruptedAndRepeatedPaysOnceForEachImage(t *testing.T) {
	const images = 120
	c := start(t)
	c.putMany(images)
	ctx, cancel := context.WithCancel(t.Context())
	c.whenInvoked(func(n int) {
		if n == 40 {
			cancel()
		}
	})
	r := c.runWith(ctx, "backfill", "--prefix", "2026/", "--rate", "1000", "-o", "json")
	assert.Equal(t, 130, r.code, r.stderr)
	var report struct {
		Stopped    string
		Submitted  map[string]int
		Checkpoint string
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &report))
	assert.Equal(t, "interrupted", report.Stopped)
	assert.Equal(t, len(c.keys()), report.Submitted["missing"])
	assert.FileExists(t, report.Checkpoint)
	c.whenInvoked(nil)

	r = c.run("backfill", "--prefix", "2026/", "--rate", "1000")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "Going on after")
	c.work.Wait()
	assert.Len(t, c.keys(), images)
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(c.keys()))), images)
	assert.Equal(t, images, c.gateway.Ledger.Charged())
	assert.NoFileExists(t, report.Checkpoint)

	// A third run has nothing to do; one that has forgotten everything has neither.
	r = c.run("backfill", "--prefix", "2026/", "--restart")
	assert.Contains(t, r.stdout, "120 images seen, 0 submitted; 120 skipped (done 120)")
	assert.Len(t, c.keys(), images)
}

func TestEventsSubmittedTwiceArePaidOnce(t *testing.T) {
	c := start(t)
	c.putMany(30)
	c.idle = true // nothing is recognised yet, so the second run finds nothing done
	require.Equal(t, 0, c.run("backfill", "--all", "--rate", "1000").code)
	require.Equal(t, 0, c.run("backfill", "--all", "--rate", "1000").code)
	twice := slices.Clone(c.invoked)
	require.Len(t, twice, 60)
	c.idle = false
	for _, payload := range twice {
		_, err := c.InvokeAsync([]byte(payload), fresh(payload))
		require.NoError(t, err)
	}
	c.work.Wait()
	assert.Equal(t, 30, c.gateway.Ledger.Charged())
}

func TestLimitAndBudgetEndWithACodeOfTheirOwn(t *testing.T) {
	c := start(t)
	c.putMany(20)
	r := c.run("backfill", "--all", "--rate", "1000", "--limit", "5")
	assert.Equal(t, 4, r.code)
	assert.Contains(t, r.stderr, "limit")
	r = c.run("backfill", "--all", "--rate", "1000", "--max-charge", "12")
	assert.Equal(t, 4, r.code)
	assert.Contains(t, r.stderr, "budget")
	assert.Len(t, c.keys(), 12, "of both runs together")
}

func TestFailuresAreTriedAgainForTheirCodes(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	c.put("a.jpg.ocr.json", `{"schemaVersion":1,"status":"failed","image":{},"ocr":{},"error":{"code":"QuotaExhausted","message":"","retryable":false},"requestId":"1","completedAt":"2026-11-23T08:00:00Z"}`)
	require.Equal(t, 0, c.run("backfill", "--all", "--retry-failed", "Throttled").code)
	assert.Empty(t, c.keys())
	require.Equal(t, 0, c.run("backfill", "--all", "--retry-failed", "Throttled,QuotaExhausted").code)
	c.work.Wait()
	assert.Equal(t, 1, c.gateway.Ledger.Charged())
	assert.Contains(t, c.run("status").stdout, "recognized")
}

func TestStatusTellsWhatBecameOfTheImages(t *testing.T) {
	c := start(t)
	c.put("done.jpg", "a picture")
	c.put("none.jpg", "no card")
	require.Equal(t, 0, c.run("backfill", "--all").code)
	c.work.Wait()
	c.put("lost.jpg", "a picture")
	r := c.run("status", "-o", "json")
	assert.Equal(t, 0, r.code, r.stderr)
	var report map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &report))
	assert.EqualValues(t, 3, report["images"])
	assert.EqualValues(t, 1, report["missing"])
	assert.Equal(t, map[string]any{"recognized": 1.0, "unrecognized": 1.0}, report["statuses"])
	assert.Equal(t, map[string]any{"NotRecognized": 1.0}, report["codes"])
	text := c.run("status").stdout
	assert.Contains(t, text, "ocrctl backfill")
	c.seen()
	require.Equal(t, 0, c.run("status", "--listing-only").code)
	assert.Equal(t, []string{"GET /cards/"}, slices.Compact(c.seen()))
	assert.Equal(t, 2, c.run("status", "--watch", "1ms").code)
}

func TestExportWritesAFileOnce(t *testing.T) {
	c := start(t)
	c.putMany(25)
	require.Equal(t, 0, c.run("backfill", "--all", "--rate", "1000").code)
	c.work.Wait()
	whole := c.run("export")
	require.Equal(t, 0, whole.code, whole.stderr)
	assert.Equal(t, 26, strings.Count(whole.stdout, "\r\n"))
	assert.Contains(t, whole.stdout, card.IDNumber)
	assert.NotContains(t, c.run("export", "--mask").stdout, card.IDNumber)
	assert.NotContains(t, c.run("export", "--format", "table").stdout, card.Name)
	assert.Equal(t, 25, strings.Count(c.run("export", "-o", "json").stdout, "\n"))

	file := filepath.Join(t.TempDir(), "cards.csv")
	require.NoError(t, os.WriteFile(file, []byte(whole.stdout[:len(whole.stdout)/3]), 0o600))
	assert.Equal(t, 2, c.run("export", "--file", file).code, "what is there is not overwritten")
	r := c.run("export", "--file", file, "--resume")
	assert.Equal(t, 0, r.code, r.stderr)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, whole.stdout, string(text))
	for _, args := range [][]string{{"-F", "table"}, {"-F", "csv", "--mask"}, {"-F", "jsonl"}} {
		whole, file := c.run(append([]string{"export"}, args...)...), filepath.Join(t.TempDir(), "cut")
		require.NoError(t, os.WriteFile(file, []byte(whole.stdout[:len(whole.stdout)/3]), 0o600))
		r := c.run(append([]string{"export", "--file", file, "--resume"}, args...)...)
		assert.Equal(t, 0, r.code, r.stderr)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, whole.stdout, string(text), args)
	}
	for _, args := range [][]string{{"--format", "xml"}, {"--status", "x"}, {"--resume"}} {
		assert.Equal(t, 2, c.run(append([]string{"export"}, args...)...).code, args)
	}
}

// full is a redirection to a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestNoCommandEndsWellWhoseOutputIsLost(t *testing.T) {
	c := start(t)
	c.putMany(3)
	require.Equal(t, 0, c.run("backfill", "--all").code)
	c.work.Wait()
	charged := c.gateway.Ledger.Charged()
	for _, args := range [][]string{
		{"status"}, {"status", "-o", "json"}, {"export"}, {"export", "-F", "jsonl"}, {"export", "-F", "table"}, {"backfill", "--all", "-n"},
		{"backfill", "--all", "-n", "-o", "json"}, {"doctor"}, {"doctor", "-o", "json"}, {"--help"}, {"completion", "bash"},
	} {
		var stderr bytes.Buffer
		code := run(t.Context(), append(args, "--sandbox="+c.dir), strings.NewReader(""), full{}, &stderr)
		assert.Equal(t, 1, code, args)
		assert.Contains(t, stderr.String(), "no space left on device", args)
	}
	assert.Equal(t, charged, c.gateway.Ledger.Charged())
	for _, output := range []string{"text", "json"} {
		var stderr bytes.Buffer
		code := run(t.Context(), []string{"recognize", picture(t, "a"), picture(t, "b"), "-o", output, "--sandbox=" + c.dir}, strings.NewReader(""), full{}, &stderr)
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr.String(), "the outcome of picture 1 cannot be written, so no more of the 2 are recognised: no space left on device")
		charged++
		assert.Equal(t, charged, c.gateway.Ledger.Charged(), "the second picture is not paid for nothing")
	}
}

func TestDoctorFindsAHealthyPatientHealthyForFree(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	c.seen()
	r := c.run("doctor", "-o", "json")
	assert.Equal(t, 0, r.code, r.stdout+r.stderr)
	checks := 0
	for line := range strings.Lines(r.stdout) {
		var f doctor.Finding
		require.NoError(t, json.Unmarshal([]byte(line), &f))
		assert.NotEqual(t, doctor.Failure, f.Result, "%+v", f)
		checks++
	}
	assert.Equal(t, 25, checks)
	assert.Zero(t, c.gateway.Ledger.Charged())
	for _, request := range c.seen() {
		assert.True(t, strings.HasPrefix(request, "GET ") || strings.HasPrefix(request, "HEAD "), request)
	}
}

func TestDoctorNamesTheFixOfWhatIsWrong(t *testing.T) {
	c := start(t)
	r := c.run("doctor", "--function", "other", "--bucket", "nothere")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stdout, "FAILED   bucket")
	assert.Contains(t, r.stdout, "correct --bucket and --region")
	assert.Contains(t, r.stdout, "correct --function")

	t.Setenv("OCR_APP_KEY", "100000001")
	t.Setenv("OCR_APP_SECRET", "canary-wrong")
	t.Setenv("OCR_ENDPOINT", c.ocrURL)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"doctor"}, strings.NewReader(""), &stdout, &stderr)
	assert.Equal(t, 1, code)
	assert.Contains(t, stdout.String(), "云市场")
	assert.NotContains(t, stdout.String()+stderr.String(), "canary")
}

func TestWithoutASandboxThereIsAHint(t *testing.T) {
	start(t)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"status", "--sandbox=" + t.TempDir()}, strings.NewReader(""), &stdout, &stderr)
	assert.Equal(t, 3, code)
	assert.Contains(t, stderr.String(), "go run ./cmd/sandbox")

	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	killed, url := t.TempDir(), "http://"+gone.Addr().String()
	require.NoError(t, sandboxinfo.Info{OSS: url, OCR: url, FC: url, Bucket: bucketName, Region: "cn-hangzhou"}.Write(killed))
	stderr.Reset()
	code = run(t.Context(), []string{"status", "--sandbox=" + killed}, strings.NewReader(""), &stdout, &stderr)
	assert.Equal(t, 3, code)
	assert.Contains(t, stderr.String(), "no sandbox runs there")
	assert.Contains(t, stderr.String(), "go run ./cmd/sandbox")

	for _, args := range [][]string{{"status"}, {"status", "-b", "cards"}, {"backfill", "-b", "cards", "-r", "cn-hangzhou", "--all"}, {"nonsense"}, {"status", "-b", "NO", "-r", "cn-hangzhou"}} {
		assert.Equal(t, 2, run(t.Context(), args, strings.NewReader(""), &stdout, &stderr), args)
	}
}

func TestCompletionsAreMade(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 0, run(t.Context(), []string{"completion", shell}, strings.NewReader(""), &stdout, &stderr))
		assert.Contains(t, stdout.String(), "ocrctl", shell)
	}
}
