package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox"
	"fc-idcard-ocr/internal/sandbox/engine"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"
)

var function string // the function binary of this module

func TestMain(m *testing.M) { sandboxtest.Main(m, &function, sandbox.Build) }

// reader stands for the OCR engine: it reads a card from everything but the word cat.
type reader struct{}

func (reader) Read(_ context.Context, image []byte) (engine.Card, error) {
	if string(image) == "cat" {
		return engine.Card{}, nil
	}
	return engine.Card{Name: "张三", Sex: "女", BirthDate: "1904-03-07", IDNumber: "11010119040307001X"}, nil
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestOncePrintsTheDocumentsInTheOrderOfTheArguments(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp) // so not parallel
	a, b, sameName := file(t, "a.jpg", "card"), file(t, "b.PNG", "card"), file(t, "a.jpg", "card")
	for _, mode := range []string{"go1", "custom"} {
		var stdout, stderr sandboxtest.Output
		code := run(t.Context(), []string{"--runtime", mode, "--function", function, "--once", b, a, sameName}, &stdout, &stderr, reader{})
		require.Equal(t, exitOK, code, stderr.String())
		var documents []sandbox.Document
		require.NoError(t, json.Unmarshal([]byte(stdout.String()), &documents))
		var keys []string
		for _, document := range documents {
			keys = append(keys, document.Image.Key)
			assert.Equal(t, "张三", document.Card.Name)
		}
		assert.Equal(t, []string{"b.PNG", "2/a.jpg", "3/a.jpg"}, keys)
		assert.Contains(t, stderr.String(), "Starting the local cloud")
		left, err := os.ReadDir(temp)
		require.NoError(t, err)
		assert.Empty(t, left, "nothing is left behind")
	}
}

func TestOnceFailsIfAPictureIsNotRecognised(t *testing.T) {
	t.Parallel()
	var stdout, stderr sandboxtest.Output
	cat := file(t, "cat.jpg", "cat")
	code := run(t.Context(), []string{"--function", function, "--once", file(t, "a.jpg", "card"), cat}, &stdout, &stderr, reader{})
	assert.Equal(t, exitFailed, code)
	var documents []sandbox.Document
	require.NoError(t, json.Unmarshal([]byte(stdout.String()), &documents))
	require.Len(t, documents, 2)
	assert.True(t, documents[0].Recognized())
	assert.Equal(t, "unrecognized", documents[1].Status)
	assert.Contains(t, stderr.String(), cat+": not recognised: NotRecognized: ")
}

func TestMistakesAreToldWithTheirFix(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { busy.Close() })
	_, port, err := net.SplitHostPort(busy.Addr().String())
	require.NoError(t, err)
	text := file(t, "a.txt", "")
	picture := file(t, "a.jpg", "card")
	for name, test := range map[string]struct {
		args []string
		code int
		text string
	}{
		"an unknown flag":         {[]string{"--runtme", "go1"}, exitUsage, "unknown flag: --runtme"},
		"a wrong runtime":         {[]string{"--runtime", "go2"}, exitUsage, `--runtime "go2": accepted are go1 and custom`},
		"a wrong port":            {[]string{"--port", "70000"}, exitUsage, "accepted are 0 (free ports) to 65532"},
		"a wrong seed":            {[]string{"--chaos=x"}, exitUsage, "--chaos=x: accepted is a whole number"},
		"once without pictures":   {[]string{"--once"}, exitUsage, "--once needs at least one picture"},
		"pictures without once":   {[]string{picture}, exitUsage, "pictures come after --once"},
		"once and demo":           {[]string{"--once", "--demo", picture, picture}, exitUsage, "exclude each other"},
		"once with no image":      {[]string{"--once", text}, exitUsage, "pictures end in one of .jpg"},
		"once with no file":       {[]string{"--once", picture + ".jpg"}, exitUsage, "no such file"},
		"demo with no image":      {[]string{"--demo", text}, exitUsage, "pictures end in one of .jpg"},
		"demo with no file":       {[]string{"--demo", picture + ".jpg"}, exitUsage, "no such file"},
		"a busy port":             {[]string{"--port", port}, exitFailed, "choose other ports with --port"},
		"a folder that is a file": {[]string{"--port", "0", "--dir", text}, exitFailed, "choose another one"},
		"an engine not installed": {[]string{"--port", "0", "--engine-dir", t.TempDir()}, exitFailed, "make engine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := test.args
			if test.code == exitFailed {
				args = append([]string{"--function", function, "--dir", t.TempDir()}, args...)
			}
			var stdout, stderr sandboxtest.Output
			assert.Equal(t, test.code, run(t.Context(), args, &stdout, &stderr, nil))
			assert.Contains(t, stderr.String(), test.text)
			assert.Empty(t, stdout.String())
		})
	}
}

func TestServeShowsTheDemoAndWhatIsDroppedIn(t *testing.T) {
	t.Parallel()
	dir, picture := t.TempDir(), file(t, "specimen.jpg", "card")
	for _, expected := range []string{"", "nothing was paid again"} {
		ctx, stop := context.WithCancel(t.Context())
		var stdout, stderr sandboxtest.Output
		ended := make(chan int, 1)
		go func() {
			ended <- run(ctx, []string{"--function", function, "--dir", dir, "--port", "0", "--demo", picture}, &stdout, &stderr, reader{})
		}()
		shows := func(pattern string) {
			t.Helper()
			expression := regexp.MustCompile(pattern)
			require.Eventually(t, func() bool { return expression.MatchString(stdout.String()) }, 20*time.Second, 5*time.Millisecond,
				"%s\n%s", pattern, stderr.String())
		}
		shows(`Ctrl-C stops it`)
		assert.Contains(t, stdout.String(), "✔ name        张三")
		assert.Contains(t, stdout.String(), "✘ sex         女")
		assert.Contains(t, stdout.String(), "✘ address     \n")
		assert.Contains(t, stdout.String(), filepath.Join(dir, "oss", "cards", "demo", "specimen.jpg.ocr.json"))
		assert.Contains(t, stdout.String(), expected)

		name := fmt.Sprintf("dropped-%d", len(expected))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "oss", "cards", name+".jpg"), []byte("card"), 0o600))
		shows(`\? ` + name + `\.jpg  张三`)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "oss", "cards", name+".png"), []byte("cat"), 0o600))
		shows(`✘ ` + name + `\.png  NotRecognized`)

		began := time.Now()
		stop()
		assert.Equal(t, exitOK, <-ended)
		assert.Less(t, time.Since(began), 2*time.Second)
		assert.Equal(t, 1, strings.Count(stdout.String(), "specimen.jpg\n"), "the demo is shown once")
	}
}

func TestChaosTellsItsSeed(t *testing.T) {
	t.Parallel()
	for flag, pattern := range map[string]string{"--chaos": `--chaos=\d+\n`, "--chaos=7": `--chaos=7\n`} {
		var stdout, stderr sandboxtest.Output
		code := run(t.Context(), []string{"--function", function, flag, "--once", file(t, "a.jpg", "card")}, &stdout, &stderr, reader{})
		assert.Equal(t, exitOK, code, stderr.String())
		assert.Regexp(t, pattern, stderr.String())
	}
}

func TestHelpShowsEveryFlag(t *testing.T) {
	t.Parallel()
	var stdout, stderr sandboxtest.Output
	assert.Equal(t, exitOK, run(t.Context(), []string{"--help"}, &stdout, &stderr, nil))
	for _, flag := range []string{"--dir", "--port", "--runtime", "--once", "--demo", "--engine-dir", "--function", "--logs", "--chaos"} {
		assert.Contains(t, stdout.String(), flag)
	}
}
