package main

import (
	"bytes"
	"flag"
	"os"
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
	for _, name := range []string{"../../docs/cli.md", "../../docs/cli.zh-CN.md"} {
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
			want = append(want, "ocrctl "+command.Name())
		}
		want = append(want, "ocrctl completion") // cobra adds it when it runs
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
