// Package fcfake is the sandbox's Function Compute: it runs the real function binary in processes of its own and
// speaks to them as FC does, in the Go runtime (go1) and in the custom runtime, with FC's deadlines, retries and
// destinations. It listens on loopback only and never leaves a process behind.
package fcfake

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Mode is how FC talks to the function.
type Mode string

// The modes.
const (
	// ModeGo1 is the built-in Go runtime: the function asks for work at FC_RUNTIME_API, one invocation at a time.
	ModeGo1 Mode = "go1"
	// ModeCustom is the custom runtime: the function is an HTTP server on FC_SERVER_PORT.
	ModeCustom Mode = "custom"
)

// Credentials are the temporary (STS) credentials of the function's role.
type Credentials struct {
	AccessKeyID, AccessKeySecret, SecurityToken string
}

// Config describes the function and its deployment. The zero value of a field means the default that its comment gives.
type Config struct {
	// Mode is ModeGo1 or ModeCustom. Required.
	Mode Mode
	// Command is the path of the function binary. Required.
	Command string
	// Env are the function's environment variables, "NAME=value". Nothing else of the sandbox's own environment reaches
	// the function but PATH, HOME, TMPDIR, TZ, LANG and GOCOVERDIR.
	Env []string

	// FunctionName is "idcard-ocr" by default, Region "cn-hangzhou", AccountID "1234567890123456".
	FunctionName, Region, AccountID string
	// Timeout is how long one invocation may take, 60 s by default. At its end the instance is killed.
	Timeout time.Duration
	// InitializerTimeout, if not 0, says that the function has an Initializer hook, and how long it may take.
	InitializerTimeout time.Duration
	// PreStopTimeout, if not 0, says that the function has a PreStop hook, and how long it may take.
	PreStopTimeout time.Duration
	// MaxInstances is how many processes may run concurrently, 4 by default. They are started on demand.
	MaxInstances int
	// Concurrency is how many invocations one instance may have at a time: always 1 for ModeGo1, 20 by default for
	// ModeCustom.
	Concurrency int
	// Freeze stops instances (SIGSTOP) while they have nothing to do, as FC does. Not on Windows.
	Freeze bool
	// StartTimeout is how long an instance may take until it asks for work or listens, 10 s by default.
	StartTimeout time.Duration
	// StopGrace is how long an instance may take to end after SIGTERM before it is killed, 1.5 s by default.
	StopGrace time.Duration

	// Credentials makes fresh credentials, for each invocation and for the environment of each instance. Required.
	Credentials func() Credentials
	// Async is the configuration of asynchronous invocations.
	Async AsyncConfig
	// OnInvocation is called for every invocation that ended. It may be called from several goroutines.
	OnInvocation func(Record)
	// Logs gets what the instances print, whole lines; nil discards.
	Logs io.Writer
	// Log gets what the runtime itself has to say; nil discards.
	Log *slog.Logger
}

// Errors of the runtime itself; what the function does wrong is a *FunctionError.
var (
	// ErrClosed says that the runtime is being closed.
	ErrClosed = errors.New("fcfake: closed")
	// ErrPayloadTooLarge says that the event is over FC's limit: 32 MB, or 128 KB if asynchronous.
	ErrPayloadTooLarge = errors.New("fcfake: the event is too large: FC takes 32 MB, and 128 KB asynchronously")
)

// FC's limits on an event, in bytes (help.aliyun.com/document_detail/51907.html).
const (
	maxPayload      = 32 << 20
	maxAsyncPayload = 128 << 10
)

// Runtime runs the instances of one function. Make one with New; it is safe for use by several goroutines.
type Runtime struct {
	config Config
	log    *slog.Logger
	logs   *sharedWriter

	// slots has room for as many invocations as all instances together may have.
	slots   chan struct{}
	closing chan struct{}
	async   *asyncQueue
	paused  atomic.Bool

	mu        sync.Mutex
	instances []*instance // started or starting, not yet dead or draining
	all       sync.WaitGroup
	closed    bool
}

// New checks the configuration. No instance is started before the first invocation; see Warm.
func New(config Config) (*Runtime, error) {
	var problems []error
	if config.Mode != ModeGo1 && config.Mode != ModeCustom {
		problems = append(problems, fmt.Errorf("fcfake: Mode is %q; accepted are %q and %q", config.Mode, ModeGo1, ModeCustom))
	}
	if info, err := os.Stat(config.Command); err != nil {
		problems = append(problems, fmt.Errorf("fcfake: the function binary: %w", err))
	} else if !info.Mode().IsRegular() {
		problems = append(problems, fmt.Errorf("fcfake: the function binary %s is not a file", config.Command))
	} else if config.Command, err = filepath.Abs(config.Command); err != nil { // exec looks a bare name up in PATH
		problems = append(problems, fmt.Errorf("fcfake: the function binary: %w", err))
	}
	if config.Credentials == nil {
		problems = append(problems, errors.New("fcfake: Credentials is missing"))
	}
	if config.MaxInstances < 0 || config.Concurrency < 0 || config.Timeout < 0 {
		problems = append(problems, errors.New("fcfake: MaxInstances, Concurrency and Timeout must not be negative"))
	}
	problems = append(problems, config.Async.problems()...)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	setDefault(&config.FunctionName, "idcard-ocr")
	setDefault(&config.Region, "cn-hangzhou")
	setDefault(&config.AccountID, "1234567890123456")
	setDefault(&config.Timeout, time.Minute)
	setDefault(&config.MaxInstances, 4)
	setDefault(&config.Concurrency, 20)
	setDefault(&config.StartTimeout, 10*time.Second)
	setDefault(&config.StopGrace, 1500*time.Millisecond)
	if config.Mode == ModeGo1 {
		config.Concurrency = 1
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Logs == nil {
		config.Logs = io.Discard
	}
	r := &Runtime{
		config:  config,
		log:     config.Log,
		logs:    &sharedWriter{w: config.Logs},
		slots:   make(chan struct{}, config.MaxInstances*config.Concurrency),
		closing: make(chan struct{}),
	}
	arn := "acs:fc:" + config.Region + ":" + config.AccountID + ":functions/" + config.FunctionName
	// Not bound to the queue's context: when the runtime closes, a running instance gets its grace.
	r.async = newAsyncQueue(config.Async, arn, func(payload []byte, options Options, expired func() bool) (Result, error) {
		v := r.newInvocation(payload, options)
		v.expired = expired
		return r.invoke(context.Background(), v)
	})
	return r, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Settings are what the API of FC tells about the function.
type Settings struct {
	Mode         Mode
	Timeout      time.Duration
	MaxInstances int
	// MaxRetries, MaxAge and Speedup are those of AsyncConfig, with the defaults filled in; MaxRetries 0 means none.
	MaxRetries int
	MaxAge     time.Duration
	Speedup    float64
}

// Settings returns the settings with the defaults filled in.
func (r *Runtime) Settings() Settings {
	a := r.async.config
	return Settings{Mode: r.config.Mode, Timeout: r.config.Timeout, MaxInstances: r.config.MaxInstances, MaxRetries: a.MaxRetries, MaxAge: a.MaxAge, Speedup: a.Speedup}
}

// QuietTime is the longest time without the end of an invocation while events are under way that FC does not refuse: the longest pause
// before a retry, the start of an instance and an attempt.
func (r *Runtime) QuietTime() time.Duration {
	a := r.async.config
	return a.pause(max(a.MaxRetries, 1)) + r.config.StartTimeout + r.config.InitializerTimeout + r.config.Timeout
}

// Warm starts one instance if none runs, and reports why it cannot start.
func (r *Runtime) Warm(ctx context.Context) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	instance, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	r.release(instance)
	return nil
}

// InstanceInfo describes a running instance.
type InstanceInfo struct {
	ID   string
	PID  int
	Busy int // invocations that it is working on
}

// Instances lists the instances that are ready for work or working.
func (r *Runtime) Instances() []InstanceInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	var infos []InstanceInfo
	for _, i := range r.instances {
		if i.isReady() {
			infos = append(infos, InstanceInfo{ID: i.id, PID: i.pid, Busy: i.busy})
		}
	}
	return infos
}

// Kill ends all instances at once with SIGKILL, as a crash of the machine would, and returns how many there were.
// Invocations under way fail with FunctionExited; later ones get new instances.
func (r *Runtime) Kill() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	killed := 0
	for _, i := range append([]*instance(nil), r.instances...) {
		if i.isReady() {
			i.draining = true
			r.forget(i)
			i.kill()
			killed++
		}
	}
	return killed
}

// Reserve is the reserved concurrency: with 0 instances every invocation is refused as throttled, with any other number the function has as
// many as Config says.
func (r *Runtime) Reserve(instances int) { r.paused.Store(instances == 0) }

// enter waits until the instances have room for one more invocation, and keeps it until leave.
func (r *Runtime) enter(ctx context.Context) error {
	if r.paused.Load() {
		return NewSystemError(http.StatusTooManyRequests)
	}
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.closing:
		return ErrClosed
	}
}

func (r *Runtime) leave() { <-r.slots }

// acquire returns an instance with room for one more invocation, starting one if need be. The caller has entered.
func (r *Runtime) acquire(ctx context.Context) (*instance, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, ErrClosed
	}
	i := r.pick()
	if i == nil {
		i = newInstance(r)
		r.instances = append(r.instances, i)
		r.all.Go(i.run)
	}
	i.busy++
	if i.busy == 1 {
		i.thaw()
	}
	r.mu.Unlock()

	select {
	case <-i.ready:
	case <-ctx.Done():
		r.release(i)
		return nil, ctx.Err()
	}
	if i.startErr != nil {
		r.release(i)
		return nil, i.startErr
	}
	return i, nil
}

// pick chooses the instance for the next invocation: the fullest with room, ready ones first. nil: start another.
func (r *Runtime) pick() *instance {
	var best *instance
	for _, i := range r.instances {
		if i.busy >= r.config.Concurrency {
			continue
		}
		if best == nil || i.isReady() && !best.isReady() || i.isReady() == best.isReady() && i.busy > best.busy {
			best = i
		}
	}
	return best
}

// release gives the instance's place back.
func (r *Runtime) release(i *instance) {
	r.mu.Lock()
	i.busy--
	if i.busy == 0 {
		if i.draining {
			i.kill()
		} else {
			i.freeze()
		}
	}
	r.mu.Unlock()
}

// retire takes the instance out of service. It ends when its last invocation has.
func (r *Runtime) retire(i *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i.draining = true
	r.forget(i)
	if i.busy == 0 {
		i.kill()
	}
}

// forget removes the instance from those that get work. The caller holds r.mu.
func (r *Runtime) forget(i *instance) {
	for n, other := range r.instances {
		if other == i {
			r.instances = append(r.instances[:n:n], r.instances[n+1:]...)
			return
		}
	}
}

// Close refuses new invocations, drops asynchronous ones that wait, stops all instances (PreStop hook, SIGTERM, SIGKILL
// after StopGrace) and returns when the last process is gone.
func (r *Runtime) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		r.all.Wait()
		return nil
	}
	r.closed = true
	close(r.closing)
	instances := append([]*instance(nil), r.instances...)
	r.mu.Unlock()

	r.async.stop()
	var stopping sync.WaitGroup
	for _, i := range instances {
		stopping.Go(i.stop)
	}
	stopping.Wait()
	r.all.Wait()
	r.async.wait()
	return nil
}

// newRequestID returns an id in the form of FC 3.0: 1-<seconds>-<random>-<random>, in hex.
func newRequestID() string {
	var b [10]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	return fmt.Sprintf("1-%08x-%x-%x", time.Now().Unix(), b[:4], b[4:])
}

func newInstanceID() string {
	var b [8]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	return fmt.Sprintf("c-%08x-%x", time.Now().Unix(), b[:])
}
