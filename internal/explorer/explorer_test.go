package explorer

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"fc-idcard-ocr/internal/config"
)

var (
	minutes   = flag.Float64("explore.minutes", 0, "explore for so long, instead of a small number of schedules")
	depth     = flag.Int("explore.depth", 2, "with -explore.minutes: run all schedules with so many deviations, then random ones with more")
	seed      = flag.Uint64("explore.seed", 1, "first seed of random schedules, and number of the first setup")
	deviating = flag.Int("explore.deviations", 7, "most deviations of a random schedule")
)

// setups lists those that are explored.
func setups() (list []Setup) {
	for _, source := range []config.ImageSource{config.URL, config.Data, config.Auto} {
		for _, lost := range []config.LostAnswer{config.Retry, config.Park} {
			for _, most := range []int{3, 1} {
				list = append(list, Setup{Source: source, OnLost: lost, MaxAttempts: most})
			}
		}
	}
	for _, s := range list[:len(list):len(list)] {
		if s.MaxAttempts == 1 {
			continue
		}
		variants := []func(*Setup){
			func(s *Setup) { s.Versioned = true },
			func(s *Setup) { s.Processed = true },
			func(s *Setup) { s.OneProcess = true },
			func(s *Setup) { s.Blank = true },
			func(s *Setup) { s.Slow = true },
			func(s *Setup) { s.Zombies = true },
			func(s *Setup) { s.Forced = true },
			func(s *Setup) { s.Outsiders = true },
		}
		for _, variant := range variants {
			v := s
			variant(&v)
			list = append(list, v)
		}
	}
	return list
}

// The promises hold in every schedule that is run: in small, all with one deviation and some with more.
func TestPromisesHoldInEverySchedule(t *testing.T) {
	list := setups()
	if *minutes > 0 { // another seed, other setups first
		first := int(*seed % uint64(len(list)))
		list = append(list[first:], list[:first]...)
	}
	end := time.Now().Add(time.Duration(*minutes * float64(time.Minute)))
	workers := 1
	if *minutes > 0 {
		workers = 2
	}
	counts := make([]Count, workers)
	done := t.Run("explore", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				explore(t, &counts[worker], list, worker, workers, end)
			})
		}
	})
	var all Count
	for _, c := range counts {
		all.Merge(c)
	}
	t.Logf("%d schedules", all.Schedules)
	for _, reason := range slices.Sorted(maps.Keys(all.Exempt)) {
		t.Logf("%d used the exception %q", all.Exempt[reason], reason)
	}
	for violation, s := range all.Violations {
		t.Errorf("%s\n%v", violation, s)
	}
	if !done || all.Schedules < someTimes {
		t.Error("the exploration broke off")
	}
}

// The small exploration runs all schedules with one deviation of every ninth setup, and some random ones of all.
const (
	every     = 9
	someTimes = 1500
)

func explore(t *testing.T, c *Count, list []Setup, worker, workers int, end time.Time) {
	long := *minutes > 0
	more := func() bool { return !long || time.Now().Before(end) }
	deepest := 1
	if long {
		deepest = *depth
	}
	for n, s := range list {
		if n%workers == worker && (long || n%every == 0) {
			before := c.Schedules
			complete := c.Exhaust(t, s, deepest, more)
			if n := c.Schedules - before; n > 0 {
				t.Logf("%v: %d schedules with up to %d deviations, complete: %t", s, n, deepest, complete)
			}
		}
	}
	for n := uint64(worker); long && more() || !long && n < someTimes; n += uint64(workers) {
		c.Random(t, list[(*seed+n)%uint64(len(list))], *deviating, *seed+n)
	}
}
