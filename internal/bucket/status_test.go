package bucket_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// net/http hands the bare connection over after 101, and reading from it heeds no deadline.
func TestStatusBelow200IsNoAnswerAndIsTriedAgain(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var calls atomic.Int32
	closed := make(chan error, 8)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				r, err := http.ReadRequest(in)
				if err == nil {
					calls.Add(1)
					_, err = io.Copy(io.Discard, r.Body)
				}
				if err == nil {
					_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
				}
				if err == nil {
					_, err = in.ReadByte() // the connection stays open on this side
				}
				closed <- err
			}()
		}
	}()
	b, err := bucket.New(bucket.Config{Endpoint: "http://" + listener.Addr().String()}).Open("cards", "cn-hangzhou", credentials, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, _, err = b.Read(t.Context(), "a.jpg", bucket.ReadOptions{Limit: 100})
	assert.ErrorIs(t, err, bucket.ErrUnavailable)
	assert.EqualValues(t, 3, calls.Load())
	for range 3 {
		select {
		case err := <-closed:
			assert.Error(t, err, "the client has closed the connection")
		case <-time.After(10 * time.Second):
			t.Fatal("a connection is still open")
		}
	}
}
