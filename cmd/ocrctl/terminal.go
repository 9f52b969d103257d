package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/message"

	"golang.org/x/term"
)

// terminal is standard error: notes, a line each, and a progress bar that is drawn over and over on its last line. A note takes
// the bar's place, and the bar is drawn again below it.
type terminal struct {
	to io.Writer

	mu    sync.Mutex
	drawn bool // the last line holds a bar
}

// bar is where a progress bar is drawn.
func (c *terminal) bar() io.Writer { return barWriter{c} }

type barWriter struct{ terminal *terminal }

func (w barWriter) Write(p []byte) (int, error) {
	w.terminal.mu.Lock()
	defer w.terminal.mu.Unlock()
	w.terminal.drawn = true
	return w.terminal.to.Write(p)
}

// Write takes the bar away, if there is one, and passes p on.
func (c *terminal) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drawn { // also what the terminal itself has written there, such as ^C
		fmt.Fprintf(c.to, "\r%s\r", strings.Repeat(" ", max(columns(c.to)-1, 0)))
		c.drawn = false
	}
	return c.to.Write(p)
}

// note writes a line for people: to standard error, so that standard output stays what the command makes. Text among the
// arguments is shown in printable characters.
func (s *settings) note(format string, args ...any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			args[i] = display.Printable(arg)
		case error:
			args[i] = display.Lines(arg.Error())
		}
	}
	fmt.Fprintln(s.stderr, message.Sprintf(format, args...))
}

// whenInterrupted has a command that does not end at once at Ctrl-C say so. The function that it returns ends that, and waits for a
// text that is being written.
func (s *settings) whenInterrupted(ctx context.Context, text message.Key) (end func()) {
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		fmt.Fprintln(s.stderr, message.Text(text))
	})
	return func() {
		if !stop() {
			<-told
		}
	}
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool { return columns(w) > 0 }

// columns is the width of a terminal, 0 of anything else.
func columns(w io.Writer) int {
	switch inner := w.(type) {
	case *errWriter:
		w = inner.to
	case *terminal:
		w = inner.to
	}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}
