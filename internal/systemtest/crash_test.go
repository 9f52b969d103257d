package systemtest

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the crash table into docs/guarantees.md and guarantees.zh-CN.md")

const (
	tableBegins = "<!-- crash table: go test ./internal/systemtest -run Crash -update -->\n"
	tableEnds   = "<!-- end of crash table -->"
)

// TestCrashAnywhere kills the real process (SIGKILL) before and after each outgoing request of one image and delivers the
// event again as FC would. docs/guarantees.md shows the table it prints.
func TestCrashAnywhere(t *testing.T) {
	t.Parallel()
	const call = "POST ocrIdCard"
	points := []struct {
		name, chinese, request string
		paid                   bool // the answer is not yet beside the image
	}{
		{name: "APPEND claim", chinese: "APPEND 处理标记", request: "APPEND 2026/a.jpg.ocr.claim"},
		{name: "HEAD image", chinese: "HEAD 图片", request: "HEAD 2026/a.jpg"},
		{name: "HEAD result", chinese: "HEAD 结果文档", request: "HEAD 2026/a.jpg.ocr.json"},
		{name: call, chinese: call + " ", request: call},
		{name: "HEAD image again", chinese: "再次 HEAD 图片", request: "HEAD 2026/a.jpg", paid: true},
		{name: "PUT result", chinese: "PUT 结果文档", request: "PUT 2026/a.jpg.ocr.json", paid: true},
		{name: "DELETE claim", chinese: "DELETE 处理标记", request: "DELETE 2026/a.jpg.ocr.claim"},
	}
	var mu sync.Mutex
	outcomes := map[string]string{}
	t.Run("points", func(t *testing.T) {
		for _, point := range points {
			for _, when := range []string{"before", "after"} {
				for _, policy := range []string{"retry", "park"} {
					t.Run(when+" "+point.name+" "+policy, func(t *testing.T) {
						t.Parallel()
						c := start(t, "OCR_ON_LOST_ANSWER="+policy)
						event := c.upload("a picture")
						var once sync.Once
						dead := func() { once.Do(func() { c.runtime.Kill() }) }
						if point.request == call {
							phase := map[string]gateway.Phase{"before": gateway.PhaseArrival, "after": gateway.PhaseAfterCharge}[when]
							c.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
								return gateway.Fault{Phase: phase, Effect: gateway.EffectClose, Hook: func(gateway.Call) { dead() }}
							})
						} else {
							c.setIntercept(func(request string, next http.HandlerFunc) http.HandlerFunc {
								if request != point.request || (point.paid && c.gateway.Ledger.Accepted() == 0) {
									return next
								}
								return func(w http.ResponseWriter, r *http.Request) {
									if when == "after" {
										next(discardResponse{w}, r)
									}
									dead()
									panic(http.ErrAbortHandler)
								}
							})
						}
						_, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
						require.Error(t, err, "the process is dead")
						c.setIntercept(nil)
						c.gateway.SetIntercept(nil)
						_, err = c.invoke(event, fcfake.Options{RequestID: "r1", RetryCount: 1})
						require.NoError(t, err)

						d := c.document()
						require.NotNil(t, d)
						accepted, charged := c.gateway.Ledger.Accepted(), c.gateway.Ledger.Charged()
						lost := point.request == call && when == "after" || point.paid && !(strings.HasPrefix(point.request, "PUT") && when == "after")
						switch {
						case !lost:
							assert.Equal(t, 1, accepted)
							assert.Equal(t, "recognized", string(d.Status))
						case policy == "park":
							assert.Equal(t, 1, accepted)
							assert.Equal(t, "AnswerLost", string(d.Error.Code))
						default:
							assert.Equal(t, 2, accepted)
							assert.Equal(t, "recognized", string(d.Status))
							calls := c.gateway.Ledger.Calls()
							assert.Equal(t, calls[0].Nonce, calls[1].Nonce, "the first call of the take-over has the dead one's nonce")
						}
						assert.LessOrEqual(t, charged, 1+d.OCR.PossibleExtraCharges, "no charge is hidden")
						assert.False(t, c.claimExists())
						_, err = c.invoke(event, fcfake.Options{RequestID: "later"})
						require.NoError(t, err)
						assert.Equal(t, accepted, c.gateway.Ledger.Accepted(), "settled")
						status := string(d.Status)
						if d.Error != nil {
							status += " (" + string(d.Error.Code) + ")"
						}
						mu.Lock()
						defer mu.Unlock()
						outcomes[when+" "+point.name+" "+policy] = fmt.Sprintf(" %d | %d | %s | %d |", accepted, charged, status, d.OCR.PossibleExtraCharges)
					})
				}
			}
		}
	})
	tables := map[string]*strings.Builder{"guarantees.md": {}, "guarantees.zh-CN.md": {}}
	const rule = "|---|---|---|---|---|---|---|---|---|\n"
	tables["guarantees.md"].WriteString("| killed | `retry`: calls accepted | charged | document | extra | `park`: calls accepted | charged | document | extra |\n" + rule)
	tables["guarantees.zh-CN.md"].WriteString("| 进程被杀死的时刻 | `retry`：接受的调用 | 计费 | 结果文档 | 可能的额外计费 | `park`：接受的调用 | 计费 | 结果文档 | 可能的额外计费 |\n" + rule)
	for _, point := range points {
		for _, when := range []string{"before", "after"} {
			name := when + " " + point.name
			cells := outcomes[name+" retry"] + outcomes[name+" park"]
			fmt.Fprintf(tables["guarantees.md"], "| %s |%s\n", name, cells)
			fmt.Fprintf(tables["guarantees.zh-CN.md"], "| %s%s |%s\n", point.chinese, map[string]string{"before": "之前", "after": "之后"}[when], cells)
		}
	}
	t.Log("\n" + tables["guarantees.md"].String())
	if t.Failed() {
		return
	}
	for name, table := range tables {
		path := "../../docs/" + name
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		before, rest, found := strings.Cut(string(text), tableBegins)
		old, after, ends := strings.Cut(rest, tableEnds)
		require.True(t, found && ends, "%s has no place for the crash table", name)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(before+tableBegins+"\n"+table.String()+"\n"+tableEnds+after), 0o644))
			continue
		}
		assert.Equal(t, strings.TrimSpace(old), strings.TrimSpace(table.String()), "%s differs from the result; run with -update", name)
	}
}

// discardResponse lets a request take effect without its answer being heard.
type discardResponse struct{ http.ResponseWriter }

func (discardResponse) Header() http.Header         { return http.Header{} }
func (discardResponse) WriteHeader(int)             {}
func (discardResponse) Write(b []byte) (int, error) { return len(b), nil }
