package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// program is one that can be started.
type program struct {
	name    string
	command []string
	env     []string
	custom  bool // an HTTP server (custom runtime) instead of a client of the runtime API
}

// process is a running program. For one of the runtime API it is also that API.
type process struct {
	command *exec.Cmd
	output  bytes.Buffer
	exited  chan struct{}
	started time.Duration // from the start to the first poll, or to the first connection

	work    chan invocation
	asked   chan struct{}
	askOnce sync.Once
	server  *http.Server

	address string // of a custom runtime
	client  *http.Client
	serial  atomic.Int64
}

type invocation struct {
	id     string
	event  []byte
	kind   string // x-fc-function-type: 0 event, 1 initializer
	answer chan error
}

// start starts a program and returns when it is ready for work.
func start(ctx context.Context, p program) (*process, error) {
	proc := &process{exited: make(chan struct{}), work: make(chan invocation), asked: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	env := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GOTRACEBACK=all", "FC_REGION=cn-hangzhou", "OCR_APP_KEY=100000001",
		"OCR_APP_SECRET=sandbox-app-secret"}, p.env...)
	if p.custom {
		proc.address = listener.Addr().String()
		listener.Close()
		host, port, _ := strings.Cut(proc.address, ":")
		env = append(env, "FC_SERVER_HOST="+host, "FC_SERVER_PORT="+port)
	} else {
		proc.server = &http.Server{Handler: proc.runtimeAPI()}
		go proc.server.Serve(listener)
		env = append(env, "FC_RUNTIME_API="+listener.Addr().String())
	}
	proc.command = exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	proc.command.Env, proc.command.Stdout, proc.command.Stderr = env, &proc.output, &proc.output
	began := time.Now()
	if err := proc.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		proc.command.Wait()
		close(proc.exited)
	}()
	if err := proc.ready(ctx, began); err != nil {
		proc.stop()
		return nil, fmt.Errorf("%s: %w: %s", p.name, err, proc.output.String())
	}
	return proc, nil
}

func (p *process) ready(ctx context.Context, began time.Time) error {
	if p.address == "" {
		select {
		case <-p.asked:
			p.started = time.Since(began)
			return nil
		case <-p.exited:
			return fmt.Errorf("it ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		connection, err := net.Dial("tcp", p.address)
		if err == nil {
			p.started = time.Since(began)
			return connection.Close()
		}
		select {
		case <-time.After(time.Millisecond):
		case <-p.exited:
			return fmt.Errorf("it ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// runtimeAPI is the runtime API of FC (version 2020-11-11) for one process.
func (p *process) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	pending := sync.Map{}
	mux.HandleFunc("GET /2020-11-11/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		p.askOnce.Do(func() { close(p.asked) })
		select {
		case i := <-p.work:
			pending.Store(i.id, i.answer)
			for name, value := range invocationHeaders(i.id) {
				w.Header().Set(name, value)
			}
			w.Header().Set("x-fc-function-type", i.kind)
			w.Write(i.event)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2020-11-11/runtime/invocation/{id}/{outcome}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.PathValue("outcome") == "error" {
			err = fmt.Errorf("the function failed: %s", body)
		}
		if answer, ok := pending.LoadAndDelete(r.PathValue("id")); ok {
			answer.(chan error) <- err
		}
	})
	return mux
}

func invocationHeaders(id string) map[string]string {
	return map[string]string{"x-fc-request-id": id, "x-fc-function-deadline": strconv.FormatInt(time.Now().Add(2*time.Minute).UnixMilli(), 10), "x-fc-function-timeout": "120",
		"x-fc-region": "cn-hangzhou", "x-fc-access-key-id": "STS.NUbench", "x-fc-access-key-secret": "bench-secret", "x-fc-security-token": benchToken}
}

// benchToken is as long as real security tokens are.
var benchToken = "CAIS" + strings.Repeat("bench/", 120)

// deliver hands over one event and waits for its end.
func (p *process) deliver(ctx context.Context, event []byte) error { return p.invoke(ctx, event, "0") }

// initialize runs the initializer.
func (p *process) initialize(ctx context.Context) error { return p.invoke(ctx, nil, "1") }

func (p *process) invoke(ctx context.Context, event []byte, kind string) error {
	id := fmt.Sprintf("1-67444444-%08d", p.serial.Add(1))
	if p.address != "" {
		return p.post(ctx, id, event)
	}
	i := invocation{id: id, event: event, kind: kind, answer: make(chan error, 1)}
	select {
	case p.work <- i:
	case <-p.exited:
		return fmt.Errorf("the process ended: %s", p.output.String())
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-i.answer:
		return err
	case <-p.exited:
		return fmt.Errorf("the process ended: %s", p.output.String())
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *process) post(ctx context.Context, id string, event []byte) error {
	r, err := http.NewRequestWithContext(ctx, "POST", "http://"+p.address+"/invoke", bytes.NewReader(event))
	if err != nil {
		return err
	}
	for name, value := range invocationHeaders(id) {
		r.Header.Set(name, value)
	}
	response, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.Header.Get("x-fc-status") != "" {
		err = fmt.Errorf("the function failed: %s", answer)
	}
	return err
}

// cpu is the time that the process has had on processors.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before may hold blanks
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11]) // utime is field 14 of proc_pid_stat(5), counted from 1
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	const ticks = 100 // per second, on every Linux platform that Go runs on
	return time.Duration(user+system) * time.Second / ticks, err
}

// memory returns the resident memory in bytes: now, and its peak since start or resetPeak.
func (p *process) memory() (now, peak int64, err error) { return memoryOf(p.command.Process.Pid) }

func memoryOf(pid int) (now, peak int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch fields[0] {
		case "VmRSS:":
			now, err = strconv.ParseInt(fields[1], 10, 64)
		case "VmHWM:":
			peak, err = strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return now << 10, peak << 10, err
}

// resetPeak makes the present resident memory the peak (proc_pid_clear_refs(5)).
func (p *process) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.command.Process.Pid), []byte("5"), 0)
}

// stacks ends the process and returns the stacks of its goroutines.
func (p *process) stacks() string {
	p.command.Process.Signal(syscall.SIGQUIT)
	<-p.exited
	p.stop()
	return p.output.String()
}

func (p *process) stop() {
	p.command.Process.Kill()
	<-p.exited
	if p.server != nil {
		p.server.Close()
	}
	p.client.CloseIdleConnections()
}
