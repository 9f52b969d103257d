package console

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"fc-idcard-ocr/internal/result"
)

// The remedies that the console can carry out.
const (
	ActionNone   = ""
	ActionReview = "review" // look at the picture
	ActionRetry  = "retry"  // hand the image to the function; nothing final is there yet
	ActionForce  = "force"  // have it recognised again although its document is final, and pay again
)

// waitingAge is how long an image may wait for its event before it is listed as work.
const waitingAge = 15 * time.Minute

// cause says why the image needs somebody, by an error code or a state, and what can be done; empty if it does not.
func (r *row) cause(c *Config) (cause, action string) {
	if r.reviewed() {
		return "", ActionNone
	}
	switch state := r.state(c); state {
	case StateContradictory, StateDoubtful:
		return string(state), ActionReview
	case StateUnrecognized:
		return string(cmp.Or(r.facts.code, result.NotRecognized)), ActionReview
	case StateFailed:
		if r.entry.UpToDate() && !r.facts.retryable {
			return string(r.facts.code), ActionForce
		}
		return string(cmp.Or(r.facts.code, result.Internal)), ActionRetry
	case StateStale:
		return string(state), ActionRetry
	case StateWaiting:
		if c.Now().Sub(r.entry.Image.LastModified) > waitingAge {
			return string(state), ActionRetry
		}
	case StateForeign:
		return string(state), ActionNone
	}
	return "", ActionNone
}

// Work is a cause for which images need somebody.
type Work struct {
	Cause  string `json:"cause"`
	State  State  `json:"state"`  // the filter that shows the images, with
	Code   string `json:"code"`   // this code, if there is one
	Action string `json:"action"` // what can be done
	Images int    `json:"images"`
}

// getWork lists the causes, the most frequent first.
func (s *Server) getWork(w http.ResponseWriter, _ *http.Request) {
	s.index.mu.RLock()
	groups := map[Work]int{}
	for _, r := range s.index.rows {
		if cause, action := r.cause(&s.config); cause != "" {
			groups[Work{Cause: cause, State: r.state(&s.config), Code: string(r.facts.code), Action: action}]++
		}
	}
	progress := s.index.progress
	s.index.mu.RUnlock()
	list := make([]Work, 0, len(groups))
	for group, images := range groups {
		group.Images = images
		list = append(list, group)
	}
	slices.SortFunc(list, func(a, b Work) int {
		return cmp.Or(cmp.Compare(b.Images, a.Images), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.State, b.State))
	})
	respond(w, http.StatusOK, map[string]any{"work": list, "progress": progress})
}
