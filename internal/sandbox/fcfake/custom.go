package fcfake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Ports of custom runtimes are taken at random from below the ranges out of which systems give ports to outgoing
// connections and listeners on port 0 (from 32768 on Linux), so that only another sandbox could be in the way.
const (
	firstPort = 20000
	lastPort  = 32000
)

// customDriver talks to an instance that is an HTTP server.
type customDriver struct {
	instance *instance
	port     int
	base     *url.URL
	client   *http.Client
}

func newCustomDriver(i *instance) (*customDriver, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return &customDriver{
		instance: i, port: port,
		base: &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))},
		client: &http.Client{
			// FC keeps its connections to an instance; no time-out but the invocation's own.
			Transport:     &http.Transport{MaxIdleConnsPerHost: i.runtime.config.Concurrency, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// freePort returns a port on which nobody listens now, on any address: the function may listen on all of them.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		var listener net.Listener
		if listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			continue
		}
		listener.Close()
		return port, nil
	}
	return 0, fmt.Errorf("find a free port for the function: %w", err)
}

func (d *customDriver) env() []string {
	port := strconv.Itoa(d.port)
	return []string{"FC_SERVER_HOST=127.0.0.1", "FC_SERVER_PORT=" + port, "FC_CUSTOM_LISTEN_PORT=" + port}
}

func (d *customDriver) close() { d.client.CloseIdleConnections() }

// awaitReady tries to connect until the function listens, as FC does.
func (d *customDriver) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		connection, err := net.DialTimeout("tcp", d.base.Host, time.Second)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-tick.C:
		case <-d.instance.exited:
			return errors.New(d.instance.exitText)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = maxPayload

func (d *customDriver) invoke(ctx context.Context, v *invocation) ([]byte, error) {
	return d.post(ctx, v, http.MethodPost, pathInvoke)
}

func (d *customDriver) initialize(ctx context.Context, v *invocation) error {
	_, err := d.post(ctx, v, http.MethodPost, pathInitialize)
	return err
}

func (d *customDriver) preStop(ctx context.Context, v *invocation) error {
	_, err := d.post(ctx, v, http.MethodGet, pathPreStop)
	return err
}

func (d *customDriver) post(ctx context.Context, v *invocation, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, d.base.JoinPath(path).String(), bytes.NewReader(v.payload))
	if err != nil {
		return nil, err
	}
	request.GetBody = nil // an invocation is never sent twice
	for name, values := range d.instance.runtime.headers(v) {
		request.Header[name] = values
	}
	request.Header.Set("x-fc-control-path", path)
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := d.client.Do(request)
	if err != nil {
		return nil, d.transportError(ctx, err)
	}
	defer response.Body.Close()
	payload, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, d.transportError(ctx, err)
	}
	// Only this header makes a failure of an answer; without it FC takes any status for a success
	// (alibabacloud.com/help/en/functioncompute/fc/user-guide/web-functions).
	if response.Header.Get("x-fc-status") == "404" {
		return nil, reportedError(payload)
	}
	return payload, nil
}

// transportError returns the error for a broken exchange with the instance.
func (d *customDriver) transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		// Nothing was sent; the listener is gone, so the process is or will soon be.
		d.instance.runtime.retire(d.instance)
		return errNotDelivered
	}
	// A process that dies takes its connections with it; a moment decides whether it did.
	moment := time.NewTimer(200 * time.Millisecond)
	defer moment.Stop()
	select {
	case <-d.instance.exited:
		return d.instance.exitError()
	case <-moment.C:
		return platformError(ErrorUnhandled, "the function broke the connection off instead of answering")
	}
}
