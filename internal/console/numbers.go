package console

import (
	"math"
	"net/http"
	"slices"
	"time"

	"fc-idcard-ocr/internal/result"
)

// Numbers sums the bucket up.
type Numbers struct {
	Images   int                 `json:"images"`
	Bytes    int64               `json:"bytes"`
	States   map[State]int       `json:"states"`
	Codes    map[result.Code]int `json:"codes"` // of images that need somebody
	Reviewed int                 `json:"reviewed"`
	Charged  int                 `json:"charged"` // documents whose answer was charged
	Extra    int                 `json:"extra"`   // calls that were perhaps charged without an answer
	Yuan     float64             `json:"yuan,omitempty"`
	// Calls are the durations of OCR calls, which only a sandbox knows; Delays are from upload to document.
	Calls  Quantiles `json:"calls"`
	Delays Quantiles `json:"delays"`
	// Hours are the last 24, Days the last 30, by when the document was completed.
	Hours    []Bar    `json:"hours"`
	Days     []Bar    `json:"days"`
	Progress Progress `json:"progress"`
}

// Quantiles are of durations, in milliseconds.
type Quantiles struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Bar is how many documents were completed in a time.
type Bar struct {
	Start time.Time     `json:"start"`
	N     map[State]int `json:"n"`
}

func quantiles(of []time.Duration) Quantiles {
	if len(of) == 0 {
		return Quantiles{}
	}
	slices.Sort(of)
	at := func(share float64) float64 { // the nearest rank
		return float64(of[max(0, int(math.Ceil(share*float64(len(of))))-1)].Microseconds()) / 1000
	}
	return Quantiles{N: len(of), P50: at(.50), P99: at(.99)}
}

func (s *Server) getNumbers(w http.ResponseWriter, _ *http.Request) {
	numbers := s.index.numbers()
	if s.config.Activity != nil {
		numbers.Calls = quantiles(s.config.Activity.CallTimes())
	}
	respond(w, http.StatusOK, numbers)
}

func (x *index) numbers() Numbers {
	n := Numbers{States: map[State]int{}, Codes: map[result.Code]int{}}
	now := x.config.Now().Local()
	hour := now.Truncate(time.Hour)
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	for back := 23; back >= 0; back-- {
		n.Hours = append(n.Hours, Bar{hour.Add(-time.Duration(back) * time.Hour), map[State]int{}})
	}
	for back := 29; back >= 0; back-- {
		n.Days = append(n.Days, Bar{day.AddDate(0, 0, -back), map[State]int{}})
	}
	var delays []time.Duration
	x.mu.RLock()
	defer x.mu.RUnlock()
	n.Progress = x.progress
	for _, r := range x.rows {
		n.Images++
		n.Bytes += r.entry.Image.Size
		state := r.state(x.config)
		n.States[state]++
		if r.unread() {
			n.Progress.Unread++
		}
		if r.reviewed() {
			n.Reviewed++
		}
		if r.entry.Document == nil || !r.facts.read || r.facts.foreign {
			continue
		}
		if r.facts.code != "" {
			n.Codes[r.facts.code]++
		}
		if r.facts.charged {
			n.Charged++
		}
		n.Extra += r.facts.extra
		if delay := r.facts.completed.Sub(r.entry.Image.LastModified); delay >= 0 && r.entry.UpToDate() {
			delays = append(delays, delay)
		}
		for _, bars := range [][]Bar{n.Hours, n.Days} {
			at, exact := slices.BinarySearchFunc(bars, r.facts.completed, func(b Bar, t time.Time) int { return b.Start.Compare(t) })
			if !exact {
				at--
			}
			if at >= 0 {
				bars[at].N[state]++
			}
		}
	}
	n.Progress.Listed = n.Images
	n.Yuan = float64(n.Charged) * x.config.Price
	n.Delays = quantiles(delays)
	return n
}
