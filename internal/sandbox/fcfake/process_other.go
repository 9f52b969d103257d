//go:build !unix

package fcfake

import (
	"errors"
	"os"
	"os/exec"
)

func isolate(*exec.Cmd) {}

// Without signals there is only one way to end a process.
func terminate(pid int) error { return kill(pid) }

func kill(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil // it has ended
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

func suspend(int) error { return nil }
func resume(int) error  { return nil }
