package fcfake

import (
	"os/exec"
	"syscall"
)

// isolate gives the process a group of its own, so that its descendants can be ended with it and a Ctrl-C on the
// terminal is left to the sandbox; and has the kernel end it if the sandbox dies without having the time.
func isolate(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
