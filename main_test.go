package main

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/config"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func build(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "main")
	output, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(output))
	return path
}

func TestInvalidConfigurationEndsAtOnceAndNamesEveryProblem(t *testing.T) {
	command := exec.Command(build(t))
	command.Env = []string{"OCR_APP_SECRET=canary", "OCR_TIMEOUT=soon", "IMAGE_SUFFIXES=.json", "OSS_ENDPOINT=http://example.com", "FC_RUNTIME_API=127.0.0.1:1"}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	err := command.Run()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit))
	assert.Equal(t, 1, exit.ExitCode())
	for _, name := range []string{"4 problems", "OCR_APP_KEY: ", "OCR_TIMEOUT: ", "RESULT_SUFFIX: ", "OSS_ENDPOINT: "} {
		assert.Contains(t, stderr.String(), name)
	}
	assert.NotContains(t, stderr.String(), "canary")
}

func TestCheckTellsEveryProblemOfADeploymentAtOnce(t *testing.T) {
	binary := build(t)
	check := func(environ ...string) (stdout, stderr string, code int) {
		command := exec.Command(binary, "-check")
		command.Env = environ
		var out, problems bytes.Buffer
		command.Stdout, command.Stderr = &out, &problems
		if err := command.Run(); err != nil {
			var exit *exec.ExitError
			require.True(t, errors.As(err, &exit), "%v", err)
			code = exit.ExitCode()
		}
		return out.String(), problems.String(), code
	}
	stdout, stderr, code := check("OCR_APP_KEY=key", "OCR_APP_SECRET=canary", "REGION=cn-hangzhou", "BUCKET=cards", "FC_RUNTIME_API=127.0.0.1:1")
	assert.Zero(t, code)
	assert.Equal(t, "configuration ok\n", stdout)
	assert.Empty(t, stderr)

	stdout, stderr, code = check("OCR_APP_SECRET=canary", "OCR_IMAGE_SOURCE=base64", "ACCOUNT_ID=123456", "BUCKET=Cards", "FUNCTION_ROLE_ARN=acs:ram::654321:role/x",
		"FAILURE_DESTINATION=acs:mns:cn-hangzhou:123456:/queues/failures")
	assert.Equal(t, 1, code)
	assert.Empty(t, stdout)
	for _, problem := range []string{"6 problems", "OCR_APP_KEY: missing", "OCR_IMAGE_SOURCE: ", "REGION: missing", "BUCKET: ", "FUNCTION_ROLE_ARN: is of account 654321", "FAILURE_DESTINATION: ", "/queues/NAME/messages"} {
		assert.Contains(t, stderr, problem)
	}
	assert.NotContains(t, stderr, "canary")

	command := exec.Command(binary, "-chekc")
	output, err := command.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, 2, command.ProcessState.ExitCode())
	assert.Contains(t, string(output), "-check")
}

// An instance that does not start says in its log what the check before the deployment would have said.
func TestTheStartFailsWithTheTextOfTheCheck(t *testing.T) {
	binary := build(t)
	environ := []string{"OCR_APP_SECRET=canary", "OCR_IMAGE_SOURCE=base64", "OCR_TIMEOUT=soon", "OCR_TIMOUT=5s", "REGION=cn-hangzhou", "BUCKET=cards"}
	stderr := func(more []string, args ...string) string {
		command := exec.Command(binary, args...)
		command.Env = append(environ, more...)
		var text bytes.Buffer
		command.Stderr = &text
		require.Error(t, command.Run())
		assert.Equal(t, 1, command.ProcessState.ExitCode())
		return text.String()
	}
	checked := stderr(nil, "-check")
	assert.Contains(t, checked, "4 problems")
	assert.NotContains(t, checked, "canary")
	assert.Equal(t, checked, stderr([]string{"FC_RUNTIME_API=127.0.0.1:1"}), "Go runtime")
	assert.Equal(t, checked, stderr(nil), "custom runtime")
}

func TestDeployedBinaryStaysLean(t *testing.T) {
	output, err := exec.Command("go", "list", "-deps", "-f", "{{if .Module}}{{.Module.Path}} {{end}}{{.ImportPath}}", ".").Output()
	require.NoError(t, err)
	allowed := map[string]bool{"fc-idcard-ocr": true, "github.com/aliyun/aliyun-oss-go-sdk": true, "github.com/aliyun/fc-runtime-go-sdk": true,
		"github.com/caarlos0/env/v11": true, "github.com/cenkalti/backoff/v5": true, "golang.org/x/sync": true, "golang.org/x/time": true,
		"golang.org/x/text": true} // NFKC and GB18030: 238 KB, see docs/dependencies.md
	for line := range strings.Lines(string(output)) {
		module, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok { // the others are of the standard library
			assert.True(t, allowed[module], "%s is in the deployed binary", path)
			assert.NotContains(t, path, "/sandbox")
			assert.NotContains(t, path, "internal/ctl")
		}
	}
}

func TestMemoryLimitLeavesAQuarterOfTheInstance(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for _, test := range []struct {
		instance, operator string
		want               int64
	}{
		{"256", "", 192 << 20},
		{"", "", before},
		{"0", "", before},
		{"much", "", before},
		{"256", "1GiB", before}, // the Go runtime has read it at the start of the process
	} {
		debug.SetMemoryLimit(before)
		t.Setenv("FC_FUNCTION_MEMORY_SIZE", test.instance)
		t.Setenv("GOMEMLIMIT", test.operator)
		limitMemory(config.Auto)
		assert.Equal(t, test.want, debug.SetMemoryLimit(-1), "%+v", test)
	}
}

// On Function Compute every event has a control path; elsewhere none has.
func TestOnFunctionComputeEventsNeedTheirControlPath(t *testing.T) {
	c, err := config.Parse([]string{"OCR_APP_KEY=key", "OCR_APP_SECRET=secret"})
	require.NoError(t, err)
	for function, want := range map[string]int{"fc-idcard-ocr": http.StatusBadRequest, "": http.StatusOK} {
		t.Setenv("FC_FUNCTION_NAME", function)
		answer := httptest.NewRecorder()
		newHandler(c, slog.New(slog.DiscardHandler)).CustomRuntime().ServeHTTP(answer, httptest.NewRequest("POST", "/invoke", strings.NewReader(`{"events":[]}`)))
		assert.Equal(t, want, answer.Code, "FC_FUNCTION_NAME=%s", function)
	}
}

func TestGarbageIsCollectedEarlierWherePicturesAreRead(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	for _, test := range []struct {
		source   config.ImageSource
		operator string
		want     int
	}{{config.Data, "", 75}, {config.Auto, "", 100}, {config.URL, "", 100}, {config.Data, "200", 100}} {
		debug.SetGCPercent(100)
		t.Setenv("GOGC", test.operator)
		t.Setenv("GOMEMLIMIT", "1GiB") // not the point here
		limitMemory(test.source)
		assert.Equal(t, test.want, debug.SetGCPercent(100), "%+v", test)
	}
}

// Nodes are packages by their folder, with all that is below it.
func TestPictureInTheArchitectureShowsTheImports(t *testing.T) {
	text, err := os.ReadFile("docs/architecture.md")
	require.NoError(t, err)
	_, picture, _ := strings.Cut(string(text), "```mermaid\nflowchart")
	picture, _, _ = strings.Cut(picture, "```")
	folders := map[string]string{} // by node
	for _, node := range regexp.MustCompile(`(\w+)\[([\w/]+)\]`).FindAllStringSubmatch(picture, -1) {
		folders[node[1]] = node[2]
	}
	folder := func(node string) string {
		if named, ok := folders[node]; ok {
			return named
		}
		return node
	}
	var shown []string
	for _, arrow := range regexp.MustCompile(`(?m)^ *(\w+)(?:\[.*\])? --> (\w+)`).FindAllStringSubmatch(picture, -1) {
		folders[arrow[1]], folders[arrow[2]] = folder(arrow[1]), folder(arrow[2])
		shown = append(shown, folder(arrow[1])+" -> "+folder(arrow[2]))
	}
	nodeOf := func(pkg string) string {
		pkg = strings.TrimPrefix(strings.TrimPrefix(pkg, "fc-idcard-ocr"), "/")
		if pkg == "" {
			return "main"
		}
		for _, f := range folders {
			if pkg == f || strings.HasPrefix(pkg, f+"/") {
				return f
			}
		}
		return ""
	}
	output, err := exec.Command("go", "list", "-f", "{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}\n{{end}}", "./...").Output()
	require.NoError(t, err)
	imported := map[string]bool{}
	for line := range strings.Lines(string(output)) {
		from, to, ok := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(to, "fc-idcard-ocr/testdata/") { // pictures, no code
			continue
		}
		if ok && strings.HasPrefix(to, "fc-idcard-ocr/") && nodeOf(from) != "" && nodeOf(from) != nodeOf(to) {
			imported[nodeOf(from)+" -> "+nodeOf(to)] = true
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(imported)), shown)
}
