//go:build unix

package fcfake_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/fcfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnInstanceIsKilledAtTheDeadline(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode fcfake.Mode) {
		f := start(t, mode, func(c *fcfake.Config) { c.Timeout = 300 * time.Millisecond })
		require.NoError(t, f.Warm(t.Context()))
		pid := f.Instances()[0].PID
		result, err := f.Invoke(t.Context(), []byte(`{"do":"sleep","millis":60000}`), fcfake.Options{})
		var failure *fcfake.FunctionError
		require.ErrorAs(t, err, &failure)
		assert.Equal(t, fcfake.ErrorTimeout, failure.Type)
		assert.GreaterOrEqual(t, result.Duration, 300*time.Millisecond)
		require.NoError(t, f.Close())
		assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	})
}

func TestCloseLeavesNoProcess(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode fcfake.Mode) {
		f := start(t, mode, func(c *fcfake.Config) {
			c.Env, c.StopGrace = []string{"ON_SIGTERM=ignore"}, 100*time.Millisecond
		})
		result, err := f.Invoke(t.Context(), []byte(`{"do":"child"}`), fcfake.Options{})
		require.NoError(t, err)
		var grandchild int
		require.NoError(t, json.Unmarshal(result.Payload, &grandchild))
		pid := f.Instances()[0].PID
		require.NoError(t, f.Close())
		assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
		require.Eventually(t, func() bool { return gone(grandchild) }, 5*time.Second, time.Millisecond)
	})
}

// gone reports whether the process has ended, reaped or not.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return errors.Is(err, os.ErrNotExist) && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || strings.Contains(string(stat), ") Z ")
}
