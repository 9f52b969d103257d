package sandboxtest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// RunNode runs a script of internal/sandbox/testdata/clients, which uses an official client for Node.js, from a test of a package
// beside that folder. The script gets input as JSON and answers with JSON for output.
func RunNode(t *testing.T, client, script string, input, output any) {
	t.Helper()
	folder := filepath.Join("..", "testdata", "clients")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", client)); err != nil {
		require.FailNow(t, "the official client "+client+" is not installed: run `make deps`")
	}
	node, err := exec.LookPath("node")
	require.NoError(t, err, "Node.js is missing: install version 18.17 or newer, then run `make deps`")
	text, err := json.Marshal(input)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), node, "--dns-result-order=ipv4first", "--no-deprecation", script)
	cmd.Dir, cmd.Stdin = folder, bytes.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	printed, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.NoError(t, json.Unmarshal(printed, output), string(printed))
}
