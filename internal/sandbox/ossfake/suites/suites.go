package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// withoutModules is a checkout without its folder of npm packages.
type withoutModules struct{ fs.FS }

func (w withoutModules) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(w.FS, name)
	var kept []fs.DirEntry
	for _, e := range entries {
		if e.Name() != "node_modules" && e.Name() != ".git" {
			kept = append(kept, e)
		}
	}
	return kept, err
}

// replaceIn changes a text in a file of the copy.
func replaceIn(dir, name, old, replacement string) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w: is this a checkout of the suite's SDK?", err)
	}
	return os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, replacement)), 0o600)
}

// goCommand returns a command of the Go toolchain in the folder of the SDK's package.
func goCommand(ctx context.Context, dir, port string, command ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = filepath.Join(dir, "oss")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "OSS_TEST_ENDPOINT=http://127.0.0.1:"+port, "OSS_TEST_REGION="+region,
		"OSS_TEST_ACCESS_KEY_ID="+keyID, "OSS_TEST_ACCESS_KEY_SECRET="+secret, "OSS_TEST_ACCOUNT_ID="+account,
		"OSS_TEST_RAM_UID="+account, "OSS_TEST_SIGNATURE_VERSION=v4")
	return cmd
}

// goV2 runs each test on its own: one that is out of scope may panic.
func goV2(ctx context.Context, dir, port, pattern string) (outcomes []outcome, all string, err error) {
	const file = "client_integration_test.go"
	for old, replacement := range map[string]string{
		// Buckets are not in the name of the local server's host, and the endpoints in their properties are those of the service.
		"LoadDefaultConfig().": "LoadDefaultConfig().WithUsePathStyle(true).",
		"getClient(*bucketInfo.Region, *bucketInfo.ExtranetEndpoint)": "getDefaultClient()",
	} {
		if err := replaceIn(dir, "oss/"+file, old, replacement); err != nil {
			return nil, "", err
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "oss", file))
	if err != nil {
		return nil, "", err
	}
	selected, err := regexp.Compile(pattern)
	if err != nil {
		return nil, "", err
	}
	binary := filepath.Join(dir, "suite.test")
	if output, err := goCommand(ctx, dir, port, "go", "test", "-c", "-tags=integration", "-o", binary, ".").CombinedOutput(); err != nil {
		return nil, string(output), err
	}
	for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
		name := found[1]
		if !selected.MatchString(name) {
			continue
		}
		printed, err := goCommand(ctx, dir, port, binary, "-test.run", "^"+name+"$", "-test.v", "-test.timeout=3m").CombinedOutput()
		output := string(printed)
		all += output
		o := outcome{name: name, result: "pass"}
		switch {
		case ctx.Err() != nil:
			return outcomes, all, ctx.Err()
		case err != nil:
			o.result = "fail"
			o.reason = firstMatch(output, `(?s)`+file+`:(\d+: *\n.*?)Test:`, `(panic: .*)`)
		case strings.Contains(output, "--- SKIP"):
			o.result = "skip"
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, all, nil
}

func goV1(ctx context.Context, dir, port, pattern string) (outcomes []outcome, output string, err error) {
	// The SDK is older than Go modules.
	module := "module github.com/aliyun/aliyun-oss-go-sdk\n\ngo 1.25\n\n" +
		"require (\n\tgolang.org/x/time v0.5.0\n\tgopkg.in/check.v1 v1.0.0-20201130134442-10cb98267c6c\n)\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o600); err != nil {
		return nil, "", err
	}
	command := []string{"go", "test", "-vet=off", "-timeout=40m", ".", "-check.v"}
	if pattern != "" {
		command = append(command, "-check.f", pattern)
	}
	printed, _ := goCommand(ctx, dir, port, command...).CombinedOutput() // it fails with a test
	output = string(printed)
	for _, found := range regexp.MustCompile(`(?m)^(PASS|FAIL|SKIP|MISS|PANIC): \S+: (\S+)`).FindAllStringSubmatch(output, -1) {
		o := outcome{name: found[2], result: strings.ToLower(strings.Replace(found[1], "PANIC", "FAIL", 1))}
		if o.result == "fail" {
			o.reason = firstMatch(output, `(?s)(?:FAIL|PANIC): \S+: `+regexp.QuoteMeta(o.name)+`\n(.*?)\n(?:---|\n)`)
		}
		if !slices.ContainsFunc(outcomes, func(known outcome) bool { return known.name == o.name }) {
			outcomes = append(outcomes, o)
		}
	}
	return outcomes, output, ctx.Err()
}

func aliOSS(ctx context.Context, dir, port, pattern string) (outcomes []outcome, output string, err error) {
	// sldEnable is this SDK's word for path style.
	if err := replaceIn(dir, "test/config.js", "maxSocket: 50", "maxSocket: 50, sldEnable: true"); err != nil {
		return nil, "", err
	}
	command := []string{"mocha", "--reporter=json", "-t", "30000", "-r", "should"}
	if pattern != "" {
		command = append(command, "--grep", pattern)
	}
	for _, file := range []string{"object", "bucket", "multipart", "multiversion", "client"} {
		command = append(command, "test/node/"+file+".test.js")
	}
	cmd := exec.CommandContext(ctx, "npx", command...)
	cmd.Dir = dir
	// With an IP address the SDK would not sign URLs.
	cmd.Env = append(os.Environ(), "ALI_SDK_OSS_ID="+keyID, "ALI_SDK_OSS_SECRET="+secret, "ALI_SDK_OSS_REGION=oss-"+region,
		"ALI_SDK_STS_ID="+keyID, "ALI_SDK_STS_SECRET="+secret, "ALI_SDK_STS_ROLE=acs:ram::"+account+":role/test",
		"ALI_CLOUD_ENDPOINT=http://localhost:"+port)
	printed, _ := cmd.CombinedOutput() // it fails with a test
	output = string(printed)
	var document struct {
		Passes, Failures, Pending []struct {
			FullTitle string
			Err       struct{ Message string }
		}
	}
	if start := strings.Index(output, "{\n  \"stats\""); start >= 0 {
		if err := json.NewDecoder(strings.NewReader(output[start:])).Decode(&document); err != nil {
			return nil, output, err
		}
	}
	for _, test := range document.Passes {
		outcomes = append(outcomes, outcome{test.FullTitle, "pass", ""})
	}
	for _, test := range document.Failures {
		outcomes = append(outcomes, outcome{test.FullTitle, "fail", firstMatch(test.Err.Message, `(?s)(.*)`)})
	}
	for _, test := range document.Pending {
		outcomes = append(outcomes, outcome{test.FullTitle, "skip", ""})
	}
	return outcomes, output, ctx.Err()
}
