// Package interrupt ends a command in order at the first Ctrl-C, and at once at the second.
package interrupt

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Context returns a context that the first SIGINT or SIGTERM cancels. The signals have their default effect again before it is
// cancelled: whoever sees the end of the context may promise that a further Ctrl-C ends the process. signal.NotifyContext cancels
// first, so that a second Ctrl-C can be lost.
func Context() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		cancel()
	}()
	return ctx
}
