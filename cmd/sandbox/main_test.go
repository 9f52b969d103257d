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
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/sandbox"
	"fc-idcard-ocr/internal/sandbox/gobuild"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"
)

var function string // the function binary of this module

func TestMain(m *testing.M) {
	os.Setenv("LC_ALL", "C") // the tests compare English texts
	sandboxtest.Main(m, gobuild.Function, &function)
}

// reader stands for the OCR engine: it reads a card from everything but the word cat.
type reader struct{}

func (reader) Read(_ context.Context, image []byte) (ocrengine.Card, error) {
	if string(image) == "cat" {
		return ocrengine.Card{}, nil
	}
	return ocrengine.Card{Name: "张三", Sex: "女", BirthDate: "1904-03-07", IDNumber: "11010119040307001X"}, nil
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
		"an unknown flag":         {[]string{"--runtme", "go1"}, exitUsage, "there is no flag --runtme; did you mean --runtime?"},
		"a wrong runtime":         {[]string{"--runtime", "go2"}, exitUsage, `--runtime "go2": accepted are go1 and custom`},
		"a wrong port":            {[]string{"--port", "70000"}, exitUsage, "accepted are 0 (free ports) to 65532"},
		"a wrong seed":            {[]string{"--chaos=x"}, exitUsage, "--chaos=x: accepted is a whole number"},
		"no speedup":              {[]string{"--async-speedup", "0"}, exitUsage, "--async-speedup 0: accepted is a number from 1 (as on Function Compute) to 86400 (a day takes a second)"},
		"too much speedup":        {[]string{"--async-speedup", "86401"}, exitUsage, "accepted is a number from 1"},
		"a speedup in words":      {[]string{"--async-speedup", "fast"}, exitUsage, "--async-speedup fast: accepted is a number from 1"},
		"a speedup of no number":  {[]string{"--async-speedup", "NaN"}, exitUsage, "accepted is a number from 1"},
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
		assert.Contains(t, stdout.String(), "✔ name        张*")
		assert.Contains(t, stdout.String(), "✘ sex         女")
		assert.Contains(t, stdout.String(), "✘ address     \n")
		assert.Contains(t, stdout.String(), filepath.Join(dir, "oss", "cards", "demo", "specimen.jpg.ocr.json"))
		assert.Contains(t, stdout.String(), expected)

		name := fmt.Sprintf("dropped-%d", len(expected))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "oss", "cards", name+".jpg"), []byte("card"), 0o600))
		shows(`\? ` + name + `\.jpg  张\*`)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "oss", "cards", name+".png"), []byte("cat"), 0o600))
		shows(`✘ ` + name + `\.png  NotRecognized`)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "oss", "cards", name+".pdf"), []byte("card"), 0o600))
		shows(`- ` + name + `\.pdf is not taken: its name ends in none of \.jpg`)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "oss", "cards", "."+name+".jpg"), []byte("card"), 0o600))
		shows(`- \.` + name + `\.jpg is not taken: it is hidden`)
		require.NoError(t, os.Symlink(picture, filepath.Join(dir, "oss", "cards", name+"-link.jpg")))
		shows(`- ` + name + `-link\.jpg is not taken: it is a link`)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "oss", "cards", strings.Repeat("x", 225-len(name))+name+"-11010119040307001X.jpg"), []byte("card"), 0o600))
		shows(`\*001X\.jpg is not taken: its name has \d+ bytes`)

		began := time.Now()
		stop()
		assert.Equal(t, exitOK, <-ended)
		assert.Less(t, time.Since(began), 2*time.Second)
		assert.Equal(t, 1, strings.Count(stdout.String(), "specimen.jpg\n"), "the demo is shown once")
	}
}

func TestNothingFromTheBucketReachesTheTerminalRaw(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	dir := t.TempDir()
	var stdout, stderr sandboxtest.Output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--function", function, "--dir", dir, "--port", "0", "--no-mask"}, &stdout, &stderr, reader{})
	}()
	shows := func(output *sandboxtest.Output, text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(output.String(), text) }, 20*time.Second, 5*time.Millisecond, "%s: %s", text, output)
	}
	shows(&stdout, "Ctrl-C stops it")
	put := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "oss", "cards", name), []byte(content), 0o600))
	}
	const document = `{"schemaVersion":1,"status":"failed","error":{"code":"\u001b[31mX","message":"a\rb\u202ec"}}`
	put("a\u202eb.jpg", "card")
	shows(&stdout, ` a\u202eb.jpg  张三`)
	put("a\u200bb.pdf", "card")
	shows(&stdout, `- a\u200bb.pdf is not taken`)
	put("failed.jpg.ocr.json", document)
	shows(&stdout, `✘ failed.jpg  \x1b[31mX: a\x0db\u202ec`)
	put("card.jpg.ocr.json", `{"schemaVersion":1,"status":"recognized","card":{"name":"\u009b31m","sex":"\t"}}`)
	shows(&stdout, `card.jpg  \u009b31m  \x09`)
	put("odd\u200b.jpg.ocr.json", "\x1b[2J")
	shows(&stderr, `odd\u200b.jpg: `)
	stop()
	assert.Equal(t, exitOK, <-ended)
	for _, output := range []string{stdout.String(), stderr.String()} {
		assert.Equal(t, display.Lines(output), output)
	}
	var d sandbox.Document
	require.NoError(t, json.Unmarshal([]byte(document), &d))
	assert.Equal(t, "  ✘ failed  \\x1b[31mX: a\\x0db\\u202ec\n", cardTable(d))
}

// stopper is stderr that ends the command as soon as it says something.
type stopper struct {
	sandboxtest.Output
	text string
	stop context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	n, err := s.Output.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.stop()
	}
	return n, err
}

// speakChinese has the command use Chinese until the test ends.
func speakChinese(t *testing.T) {
	t.Setenv("LC_ALL", "zh_CN.UTF-8") // so not parallel
	t.Cleanup(func() { message.Use(message.English) })
}

func TestOnceSpeaksTheReadersLanguageAndPrintsTheSameDocuments(t *testing.T) {
	once := []string{"--function", function, "--once", file(t, "a.jpg", "card"), file(t, "cat.jpg", "cat")}
	documents := func(output string) (documents []sandbox.Document) {
		require.NoError(t, json.Unmarshal([]byte(output), &documents))
		for i := range documents {
			documents[i].CompletedAt = time.Time{}
		}
		return documents
	}
	var english, chinese, ignored, stderr sandboxtest.Output
	require.Equal(t, exitFailed, run(t.Context(), once, &english, &ignored, reader{}), &ignored)
	speakChinese(t)
	assert.Equal(t, exitFailed, run(t.Context(), once, &chinese, &stderr, reader{}))
	assert.Equal(t, documents(english.String()), documents(chinese.String()))
	assert.Regexp(t, `启动本地云 \.\.\. \d+\.\d 秒`, stderr.String())
	assert.Contains(t, stderr.String(), "cat.jpg：未识别：NotRecognized: ")
	for line := range strings.Lines(stderr.String()) {
		assert.Regexp(t, `\p{Han}`, line)
	}
}

func TestDemoSpeaksTheReadersLanguageInAlignedColumns(t *testing.T) {
	picture := file(t, "specimen.jpg", "card")
	speakChinese(t)
	ctx, stop := context.WithCancel(t.Context())
	var stdout, stderr sandboxtest.Output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--function", function, "--dir", t.TempDir(), "--port", "0", "--demo", picture}, &stdout, &stderr, reader{})
	}()
	require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "按 Ctrl-C 停止") }, 20*time.Second, 5*time.Millisecond, "%s", &stderr)
	stop()
	assert.Equal(t, exitOK, <-ended)
	for _, row := range []string{"  ✔ 姓名        张*\n", "  ✘ 性别        女\n", "  ✘ 住址        \n", "  ✔ 身份证号    110", "\n  图片      /", "\n  结果文档  /"} {
		assert.Contains(t, stdout.String(), row)
	}
	columns := map[int]bool{}
	for _, row := range regexp.MustCompile(`(?m)^  (结果文档在|函数计算放弃|OCR API：|故障、账本)[^/]*/`).FindAllString(stdout.String(), -1) {
		columns[display.Width(row[:strings.LastIndex(row, " ")+1])] = true
	}
	assert.Len(t, columns, 1, "the addresses stand below each other:\n%s", stdout.String())
	assert.Contains(t, stderr.String(), "正在停止 ...")
}

func TestCtrlCEndsEveryStageQuicklyAndClearly(t *testing.T) {
	t.Parallel()
	picture := file(t, "a.jpg", "card")
	for stage, test := range map[string]struct {
		text string // on stderr when Ctrl-C comes
		args []string
	}{
		"before building":        {"Building the function", nil},
		"while starting":         {"Starting the local cloud", []string{"--function", function}},
		"while the demo is read": {"Uploading", []string{"--function", function, "--demo", picture}},
	} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			stderr := &stopper{text: test.text, stop: stop}
			var stdout sandboxtest.Output
			began := time.Now()
			code := run(ctx, append([]string{"--port", "0", "--dir", t.TempDir()}, test.args...), &stdout, stderr, reader{})
			assert.Less(t, time.Since(began), 10*time.Second)
			assert.NotContains(t, stderr.String(), "level=", "nothing is logged about what was broken off")
			if test.text == "Uploading" { // it has started, so this is how it is meant to end
				assert.Equal(t, exitOK, code)
				assert.Contains(t, stderr.String(), "Stopping ...")
				return
			}
			assert.Equal(t, exitFailed, code)
			assert.Regexp(t, ` \.\.\. stopped\nsandbox: stopped before it was done\n$`, stderr.String())
			assert.Empty(t, stdout.String())
		})
	}
}

func TestCtrlCInterruptsTheToolchain(t *testing.T) {
	// A toolchain that works until it is interrupted, and leaves its temporary files behind as the real one does.
	bin, dir, temporary := t.TempDir(), t.TempDir(), t.TempDir()
	begun, ended := filepath.Join(bin, "begun"), filepath.Join(bin, "ended")
	require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte(`#!/bin/sh
if [ "$1" = list ]; then echo "fc-idcard-ocr `+bin+`"; exit; fi
trap 'touch "`+ended+`"; exit 1' INT
touch "$GOTMPDIR/go-build1"
touch "`+begun+`"
while :; do sleep 0.02; done
`), 0o700))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH")) // so not parallel
	t.Setenv("TMPDIR", temporary)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr sandboxtest.Output
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"--port", "0", "--dir", dir}, &stdout, &stderr, reader{}) }()
	require.Eventually(t, func() bool { _, err := os.Stat(begun); return err == nil }, 20*time.Second, 5*time.Millisecond)
	stop()
	assert.Equal(t, exitFailed, <-code)
	assert.FileExists(t, ended)
	assert.Equal(t, "Building the function ... stopped\nsandbox: stopped before it was done\n", stderr.String())
	for _, folder := range []string{dir, temporary} {
		left, err := os.ReadDir(folder)
		require.NoError(t, err)
		assert.Empty(t, left)
	}
}

func TestTheFunctionIsBuiltIntoTheFolderFromAnywhereInTheCheckout(t *testing.T) {
	// The test runs in cmd/sandbox, and the folder is named as seen from there.
	dir := t.TempDir()
	here, err := os.Getwd()
	require.NoError(t, err)
	relative, err := filepath.Rel(here, dir)
	require.NoError(t, err)
	require.NoError(t, gobuild.Build(t.Context(), gobuild.Function, filepath.Join(relative, "built")))
	assert.FileExists(t, filepath.Join(dir, "built"))
}

func TestWhatAFolderLacksIsToldWithItsFix(t *testing.T) {
	t.Parallel()
	for problem, fix := range map[error]string{
		&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}: "make room, or choose a folder on another disk",
		&os.PathError{Op: "mkdir", Path: "x", Err: syscall.EROFS}:  "choose a folder you may write to with --dir",
		os.ErrPermission:      "choose a folder you may write to with --dir",
		sandbox.ErrFolderBusy: "use that one, or choose another folder with --dir",
	} {
		assert.Contains(t, explain(fmt.Errorf("sandbox: the folder cannot be written: %w", problem)), fix)
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

func TestTheStartSaysHowFastEventsAreRetried(t *testing.T) {
	t.Parallel()
	for factor, told := range map[string]string{"1": "as on FC (--async-speedup)", "3600": "3600 times as fast as on FC"} {
		t.Run(factor, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, stop := context.WithCancel(t.Context())
			var stdout, stderr sandboxtest.Output
			ended := make(chan int, 1)
			go func() {
				ended <- run(ctx, []string{"--function", function, "--dir", dir, "--port", "0", "--async-speedup", factor}, &stdout, &stderr, reader{})
			}()
			defer func() { stop(); <-ended }()
			require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "Ctrl-C stops it") }, 20*time.Second, 5*time.Millisecond, stderr.String())
			assert.Contains(t, stdout.String(), told)
			info, err := sandboxinfo.Find(dir)
			require.NoError(t, err)
			assert.Equal(t, factor, fmt.Sprint(info.AsyncSpeedup))
		})
	}
}

func TestHelpShowsEveryFlag(t *testing.T) {
	t.Parallel()
	var stdout, stderr sandboxtest.Output
	assert.Equal(t, exitOK, run(t.Context(), []string{"--help"}, &stdout, &stderr, nil))
	for _, flag := range []string{"--dir", "--port", "--runtime", "--once", "--demo", "--engine-dir", "--function", "--logs", "--chaos", "--async-speedup"} {
		assert.Contains(t, stdout.String(), flag)
	}
}
