//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"fc-idcard-ocr/internal/sandbox"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNobodyElseMayLookIntoTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sandbox")
	require.NoError(t, sandbox.CheckFolder(dir))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	before := syscall.Umask(0o022) // so not parallel
	defer syscall.Umask(before)
	restrictFiles()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o666))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "b"), 0o777))
	for name, mode := range map[string]os.FileMode{"a": 0o600, "b": 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm())
	}
}
