package main

import (
	"time"

	"fc-idcard-ocr/internal/message"

	"github.com/schollz/progressbar/v3"
)

// The least columns of a terminal for a bar with everything, and for the bare count. What is longer than a line cannot be drawn
// over.
const (
	wideTerminal   = 80
	narrowTerminal = 30
)

// bar shows how far a command is, on a terminal only.
type bar struct{ bar *progressbar.ProgressBar }

// progress starts a bar. total is what there is to do, -1 if it is not known yet.
func (s *settings) progress(what message.Key, total int64) bar {
	width := columns(s.stderr)
	if width < narrowTerminal {
		return bar{}
	}
	options := []progressbar.Option{progressbar.OptionSetWriter(s.stderr.bar()), progressbar.OptionShowCount(), progressbar.OptionThrottle(200 * time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0)} // its own goroutine reads the bar without a lock (v3.19.1)
	if width < wideTerminal {
		options = append(options, progressbar.OptionSetWidth(5), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false))
	} else {
		options = append(options, progressbar.OptionSetDescription(message.Text(what)), progressbar.OptionSetWidth(20), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetElapsedTime(true))
	}
	return bar{progressbar.NewOptions64(total, options...)}
}

// at says how much is done.
func (b bar) at(done int64) {
	if b.bar != nil {
		b.bar.Set64(done) //nolint:errcheck // a bar that cannot be drawn stops nothing
	}
}

// total says how much there is to do.
func (b bar) total(n int64) {
	if b.bar != nil && n > 0 {
		b.bar.ChangeMax64(n)
	}
}

// end takes the bar away.
func (b bar) end() {
	if b.bar != nil {
		b.bar.Exit()  //nolint:errcheck // likewise
		b.bar.Clear() //nolint:errcheck // likewise
	}
}
