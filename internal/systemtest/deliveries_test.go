package systemtest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneImageIsSevenRequestsInAll(t *testing.T) {
	t.Parallel()
	for _, mode := range []fcfake.Mode{fcfake.ModeGo1, fcfake.ModeCustom} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			c.mode = mode
			c.runtime = c.process()
			answer, err := c.invoke(c.upload("a picture"), fcfake.Options{})
			require.NoError(t, err)
			assert.JSONEq(t, `{"images":[{"bucket":"cards","key":"2026/a.jpg","status":"recognized"}]}`, string(answer.Payload))
			requests := c.sent()
			require.Len(t, requests, 6)
			assert.Equal(t, "APPEND 2026/a.jpg.ocr.claim", requests[0])
			assert.ElementsMatch(t, []string{"HEAD 2026/a.jpg", "HEAD 2026/a.jpg.ocr.json"}, requests[1:3])
			assert.Equal(t, []string{"HEAD 2026/a.jpg", "PUT 2026/a.jpg.ocr.json", "DELETE 2026/a.jpg.ocr.claim"}, requests[3:])
			calls := c.gateway.Ledger.Calls()
			require.Len(t, calls, 1)
			assert.Equal(t, gateway.AuthSignature, calls[0].Auth)
			assert.Equal(t, "url", calls[0].Source)
			assert.True(t, calls[0].Details)
			d := c.document()
			assert.Equal(t, result.Recognized, d.Status)
			assert.Equal(t, card.IDNumber, d.Card.IDNumber)
			assert.True(t, d.Validation.Valid)
			assert.False(t, c.claimExists())
		})
	}
}

func TestADocumentGoesWithItsImageUnderTheRightsOfTheTemplate(t *testing.T) {
	c := start(t, "REMOVE_WITH_IMAGE=true")
	_, err := c.invoke(c.upload("a picture"), fcfake.Options{})
	require.NoError(t, err)
	removal := []byte(`{"events":[{"eventName":"ObjectRemoved:DeleteObject","region":"cn-hangzhou","oss":{"bucket":{"name":"cards"},"object":{"key":"2026/a.jpg"}}}]}`)
	answer, err := c.invoke(removal, fcfake.Options{})
	require.NoError(t, err)
	assert.Contains(t, string(answer.Payload), `"status":"unchanged"`, "the image is still there")
	assert.Equal(t, result.Recognized, c.document().Status)
	require.NoError(t, c.bucket.Delete(t.Context(), key))
	answer, err = c.invoke(removal, fcfake.Options{})
	require.NoError(t, err)
	assert.Contains(t, string(answer.Payload), `"status":"removed"`)
	_, err = c.bucket.Head(t.Context(), key+".ocr.json")
	assert.ErrorIs(t, err, bucket.ErrNotFound)
	assert.False(t, c.claimExists())
	assert.Equal(t, 1, c.gateway.Ledger.Charged())
}

func TestAwkwardKeysAndCredentialsVerify(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"OCR_IMAGE_SOURCE=url", "OCR_IMAGE_SOURCE=data", "OCR_APP_CODE=" + canaries["AppCode"]} {
		c := start(t, setting)
		for i, name := range []string{"身份证 a+b%.jpg", "a//b.jpg", "../x.jpg", "a#b&c=d;e?f.JPG", "100%25.jpg", "a%2Fb.jpg", "😀 '()!~*.jpg"} {
			_, err := c.invoke(c.uploadAs(name, fmt.Sprint("picture ", i)), fcfake.Options{})
			require.NoError(t, err, name)
			_, err = c.bucket.Head(t.Context(), name+".ocr.json")
			require.NoError(t, err, name)
		}
		assert.Equal(t, 7, c.gateway.Ledger.Charged(), setting)
	}
}

// processes delivers one event n times at once over 8 processes of the function.
func (c *cloud) flood(event []byte, n int) (inProgress int) {
	all := []*fcfake.Runtime{c.runtime}
	for len(all) < 8 {
		all = append(all, c.process())
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			_, err := all[i%8].Invoke(c.t.Context(), event, fcfake.Options{RequestID: fmt.Sprintf("flood-%d", i)})
			if err != nil {
				var failed *fcfake.FunctionError
				if assert.ErrorAs(c.t, err, &failed) {
					assert.Equal(c.t, "InProgress", failed.ErrorType)
				}
				mu.Lock()
				inProgress++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return inProgress
}

func TestSixtyFourDeliveriesAtOncePayOnce(t *testing.T) {
	c := start(t)
	c.mode = fcfake.ModeCustom // 8 invocations at a time in each process
	c.runtime = c.process()
	c.gateway.SetIntercept(func(gateway.Call) gateway.Fault { return gateway.Fault{Latency: 200 * time.Millisecond} })
	event := c.upload("version 1")
	t.Log("told InProgress:", c.flood(event, 64))
	assert.Equal(t, 1, c.gateway.Ledger.Accepted())
	assert.Equal(t, result.Recognized, c.document().Status)

	replaced := c.upload("version 2")
	c.flood(replaced, 64)
	assert.Equal(t, 2, c.gateway.Ledger.Accepted(), "one more for the new version")

	for _, event := range [][]byte{event, replaced} {
		answer, err := c.invoke(event, fcfake.Options{})
		require.NoError(t, err)
		assert.Contains(t, string(answer.Payload), "unchanged")
	}
	assert.Equal(t, 2, c.gateway.Ledger.Accepted(), "a redelivery later pays nothing")
	assert.False(t, c.claimExists())
}

func TestThirtyTwoTakersOfAnExpiredClaimPayOnce(t *testing.T) {
	t.Parallel()
	c := start(t)
	event := c.upload("a picture")
	killed := make(chan struct{})
	c.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
		return gateway.Fault{Phase: gateway.PhaseArrival, Effect: gateway.EffectClose, Hook: func(gateway.Call) { c.runtime.Kill(); close(killed) }}
	})
	deadline := time.Now().Add(4 * time.Second)
	_, err := c.invoke(event, fcfake.Options{Deadline: deadline})
	require.Error(t, err)
	select {
	case <-killed:
	case <-time.After(10 * time.Second):
		t.Fatalf("the call never came: %v", err)
	}
	require.True(t, c.claimExists())
	c.gateway.SetIntercept(nil)
	_, err = c.invoke(event, fcfake.Options{RequestID: "too-early"})
	var failed *fcfake.FunctionError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "InProgress", failed.ErrorType, "the lease of the killed holder still runs")

	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	<-timer.C // the lease is the invocation's deadline, on the real clock of real processes
	c.mode = fcfake.ModeCustom
	c.runtime = c.process()
	c.flood(event, 32)
	assert.Equal(t, 1, c.gateway.Ledger.Accepted())
	assert.Equal(t, result.Recognized, c.document().Status)
	assert.Zero(t, c.document().OCR.PossibleExtraCharges)
	assert.False(t, c.claimExists())
}
