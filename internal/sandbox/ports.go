package sandbox

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"fc-idcard-ocr/internal/message"
)

// ErrPortBusy is in the error of Start when another program has one of the ports.
var ErrPortBusy = message.Error("the port is in use")

// listen opens the four ports on loopback, counted from first, or free ones if it is 0.
func listen(first int) ([]net.Listener, error) {
	var listeners []net.Listener
	for n := range 4 {
		port := 0
		if first != 0 {
			port = first + n
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			if errors.Is(err, syscall.EADDRINUSE) {
				err = fmt.Errorf("%w: 127.0.0.1:%d", ErrPortBusy, port)
			}
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}
