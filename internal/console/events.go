package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// hub sends events to the open pages.
type hub struct {
	mu    sync.Mutex
	pages map[chan message]struct{}
}

type message struct {
	event string
	data  any
}

func (h *hub) subscribe() (messages <-chan message, cancel func()) {
	channel := make(chan message, 256)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pages == nil {
		h.pages = map[chan message]struct{}{}
	}
	h.pages[channel] = struct{}{}
	return channel, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.pages, channel)
	}
}

// watched reports whether a page is open.
func (h *hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pages) > 0
}

// publish sends an event to all pages. A slow page misses some; each message but steps makes it ask for everything.
func (h *hub) publish(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for page := range h.pages {
		select {
		case page <- m:
		default:
		}
	}
}

// changed announces that the table may have changed.
func (h *hub) changed() { h.publish(message{"changed", struct{}{}}) }

// follow passes the steps of the sandbox on, and lists the images that they are about.
func (s *Server) follow(ctx context.Context) {
	if s.config.Activity == nil {
		return
	}
	steps, cancel := s.config.Activity.Subscribe()
	defer cancel()
	var mu sync.Mutex
	dirty := map[string]struct{}{}
	wake := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() { // one listing for all steps of an image that come while it is listed
		defer close(done)
		for {
			select {
			case <-wake:
			case <-ctx.Done():
				return
			}
			mu.Lock()
			keys := dirty
			dirty = map[string]struct{}{}
			mu.Unlock()
			for key := range keys {
				if err := s.index.refresh(ctx, key); err != nil && ctx.Err() == nil {
					s.config.Log.Debug("an image could not be listed", "reason", err)
				}
			}
			s.hub.changed()
		}
	}()
	defer func() { <-done }()
	for {
		select {
		case step := <-steps:
			if step.changes() {
				mu.Lock()
				dirty[step.Key] = struct{}{}
				mu.Unlock()
				select {
				case wake <- struct{}{}:
				default:
				}
			}
			step.Image = s.index.id(step.Key)
			s.hub.publish(message{"step", step})
		case <-ctx.Done():
			return
		}
	}
}

// keepAlive is the interval of comments on an idle stream, so that a browser notices a broken connection.
const keepAlive = 15 * time.Second

// getEvents streams what happens as server-sent events.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	messages, cancel := s.hub.subscribe()
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	fmt.Fprint(w, ": connected\n\n")
	for {
		if control.Flush() != nil {
			return
		}
		select {
		case m := <-messages:
			data, err := json.Marshal(m.data)
			if err != nil {
				s.config.Log.Error("an event cannot be told", "reason", err)
				return
			}
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", m.event, data)
		case <-ticker.C:
			fmt.Fprint(w, ": alive\n\n")
		case <-r.Context().Done():
			return
		}
	}
}
