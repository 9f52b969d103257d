// Package sandboxtest is what test packages need to run binaries in a sandbox of their own. Only tests import it.
package sandboxtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"fc-idcard-ocr/internal/sandbox/gobuild"
)

// Main is the body of a TestMain whose tests run one binary: it builds the main package of this import path, such as
// gobuild.Function, into a folder that is removed at the end, puts the binary's path into binary, runs the tests, and exits.
func Main(m *testing.M, importPath string, binary *string) {
	os.Exit(run(m, importPath, binary))
}

// run returns the exit code: os.Exit would skip what is deferred here.
func run(m *testing.M, importPath string, binary *string) int {
	dir, err := os.MkdirTemp("", "fc-idcard-ocr-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*binary = filepath.Join(dir, "function")
	if err := gobuild.Build(context.Background(), importPath, *binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
