//go:build unix

package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/display"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// screen is a terminal of some width on which ocrctl runs as its own process.
type screen struct {
	cmd     *exec.Cmd
	columns int

	mu    sync.Mutex
	text  strings.Builder
	ended chan struct{}
}

func (c *cloud) onTerminal(columns uint16, args ...string) *screen {
	s := &screen{columns: int(columns), ended: make(chan struct{})}
	s.cmd = exec.CommandContext(c.t.Context(), os.Args[0], append(args, "--sandbox-dir", c.dir)...)
	s.cmd.Env = append(os.Environ(), asProcess+"=1")
	terminal, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: columns})
	require.NoError(c.t, err)
	go func() {
		defer close(s.ended)
		buffer := make([]byte, 4096)
		for {
			n, err := terminal.Read(buffer)
			s.mu.Lock()
			s.text.Write(buffer[:n])
			s.mu.Unlock()
			if err != nil { // on Linux EIO, at the end
				return
			}
		}
	}()
	c.t.Cleanup(func() { terminal.Close() })
	return s
}

func (s *screen) raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *screen) wait(t *testing.T) {
	s.cmd.Wait() //nolint:errcheck // the exit code is not what is looked at
	<-s.ended
}

// lines are what one sees: text that is written over is gone, and text that is too long goes on in the next line.
func (s *screen) lines() (lines []string) {
	lines = []string{""}
	var line []rune
	at := 0
	for _, r := range s.raw() {
		switch r {
		case '\r':
			at = 0
		case '\n':
			lines = append(lines, "")
			line, at = nil, 0
		default:
			if at >= s.columns {
				lines = append(lines, "")
				line, at = nil, 0
			}
			for len(line) <= at {
				line = append(line, ' ')
			}
			line[at] = r
			at++
		}
		lines[len(lines)-1] = strings.TrimRight(string(line), " ")
	}
	return lines
}

func busy(t *testing.T) *cloud {
	c := start(t)
	c.putMany(30)
	require.Equal(t, 0, c.run("backfill", "--all", "--rate", "1000").code)
	c.work.Wait()
	c.mu.Lock()
	c.delay = 30 * time.Millisecond
	c.mu.Unlock()
	return c
}

func TestABarIsDrawnOverItselfOnAnyWidth(t *testing.T) {
	c := busy(t)
	for _, columns := range []uint16{20, 35, 50, 79, 80, 120} {
		t.Run(strconv.Itoa(int(columns)), func(t *testing.T) {
			t.Parallel()
			s := c.onTerminal(columns, "status", "--parallel", "1")
			s.wait(t)
			assert.Equal(t, columns >= narrowTerminal, strings.Contains(s.raw(), "/-"), "%q", s.raw())
			lines := s.lines()
			assert.Contains(t, lines[0], "images", "nothing is left of the bar, and it took one line: %q", lines)
			for _, part := range strings.FieldsFunc(s.raw(), func(r rune) bool { return r == '\r' || r == '\n' }) {
				if strings.Contains(part, "/-") {
					assert.Less(t, display.Width(part), int(columns))
				}
			}
		})
	}
}

func TestATableOnATerminalStandsAlone(t *testing.T) {
	c := busy(t)
	s := c.onTerminal(100, "export", "--format", "table", "--parallel", "1")
	s.wait(t)
	assert.True(t, strings.HasPrefix(s.raw(), "KEY "), "%q", s.raw()[:min(len(s.raw()), 200)])
}

func TestNotesTakeTheBarsPlace(t *testing.T) {
	c := busy(t)
	c.put("new/1.jpg", "a picture")
	s := c.onTerminal(100, "backfill", "--all", "--parallel", "1", "--retry-failed", "all")
	require.Eventually(t, func() bool { return strings.Contains(s.raw(), "submitting images") }, 20*time.Second, time.Millisecond)
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	s.wait(t)
	found := false
	for _, line := range s.lines() {
		found = found || strings.HasPrefix(line, "Stopping; what is being submitted")
		assert.NotRegexp(t, `.it/s.*Stopping`, line)
	}
	assert.True(t, found, "%q", s.lines())
}

func TestWatchRedrawsWithATimeStamp(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	s := c.onTerminal(100, "status", "--watch", "1s")
	frame := regexp.MustCompile(`\x1b\[H\x1b\[2J\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\r\n`)
	require.Eventually(t, func() bool { return len(frame.FindAllString(s.raw(), -1)) >= 2 }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	s.wait(t)
	assert.Equal(t, exitInterrupted, s.cmd.ProcessState.ExitCode())
}

func TestNothingFromABucketReachesATerminalRaw(t *testing.T) {
	c := start(t)
	key := "a\x1b]0;owned\x07\u202egpj.jpg"
	c.put(key, "a picture")
	c.put(key+".ocr.json", `{"schemaVersion":1,"status":"recognized","card":{"name":"\u001b[2J\u0000\u200b\u2066","idNumber":"\u009b1m"}}`)
	c.put("b.jpg", "a picture")
	c.put("b.jpg.ocr.json", `{"schemaVersion":1,"status":"\u001b[31mfailed"}`)
	c.put("c.jpg", "a picture")
	c.put("c.jpg.ocr.json", `{"schemaVersion":1,"status":"failed","error":{"code":"\u001b[31mTimeout","message":"m"}}`)
	for _, args := range [][]string{{"status"}, {"status", "--list", "recognized"}, {"status", "--list", "unreadable", "-o", "json"}, {"show", key}, {"show", key, "--no-mask"}, {"show", "c.jpg"},
		{"export", "-F", "table", "--no-mask"}, {"export", "-F", "csv"}, {"export", "-F", "jsonl"}, {"backfill", "--all", "-n", "--retry-failed", "all"}, {"recognize", key}, {"status", "--prefix", key}} {
		if args[0] != "show" && args[0] != "recognize" {
			args = append(args, "--parallel", "1")
		}
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			s := c.onTerminal(200, args...)
			s.wait(t)
			for _, raw := range []string{"\x1b", "\x07", "\x00", "\u202e", "\u2066", "\u200b", "\u009b"} {
				assert.NotContains(t, s.raw(), raw, args)
			}
		})
	}
}
