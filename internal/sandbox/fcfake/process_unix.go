//go:build unix

package fcfake

import (
	"errors"
	"syscall"
)

// The signals go to the whole process group.
func terminate(pid int) error { return signalGroup(pid, syscall.SIGTERM) }
func kill(pid int) error      { return signalGroup(pid, syscall.SIGKILL) }
func suspend(pid int) error   { return signalGroup(pid, syscall.SIGSTOP) }
func resume(pid int) error    { return signalGroup(pid, syscall.SIGCONT) }

func signalGroup(pid int, signal syscall.Signal) error {
	err := syscall.Kill(-pid, signal)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
