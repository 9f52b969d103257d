// Package parallel applies a function to a stream of items in parallel and gives the results in the order of the items. It
// never holds more than a window of them and never outlives the loop over its results.
package parallel

import "iter"

// windowFactor is how many items per worker may be under way or done and not yet yielded. An item then holds up the others only
// if it takes that many times as long: some answers of OSS take fifteen times as long as most.
const windowFactor = 16

// Map applies f to the items of source, at most workers at a time, and yields the results in order. f runs on goroutines of
// its own. An error of source comes after the results of the items before it and ends the stream. When the loop over the
// results is left, Map waits for the calls of f that are under way.
func Map[A, B any](source iter.Seq2[A, error], workers int, f func(A) B) iter.Seq2[B, error] {
	type result struct {
		value B
		err   error
	}
	workers = max(workers, 1)
	return func(yield func(B, error) bool) {
		window := make(chan chan result, windowFactor*workers-1)
		busy := make(chan struct{}, workers)
		stop := make(chan struct{})
		go func() {
			defer close(window)
			for item, err := range source {
				select {
				case busy <- struct{}{}:
				case <-stop:
					return
				}
				slot := make(chan result, 1)
				select {
				case window <- slot:
				case <-stop:
					return
				}
				if err != nil {
					slot <- result{err: err}
					return
				}
				go func() {
					slot <- result{value: f(item)}
					<-busy
				}()
			}
		}()
		left := false
		for slot := range window {
			r := <-slot
			if !left && !yield(r.value, r.err) {
				left = true
				close(stop)
			}
		}
	}
}
