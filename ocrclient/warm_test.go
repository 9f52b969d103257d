package ocrclient_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The server counts requests, and connections whose TLS session is resumed.
func secureServer(t *testing.T) (client *ocrclient.Client, requests, resumed *atomic.Int32) {
	requests, resumed = new(atomic.Int32), new(atomic.Int32)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.TLS.DidResume {
			resumed.Add(1)
		}
		w.Write([]byte(recognised))
	}))
	t.Cleanup(server.Close)
	api := ocrclient.NewHTTPClient()
	api.Transport.(*http.Transport).TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &ocrclient.Client{Endpoint: server.URL + "/ocrIdCard", Auth: key, HTTP: api}, requests, resumed
}

func TestWarmClientSendsNothingAndItsFirstCallResumesTheSession(t *testing.T) {
	client, requests, resumed := secureServer(t)
	require.NoError(t, client.Warm(t.Context()))
	assert.Zero(t, requests.Load(), "nothing may be sent that could be charged")
	_, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://example.com/a.jpg"})
	require.NoError(t, err)
	assert.EqualValues(t, 1, requests.Load())
	assert.EqualValues(t, 1, resumed.Load(), "the call made a TLS session of its own")
}

func TestColdClientMakesItsOwnSession(t *testing.T) {
	client, _, resumed := secureServer(t)
	_, err := client.Recognize(t.Context(), ocrclient.Request{ImageURL: "https://example.com/a.jpg"})
	require.NoError(t, err)
	assert.Zero(t, resumed.Load())
}

func TestWarmingTellsWhatIsWrongAndHidesTheRest(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := listener.Addr().String()
	listener.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	for name, test := range map[string]struct {
		endpoint string
		class    ocrclient.Outcome
	}{
		"nobody listens":          {"https://" + closed + "/ocrIdCard", ocrclient.NotSent},
		"nobody listens, no TLS":  {"http://" + closed + "/ocrIdCard", ocrclient.NotSent},
		"unknown certificate":     {untrusted.URL, ocrclient.NotSent},
		"the endpoint is no URL":  {"ocrIdCard", 0},
		"TLS with a plain server": {"https://" + plainServer(t), ocrclient.NotSent},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&ocrclient.Client{Endpoint: test.endpoint, Auth: key}).Warm(t.Context())
			require.Error(t, err)
			assert.Equal(t, test.class, ocrclient.OutcomeOf(err), "%v", err)
			assert.NotContains(t, err.Error(), "canary")
		})
	}
}

func plainServer(t *testing.T) (address string) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestWarmingEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel and never answers
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = (&ocrclient.Client{Endpoint: "https://" + listener.Addr().String(), Auth: key}).Warm(ctx)
	assert.Equal(t, ocrclient.NotSent, ocrclient.OutcomeOf(err), "%v", err)
}

type recorder struct{}

func (recorder) RoundTrip(*http.Request) (*http.Response, error) { panic("warming makes no request") }

func TestOtherTransportsAndProxiesAreLeftCold(t *testing.T) {
	other := &ocrclient.Client{Auth: key, HTTP: &http.Client{Transport: recorder{}}}
	assert.NoError(t, other.Warm(t.Context()))
	proxy := http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example:3128"})
	proxied := &ocrclient.Client{Auth: key, HTTP: &http.Client{Transport: &http.Transport{Proxy: proxy, DialContext: refuseToDial}}}
	assert.NoError(t, proxied.Warm(t.Context()))
}

func refuseToDial(context.Context, string, string) (net.Conn, error) {
	panic("a client with a proxy does not dial the endpoint")
}

// A server may keep its side of the connection open after the client has closed its own.
func TestWarmingEndsWhenItsContextIsCancelled(t *testing.T) {
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certified.Close)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certified.TLS.Certificates})
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	closedByClient := make(chan struct{})
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		io.Copy(io.Discard, connection) // ends with the client's word that it has closed
		close(closedByClient)
		t.Cleanup(func() { connection.Close() })
	}()
	api := ocrclient.NewHTTPClient()
	api.Transport.(*http.Transport).TLSClientConfig.RootCAs = certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- (&ocrclient.Client{Endpoint: "https://" + listener.Addr().String(), Auth: key, HTTP: api}).Warm(ctx)
	}()
	<-closedByClient
	cancel()
	select {
	case err := <-ended:
		assert.Error(t, err)
	case <-time.After(20 * time.Second):
		assert.Fail(t, "it does not end")
	}
}
