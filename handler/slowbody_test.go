package handler

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A body that never comes holds a connection until the invocation's deadline, and no longer.
func TestSenderThatStallsIsLeftAtTheDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		path, contentType string
		status            int
		told              string
	}{
		"event":          {"/invoke", "application/octet-stream", 404, `"errorType":"Timeout"`},
		"picture":        {"/recognitions", "image/jpeg", 400, "broke off"},
		"JSON":           {"/recognitions", "application/json", 400, "broke off"},
		"body unwanted":  {"/recognitions", "text/plain", 415, "Content-Type"},
		"no such path":   {"/nowhere", "image/jpeg", 404, "no such path"},
		"life of the VM": {"/initialize", "application/json", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(newFixture(t).handler().CustomRuntime())
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			const life = 300 * time.Millisecond
			started := time.Now()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000\r\nx-fc-function-deadline: %d\r\n\r\n{",
				test.path, test.contentType, started.Add(life).UnixMilli())
			require.NoError(t, conn.SetReadDeadline(started.Add(20*time.Second)))
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, test.status, response.StatusCode)
			assert.Contains(t, string(body), test.told)
			_, err = conn.Read(make([]byte, 1))
			assert.Equal(t, io.EOF, err, "a connection with half a request on it is closed")
			assert.Less(t, time.Since(started), 15*time.Second)
		})
	}
}

// The deadline is one of reading: a connection that carries invocation after invocation is not cut by an earlier one's.
func TestDeadlineOfOneInvocationIsNotTheNextOnes(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(f.handler().CustomRuntime())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for _, deadline := range []time.Time{time.Now().Add(50 * time.Millisecond), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)} {
		fmt.Fprintf(conn, "POST /invoke HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\nx-fc-function-deadline: %d\r\n\r\n", deadline.UnixMilli())
		_, err = io.WriteString(conn, `{"events":[]}`)
		require.NoError(t, err)
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		assert.Equal(t, 200, response.StatusCode)
		if until := time.Until(deadline); until < time.Second {
			time.Sleep(until) // the connection idles past the deadline
		}
	}
}

func TestSenderThatStallsAfterTheDeadlineIsLeftToo(t *testing.T) {
	server := httptest.NewServer(newFixture(t).handler().CustomRuntime())
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer server.Close()
	defer conn.Close()
	fmt.Fprintf(conn, "POST /invoke HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nx-fc-function-deadline: %d\r\n\r\n{", time.Now().Add(-time.Millisecond).UnixMilli())
	conn.SetReadDeadline(time.Now().Add(15 * time.Second))
	_, err = http.ReadResponse(bufio.NewReader(conn), nil)
	assert.NoError(t, err)
}

// slowStore does not answer as long as it stalls.
type slowStore struct {
	processor.Bucket
	stall *atomic.Bool
}

func (s slowStore) Read(ctx context.Context, key string, o bucket.ReadOptions) ([]byte, bucket.Object, error) {
	if s.stall.Load() {
		<-ctx.Done()
	}
	if ctx.Err() != nil { // as the real one does
		return nil, bucket.Object{}, fmt.Errorf("slow: %w", bucket.ErrUnavailable)
	}
	return s.Bucket.Read(ctx, key, o)
}

func TestRequestThatLastsToItsDeadlineLeavesItsConnectionSound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), f.Event())
	require.NoError(t, err)
	var stall atomic.Bool
	stall.Store(true)
	f.Options.Open = func(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) {
		return slowStore{f.Bucket, &stall}, nil
	}
	f.restart()
	server := httptest.NewServer(f.handler().CustomRuntime())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	reader := bufio.NewReader(conn)
	var got []int
	for i := range 4 {
		life := time.Minute
		if i == 0 {
			life = 1200 * time.Millisecond
		}
		fmt.Fprintf(conn, "GET /recognitions?bucket=cards&key=2026/a.jpg HTTP/1.1\r\nHost: x\r\nx-fc-function-deadline: %d\r\n\r\n", time.Now().Add(life).UnixMilli())
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		io.Copy(io.Discard, response.Body)
		got = append(got, response.StatusCode)
		stall.Store(false)
	}
	assert.Equal(t, []int{503, 200, 200, 200}, got)
}
