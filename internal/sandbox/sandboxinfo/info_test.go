package sandboxinfo

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var running = Info{OSS: "http://127.0.0.1:9001", OCR: "http://localhost:9002/ocrIdCard", FC: "http://[::1]:9000", Region: "cn-hangzhou", Bucket: "cards", Function: "idcard-ocr",
	AccessKeyID: "sandbox", AccessKeySecret: "s", AppKey: "k", AppSecret: "x"}

func TestTheNoteIsFoundByFolderFileAndURL(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, running.Write(dir))
	server := httptest.NewServer(running)
	defer server.Close()
	for _, where := range []string{dir, filepath.Join(dir, FileName), server.URL, server.URL + "/"} {
		found, err := Find(where)
		require.NoError(t, err, where)
		assert.Equal(t, running, found)
	}
	require.NoError(t, Remove(dir))
	require.NoError(t, Remove(dir))
	_, err := Find(dir)
	assert.ErrorContains(t, err, "go run ./cmd/sandbox")
}

func TestANoteThatIsLeftOverIsNoRunningSandbox(t *testing.T) {
	dir := t.TempDir()
	_, ok := Running(dir)
	assert.False(t, ok, "there is no note")
	mine := running
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mine.ServeHTTP(w, r) }))
	mine.Dir, mine.Trigger = dir, server.URL
	require.NoError(t, mine.Write(dir))
	found, ok := Running(dir)
	assert.True(t, ok)
	assert.Equal(t, mine, found)
	mine.Dir = t.TempDir()
	_, ok = Running(dir)
	assert.False(t, ok, "the sandbox of another folder has its ports now")
	server.Close()
	_, ok = Running(dir)
	assert.False(t, ok, "it was killed")
}

func TestANoteThatCannotBeWrittenLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, FileName, "in the way"), 0o700))
	require.Error(t, running.Write(dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

func TestOnlyLoopbackIsASandbox(t *testing.T) {
	_, err := Find("http://example.com:9000")
	assert.ErrorContains(t, err, "expected a folder")
	away := running
	away.OSS = "https://oss-cn-hangzhou.aliyuncs.com"
	dir := t.TempDir()
	require.NoError(t, away.Write(dir))
	_, err = Find(dir)
	assert.ErrorContains(t, err, "loopback")
	require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), []byte("<html>"), 0o600))
	_, err = Find(dir)
	assert.ErrorContains(t, err, "not one of a sandbox")
	_, err = Find("http://127.0.0.1:1")
	assert.ErrorContains(t, err, "nothing answers")
}
