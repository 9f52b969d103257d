package ocrclient_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func zipped(t *testing.T, text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// Nobody asks for gzip, but an answer that comes so is paid for: class 0 is a card.
func TestAnswersInGzipAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		encoding string
		body     []byte
		unsized  bool // delimited by the end of the connection
		class    ocrclient.Outcome
	}{
		"gzip":                           {"gzip", zipped(t, recognised), false, 0},
		"in capitals":                    {" GZIP ", zipped(t, recognised), false, 0},
		"plain, though it says gzip":     {"gzip", []byte(recognised), false, 0},
		"gzip, though it does not say":   {"", zipped(t, recognised), false, ocrclient.Malformed},
		"cut, complete by its length":    {"gzip", zipped(t, recognised)[:90], false, ocrclient.Malformed},
		"cut by the connection's end":    {"gzip", zipped(t, recognised)[:90], true, ocrclient.Indeterminate},
		"empty":                          {"gzip", nil, false, ocrclient.Malformed},
		"a bomb":                         {"gzip", zipped(t, strings.Repeat(" ", 8<<20)+recognised), false, ocrclient.Malformed},
		"an encoding that nobody speaks": {"br", []byte("\x0b\x02\x80canary"), false, ocrclient.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Empty(t, r.Header.Get("Accept-Encoding"))
				if test.unsized {
					conn, _, err := http.NewResponseController(w).Hijack()
					require.NoError(t, err)
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: %s\r\n\r\n%s", test.encoding, test.body)
					conn.Close()
					return
				}
				w.Header().Set("Content-Encoding", test.encoding)
				w.Write(test.body)
			})
			answer, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://b.example/a.jpg"})
			assert.Equal(t, test.class.String(), ocrclient.OutcomeOf(err).String(), "%v", err)
			if test.class == 0 {
				require.NoError(t, err)
				assert.True(t, answer.Recognized)
				assert.JSONEq(t, recognised[strings.Index(recognised, `{"msg"`):len(recognised)-1], string(answer.Raw))
			}
		})
	}
}

// An answer without end is left after a mebibyte: the call must not wait for the time-out, nor fill the memory.
func TestAnswersWithoutEndAreLeft(t *testing.T) {
	for name, test := range map[string]struct {
		begin string
		class ocrclient.Outcome
	}{
		"a card and blanks": {recognised, 0},
		"noise":             {"x", ocrclient.Malformed}, // complete as far as anybody can wait: never called again
		"open text":         {`{"ret_code":0,"msg":"`, ocrclient.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			left := make(chan struct{})
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				io.WriteString(w, test.begin)
				for chunk := strings.Repeat(" ", 1<<16); r.Context().Err() == nil; {
					n, err := io.WriteString(w, chunk)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			})
			_, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://b.example/a.jpg"})
			assert.Equal(t, test.class.String(), ocrclient.OutcomeOf(err).String())
			<-left
			assert.Less(t, sent.Load(), int64(64<<20), "what is in the sockets' buffers is not read")
		})
	}
}

// A length that is longer than the body is a cut; one that is shorter hides the end.
func TestLengthThatLies(t *testing.T) {
	for name, test := range map[string]struct {
		length int
		class  ocrclient.Outcome
	}{"right": {len(recognised), 0}, "too long": {len(recognised) + 1, ocrclient.Indeterminate}, "too short": {len(recognised) - 1, ocrclient.Malformed}, "nothing": {0, ocrclient.Malformed}} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				require.NoError(t, err)
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", test.length, recognised)
				conn.Close()
			})
			_, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://b.example/a.jpg"})
			assert.Equal(t, test.class.String(), ocrclient.OutcomeOf(err).String(), "%v", err)
		})
	}
}

// A proxy that does not work is a call that was never sent, and neither its password nor its words are told.
func TestProxyThatDoesNotWorkIsNotTold(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodConnect, r.Method)
		conn, _, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		io.WriteString(conn, "HTTP/1.1 407 canary words\r\n\r\n")
		conn.Close()
	}))
	defer proxy.Close()
	listening, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	listening.User = url.UserPassword("user", "canary-password")
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	for name, find := range map[string]func(*http.Request) (*url.URL, error){
		"refuses": func(*http.Request) (*url.URL, error) { return listening, nil },
		"does not run": func(*http.Request) (*url.URL, error) {
			return &url.URL{Scheme: "http", Host: nobody.Addr().String(), User: listening.User}, nil
		},
		"is no address": func(*http.Request) (*url.URL, error) {
			return nil, fmt.Errorf("invalid proxy address %q", "http://user:canary-password@x y")
		},
		"unknown scheme": func(*http.Request) (*url.URL, error) { return url.Parse("gopher://user:canary-password@127.0.0.1:1") },
	} {
		t.Run(name, func(t *testing.T) {
			base := ocrclient.NewHTTPClient()
			base.Transport.(*http.Transport).Proxy = find
			client := &ocrclient.Client{Auth: key, HTTP: base}
			started := time.Now()
			_, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://b.example/a.jpg?x-oss-signature=canary"})
			assert.Equal(t, ocrclient.NotSent, ocrclient.OutcomeOf(err))
			assert.NotContains(t, err.Error(), "canary")
			assert.NotContains(t, err.Error(), "user")
			assert.Less(t, time.Since(started), 10*time.Second)
		})
	}
}
