// Command sandbox is the local cloud for developers: an object store, the OCR gateway and Function Compute around the
// real function binary, on loopback, without an account. It never talks to the real services.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/interrupt"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/sandbox"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/gobuild"
	"fc-idcard-ocr/internal/sandbox/management"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // --once or --demo: not every picture was recognised; or the sandbox could not run
	exitUsage  = 2 // wrong flags, unreadable files
)

func main() {
	restrictFiles()
	os.Exit(run(interrupt.Context(), os.Args[1:], os.Stdout, os.Stderr, nil))
}

// flags are what the command line says.
type flags struct {
	dir, runtime, function, engineDir, demo, chaos, asyncSpeedup string
	port                                                         int
	once, logs, freeze, noMask                                   bool
}

// usageError is a mistake of the caller.
type usageError struct{ error }

// run is the command. reader replaces the OCR engine in tests; nil is the engine.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, reader gateway.Reader) int {
	message.Use(message.FromEnvironment(os.Getenv))
	var f flags
	s := &session{flags: &f, stdout: stdout, stderr: stderr, reader: reader}
	command := &cobra.Command{
		Use:   "sandbox [flags] [--once FILE...]",
		Short: "Run the function in a local cloud: object store, OCR gateway, Function Compute",
		Long: `Runs the function in a local cloud: an object store, the OCR gateway with an engine that really reads pictures, and
Function Compute around the real function binary. Everything listens on 127.0.0.1 only and needs no account.

Exit codes: 0 stopped, or all pictures of --once recognised; 1 not all recognised, or the sandbox could not run;
2 wrong flags or unreadable files.`,
		Example: `  go run ./cmd/sandbox                           # serve until Ctrl-C
  go run ./cmd/sandbox --demo testdata/cards/scan-01.jpg
  go run ./cmd/sandbox --once card1.jpg card2.png  # documents as JSON, then end`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, files []string) error {
			switch {
			case f.once && len(files) == 0:
				return usageError{message.Errorf("--once needs at least one picture")}
			case !f.once && len(files) > 0:
				return usageError{message.Errorf("unexpected argument %q: pictures come after --once", files[0])}
			case f.once && f.demo != "":
				return usageError{message.Errorf("--once and --demo exclude each other")}
			case f.port < 0 || f.port > 65532:
				return usageError{message.Errorf("--port %d: accepted are 0 (free ports) to 65532", f.port)}
			case f.chaos != "" && f.chaos != randomSeed && !isSeed(f.chaos):
				return usageError{message.Errorf("--chaos=%s: accepted is a whole number from 0 to 18446744073709551615, or nothing (a seed is drawn and shown)", f.chaos)}
			case !isSpeedup(f.asyncSpeedup):
				return usageError{message.Errorf("--async-speedup %s: accepted is a number from 1 (as on Function Compute) to %d (a day takes a second)", f.asyncSpeedup, fcfake.MaxSpeedup)}
			case !slices.Contains([]string{"go1", "custom"}, f.runtime):
				return usageError{message.Errorf("--runtime %q: accepted are go1 and custom", f.runtime)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, files []string) error {
			if f.once {
				return s.once(cmd.Context(), files)
			}
			return s.serve(cmd.Context())
		},
	}
	command.SetArgs(args)
	command.SetOut(stdout)
	command.SetErr(stderr)
	command.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{message.FlagError(c, err)} })
	command.CompletionOptions.DisableDefaultCmd = true
	set := command.Flags()
	set.StringVar(&f.dir, "dir", ".sandbox", "folder for objects and everything else that is kept")
	set.IntVar(&f.port, "port", 8900, "first of four ports (HTTP trigger, OSS, OCR gateway, management); 0 takes free ones")
	set.StringVar(&f.runtime, "runtime", "go1", "how the function runs: go1 or custom")
	set.StringVar(&f.function, "function", "", "a built function binary (default: built from this checkout)")
	set.StringVar(&f.engineDir, "engine-dir", "", "folder of the OCR engine (default: the one of this checkout)")
	set.StringVar(&f.demo, "demo", "", "upload this picture after the start and show its card")
	set.BoolVar(&f.once, "once", false, "recognise the pictures named as arguments, print their documents as a JSON array, and end")
	set.StringVar(&f.chaos, "chaos", "", "let things go wrong at random, the same with the same seed:\n5% throttles, 5% duplicate events, 1% lost answers")
	set.Lookup("chaos").NoOptDefVal = randomSeed
	set.StringVar(&f.asyncSpeedup, "async-speedup", "1", "`factor`, 1 to 86400, by which events are retried and grow old faster than on Function Compute")
	set.BoolVar(&f.freeze, "freeze", false, "stop idle instances between invocations, as Function Compute freezes them")
	set.BoolVar(&f.noMask, "no-mask", false, "do not mask names, addresses and ID numbers in what is shown (documents of --once never are)")
	set.BoolVar(&f.logs, "logs", false, "show what the function logs, on stderr")

	message.Help(command)
	err := command.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNotRecognized):
		return exitFailed
	case errors.As(err, &usage):
		message.Fprintf(stderr, "sandbox: %v\nsandbox --help lists the flags.\n", display.Lines(err.Error()))
		return exitUsage
	case ctx.Err() != nil && !s.served: // the cancelled step returns an error of its own
		fmt.Fprintln(stderr, "sandbox:", message.Text("stopped before it was done"))
		return exitFailed
	}
	fmt.Fprintln(stderr, "sandbox:", explain(err))
	return exitFailed
}

// errNotRecognized says that a picture of --once was not recognised; the reason has been printed.
var errNotRecognized = message.Error("not all pictures were recognised")

// explain adds the fix to an error that has a usual one.
func explain(err error) string {
	text := strings.TrimPrefix(err.Error(), "sandbox: ")
	switch {
	case errors.Is(err, sandbox.ErrPortBusy):
		return text + message.Text(": stop the program that listens there, or choose other ports with --port (0 takes free ones)")
	case errors.Is(err, ocrengine.ErrNotInstalled) && !strings.Contains(text, "make engine"):
		return text + message.Text(": run make engine")
	case errors.Is(err, sandbox.ErrFolderBusy):
		return text + message.Text(": use that one, or choose another folder with --dir")
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return text + message.Text(": choose a folder you may write to with --dir")
	case errors.Is(err, syscall.ENOSPC):
		return text + message.Text(": make room, or choose a folder on another disk with --dir (--once takes the system's for temporary files, TMPDIR)")
	}
	return text
}

// randomSeed is the value of --chaos without one.
const randomSeed = "random"

func isSeed(text string) bool {
	_, err := strconv.ParseUint(text, 10, 64)
	return err == nil
}

func isSpeedup(text string) bool {
	factor, err := strconv.ParseFloat(text, 64)
	return err == nil && factor >= 1 && factor <= fcfake.MaxSpeedup
}

// session is one run of the command.
type session struct {
	flags          *flags
	stdout, stderr io.Writer
	reader         gateway.Reader
	served         bool // it was ready and waited for its end
}

// start starts the cloud in the folder and prints the progress.
func (s *session) start(ctx context.Context, dir string, port int, change func(*sandbox.Options)) (*sandbox.Cloud, error) {
	options := sandbox.Options{
		Dir: dir, Port: port, Function: s.flags.function, Mode: fcfake.Mode(s.flags.runtime),
		Reader: s.reader, EngineDir: s.flags.engineDir, Freeze: s.flags.freeze, Samples: samples(),
		Log: slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if s.flags.logs {
		options.Logs = s.stderr
	}
	if s.flags.chaos != "" {
		seed, err := strconv.ParseUint(s.flags.chaos, 10, 64)
		if err != nil { // randomSeed: everything else was refused before
			seed = uint64(rand.Uint32())
		}
		options.Chaos = management.DefaultChaos(seed)
		message.Fprintf(s.stderr, "Chaos: 5 %% throttles, 5 %% duplicate events, 1 %% lost answers. The same again: --chaos=%d\n", seed)
	}
	options.Async.Speedup, _ = strconv.ParseFloat(s.flags.asyncSpeedup, 64) // checked before
	if change != nil {
		change(&options)
	}
	if options.Function == "" {
		if err := sandbox.CheckFolder(dir); err != nil {
			return nil, err
		}
		options.Function = filepath.Join(dir, "function")
		done := s.step(message.Text("Building the function"))
		err := gobuild.Build(ctx, gobuild.Function, options.Function)
		done(err)
		if err != nil {
			return nil, err
		}
	}
	done := s.step(message.Text("Starting the local cloud"))
	cloud, err := sandbox.Start(ctx, options)
	done(err)
	return cloud, err
}

// step prints that a step begins, and how long it took when it ends.
func (s *session) step(what string) (done func(error)) {
	began := time.Now()
	fmt.Fprintf(s.stderr, "%s ... ", what)
	return func(err error) {
		switch {
		case errors.Is(err, context.Canceled):
			fmt.Fprintln(s.stderr, message.Text("stopped"))
			return
		case err != nil:
			fmt.Fprintln(s.stderr, message.Text("failed"))
			return
		}
		message.Fprintf(s.stderr, "%.1f s\n", time.Since(began).Seconds())
	}
}

// samples are the specimen cards of the checkout; none outside of its folder.
func samples() map[string][]byte {
	cards := map[string][]byte{}
	names, _ := filepath.Glob(filepath.Join("testdata", "cards", "*.jpg")) // the pattern is right
	for _, name := range names {
		if content, err := os.ReadFile(name); err == nil {
			cards[filepath.Base(name)] = content
		}
	}
	return cards
}
