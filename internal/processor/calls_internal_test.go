package processor

import (
	"context"
	"testing"
	"time"

	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
)

func TestPauseEndsWithItsContext(t *testing.T) {
	p := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lastErr := result.Errorf(result.Throttled, true, "x")
	l := p.newCallLoop(imageInput{}, time.Now().Add(24*time.Hour), p.log)
	assert.Equal(t, lastErr, l.pause(ctx, time.Hour, nil, lastErr))
	assert.Nil(t, l.pause(t.Context(), time.Nanosecond, nil, lastErr))
}
