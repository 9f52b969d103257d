package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/listtest"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcapi"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runAlone runs ocrctl without a sandbox.
func runAlone(t *testing.T, args ...string) runResult {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return runResult{code, stdout.String(), stderr.String()}
}

func TestWrongFlagsAreToldInPlainWords(t *testing.T) {
	for text, args := range map[string][]string{
		`--rate "abc": accepted is a number, such as 10 or 0.5`:                                {"backfill", "--all", "--rate", "abc"},
		`--limit "many": accepted is a whole number, such as 100`:                              {"backfill", "--all", "--limit", "many"},
		`--watch "soon": accepted is a duration, such as 30s, 15m or 48h`:                      {"status", "--watch", "soon"},
		`--parallel "0": accepted is a whole number from 1 to 256`:                             {"status", "--parallel", "0"},
		`--parallel "300": accepted is a whole number from 1 to 256`:                           {"reconcile", "--parallel", "300"},
		`--parallel "257": accepted is a whole number from 1 to 256`:                           {"export", "--parallel", "257"},
		`--claim-age "0s": accepted is a duration of more than 0, such as 30s, 15m or 2h`:      {"status", "--claim-age", "0s"},
		`--all "perhaps": accepted are true and false`:                                         {"backfill", "--all=perhaps"},
		`there is no flag --buket; did you mean --bucket?`:                                     {"status", "--buket", "cards"},
		`there is no flag --xyzzy`:                                                             {"status", "--xyzzy"},
		`there is no flag -y`:                                                                  {"status", "-y"},
		`--bucket needs a value`:                                                               {"status", "--bucket"},
		`unknown command "statsu"; did you mean status?`:                                       {"statsu"},
		`unknown command "./box"; name the sandbox's folder with --sandbox-dir ./box`:          {"--sandbox", "./box"},
		`unknown command "stats"; did you mean status?`:                                        {"help", "stats"},
		`unknown command "powershel"; did you mean powershell?`:                                {"completion", "powershel"},
		`no month; name it with --month, such as 2026-11`:                                      {"report"},
		`--fc-endpoint "http://example.com": accepted are an https:// URL, and http:// for lo`: {"backfill", "--all", "-b", "cards", "-r", "cn-hangzhou", "--fc-endpoint", "http://example.com"},
	} {
		r := runAlone(t, args...)
		assert.Equal(t, exitUsage, r.code, args)
		assert.Contains(t, r.stderr, text)
		assert.NotContains(t, r.stderr, "strconv")
	}
}

func TestAllRequestsThatParallelAllowsAreMadeAtATime(t *testing.T) {
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
	for _, command := range [][]string{{"status"}, {"export"}, {"report", "--month", "2026-11"}} {
		const parallel = 60
		store := &listtest.Server{LastModified: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Body: []byte("{}")}
		for i := range 2 * parallel {
			key := fmt.Sprintf("%03d.jpg", i)
			store.Keys = append(store.Keys, key, key+".ocr.json")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var underWay atomic.Int64
		all := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".json") {
				if underWay.Add(1) == parallel {
					close(all)
				}
				select { // no document is served before all that may be read at a time were requested
				case <-all:
				case <-ctx.Done():
				}
			}
			store.ServeHTTP(w, r)
		}))
		var output bytes.Buffer
		run(ctx, append(command, "-b", "cards", "-r", "cn-hangzhou", "--oss-endpoint", server.URL, "--parallel", strconv.Itoa(parallel)), strings.NewReader(""), &output, &output)
		assert.NoError(t, ctx.Err(), "%s: %d requests at a time", command[0], underWay.Load())
		cancel()
		server.Close()
	}
}

func TestHelpAndCompletionKnowTheirNames(t *testing.T) {
	for text, args := range map[string][]string{
		"ocrctl status [flags]": {"help", "status"},
		"Commands:":             {"help"},
		"powershell":            {"completion"},
		"# bash completion":     {"completion", "bash"},
	} {
		r := runAlone(t, args...)
		assert.Equal(t, exitOK, r.code, r.stderr)
		assert.Contains(t, r.stdout, text)
	}
}

func TestTheShellCompletesValuesAndNoFilesOfThisFolder(t *testing.T) {
	for words, args := range map[string][]string{
		"prefix\nday\n:4\n":                {"report", "--by", ""},
		"text\ncsv\njson\n:4\n":            {"report", "--format", ""},
		"calls\nresource\n:4\n":            {"reconcile", "--package", ""},
		"csv\njsonl\ntable\n:4\n":          {"export", "--format", ""},
		"show\npause\nresume\nset\n:4\n":   {"budget", ""},
		":4\n":                             {"show", ""},
		"recognized\nunrecognized\nfailed": {"export", "--status", ""},
	} {
		assert.Contains(t, runAlone(t, append([]string{"__complete"}, args...)...).stdout, words, args)
	}
	assert.NotContains(t, runAlone(t, "__complete", "recognize", "").stdout, ":4\n", "its arguments are files")
}

func TestTheVersionIsOneJSONObject(t *testing.T) {
	var b about
	require.NoError(t, json.Unmarshal([]byte(runAlone(t, "version", "-o", "json").stdout), &b))
	assert.Equal(t, build(), b)
}

func TestMissingCredentialsAreToldWithoutTheNameOfTheRequest(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
	for locale, text := range map[string]string{"C": "ocrctl: no credentials of Alibaba Cloud found; set ALIBABA", "zh_CN.UTF-8": "ocrctl: 没有找到阿里云凭证；请设置 ALIBABA"} {
		speak(t, locale)
		r := runAlone(t, "status", "-b", "cards", "-r", "cn-hangzhou")
		assert.Equal(t, exitConfiguration, r.code)
		assert.Contains(t, r.stderr, text)
	}
}

func TestTheSandboxIsASwitchAndItsFolderAFlag(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	for _, args := range [][]string{{"status", "--sandbox-dir", c.dir}, {"--sandbox", "--sandbox-dir", c.dir, "status"}, {"status", "--sandbox=" + c.dir}} {
		r := runAlone(t, args...)
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Contains(t, r.stdout, "images", args)
	}
	t.Chdir(filepath.Dir(c.dir))
	r := runAlone(t, "--sandbox", "status")
	assert.Equal(t, exitConfiguration, r.code, "a word after the switch is the command: %s", r.stderr)
	assert.Contains(t, r.stderr, ".sandbox")
}

func TestTheFunctionMayListenOnLoopback(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	function := httptest.NewServer(fcapi.New(fcapi.Config{Name: "idcard-ocr", Function: c, Keys: map[string]string{"sandbox": secret}}))
	t.Cleanup(function.Close)
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "sandbox")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret)
	r := runAlone(t, "backfill", "--all", "-b", bucketName, "-r", "cn-hangzhou", "--oss-endpoint", c.ossURL, "--fc-endpoint", function.URL)
	require.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, []string{"a.jpg"}, c.keys())
}

func TestValuesAreCompleted(t *testing.T) {
	c := start(t)
	complete := func(args ...string) []string {
		r := runAlone(t, append([]string{cobra.ShellCompNoDescRequestCmd}, args...)...)
		require.Equal(t, 0, r.code, r.stderr)
		return strings.Fields(r.stdout)
	}
	assert.Subset(t, complete("export", "--format", ""), []string{"csv", "jsonl", "table"})
	assert.Subset(t, complete("export", "--status", ""), []string{"recognized", "unrecognized", "failed"})
	assert.Subset(t, complete("status", "--output", ""), []string{"text", "json"})
	assert.Subset(t, complete("status", "--list", ""), []string{"contradictory", "stale", "Throttled"})
	retry := complete("backfill", "--retry-failed", "Timeout,")
	for _, code := range result.Codes {
		assert.Contains(t, retry, "Timeout,"+string(code))
	}
	assert.Contains(t, complete("status", "--sandbox-dir", c.dir, "--bucket", ""), bucketName)
	assert.Contains(t, complete("recognize", ""), "jpg")
}

func TestVersionTellsWhatWasBuilt(t *testing.T) {
	commit, date = "0123abcd", "2026-11-25T08:00:00Z"
	t.Cleanup(func() { commit, date = "", "" })
	for _, args := range [][]string{{"version"}, {"--version"}} {
		r := runAlone(t, args...)
		assert.Equal(t, 0, r.code)
		assert.Equal(t, "ocrctl dev\ncommit 0123abcd\ndate   2026-11-25T08:00:00Z\n"+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH+"\n", r.stdout)
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	for _, locale := range []string{"C", chineseLocale} {
		speak(t, locale)
		for _, command := range append(newRoot(nil, &bytes.Buffer{}, &terminal{}).Commands(), &cobra.Command{}) {
			for line := range strings.Lines(runAlone(t, strings.Fields(command.Name()+" --help")...).stdout) {
				assert.LessOrEqual(t, display.Width(strings.TrimSuffix(line, "\n")), 100, line)
			}
		}
	}
}
