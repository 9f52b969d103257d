package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox/gateway"
)

func TestAFaultStrikesAtItsPhase(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault    gateway.Fault
		status   int    // 0: no answer
		message  string // X-Ca-Error-Message
		body     string // how it begins
		failure  error
		accepted bool
		charged  bool
		again    string // what the same nonce gets afterwards
	}{
		"none": {status: 200, body: `{"showapi_res_id"`, accepted: true, charged: true, again: "Nonce Used"},
		"a slow provider": {fault: gateway.Fault{Latency: time.Millisecond},
			status: 200, body: `{"showapi_res_id"`, accepted: true, charged: true, again: "Nonce Used"},
		"a connection reset on arrival leaves the nonce unused": {
			fault: gateway.Fault{Phase: gateway.PhaseArrival, Effect: gateway.EffectReset}, failure: syscall.ECONNRESET},
		"a connection closed on arrival": {
			fault: gateway.Fault{Phase: gateway.PhaseArrival, Effect: gateway.EffectClose}, failure: io.EOF},
		"an answer of something before the gateway": {
			fault:  gateway.Fault{Phase: gateway.PhaseArrival, Status: 302, Header: http.Header{"location": {"/login"}}, Body: []byte("<html>")},
			status: 302, body: "<html>"},
		"throttled": {fault: gateway.Refuse(gateway.ThrottledByGROUP),
			status: 403, message: "Throttled by GROUP Flow Control", again: "Nonce Used"},
		"dropped after the checks": {
			fault:   gateway.Fault{Phase: gateway.PhaseBeforeAccept, Effect: gateway.EffectClose},
			failure: io.EOF, again: "Nonce Used"},
		"another provider body": {fault: gateway.AnswerAs(450, `{"ret_code":"-1"}`, false),
			status: 450, body: `{"ret_code":"-1"}`, accepted: true, again: "Nonce Used"},
		"another provider body, charged": {fault: gateway.AnswerAs(200, `nonsense`, true),
			status: 200, body: `nonsense`, accepted: true, charged: true, again: "Nonce Used"},
		"reset after the charge": {fault: gateway.LoseAnswer(gateway.EffectReset),
			failure: syscall.ECONNRESET, accepted: true, charged: true, again: "Nonce Used"},
		"504 after the charge": {
			fault:  gateway.Fault{Phase: gateway.PhaseAfterCharge, Refusal: &gateway.BackendTimeout},
			status: 504, message: "Async Service", accepted: true, charged: true, again: "Nonce Used"},
		"the body cut in half": {fault: gateway.Fault{Phase: gateway.PhaseMidBody},
			status: 200, body: `{"showapi_res_id"`, failure: io.ErrUnexpectedEOF, accepted: true, charged: true, again: "Nonce Used"},
		"the body cut after three bytes": {fault: gateway.Fault{Phase: gateway.PhaseMidBody, CutAfter: 3},
			status: 200, body: `{"s`, failure: io.ErrUnexpectedEOF, accepted: true, charged: true, again: "Nonce Used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(c *gateway.Config) { c.Intercept = gateway.Script(test.fault) })
			response, body, err := f.send(t, call{nonce: "n"})
			if test.failure != nil {
				require.ErrorIs(t, err, test.failure)
			} else {
				require.NoError(t, err)
			}
			if test.status != 0 {
				assert.Equal(t, test.status, response.StatusCode)
				assert.Equal(t, test.message, response.Header.Get("X-Ca-Error-Message"))
				assert.True(t, strings.HasPrefix(body, test.body), body)
			}
			if strings.HasPrefix(name, "the body cut after") {
				assert.Len(t, body, 3)
			}
			assert.Equal(t, test.accepted, f.Ledger.Accepted() == 1)
			assert.Equal(t, test.charged, f.Ledger.Charged() == 1)
			assert.Equal(t, test.fault.String(), f.Ledger.Calls()[0].Fault)

			response, _, err = f.send(t, call{nonce: "n"})
			require.NoError(t, err)
			assert.Equal(t, test.again, response.Header.Get("X-Ca-Error-Message"))
		})
	}
}

func TestAHangingCallEndsWhenTheCallerLeavesAndIsCharged(t *testing.T) {
	t.Parallel()
	ended := make(chan gateway.Call, 1)
	ctx, leave := context.WithCancel(t.Context())
	f := start(t, func(c *gateway.Config) {
		c.OnCall = func(call gateway.Call) { ended <- call }
		c.Intercept = func(gateway.Call) gateway.Fault {
			fault := gateway.LoseAnswer(gateway.EffectHang)
			fault.Hook = func(call gateway.Call) {
				assert.True(t, call.Charged, "the charge is on record before the fault shows")
				leave()
			}
			return fault
		}
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+gateway.Path, strings.NewReader(picture("a card").Encode()))
	require.NoError(t, err)
	request.Header.Set("Authorization", "APPCODE "+appCode)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = client.Do(request)
	require.ErrorIs(t, err, context.Canceled)
	call := <-ended
	assert.True(t, call.Done)
	assert.Equal(t, gateway.OutcomeRecognized, call.Outcome)
	assert.Equal(t, 1, f.Ledger.Charged())
}

func TestScriptGivesTheNthCallTheNthFault(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *gateway.Config) {
		c.Intercept = gateway.Script(gateway.Refuse(gateway.ServiceUnavailable), gateway.Fault{}, gateway.Refuse(gateway.InternalError))
	})
	var statuses []int
	for range 4 {
		response, _, err := f.send(t, call{})
		require.NoError(t, err)
		statuses = append(statuses, response.StatusCode)
	}
	assert.Equal(t, []int{503, 200, 500, 200}, statuses)

	f.SetIntercept(gateway.Script(gateway.LoseAnswer(gateway.EffectClose)))
	_, _, err := f.send(t, call{})
	assert.True(t, errors.Is(err, io.EOF), err)
	f.SetIntercept(nil)
	f.Reset()
	assert.Empty(t, f.Ledger.Calls())
	response, _, err := f.send(t, call{})
	require.NoError(t, err)
	assert.Equal(t, 200, response.StatusCode)
	assert.Equal(t, 1, f.Ledger.Calls()[0].Seq)
}

func TestEveryRefusalHasItsStatusInItsCode(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, refusal := range gateway.Refusals() {
		assert.Regexp(t, `^[ABDIST X][2-5][0-9]{2}[A-Z0-9]{2}$`, refusal.Code, refusal.Message)
		assert.GreaterOrEqual(t, refusal.Status, 400, refusal.Message)
		assert.False(t, seen[refusal.Message+refusal.Code], refusal.Message)
		seen[refusal.Message+refusal.Code] = true
	}
}
