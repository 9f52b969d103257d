// Package gobuild builds the function binary, and binaries that tests need, with the Go toolchain.
package gobuild

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"fc-idcard-ocr/internal/message"
)

// Function is the import path of the function: the main package in the module's root.
const Function = "fc-idcard-ocr"

// Build builds a main package of this module, as it is deployed but for this machine. If ctx ends meanwhile, the error is the
// context's, and nothing is left behind.
func Build(ctx context.Context, importPath, target string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return message.Errorf("sandbox: building the function needs the Go toolchain: install Go (https://go.dev/dl/), or name a built function with --function")
	}
	target, err := filepath.Abs(target) // the build runs in the module's root
	if err != nil {
		return err
	}
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}")
	output, err := list.Output()
	path, dir, _ := strings.Cut(strings.TrimSpace(string(output)), " ")
	switch {
	case ctx.Err() != nil:
		return message.Errorf("sandbox: build the function: %w", ctx.Err())
	case err != nil || path != Function:
		return message.Errorf("sandbox: the function is built from its sources: run this in a checkout of %s, or name a built function with --function", Function)
	}
	// The toolchain leaves its temporary files behind when it is interrupted, so they get a folder of their own.
	temporary, err := os.MkdirTemp("", "fc-idcard-ocr-build-")
	if err != nil {
		return message.Errorf("sandbox: build the function: %w", err)
	}
	defer os.RemoveAll(temporary)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", target, importPath)
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTMPDIR="+temporary)
	// Killed, it would leave its compilers running.
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	build.WaitDelay = 5 * time.Second
	output, err = build.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return message.Errorf("sandbox: build the function: %w", ctx.Err())
	case err != nil:
		return message.Errorf("sandbox: build the function: %w\n%s", err, bytes.TrimSpace(output))
	}
	return nil
}
