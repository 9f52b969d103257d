package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar shows how far a command is, on a terminal only.
type bar struct{ bar *progressbar.ProgressBar }

// progress starts a bar. total is what there is to do, -1 if it is not known yet.
func (s *settings) progress(what string, total int64) bar {
	if !terminal(s.stderr) {
		return bar{}
	}
	return bar{progressbar.NewOptions64(total, progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetElapsedTime(true))}
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
