package management

import (
	"time"

	"fc-idcard-ocr/internal/sandbox/ossfake"
)

// holdTime is how long a reordered event waits for another one to overtake it.
const holdTime = 2 * time.Second

// Events is how the bucket's events are delivered: as they come, each twice, or each after its successor.
type Events struct {
	Duplicate bool `json:"duplicate"`
	Reorder   bool `json:"reorder"`
}

// heldEvent is an event that waits for its successor.
type heldEvent struct {
	deliver func()
	timer   *time.Timer
}

// Deliver stands between the bucket's notifications and the function; it is made for sandbox.Options.Deliver.
func (s *Server) Deliver(event ossfake.Event, invoke func(ossfake.Event)) {
	s.mu.Lock()
	copies := 1
	if s.events.Duplicate || s.chaosEvent(event.Key) {
		copies = 2
	}
	deliver := func() {
		for range copies {
			invoke(event)
		}
	}
	if !s.events.Reorder {
		s.mu.Unlock()
		deliver()
		return
	}
	if earlier := s.held; earlier != nil {
		s.held = nil
		earlier.timer.Stop()
		s.mu.Unlock()
		deliver()
		earlier.deliver()
		return
	}
	held := &heldEvent{deliver: deliver}
	held.timer = time.AfterFunc(s.config.HoldTime, func() { s.release(held) })
	s.held = held
	s.mu.Unlock()
}

// release delivers an event that was held in vain; nil is whichever is held.
func (s *Server) release(held *heldEvent) {
	s.mu.Lock()
	if held == nil {
		held = s.held
	}
	if held == nil || s.held != held {
		s.mu.Unlock()
		return // overtaken meanwhile
	}
	s.held = nil
	held.timer.Stop()
	s.mu.Unlock()
	held.deliver()
}
