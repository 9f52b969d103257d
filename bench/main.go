// Command bench measures the function and baselines: programs that do the same work with minimal or typical code. It prints
// the results and writes them, with a description of the machine, to docs/performance.md. It runs on Linux only: it reads /proc.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	out := flag.String("o", "docs/performance.md", "the `file` to write; empty prints only")
	only := flag.String("only", "", "measure the sections whose title contains this, and write no file")
	quick := flag.Bool("quick", false, "few repetitions: shows that everything runs; the figures are not reliable")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *only, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of everything.
type bench struct {
	cloud       *cloud
	dir         string // of the built programs
	repeat      func(normal int) int
	function    program // on the Go runtime, as s.yaml deploys it
	custom      program // the same on the custom runtime, as s.custom.yaml deploys it
	bareSDK     program
	handwritten program
	python      program // without a command if there is no Python
}

func run(ctx context.Context, out, only string, quick bool) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{cloud: newCloud(), dir: dir, repeat: func(normal int) int { return normal }}
	defer b.cloud.close()
	if quick {
		b.repeat = func(normal int) int { return max(1, normal/20) }
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	report := newReport(quick)
	for _, step := range []struct {
		title   string
		measure func(context.Context, *section) error
	}{
		{"Start", b.startup},
		{"One image", b.oneImage},
		{"An image as imgData", b.imageData},
		{"The signature", b.signature},
		{"Many images in one instance", b.manyImages},
		{"The command line", b.commandLine},
		{"The package", b.packageSize},
		{"Instance time and price", b.cost},
	} {
		if !strings.Contains(step.title, only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s ...\n", step.title)
		began := time.Now()
		s := report.section(step.title)
		if err := step.measure(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
		s.print(os.Stdout)
		fmt.Fprintf(os.Stderr, "took %s\n", time.Since(began).Round(time.Second))
	}
	if out == "" || only != "" {
		return nil
	}
	return os.WriteFile(out, report.markdown(), 0o644)
}

// oneProcessor is the setting of s.yaml and template.yml, whose instances have a fraction of a CPU core.
const oneProcessor = "GOMAXPROCS=1"

// build builds the programs as the function is built for its deployment.
func (b *bench) build(ctx context.Context) error {
	for _, p := range []struct {
		to      *program
		name    string
		pkg     string
		environ []string
	}{
		{&b.function, "fc-idcard-ocr", "fc-idcard-ocr", append(b.cloud.environment(), oneProcessor)},
		{&b.bareSDK, "bare runtime SDK", "fc-idcard-ocr/bench/baseline/bare", []string{oneProcessor}},
		{&b.handwritten, "handwritten", "fc-idcard-ocr/bench/baseline/handwritten", b.cloud.environment()},
	} {
		path := filepath.Join(b.dir, filepath.Base(p.pkg))
		if err := goBuild(ctx, path, p.pkg, "-s -w"); err != nil {
			return err
		}
		*p.to = program{name: p.name, command: []string{path}, env: p.environ}
	}
	b.custom = program{name: "custom runtime", command: b.function.command, env: b.cloud.environment(), custom: true}
	b.python = program{name: "typical Python function", env: append(b.cloud.environment(), "OCR_APP_CODE=sandbox-app-code")}
	if python, err := exec.LookPath("python3"); err == nil {
		b.python.command = []string{python, "bench/baseline/python/function.py"}
	}
	return nil
}

func goBuild(ctx context.Context, path, pkg, ldflags string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", path, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, output)
	}
	return nil
}

func median[T float64 | int64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
