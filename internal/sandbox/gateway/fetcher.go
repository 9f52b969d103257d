package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// fetchTimeout bounds the provider's download of a picture.
const fetchTimeout = 10 * time.Second

var (
	errTooLarge    = errors.New("the picture is too large")
	errNotLoopback = errors.New("the sandbox fetches pictures from loopback addresses only")
)

// fetcher downloads pictures. It connects to loopback addresses only, whatever name leads there, and follows no
// redirect.
type fetcher struct {
	client  *http.Client
	maxSize int64
}

func newFetcher(maxSize int64) *fetcher {
	dialer := &net.Dialer{Timeout: fetchTimeout, Control: loopbackOnly}
	return &fetcher{
		maxSize: maxSize,
		client: &http.Client{
			Timeout:       fetchTimeout,
			Transport:     &http.Transport{DialContext: dialer.DialContext, DisableCompression: true, IdleConnTimeout: time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// loopbackOnly looks at the address that is really dialled, after name resolution.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !target.Addr().Unmap().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

// fetch returns the picture at the address. Its errors never contain the address, which is signed.
func (f *fetcher) fetch(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("imgUrl is not a URL")
	}
	response, err := f.client.Do(request)
	if err != nil {
		var withAddress *url.Error
		if errors.As(err, &withAddress) {
			err = withAddress.Err
		}
		return nil, fmt.Errorf("imgUrl cannot be fetched: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("imgUrl answers with status %d", response.StatusCode)
	}
	picture, err := io.ReadAll(io.LimitReader(response.Body, f.maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("imgUrl breaks off: %w", err)
	}
	if int64(len(picture)) > f.maxSize {
		return nil, errTooLarge
	}
	return picture, nil
}
