package systemtest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/runtime"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOneCustomRuntimeProcessHoldsManyImages: 400 images, 50 at a time, 500 ms each at the OCR API: ideally 4 s.
func TestOneCustomRuntimeProcessHoldsManyImages(t *testing.T) {
	const images, atOnce, latency = 400, 50, 500 * time.Millisecond
	c := start(t, "LOG_LEVEL=error", "OCR_TIMEOUT=20s") // a call that seems lost on a busy machine would be paid again
	c.mode = runtime.ModeCustom
	c.runtime = c.process()
	require.NoError(t, c.runtime.Warm(t.Context()))
	events := make([][]byte, images)
	for i := range events {
		events[i] = c.uploadAs(fmt.Sprintf("bulk/%03d.jpg", i), fmt.Sprint("picture ", i))
	}
	c.gateway.SetIntercept(func(gateway.Call) gateway.Fault { return gateway.Fault{Latency: latency} })

	queue := make(chan []byte)
	var group sync.WaitGroup
	started := time.Now()
	for range atOnce {
		group.Go(func() {
			for event := range queue {
				_, err := c.runtime.Invoke(t.Context(), event, runtime.Options{})
				assert.NoError(t, err)
			}
		})
	}
	for _, event := range events {
		queue <- event
	}
	close(queue)
	group.Wait()
	took := time.Since(started)
	ideal := images / atOnce * latency
	t.Logf("%d images, %d at a time: %s, %.2f of the ideal %s", images, atOnce, took.Round(time.Millisecond), float64(took)/float64(ideal), ideal)

	assert.Equal(t, images, c.gateway.Ledger.Charged())
	for i := range events {
		_, err := c.bucket.Stat(t.Context(), fmt.Sprintf("bulk/%03d.jpg.ocr.json", i))
		require.NoError(t, err)
	}
	assert.Less(t, took, 3*ideal, "the figure to look at is the one above; this bound holds on a busy machine and with the race detector")
}
