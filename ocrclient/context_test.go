package ocrclient_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContextThatHasEndedComesBeforeAnythingElse(t *testing.T) {
	own := errors.New("own cause")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	caused, cancelWith := context.WithCancelCause(t.Context())
	cancelWith(own)
	over, cancelOver := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelOver()
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	for name, test := range map[string]struct {
		ctx  context.Context
		want []error
		code ocrclient.Code
	}{
		"cancelled":  {cancelled, []error{context.Canceled}, ocrclient.Unavailable},
		"with cause": {caused, []error{context.Canceled, own}, ocrclient.Unavailable},
		"deadline":   {over, []error{context.DeadlineExceeded}, ocrclient.Timeout},
	} {
		for what, call := range map[string]func() error{
			"call":            func() error { _, err := client.Recognize(test.ctx, ocrclient.Request{Image: []byte{1}}); return err },
			"invalid request": func() error { _, err := client.Recognize(test.ctx, ocrclient.Request{}); return err },
			"invalid client": func() error {
				_, err := (&ocrclient.Client{Endpoint: ":"}).Recognize(test.ctx, ocrclient.Request{})
				return err
			},
			"warm": func() error { return (&ocrclient.Client{Endpoint: ":"}).Warm(test.ctx) },
		} {
			err := call()
			for _, want := range test.want {
				assert.ErrorIs(t, err, want, "%s, %s", name, what)
			}
			var e *ocrclient.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, ocrclient.NotSent, e.Outcome)
			assert.Equal(t, test.code, e.Code)
			assert.NotErrorIs(t, err, ocrclient.ErrInvalid)
		}
	}
}

func TestContextThatEndsDuringACallIsInItsError(t *testing.T) {
	own := errors.New("own cause")
	for name, test := range map[string]struct {
		cause   error
		begin   string // of the answer, sent before the context ends
		message string
	}{
		"before the answer":             {nil, "", "no answer came"},
		"before the answer, with cause": {own, "", "no answer came"},
		"within the answer":             {nil, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "broke off"},
		"within the answer, with cause": {own, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			released := make(chan struct{})
			defer close(released)
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				require.NoError(t, err)
				defer conn.Close()
				io.WriteString(conn, test.begin)
				if test.begin == "" {
					cancel(test.cause)
				}
				<-released
			})
			if test.begin != "" {
				client.HTTP = &http.Client{Transport: cancelAfterHeader{func() { cancel(test.cause) }}}
			}
			_, err := client.Recognize(ctx, ocrclient.Request{Image: []byte{1}})
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorContains(t, err, test.message)
			if test.cause != nil {
				assert.ErrorIs(t, err, own)
			}
			assert.Equal(t, ocrclient.Indeterminate, ocrclient.OutcomeOf(err))
		})
	}
}

// cancelAfterHeader ends the call's context once the header of the answer is there.
type cancelAfterHeader struct{ cancel func() }

func (c cancelAfterHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	c.cancel()
	return resp, err
}

func TestContextThatEndsBeforeTheConnectionMeansNothingWasSent(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	own := errors.New("own cause")
	client := &ocrclient.Client{Auth: key, HTTP: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel(own)
		<-ctx.Done()
		return nil, ctx.Err()
	}}}}
	_, err := client.Recognize(ctx, ocrclient.Request{Image: []byte{1}})
	assert.Equal(t, ocrclient.NotSent, ocrclient.OutcomeOf(err))
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, own)
}

// net/http hands the bare connection over after 101, and reading from it heeds no deadline.
func TestStatusBelow200EndsTheCallAtOnce(t *testing.T) {
	for name, answer := range map[string]string{
		"101":             "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"101 with a card": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 10\r\n\r\n" + recognised,
		"042":             "HTTP/1.1 042 What\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			closed := make(chan error, 1)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					closed <- err
					return
				}
				defer conn.Close()
				in := bufio.NewReader(conn)
				r, err := http.ReadRequest(in)
				if err == nil {
					_, err = io.Copy(io.Discard, r.Body)
				}
				if err == nil {
					_, err = io.WriteString(conn, answer)
				}
				if err == nil {
					_, err = in.ReadByte() // the connection stays open on this side
				}
				closed <- err
			}()
			client := &ocrclient.Client{Endpoint: "http://" + listener.Addr().String() + "/ocrIdCard", Auth: key}
			_, err = client.Recognize(t.Context(), ocrclient.Request{Image: []byte{1}})
			var e *ocrclient.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, ocrclient.Indeterminate, e.Outcome)
			assert.Equal(t, ocrclient.Unavailable, e.Code)
			assert.True(t, e.MayHaveCharged())
			assert.Less(t, e.StatusCode, 200)
			select {
			case err := <-closed:
				assert.Error(t, err, "the client has closed the connection")
			case <-time.After(10 * time.Second):
				t.Error("the connection is still open")
			}
		})
	}
}
