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

func TestOnlyTheWordsOfThePlatformsSDKPassThroughPackageLog(t *testing.T) {
	for line, want := range map[string]string{
		"2026/11/25 08:00:00 github.com/aliyun/fc-runtime-go-sdk@v0.3.1/fc/function.go:201:  r1 [ERROR] Throttled: 1 of 2\n": "2026/11/25 08:00:00  r1 [ERROR] Throttled: 1 of 2\n",
		"2026/11/25 08:00:00 /usr/local/go/src/net/http/transport.go:2312: Unsolicited response: \"canary\"\n":               "2026/11/25 08:00:00 a library reports a problem at transport.go:2312, in words that can quote a server\n",
		"2026/11/25 08:00:00 net/http/transport.go:2312: canary fc-runtime-go-sdk@ canary\n":                                 "2026/11/25 08:00:00 a library reports a problem at transport.go:2312, in words that can quote a server\n",
		"short": "short" + "a library reports a problem at ., in words that can quote a server\n",
	} {
		var b strings.Builder
		n, err := libraryLog{&b}.Write([]byte(line))
		require.NoError(t, err)
		assert.Equal(t, len(line), n)
		assert.Equal(t, want, b.String())
	}
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
	old, flags := log.Writer(), log.Flags()
	log.SetOutput(libraryLog{&printed})
	log.SetFlags(libraryLogFlags)
	defer func() { log.SetOutput(old); log.SetFlags(flags) }()
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
