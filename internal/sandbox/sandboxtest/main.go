// Package sandboxtest is what test packages need to run binaries in a sandbox of their own. Only tests import it.
package sandboxtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Main is the body of a TestMain whose tests run one binary: it has build make it in a folder that is removed at the end, puts
// its path into binary, runs the tests, and exits.
func Main(m *testing.M, binary *string, build func(ctx context.Context, target string) error) {
	os.Exit(run(m, binary, build))
}

// run returns the exit code: os.Exit would skip what is deferred here.
func run(m *testing.M, binary *string, build func(ctx context.Context, target string) error) int {
	dir, err := os.MkdirTemp("", "fc-idcard-ocr-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*binary = filepath.Join(dir, "function")
	if err := build(context.Background(), *binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
