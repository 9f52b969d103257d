package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const chineseLocale = "zh_CN.UTF-8"

// speak has ocrctl use the language of a locale until the test ends.
func speak(t *testing.T, locale string) {
	t.Setenv("LC_ALL", locale)
	message.Use(message.FromEnvironment(func(string) string { return locale }))
	t.Cleanup(func() { message.Use(message.English) })
}

func isChinese(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

func TestHelpOfEveryCommandIsInTheReadersLanguage(t *testing.T) {
	speak(t, chineseLocale)
	cobras := regexp.MustCompile(`(?m)^(Usage|Examples|Available Commands|Commands|Additional Commands|Flags|Global Flags|Use ".*):?|\(default `)
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		path := c.CommandPath()
		assert.True(t, isChinese(c.Short), path)
		if c.Long != "" && (c.Parent() == nil || c.Parent().Name() != "completion") { // the shells' own instructions are cobra's
			for paragraph := range strings.SplitSeq(c.Long, "\n\n") {
				assert.True(t, isChinese(paragraph), "%s: %s", path, paragraph)
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			assert.True(t, f.Hidden || isChinese(f.Usage) || c.Parent() != nil && c.Parent().Name() == "completion", "%s --%s: %s", path, f.Name, f.Usage)
		})
		if c.Parent() == nil || c.Parent().Name() != "completion" {
			r := runAlone(t, append(strings.Fields(path)[1:], "--help")...)
			assert.NotRegexp(t, cobras, r.stdout, path)
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(newRoot(nil, &bytes.Buffer{}, &terminal{to: &bytes.Buffer{}}))
}

// withoutText removes members of JSON that are read by people, and those that differ between any two runs.
func withoutText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"detail", "fix", "assumption", "follows", "hint", "message", "at", "seconds", "completedAt", "requestId"} {
			delete(v, name)
		}
		for name, member := range v {
			v[name] = withoutText(member)
		}
	case []any:
		for i, member := range v {
			v[i] = withoutText(member)
		}
	}
	return v
}

// values reads the JSON values of an output.
func values(t *testing.T, output string) (list []any) {
	for decoder := json.NewDecoder(strings.NewReader(output)); decoder.More(); {
		var v any
		require.NoError(t, decoder.Decode(&v), output)
		list = append(list, withoutText(v))
	}
	return list
}

// several is a cloud with images of several fates.
func several(t *testing.T) *cloud {
	c := start(t)
	c.put("done.jpg", "a picture")
	c.put("none.jpg", "no card")
	require.Equal(t, 0, c.run("backfill", "--all").code)
	c.work.Wait()
	for _, key := range []string{"lost-1.jpg", "lost-2.jpg", "lost-3.jpg"} {
		c.put(key, "a picture")
	}
	c.put("twice.jpg", "a picture")
	c.putDocument("twice.jpg", result.Document{Status: result.Failed, CompletedAt: time.Now(), Error: &result.Error{Code: result.Timeout, Message: "too late", Retryable: true}, OCR: result.OCR{PossibleExtraCharges: 1}})
	return c
}

func TestJSONAndCSVAreTheSameInEveryLanguage(t *testing.T) {
	c := several(t)
	month := time.Now().In(time.FixedZone("China", 8*3600)).Format("2006-01")
	for _, line := range []string{
		"status -o json", "status --list retryable -o json", "show done.jpg -o json", "show twice.jpg -o json", "backfill --all --dry-run --price 0.02 -o json",
		"report --price 0.02 -o json --month " + month, "report --format csv --month " + month, "export --format jsonl", "export --format csv", "budget show -o json",
		"erase done.jpg -o json", "doctor -o json", "verify --max-charge 1 -o json", "recognize - -o json",
	} {
		english := c.run(strings.Fields(line)...)
		speak(t, chineseLocale)
		chinese := c.run(strings.Fields(line)...)
		speak(t, "C")
		assert.Equal(t, english.code, chinese.code, "%s: %s", line, chinese.stderr)
		if !strings.Contains(line, "json") {
			assert.Equal(t, english.stdout, chinese.stdout, line)
			continue
		}
		require.NotEmpty(t, english.stdout, line)
		assert.Equal(t, values(t, english.stdout), values(t, chinese.stdout), line)
	}
}

func TestTablesSpeakTheReadersLanguageAndKeepCodes(t *testing.T) {
	c := several(t)
	speak(t, chineseLocale)
	words := regexp.MustCompile(`^[ 0-9]+(recognized|unrecognized|failed|[A-Z][A-Za-z]+)\b`)
	status := c.run("status")
	require.Equal(t, 0, status.code, status.stderr)
	for line := range strings.Lines(status.stdout) {
		assert.True(t, isChinese(line) || words.MatchString(line), line)
	}
	for _, kept := range []string{"recognized", "unrecognized", "failed", "NotRecognized", "Timeout", "`ocrctl backfill --retry-failed Timeout`"} {
		assert.Contains(t, status.stdout, kept)
	}
	doctor := c.run("doctor")
	assert.Equal(t, 0, doctor.code, doctor.stderr)
	for line := range strings.Lines(doctor.stdout) {
		assert.True(t, isChinese(line), line)
	}
	assert.Regexp(t, `(?m)^正常     存储桶          存储桶可以列举和读取$`, doctor.stdout)
	assert.Regexp(t, `(?m)^成立           append-creates-once  `, c.run("verify").stdout)
	assert.Regexp(t, `(?m)^  身份证号   110\*+002X$`, c.run("show", "done.jpg").stdout)
	assert.Regexp(t, `(?m)^对象名 +状态 +姓名 +身份证号 +有效 +错误码$`, c.run("export", "--format", "table").stdout)
}

func TestExitCodesAreTheSameInEveryLanguage(t *testing.T) {
	c := several(t)
	for line, code := range map[string]int{
		"statsu":                             exitUsage,
		"status --buket cards":               exitUsage,
		"status --parallel 0":                exitUsage,
		"backfill":                           exitUsage,
		"report --month 2026-13":             exitUsage,
		"export --status other":              exitUsage,
		"backfill --all --retry-failed No":   exitUsage,
		"show not-there.jpg":                 exitFailed,
		"doctor --bucket nothere":            exitFailed,
		"status --bucket nothere":            exitConfiguration,
		"status --bucket not_a_bucket":       exitUsage,
		"backfill --all --limit 1 --rate 99": exitStopped,
	} {
		speak(t, chineseLocale)
		r := c.run(strings.Fields(line)...)
		assert.Equal(t, code, r.code, "%s: %s", line, r.stderr)
		assert.True(t, isChinese(r.stdout+r.stderr), "%s: %s", line, r.stderr)
		for said := range strings.Lines(r.stderr) {
			assert.True(t, isChinese(said), "%s: %s", line, said)
		}
		speak(t, "C")
		english := c.run(strings.Fields(line)...)
		assert.Equal(t, code, english.code, "%s: %s", line, english.stderr)
		assert.False(t, isChinese(english.stderr), english.stderr)
	}
}
