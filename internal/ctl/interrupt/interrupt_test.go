//go:build unix

package interrupt_test

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/interrupt"

	"github.com/stretchr/testify/require"
)

// asProcess makes the test binary a command that interrupts itself twice.
const asProcess = "INTERRUPT_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) == "" {
		os.Exit(m.Run())
	}
	ctx := interrupt.Context()
	context.AfterFunc(ctx, again) // as a command that says "Ctrl-C again ends at once"
	again()
	time.Sleep(time.Minute)
}

func again() {
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		panic(err)
	}
}

func TestASecondCtrlCAtTheEndOfTheContextIsNotLost(t *testing.T) {
	for range 10 { // functions after the end of a context run in no order
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), asProcess+"=1")
		require.Error(t, cmd.Run())
		cancel()
		require.Equal(t, syscall.SIGINT, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	}
}
