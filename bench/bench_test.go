package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/ossfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type reader struct{}

func (reader) Read(context.Context, []byte) (ocrengine.Card, error) {
	return ocrengine.Card{IDNumber: "11010519491231002X"}, nil
}

// The cloud of the measurements checks nothing. A baseline counts only if the sandbox accepts its requests, too.
func TestSandboxAcceptsTheBaselines(t *testing.T) {
	function := ossfake.Credentials{AccessKeyID: "STS.NUbench", AccessKeySecret: "bench-secret", SecurityToken: benchToken}
	store, err := ossfake.New(ossfake.Config{Dir: t.TempDir(), Region: "cn-hangzhou", Buckets: []string{bucketName}, Keys: ossfake.NewKeyring(function)})
	require.NoError(t, err)
	ossServer := httptest.NewServer(store)
	defer ossServer.Close()
	api, err := gateway.New(gateway.Config{Apps: map[string]string{"100000001": "sandbox-app-secret"}, AppCodes: []string{"sandbox-app-code"}, Reader: reader{}})
	require.NoError(t, err)
	apiServer := httptest.NewServer(api)
	defer apiServer.Close()
	objects, err := bucket.New(bucket.Config{Endpoint: ossServer.URL}).Open(bucketName, "cn-hangzhou",
		bucket.Credentials{AccessKeyID: function.AccessKeyID, AccessKeySecret: function.AccessKeySecret, SecurityToken: function.SecurityToken}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	measuring := newCloud()
	defer measuring.close()
	env := []string{"OSS_ENDPOINT=" + ossServer.URL, "OSS_PUBLIC_ENDPOINT=" + ossServer.URL, "OCR_ENDPOINT=" + apiServer.URL + "/ocrIdCard", "OCR_APP_CODE=sandbox-app-code"}

	dir := t.TempDir()
	build := func(pkg string) []string {
		path := filepath.Join(dir, filepath.Base(pkg))
		require.NoError(t, goBuild(t.Context(), path, pkg, ""))
		return []string{path}
	}
	python, noPython := exec.LookPath("python3")
	handwritten := build("fc-idcard-ocr/bench/baseline/handwritten")
	for name, p := range map[string]program{
		"function":             {command: build("fc-idcard-ocr"), env: env[:3]},
		"handwritten":          {command: handwritten, env: env},
		"handwritten, imgData": {command: handwritten, env: append(env[:4:4], "BASELINE_SOURCE=data")},
		"typical, Python":      {command: []string{python, "baseline/python/function.py"}, env: env},
	} {
		t.Run(name, func(t *testing.T) {
			if p.command[0] == "" {
				t.Skip("the typical function needs Python 3:", noPython)
			}
			api.Reset()
			process, err := start(t.Context(), p)
			require.NoError(t, err)
			defer process.stop()
			key := "样张/" + name + ".jpg"
			require.NoError(t, objects.Put(t.Context(), key, []byte("picture"), bucket.PutOptions{ContentType: "image/jpeg"}))
			require.NoError(t, process.deliver(t.Context(), measuring.upload(key, []byte("picture"))))
			assert.Equal(t, 1, api.Ledger.Charged())
			_, err = objects.Head(t.Context(), key+".ocr.json")
			assert.NoError(t, err, "the document")
			_, err = objects.Head(t.Context(), key+".ocr.claim")
			assert.ErrorIs(t, err, bucket.ErrNotFound, "a claim is left")
		})
	}
}

func TestSymbolsAreCountedWithTheirModule(t *testing.T) {
	for symbol, want := range map[string]string{
		"net/http.(*Server).Serve":                                 "net/http",
		"crypto/internal/fips140/sha256.block":                     "crypto/internal",
		"github.com/aliyun/aliyun-oss-go-sdk/oss.New":              "github.com/aliyun/aliyun-oss-go-sdk",
		"github.com/cenkalti/backoff/v5.Retry[go.shape.struct {}]": "github.com/cenkalti/backoff",
		"fc-idcard-ocr/internal/processor.(*imageTask).run":        ownModule,
		"main.main": ownModule,
		"slices.SortFunc[go.shape.[]fc-idcard-ocr/ocrclient.param]":   "slices",
		"vendor/golang.org/x/net/http/httpguts.ValidHeaderFieldValue": "x/crypto, x/net and x/text inside the standard library",
		"type:.eq.fc-idcard-ocr/internal/processor.Outcome":           "types and constants of all packages",
		"runtime.pclntab":              "line tables of all packages",
		"gopkg.in/yaml%2ev3.Unmarshal": "gopkg.in/yaml.v3",
	} {
		assert.Equal(t, want, group(symbol), symbol)
	}
}

func TestBenchmarkLinesAreUnderstood(t *testing.T) {
	name, r, ok := parseResult("BenchmarkSignature/2MB-base64/signer-2  \t 138\t 1789369 ns/op\t 17015 B/op\t 10 allocs/op\n")
	assert.True(t, ok)
	assert.Equal(t, "Signature/2MB-base64/signer", name)
	assert.Equal(t, result{nanoseconds: 1789369, bytes: 17015, allocations: 10}, r)
	for _, line := range []string{"", "PASS", "ok  \tfc-idcard-ocr/ocrclient\t2.9s", "BenchmarkX-2 1 x ns/op 1 B/op 1 allocs/op"} {
		_, _, ok := parseResult(line)
		assert.False(t, ok, line)
	}
}

func TestFigureOverItsTargetIsMarked(t *testing.T) {
	ratio, verdict := compare(3, 2, 1.3)
	assert.Equal(t, "1.50", ratio)
	assert.Equal(t, "✘ ≤ 1.3", verdict)
	_, verdict = compare(2, 2, 1.3)
	assert.Equal(t, "✔ ≤ 1.3", verdict)
	_, verdict = compare(2, 1, 0)
	assert.Empty(t, verdict, "no target")
}

func TestReportShowsWhatTheTerminalShows(t *testing.T) {
	r := newReport(true)
	s := r.section("Title")
	s.how = "How."
	s.columns("a", "b")
	s.row("x", "1")
	s.note("Note.")
	text := string(r.markdown())
	assert.Contains(t, text, "## Title\n\nHow.\n\n| a | b |\n|---|---|\n| x | 1 |\n\n- Note.\n")
	assert.Contains(t, text, "quick run")
	var b bytes.Buffer
	s.print(&b)
	assert.Equal(t, []string{"", "Title", "  a  b", "  x  1", "  Note.", ""}, strings.Split(b.String(), "\n"))
}
