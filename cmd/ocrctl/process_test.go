//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Environment variables for the test binary: the first makes it ocrctl itself, for what only a process of its own can show, and the
// second is the most bytes that it may write to a file.
const (
	asProcess = "OCRCTL_TEST_PROCESS"
	maxFile   = "OCRCTL_TEST_MAX_FILE"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) == "" {
		os.Setenv("LC_ALL", "C") // the tests compare English texts
		os.Exit(m.Run())
	}
	if bytes, err := strconv.ParseUint(os.Getenv(maxFile), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ) // so that the write fails, as on a full disk
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: bytes}); err != nil {
			panic(err)
		}
	}
	main()
}

// process is ocrctl as its own process, started. It is killed if the test ends before it.
func (c *cloud) process(env []string, args ...string) (cmd *exec.Cmd, stderr *sandboxtest.Output) {
	c.t.Helper()
	cmd = exec.CommandContext(c.t.Context(), os.Args[0], append(args, "--sandbox="+c.dir)...)
	cmd.Env = append(append(os.Environ(), asProcess+"=1"), env...)
	stderr = &sandboxtest.Output{}
	cmd.Stderr = stderr
	require.NoError(c.t, cmd.Start())
	return cmd, stderr
}

func TestCtrlCStopsABackfillThatGoesOnLater(t *testing.T) {
	const images = 120
	c := start(t)
	c.putMany(images)
	reached := make(chan struct{})
	c.whenInvoked(func(n int) {
		if n == 40 {
			close(reached)
		}
	})
	cmd, stderr := c.process(nil, "backfill", "--all", "--rate", "100")
	<-reached
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), stderr.String())
	assert.Contains(t, stderr.String(), "Stopping")
	assert.Contains(t, stderr.String(), "the same command goes on where it stopped")
	require.Less(t, len(c.keys()), images)
	c.whenInvoked(nil)
	r := c.run("backfill", "--all", "--rate", "1000")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Len(t, c.keys(), images, "nothing is lost or repeated")
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(c.keys()))), images)
}

func TestASecondCtrlCEndsAtOnceAndNothingIsPaidTwice(t *testing.T) {
	const images, parallel = 40, 4
	c := start(t)
	c.putMany(images)
	reached, release := make(chan struct{}), make(chan struct{})
	c.whenInvoked(func(n int) {
		if n == 10 {
			close(reached)
			<-release // Function Compute does not answer
		}
	})
	cmd, stderr := c.process(nil, "backfill", "--all", "--rate", "1000", "--parallel", strconv.Itoa(parallel))
	<-reached
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Eventually(t, func() bool { return strings.Contains(stderr.String(), "Ctrl-C again ends at once") }, 20*time.Second, time.Millisecond)
	began := time.Now()
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	assert.Less(t, time.Since(began), 5*time.Second)
	assert.Equal(t, syscall.SIGINT, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	close(release)
	r := c.run("backfill", "--all", "--rate", "1000")
	assert.Equal(t, 0, r.code, r.stderr)
	c.work.Wait()
	keys := slices.Sorted(slices.Values(c.keys()))
	assert.LessOrEqual(t, len(keys), images+parallel, "what was under way is submitted again")
	assert.Len(t, slices.Compact(keys), images)
	assert.Equal(t, images, c.gateway.Ledger.Charged())
}

func TestCtrlCTellsThatACallUnderWayIsAwaited(t *testing.T) {
	c := start(t)
	reached, release := make(chan struct{}), make(chan struct{})
	c.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
		close(reached)
		<-release
		return gateway.Fault{}
	})
	cmd, stderr := c.process(nil, "recognize", picture(t, "a"), picture(t, "b"))
	<-reached
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Eventually(t, func() bool { return strings.Contains(stderr.String(), "Stopping after the picture in work") }, 20*time.Second, time.Millisecond)
	close(release)
	require.Error(t, cmd.Wait())
	assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
	assert.Equal(t, 1, c.gateway.Ledger.Accepted(), "the second picture is not paid for")
}

func TestACountThatIsInterruptedHasNothingToGoOnFrom(t *testing.T) {
	c := start(t)
	c.putMany(3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := c.runWith(ctx, "backfill", "--all", "--dry-run")
	assert.Equal(t, exitInterrupted, r.code)
	assert.Equal(t, "ocrctl: interrupted\n", r.stderr)
}

func TestAnExportToAFullDiskIsCompletedLater(t *testing.T) {
	c := start(t)
	c.putMany(50)
	require.Equal(t, 0, c.run("backfill", "--all", "--rate", "1000").code)
	c.work.Wait()
	for _, format := range []string{"csv", "jsonl"} {
		whole := c.run("export", "--format", format)
		require.Equal(t, 0, whole.code)
		file := filepath.Join(t.TempDir(), "cards")
		limit := strconv.Itoa(len(whole.stdout) / 2)
		cmd, stderr := c.process([]string{maxFile + "=" + limit}, "export", "--format", format, "--file", file)
		require.Error(t, cmd.Wait())
		assert.Equal(t, exitFailed, cmd.ProcessState.ExitCode())
		assert.Contains(t, stderr.String(), "file too large")
		assert.Contains(t, stderr.String(), "the same command with --resume completes it")
		r := c.run("export", "--format", format, "--file", file, "--resume")
		require.Equal(t, 0, r.code, r.stderr)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, whole.stdout, string(text))
	}
}

func TestNothingOfTheSandboxGoesThroughAProxy(t *testing.T) {
	c := start(t)
	c.putMany(3)
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { proxy.Close() })
	go func() {
		for {
			connection, err := proxy.Accept()
			if err != nil {
				return
			}
			connection.Close()
			t.Error("a request went to the proxy")
		}
	}()
	var env []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		env = append(env, name+"=http://"+proxy.Addr().String(), strings.ToLower(name)+"=http://"+proxy.Addr().String())
	}
	env = append(env, "NO_PROXY=", "no_proxy=")
	for _, args := range [][]string{{"backfill", "--all"}, {"status"}, {"export"}, {"doctor"}, {"recognize", picture(t, "a")}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			cmd, stderr := c.process(env, args...)
			assert.NoError(t, cmd.Wait(), "%s", stderr)
		})
	}
}

func TestTwoBackfillsDoNotShareACheckpoint(t *testing.T) {
	const images = 40
	c := start(t)
	c.putMany(images)
	reached := make(chan struct{})
	c.whenInvoked(func(n int) {
		if n == 10 {
			close(reached)
		}
	})
	cmd, stderr := c.process(nil, "backfill", "--all", "--rate", "20")
	<-reached
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	r := c.run("backfill", "--all", "--rate", "1000")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, fmt.Sprintf("another ocrctl (process %d on ", cmd.Process.Pid))
	assert.Contains(t, r.stderr, "--checkpoint")
	assert.Equal(t, 0, c.run("backfill", "--all", "--dry-run").code, "a dry run needs none")
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	require.NoError(t, cmd.Wait(), stderr.String())
	assert.Len(t, c.keys(), images, "nothing is submitted twice")
	assert.Equal(t, 0, c.run("backfill", "--all").code, "who has ended holds nothing")
}
