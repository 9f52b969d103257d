package processor

import (
	"log/slog"
	"sync"
)

// breakerThreshold is how many answers in a row have to be lost for the breaker to open.
const breakerThreshold = 3

// breaker keeps a process from paying a second time while the provider answers nothing: that call would be lost, too. First
// calls go on, since an image's first call is all that its document promises to pay, as do forced ones; they show when responses
// arrive again. A process that gets no such call stays as it is: the images whose calls were lost are for the next process. Its zero
// value is closed.
type breaker struct {
	mu   sync.Mutex
	lost int // answers in a row
	open bool
}

// answered records that a response arrived.
func (b *breaker) answered(log *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		log.Warn("breaker closed", "reason", "an answer came", "lostInARow", b.lost)
	}
	b.lost, b.open = 0, false
}

// lose records that a response was lost.
func (b *breaker) lose(log *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost++
	if !b.open && b.lost >= breakerThreshold {
		b.open = true
		log.Warn("breaker open", "reason", "no call is paid a second time until an answer comes", "lostInARow", b.lost)
	}
}

// allowsSecondCall reports whether a call may be paid a second time.
func (b *breaker) allowsSecondCall() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.open
}

func (b *breaker) health() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := Health{Breaker: "closed", LostInARow: b.lost}
	if b.open {
		h.Breaker = "open"
	}
	return h
}
