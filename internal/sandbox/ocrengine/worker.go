package ocrengine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// readTimeout bounds one picture. A laptop needs a second; more than this means that the worker hangs.
const readTimeout = 2 * time.Minute

// request and answer are the JSON lines that reader.mjs documents.
type request struct {
	ID    uint64 `json:"id"`
	Image []byte `json:"image"` // base64 in JSON
	Turn  int    `json:"turn"`  // degrees clockwise
	Side  int    `json:"side"`  // pixels of the detector's input along its longer side
	// Convert asks for a JPEG of a HEIC picture instead.
	Convert bool `json:"convert,omitempty"`
}

type answer struct {
	ID    uint64 `json:"id"`
	Found int    `json:"found"` // pieces of text seen, also those that could not be read
	Lines []line `json:"lines"`
	// Picture is the JPEG that was asked for.
	Picture []byte `json:"picture"`
	Error   *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// errWorkerLost means that the process ended or broke the protocol before it answered.
var errWorkerLost = errors.New("ocrengine: the reading process ended before it answered")

// worker is one running reader.mjs. It is used by one goroutine at a time.
type worker struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *json.Decoder
	stderr *lineLog
	kill   context.CancelFunc
	last   uint64
}

// startWorker starts the process, which loads its models while the caller goes on. Cancelling ctx kills it.
func startWorker(ctx context.Context, command func(context.Context) *exec.Cmd, log *slog.Logger) (*worker, error) {
	ctx, kill := context.WithCancel(ctx)
	cmd := command(ctx)
	// Without it a grandchild that holds the pipes open would keep Wait from returning.
	cmd.WaitDelay = time.Second
	stderr := &lineLog{log: log}
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		kill()
		return nil, fmt.Errorf("ocrengine: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		kill()
		return nil, fmt.Errorf("ocrengine: %w", err)
	}
	if err := cmd.Start(); err != nil {
		kill()
		return nil, fmt.Errorf("ocrengine: start the reading process: %w", err)
	}
	return &worker{cmd: cmd, stdin: stdin, stdout: json.NewDecoder(bufio.NewReader(stdout)), stderr: stderr, kill: kill}, nil
}

// read sends one request and waits for its answer. After an error that wraps errWorkerLost the worker is of no more use.
func (c *worker) read(req request) (answer, error) {
	timer := time.AfterFunc(readTimeout, c.kill)
	defer timer.Stop()
	c.last++
	req.ID = c.last
	if err := json.NewEncoder(c.stdin).Encode(req); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errWorkerLost, err)
	}
	var a answer
	if err := c.stdout.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errWorkerLost, err)
	}
	if a.ID != req.ID {
		return answer{}, fmt.Errorf("%w: answer %d to request %d", errWorkerLost, a.ID, req.ID)
	}
	return a, nil
}

// lost ends the process after an error of read and adds to the error how it ended, and what is to be done if it never answered.
func (c *worker) lost(err error) error {
	c.stop()
	err = fmt.Errorf("%w (%s)", err, c.cmd.ProcessState)
	if c.stderr.failure != "" {
		err = fmt.Errorf("%w: %s", err, c.stderr.failure)
	}
	if c.last == 1 && !c.cmd.ProcessState.Success() {
		err = fmt.Errorf("%w; if no picture can be read at all, install the engine again with `make engine`", err)
	}
	return err
}

// stop ends the process and waits for it. It holds nothing worth saving.
func (c *worker) stop() {
	c.kill()
	_ = c.stdin.Close()
	_ = c.cmd.Wait() // "killed" is what it always says
}

// errorLine is how the text of an error of JavaScript begins: "TypeError: …", "Error [ERR_MODULE_NOT_FOUND]: …".
var errorLine = regexp.MustCompile(`^(?:\w*Error\b|FATAL ERROR)`)

// lineLog passes what the process prints to stderr (warnings of its libraries) on to the log, line by line.
type lineLog struct {
	log  *slog.Logger
	rest []byte
	// failure is the last line that names an error, as Node.js prints one among others when a program ends by it.
	failure string
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			break
		}
		line := strings.TrimSpace(string(l.rest[:i]))
		l.log.Debug("reading process", "line", line)
		if errorLine.MatchString(line) {
			l.failure = line[:min(len(line), 300)]
		}
		l.rest = l.rest[i+1:]
	}
	if len(l.rest) > 64<<10 {
		l.rest = nil
	}
	return len(p), nil
}
