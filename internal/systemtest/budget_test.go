package systemtest

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"fc-idcard-ocr/internal/budget"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"

	"github.com/stretchr/testify/assert"
)

// uploadAll stores n images and returns their events.
func (c *cloud) uploadAll(n int) (events [][]byte) {
	for i := range n {
		events = append(events, c.uploadAs(bulkKey(i), fmt.Sprint("a picture ", i)))
	}
	return events
}

// spread delivers the events at once over the processes.
func (c *cloud) spread(processes []*fcfake.Runtime, events [][]byte, round int) {
	var group sync.WaitGroup
	for i, event := range events {
		group.Go(func() {
			processes[i%len(processes)].Invoke(c.t.Context(), event, fcfake.Options{RequestID: fmt.Sprintf("%d-%d", round, i)}) //nolint:errcheck // the gateway's ledger and the documents tell
		})
	}
	group.Wait()
}

func TestDailyLimitHoldsOverEightProcesses(t *testing.T) {
	c := start(t, "OCR_DAILY_LIMIT=10")
	c.mode = fcfake.ModeCustom
	processes := []*fcfake.Runtime{c.process(), c.process(), c.process(), c.process(), c.process(), c.process(), c.process(), c.process()}
	events := c.uploadAll(64)
	for round := range 2 {
		c.spread(processes, events, round)
		assert.Equal(t, 10, c.gateway.Ledger.Accepted())
	}
	recognized := 0
	for i := range events {
		if d := c.documentOf(bulkKey(i)); assert.NotNil(t, d) && d.Error == nil {
			recognized++
		} else if d != nil {
			assert.Equal(t, "BudgetExhausted", string(d.Error.Code))
			assert.True(t, d.Error.Retryable)
		}
	}
	assert.Equal(t, 10, recognized)
}

// TestDailyLimitHoldsWhenProcessesDie kills a process (SIGKILL) before and after each request that a call and its reservation
// consist of. What a dead process reserved may be lost, and is never spent twice.
func TestDailyLimitHoldsWhenProcessesDie(t *testing.T) {
	const limit = 10
	for _, point := range []string{"APPEND " + budget.Prefix, "APPEND bulk/", "POST ocrIdCard", "PUT bulk/", "DELETE bulk/"} {
		for _, when := range []string{"before", "after"} {
			t.Run(when+" "+point, func(t *testing.T) {
				c := start(t, fmt.Sprint("OCR_DAILY_LIMIT=", limit))
				events := c.uploadAll(2 * limit)
				kills := 0
				// Of every third such request the process dies; the dead one's reservation is gone.
				dies := func(n *int) bool { *n++; return *n%3 == 0 }
				var mu sync.Mutex
				n := 0
				if strings.HasPrefix(point, "POST") {
					phase := map[string]gateway.Phase{"before": gateway.PhaseArrival, "after": gateway.PhaseAfterCharge}[when]
					c.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
						mu.Lock()
						defer mu.Unlock()
						if !dies(&n) {
							return gateway.Fault{}
						}
						kills++
						return gateway.Fault{Phase: phase, Effect: gateway.EffectClose, Hook: func(gateway.Call) { c.runtime.Kill() }}
					})
				} else {
					c.setIntercept(func(request string, next http.HandlerFunc) http.HandlerFunc {
						mu.Lock()
						defer mu.Unlock()
						if !strings.HasPrefix(request, point) || !dies(&n) {
							return next
						}
						kills++
						return func(w http.ResponseWriter, r *http.Request) {
							if when == "after" {
								next(discardResponse{w}, r)
							}
							c.runtime.Kill()
							panic(http.ErrAbortHandler)
						}
					})
				}
				for round := range 2 {
					for i, event := range events {
						for try := range 3 {
							_, err := c.invoke(event, fcfake.Options{RequestID: fmt.Sprintf("%d-%d", round, i), RetryCount: try})
							if err == nil {
								break
							}
						}
					}
				}
				assert.LessOrEqual(t, c.gateway.Ledger.Accepted(), limit)
				assert.Positive(t, c.gateway.Ledger.Accepted())
				assert.Positive(t, kills, "%s happens", point)
				t.Logf("accepted %d of %d with %d kills", c.gateway.Ledger.Accepted(), limit, kills)
			})
		}
	}
}
