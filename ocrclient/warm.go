package ocrclient

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Warm does in advance what the first call of a process would do before it is sent: it resolves the name of the endpoint,
// loads the root certificates and makes a TLS session, which later connections resume. It sends no request, so there is
// nothing to pay, and keeps no connection. A failure says nothing about later calls.
//
// There is nothing to warm, and no error, if HTTP has a transport that is no *http.Transport, or uses a proxy.
func (c *Client) Warm(ctx context.Context) error {
	if ctx.Err() != nil {
		return notSent(ctx)
	}
	endpoint, err := c.endpoint()
	if err != nil {
		return err
	}
	transport, ok := c.httpClient().Transport.(*http.Transport)
	if !ok || transport.DialContext == nil || usesProxy(transport, endpoint) {
		return nil
	}
	port := endpoint.Port()
	if port == "" {
		port = endpoint.Scheme // net knows both names
	}
	connection, err := transport.DialContext(ctx, "tcp", net.JoinHostPort(endpoint.Hostname(), port))
	if err != nil {
		return transportError(ctx, err, false)
	}
	defer connection.Close()
	if endpoint.Scheme != "https" {
		return nil
	}
	if err := primeTLSSession(ctx, connection, transport.TLSClientConfig, endpoint.Hostname()); err != nil {
		return transportError(ctx, err, false)
	}
	return nil
}

// primeTLSSession shakes hands and reads until the server has closed: in TLS 1.3 the session's ticket comes after the handshake.
func primeTLSSession(ctx context.Context, connection net.Conn, config *tls.Config, host string) error {
	stop := context.AfterFunc(ctx, func() { connection.Close() })
	defer stop()
	config = config.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	config.ServerName = host
	secure := tls.Client(connection, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	if err := secure.CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, secure)
	return err
}

func usesProxy(t *http.Transport, endpoint *url.URL) bool {
	if t.Proxy == nil {
		return false
	}
	proxy, err := t.Proxy(&http.Request{URL: endpoint})
	return err != nil || proxy != nil
}
