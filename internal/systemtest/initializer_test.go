package systemtest

import (
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/fcfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The hook is configured in every deployment file. A function without it would end each new instance with an error.
func TestInitializerOfBothRuntimesMakesNoRequest(t *testing.T) {
	t.Parallel()
	for _, mode := range []fcfake.Mode{fcfake.ModeGo1, fcfake.ModeCustom} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			c.mode, c.initializer = mode, 10*time.Second
			c.runtime = c.process()
			require.NoError(t, c.runtime.Warm(t.Context()), "the instance starts")
			assert.Empty(t, c.gateway.Ledger.Calls())
			assert.Empty(t, c.sent())
			_, err := c.invoke(c.upload("a picture"), fcfake.Options{})
			require.NoError(t, err)
			assert.Equal(t, 1, c.gateway.Ledger.Charged())
			assert.NotContains(t, c.logs.String(), "not warmed")
		})
	}
}

// An endpoint that cannot be reached must not keep instances from starting: their images end with documents that say so.
func TestInstanceStartsAlthoughItCannotBeWarmed(t *testing.T) {
	t.Parallel()
	c := start(t, "OCR_ENDPOINT=https://127.0.0.1:1/ocrIdCard", "OCR_MAX_ATTEMPTS=1")
	c.initializer = 10 * time.Second
	c.runtime = c.process()
	require.NoError(t, c.runtime.Warm(t.Context()))
	_, err := c.invoke(c.upload("a picture"), fcfake.Options{})
	assert.ErrorContains(t, err, "Unavailable")
	assert.Equal(t, "Unavailable", string(c.document().Error.Code))
	assert.Contains(t, c.logs.String(), "not warmed")
	for name, canary := range canaries {
		assert.NotContains(t, c.logs.String(), canary, name)
	}
}
