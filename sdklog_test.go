package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The SDK prints each failed invocation; whoever else prints is only named. The SDK's part is proven by the system tests.
func TestWordsOfLibrariesAreReplacedByTheirPlace(t *testing.T) {
	var b strings.Builder
	logger := log.New(sdkLogFilter{&b}, "github.com/aliyun/fc-runtime-go-sdk/ ", log.LstdFlags|log.Lmicroseconds)
	logger.Printf("canary %s", "card")
	assert.Regexp(t, `^a library reports a problem at sdklog_test\.go:\d+, in words that can quote a server\n$`, b.String())
}

// syncBuilder is written from a goroutine of net/http.
type syncBuilder struct {
	mu sync.Mutex
	strings.Builder
}

func (s *syncBuilder) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Builder.Write(b)
}

func (s *syncBuilder) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.String()
}

func TestWhatAServerSendsBeyondItsAnswerIsNotPrinted(t *testing.T) {
	var printed syncBuilder
	old := log.Writer()
	log.SetOutput(sdkLogFilter{&printed})
	defer log.SetOutput(old)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\ncanary card")
		conn.Close()
	}))
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	response.Body.Close()
	require.Eventually(t, func() bool { return printed.text() != "" }, 10*time.Second, 5*time.Millisecond)
	assert.Contains(t, printed.text(), "transport.go")
	assert.NotContains(t, printed.text(), "canary")
}
