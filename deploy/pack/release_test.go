package main

import (
	"archive/zip"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A release is made twice, for this platform and without bills of materials, whose tool comes from the network. The command
// makes it: the race detector would take a minute to compress what is in it.
func TestReleaseIsReproducibleAndCarriesItsLicences(t *testing.T) {
	t.Chdir("../..")
	platform := runtime.GOOS + "/" + runtime.GOARCH
	command := filepath.Join(t.TempDir(), "pack")
	built, err := exec.Command("go", "build", "-o", command, "./deploy/pack").CombinedOutput()
	require.NoError(t, err, "%s", built)
	var sums [2]string
	var dir string
	for i, locale := range []string{"C", "zh_CN.UTF-8"} {
		dir = t.TempDir()
		pack := exec.Command(command, "-release", "-sbom=false", "-platforms="+platform, dir)
		pack.Env = append(os.Environ(), "LC_ALL="+locale)
		packed, err := pack.CombinedOutput()
		require.NoError(t, err, "%s", packed)
		text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
		require.NoError(t, err)
		sums[i] = string(text)
	}
	assert.Equal(t, sums[0], sums[1], "the same input gives the same bytes, in any locale")

	tool := "ocrctl-" + strings.ReplaceAll(platform, "/", "-") + ".zip"
	var listed []string
	for line := range strings.Lines(sums[1]) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("%x", sha256.Sum256(content)), sum, name)
		listed = append(listed, name)
	}
	assert.Equal(t, []string{function, noticesFile, application, tool}, listed)

	archive, err := zip.OpenReader(filepath.Join(dir, tool))
	require.NoError(t, err)
	defer archive.Close()
	for i, name := range []string{binaryName(platform), "LICENSE", noticesFile} {
		assert.Equal(t, name, archive.File[i].Name)
	}
	var manual []string
	for _, file := range archive.File[3:] {
		manual = append(manual, file.Name)
	}
	assert.Subset(t, manual, []string{"man/ocrctl.1", "man/ocrctl-status.1", "man/ocrctl-show.1", "man/ocrctl-backfill.1"})
	assert.NotContains(t, manual, "man/ocrctl-man.1")
	printed, err := exec.Command(filepath.Join(dir, "build", strings.ReplaceAll(platform, "/", "-"), binaryName(platform)), "--version").Output()
	require.NoError(t, err)
	assert.Contains(t, string(printed), gitVersion())
	commit, date := gitCommit()
	assert.Contains(t, string(printed), commit)
	assert.Contains(t, string(printed), date)

	texts, err := os.ReadFile(filepath.Join(dir, noticesFile))
	require.NoError(t, err)
	for _, each := range []string{"Copyright 2009 The Go Authors", "regions.LICENSE", "Copyright (c) 2015 aliyun.com", "FC Runtime Go SDK based on software developed by Amazon.com",
		"github.com/spf13/cobra v"} {
		assert.Contains(t, string(texts), each)
	}
	assert.NotContains(t, string(texts), "chromedp", "only what is in the binaries")
}
