package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox/sandboxinfo"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"
)

var (
	blocks   = regexp.MustCompile("(?ms)^```(sh|console)\n(.*?)^```")
	examples = regexp.MustCompile(`(?m)^\$ (.*)$`)
	address  = regexp.MustCompile(`(?m)^(URL|M)=.*$`)
)

// The commands of the manuals run in a sandbox as they stand, but for the ports, and fail where the manual shows an error.
func TestExamplesOfTheManualsRun(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	specimens, err := filepath.Abs("../../testdata")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(specimens, filepath.Join(home, "testdata")))
	dir := filepath.Join(home, sandboxinfo.DefaultDir)
	ctx, stop := context.WithCancel(t.Context())
	var stdout, stderr sandboxtest.Output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--function", function, "--dir", dir, "--port", "0"}, &stdout, &stderr, reader{})
	}()
	defer func() { stop(); <-ended }()
	require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "Ctrl-C stops it") }, 20*time.Second, 5*time.Millisecond, stderr.String())
	found, err := sandboxinfo.Find(dir)
	require.NoError(t, err)
	variables := map[string]string{"URL": found.Trigger, "M": found.Console}
	shell := func(script string) string {
		command := exec.CommandContext(t.Context(), "bash", "-c", "set -e; URL="+variables["URL"]+" M="+variables["M"]+"\n"+script)
		command.Dir = home
		output, err := command.CombinedOutput()
		assert.NoError(t, err, "%s\n%s", script, output)
		return string(output)
	}
	for _, manual := range []string{"http-api.md", "sandbox.md"} {
		text, err := os.ReadFile(filepath.Join("../../docs", manual))
		require.NoError(t, err)
		ran := 0
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			if block[1] == "sh" {
				if address.MatchString(block[2]) {
					shell(address.ReplaceAllString(block[2], ""))
				}
				continue
			}
			commands := examples.FindAllStringSubmatchIndex(block[2], -1)
			for i, at := range commands {
				end := len(block[2])
				if i+1 < len(commands) {
					end = commands[i+1][0]
				}
				command, shown := block[2][at[2]:at[3]], block[2][at[1]:end]
				output := shell(command)
				wrong := func(s string) bool { return strings.Contains(s, `"error": `) || strings.Contains(s, `"retryable":`) }
				assert.Equal(t, wrong(shown), wrong(output), "%s: %s\n%s", manual, command, output)
				ran++
			}
		}
		assert.Greater(t, ran, 4, manual)
	}
}
