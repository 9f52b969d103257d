package fcfake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"time"
)

// driver is one mode of talking to an instance.
type driver interface {
	// env returns the variables with the addresses for the function.
	env() []string
	// awaitReady returns when the function is ready for work.
	awaitReady(ctx context.Context) error
	// invoke has the function do an invocation. It returns a *FunctionError, errNotDelivered, or the error of ctx.
	invoke(ctx context.Context, v *invocation) ([]byte, error)
	// initialize and preStop run the hooks.
	initialize(ctx context.Context, v *invocation) error
	preStop(ctx context.Context, v *invocation) error
	close()
}

// instance is one process of the function.
type instance struct {
	id      string
	runtime *Runtime
	driver  driver
	output  *lineWriter
	pid     int // set before ready

	ready    chan struct{} // closed when startErr is decided
	startErr error
	exited   chan struct{} // closed when the process is gone
	exitText string

	// Guarded by runtime.mu.
	busy     int
	draining bool
	frozen   bool

	signals sync.Mutex // guards alive, so that no signal goes to a process that took over the number
	alive   bool
}

func newInstance(r *Runtime) *instance {
	return &instance{
		id: newInstanceID(), runtime: r, output: &lineWriter{out: r.logs},
		ready: make(chan struct{}), exited: make(chan struct{}),
	}
}

func (i *instance) isReady() bool {
	select {
	case <-i.ready:
		return i.startErr == nil
	default:
		return false
	}
}

// run is the whole life of the process.
func (i *instance) run() {
	r := i.runtime
	ended := make(chan struct{})
	command, err := i.start(ended)
	if err != nil {
		i.startErr = platformError(ErrorInitialization, err.Error())
		r.mu.Lock()
		r.forget(i)
		r.mu.Unlock()
		close(i.ready)
		close(i.exited)
		return
	}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		i.settle()
	}()

	<-ended
	i.output.Flush()
	i.exitText = "Function instance exited unexpectedly (" + command.ProcessState.String() + ")"
	r.mu.Lock()
	r.forget(i)
	r.mu.Unlock()
	close(i.exited)
	i.driver.close()
	<-settled
	r.log.Debug("instance ended", "instance", i.id, "state", command.ProcessState.String())
}

// start starts the process; ended is closed when it and its output have ended.
func (i *instance) start(ended chan<- struct{}) (*exec.Cmd, error) {
	r := i.runtime
	var err error
	if r.config.Mode == ModeGo1 {
		i.driver, err = newGo1Driver(i)
	} else {
		i.driver, err = newCustomDriver(i)
	}
	if err != nil {
		return nil, err
	}
	command := exec.Command(r.config.Command)
	command.Env = append(i.environment(), i.driver.env()...)
	command.Stdout, command.Stderr = i.output, i.output
	command.WaitDelay = 500 * time.Millisecond // for descendants that keep the output open
	isolate(command)

	started := make(chan error, 1)
	go func() {
		// The kernel sends the parent-death signal when the thread that started the process ends, so this one has to
		// live as long as the process (prctl(2), PR_SET_PDEATHSIG).
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		i.signals.Lock()
		err := command.Start()
		if err == nil {
			i.pid, i.alive = command.Process.Pid, true
		}
		i.signals.Unlock()
		started <- err
		if err != nil {
			return
		}
		command.Wait() //nolint:errcheck // how it ended is in command.ProcessState
		i.signals.Lock()
		kill(i.pid) //nolint:errcheck // descendants, of which there are usually none
		i.alive = false
		i.signals.Unlock()
		close(ended)
	}()
	if err := <-started; err != nil {
		i.driver.close()
		return nil, fmt.Errorf("start %s: %w", r.config.Command, err)
	}
	return command, nil
}

// settle waits until the function is ready, runs its Initializer, and opens the instance for work.
func (i *instance) settle() {
	r := i.runtime
	ctx, cancel := context.WithTimeout(context.Background(), r.config.StartTimeout)
	defer cancel()
	err := i.driver.awaitReady(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the function is not ready after %v", r.config.StartTimeout)
	}
	if err == nil && r.config.InitializerTimeout > 0 {
		err = i.hook(typeInitializer, r.config.InitializerTimeout, i.driver.initialize)
	}
	if err != nil {
		text := err.Error()
		if tail := i.output.Tail(); tail != "" {
			text += "; it printed: " + tail
		}
		i.startErr = platformError(ErrorInitialization, text)
		r.mu.Lock()
		r.forget(i)
		r.mu.Unlock()
	}
	close(i.ready)
	if err != nil {
		i.kill()
	}
}

// hook runs a life-cycle hook.
func (i *instance) hook(kind int, timeout time.Duration, run func(context.Context, *invocation) error) error {
	v := &invocation{
		requestID: newRequestID(), kind: kind, timeout: timeout, deadline: time.Now().Add(timeout),
		credentials: i.runtime.config.Credentials(),
	}
	ctx, cancel := context.WithDeadline(context.Background(), v.deadline)
	defer cancel()
	return run(ctx, v)
}

// inherited are the only variables that the function gets from the sandbox's own environment.
var inherited = []string{"PATH", "HOME", "TMPDIR", "TZ", "LANG", "GOCOVERDIR", "SystemRoot", "TEMP"}

// environment is the function's environment as FC sets it, without what depends on the mode.
func (i *instance) environment() []string {
	c := i.runtime.config
	var env []string
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, c.Env...)
	credentials := c.Credentials() // fixed for the life of the instance, as on FC
	return append(env,
		"FC_ACCOUNT_ID="+c.AccountID,
		"FC_FUNCTION_HANDLER="+functionHandler,
		"FC_FUNCTION_MEMORY_SIZE="+memoryMB,
		"FC_FUNCTION_NAME="+c.FunctionName,
		"FC_FUNC_CODE_PATH="+filepath.Dir(c.Command),
		"FC_INSTANCE_ID="+i.id,
		"FC_QUALIFIER="+qualifier,
		"FC_REGION="+c.Region,
		"ALIBABA_CLOUD_ACCESS_KEY_ID="+credentials.AccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET="+credentials.AccessKeySecret,
		"ALIBABA_CLOUD_SECURITY_TOKEN="+credentials.SecurityToken,
	)
}

// stop ends the process in order: PreStop hook, SIGTERM, and SIGKILL when the grace is over.
func (i *instance) stop() {
	r := i.runtime
	r.mu.Lock()
	i.thaw()
	r.mu.Unlock()
	if i.isReady() && r.config.PreStopTimeout > 0 {
		if err := i.hook(typePreStop, r.config.PreStopTimeout, i.driver.preStop); err != nil {
			r.log.Warn("the PreStop hook failed", "instance", i.id, "reason", err)
		}
	}
	i.signal(terminate)
	grace := time.NewTimer(r.config.StopGrace)
	defer grace.Stop()
	select {
	case <-i.exited:
	case <-grace.C:
		i.kill()
		<-i.exited
	}
}

func (i *instance) kill() { i.signal(kill) }

func (i *instance) signal(send func(pid int) error) {
	i.signals.Lock()
	defer i.signals.Unlock()
	if i.alive {
		if err := send(i.pid); err != nil {
			i.runtime.log.Warn("signal an instance", "instance", i.id, "reason", err)
		}
	}
}

// freeze and thaw are called with runtime.mu held.
func (i *instance) freeze() {
	if i.runtime.config.Freeze && !i.frozen && i.isReady() {
		i.frozen = true
		i.signal(suspend)
	}
}

func (i *instance) thaw() {
	if i.frozen {
		i.frozen = false
		i.signal(resume)
	}
}

// exitError is what an invocation gets whose process died.
func (i *instance) exitError() error {
	<-i.exited
	return platformError(ErrorExited, i.exitText)
}

// sharedWriter lets several instances write to one writer.
type sharedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sharedWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

const tailSize = 2 << 10

// lineWriter passes whole lines on and remembers the last of them.
type lineWriter struct {
	out io.Writer

	mu   sync.Mutex
	line []byte
	tail []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = append(w.line, p...)
	end := bytes.LastIndexByte(w.line, '\n') + 1
	if end > 0 {
		w.pass(w.line[:end])
		w.line = append(w.line[:0], w.line[end:]...)
	}
	return len(p), nil
}

// Flush passes on a last line without an end.
func (w *lineWriter) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.line) > 0 {
		w.pass(append(w.line, '\n'))
		w.line = nil
	}
}

func (w *lineWriter) pass(lines []byte) {
	w.out.Write(lines) //nolint:errcheck // a log that cannot be written must not stop the function
	w.tail = append(w.tail, lines...)
	if over := len(w.tail) - tailSize; over > 0 {
		w.tail = append(w.tail[:0], w.tail[over:]...)
	}
}

// Tail returns the last lines, at most 2 KB.
func (w *lineWriter) Tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(bytes.TrimSpace(w.tail))
}
