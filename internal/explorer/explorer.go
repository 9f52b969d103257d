// Package explorer runs the real handler against models of OSS and of the API gateway, in virtual time, under a scheduler: each
// request is a step. A schedule is the normal sequence of steps with a few deviations: another order, a lost response, a
// request that is executed late, a crash, an image that is replaced, deleted or restored, a delay. After each schedule the
// promises of docs/guarantees.md are checked.
//
// It is for tests and never part of what is deployed.
package explorer

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

// Deviation is something that does not happen by itself.
type Deviation struct {
	At string // what would have happened, such as "1.POST/1"
	Do string // what happens instead or before, such as "upload B"
}

// Schedule is a setup with deviations, in order.
type Schedule struct {
	Setup      Setup
	Deviations []Deviation
}

// String is the schedule in a form that can be pasted into the table of past schedules.
func (s Schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Schedule{%s, []Deviation{\n", s.Setup)
	for _, d := range s.Deviations {
		fmt.Fprintf(&b, "\t{%q, %q},\n", d.At, d.Do)
	}
	return b.String() + "}}"
}

// Result is what came of a schedule.
type Result struct {
	Violations []string       // of the promises
	Exempt     map[string]int // documented exceptions that were used
	Charged    int
	Told       int      // extra charges
	Document   string   // status, or code of the failure, of what is beside the image
	Unused     int      // deviations that did not fit
	Steps      []string // what happened at each point
}

func resultOf(w *world) Result {
	r := Result{Violations: w.violations, Exempt: w.exempt, Charged: len(w.gateway.charges), Told: w.told(), Document: "none"}
	if d := w.document(); d != nil {
		r.Document = string(d.Status)
		if d.Error != nil {
			r.Document = string(d.Error.Code)
		}
	}
	for _, p := range w.points {
		r.Steps = append(r.Steps, p.at+": "+p.choices[p.taken].name)
	}
	return r
}

// Replay carries one schedule out.
func Replay(t *testing.T, s Schedule) Result {
	pick := &script{deviations: s.Deviations}
	r := resultOf(run(t, s.Setup, pick))
	r.Unused = len(pick.deviations)
	return r
}

// script takes each deviation at the first point at which it fits, in order.
type script struct{ deviations []Deviation }

func (s *script) choose(p *point) int {
	if len(s.deviations) == 0 || s.deviations[0].At != p.at {
		return 0
	}
	for n, c := range p.choices {
		if c.name == s.deviations[0].Do {
			s.deviations = s.deviations[1:]
			return n
		}
	}
	return 0
}

// deviations returns what was not as it would have been by itself.
func deviations(points []point) (list []Deviation) {
	for _, p := range points {
		if p.taken != 0 {
			list = append(list, Deviation{p.at, p.choices[p.taken].name})
		}
	}
	return list
}

// Count is what an exploration found.
type Count struct {
	Schedules  int
	Exempt     map[string]int      // schedules by the exception that they used
	Violations map[string]Schedule // by kind, without what is not needed for it
}

// add counts a schedule that was run, and keeps the shortest one for each kind of violation.
func (c *Count) add(t *testing.T, setup Setup, w *world) {
	c.Schedules++
	if c.Exempt == nil {
		c.Exempt, c.Violations = map[string]int{}, map[string]Schedule{}
	}
	for reason := range w.exempt {
		c.Exempt[reason]++
	}
	if len(w.violations) == 0 {
		return
	}
	s := Schedule{setup, deviations(w.points)}
	kind := kindOf(w.violations[0])
	if old, ok := c.Violations[kind]; !ok || len(old.Deviations) > len(s.Deviations) {
		c.Violations[kind] = minimise(t, s, kind)
	}
}

// Merge adds another exploration's.
func (c *Count) Merge(other Count) {
	c.Schedules += other.Schedules
	if c.Exempt == nil {
		c.Exempt, c.Violations = map[string]int{}, map[string]Schedule{}
	}
	for reason, n := range other.Exempt {
		c.Exempt[reason] += n
	}
	maps.Copy(c.Violations, other.Violations)
}

// kindOf drops what differs between two violations of the same kind.
func kindOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '#'
		}
		return r
	}, text)
}

// minimise leaves out deviations without which the same violation comes.
func minimise(t *testing.T, s Schedule, kind string) Schedule {
	for again := true; again; {
		again = false
		for n := range s.Deviations {
			shorter := Schedule{s.Setup, append(append([]Deviation{}, s.Deviations[:n]...), s.Deviations[n+1:]...)}
			if r := Replay(t, shorter); len(r.Violations) > 0 && kindOf(r.Violations[0]) == kind && r.Unused == 0 {
				s, again = shorter, true
				break
			}
		}
	}
	return s
}

// Exhaust runs all schedules with at most depth deviations, as long as more returns true.
func (c *Count) Exhaust(t *testing.T, setup Setup, depth int, more func() bool) (complete bool) {
	var explore func(prefix []int, from, left int) bool
	explore = func(prefix []int, from, left int) bool {
		if !more() {
			return false
		}
		w := run(t, setup, &indexes{prefix})
		c.add(t, setup, w)
		taken := make([]int, len(w.points))
		for n, p := range w.points {
			taken[n] = p.taken
		}
		for n := from; n < len(w.points); n++ {
			for alternative := 1; alternative < len(w.points[n].choices); alternative++ {
				cost := 1
				if w.points[n].choices[alternative].free {
					cost = 0
				}
				if cost <= left && !explore(append(append([]int{}, taken[:n]...), alternative), n+1, left-cost) {
					return false
				}
			}
		}
		return true
	}
	return explore(nil, 0, depth)
}

// indexes takes the given choices, and then what happens by itself.
type indexes struct{ left []int }

func (s *indexes) choose(p *point) int {
	if len(s.left) == 0 {
		return 0
	}
	n := s.left[0]
	s.left = s.left[1:]
	return min(n, len(p.choices)-1)
}

// Random runs one schedule with up to depth deviations, which the seed determines.
func (c *Count) Random(t *testing.T, setup Setup, depth int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	w := run(t, setup, &dice{Rand: random, left: 1 + random.IntN(depth)})
	c.add(t, setup, w)
}

type dice struct {
	*rand.Rand
	left int
}

func (d *dice) choose(p *point) int {
	if d.left == 0 || len(p.choices) == 1 || d.IntN(4) > 0 {
		return 0
	}
	n := 1 + d.IntN(len(p.choices)-1)
	if !p.choices[n].free {
		d.left--
	}
	return n
}
