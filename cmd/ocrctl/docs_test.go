package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the help texts into the documentation")

// help is a place in the documentation that holds a command's help text.
var help = regexp.MustCompile("(?s)<!-- (ocrctl[a-z ]*) -h -->\n.*?\n<!-- end -->")

// The documentation holds the help text of every command as it is printed. `go test ./cmd/ocrctl -run Docs -update` writes it.
func TestDocsHoldTheHelpTextsAsTheyArePrinted(t *testing.T) {
	for name, locale := range map[string]string{"../../docs/cli.md": "C", "../../docs/cli.zh-CN.md": "zh_CN.UTF-8"} {
		speak(t, locale)
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var told []string
		made := help.ReplaceAllStringFunc(string(text), func(place string) string {
			command := help.FindStringSubmatch(place)[1]
			told = append(told, command)
			var stdout, stderr bytes.Buffer
			require.Equal(t, 0, run(t.Context(), append(strings.Fields(command)[1:], "-h"), strings.NewReader(""), &stdout, &stderr))
			return "<!-- " + command + " -h -->\n\n```text\n" + strings.TrimSpace(stdout.String()) + "\n```\n\n<!-- end -->"
		})
		if *update {
			require.NoError(t, os.WriteFile(name, []byte(made), 0o644))
		} else {
			assert.Equal(t, made, string(text), "run: go test ./cmd/ocrctl -run Docs -update")
		}
		want := []string{"ocrctl"}
		for _, command := range newRoot(nil, &bytes.Buffer{}, &terminal{to: &bytes.Buffer{}}).Commands() {
			if command.Name() != "help" {
				want = append(want, "ocrctl "+command.Name())
			}
		}
		slices.Sort(want)
		slices.Sort(told)
		assert.Equal(t, want, told, "each command once")
	}
}

func TestDocsNameEveryExitCode(t *testing.T) {
	for _, name := range []string{"../../docs/cli.md", "../../docs/cli.zh-CN.md"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, code := range []string{"| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 4 |", "| 130 |"} {
			assert.Contains(t, string(text), code, name)
		}
	}
}

// mention is a command as it stands in a line of code.
var mention = regexp.MustCompile("(?m)(?:`|^\\s*)ocrctl ([a-z]+)([^`\n]*)")

func TestDocsMentionCommandsAndFlagsThatExist(t *testing.T) {
	var names []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		names = append(names, found...)
	}
	root := newRoot(nil, &bytes.Buffer{}, &terminal{to: &bytes.Buffer{}})
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, match := range mention.FindAllStringSubmatch(help.ReplaceAllString(string(text), ""), -1) {
			command, _, err := root.Find(match[1:2])
			if match[1] == "completion" || !assert.NoError(t, err, "%s: %s", name, match[0]) {
				continue
			}
			line, _, _ := strings.Cut(match[2], "#")
			for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(line, -1) {
				known := command.Flags().Lookup(flag[1]) != nil || root.PersistentFlags().Lookup(flag[1]) != nil
				assert.True(t, known, "%s: %s", name, match[0])
			}
		}
	}
}
