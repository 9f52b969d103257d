package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// report is the content of docs/performance.md.
type report struct {
	quick    bool
	sections []*section
}

func newReport(quick bool) *report { return &report{quick: quick} }

func (r *report) section(title string) *section {
	s := &section{title: title}
	r.sections = append(r.sections, s)
	return s
}

// section is one measurement: the method, a table and notes.
type section struct {
	title string
	how   string
	head  []string
	rows  [][]string
	notes []string
}

func (s *section) columns(names ...string) { s.head = names }

func (s *section) row(cells ...string) { s.rows = append(s.rows, cells) }

func (s *section) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// print writes the section for a terminal.
func (s *section) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", s.title)
	widths := make([]int, len(s.head))
	for _, row := range append([][]string{s.head}, s.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range append([][]string{s.head}, s.rows...) {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
		}
		fmt.Fprintln(w, "  "+strings.TrimRight(line.String(), " "))
	}
	for _, note := range s.notes {
		fmt.Fprintln(w, "  "+note)
	}
}

// markdown writes the whole report.
func (r *report) markdown() []byte {
	var b bytes.Buffer
	b.WriteString("# Performance\n\nWritten by `make bench`, which measures the function and its baselines in one run. Do not edit. The baseline programs are in\n" +
		"[bench/baseline](../bench/baseline). A target is an upper bound on the ratio, or on the figure where there is no ratio.\n\n")
	fmt.Fprintf(&b, "%s, %s, %d cores (%s), commit %s.", time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), processor(), commit())
	if r.quick {
		b.WriteString(" **A quick run: the figures are not reliable.**")
	}
	b.WriteString("\n")
	for _, s := range r.sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", s.title, s.how)
		fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(s.head, " | "), strings.Repeat("---|", len(s.head)))
		for _, row := range s.rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		}
		for i, note := range s.notes {
			if i == 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "- %s\n", note)
		}
	}
	return b.Bytes()
}

func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

func commit() string {
	output, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(output))
}

// compare returns the ratio of a figure to its baseline, and whether the ratio meets the target, if there is one.
func compare(ours, baseline, target float64) (ratio, verdict string) {
	r := ours / baseline
	if target > 0 {
		verdict = checkTarget(r, target, "%.1f")
	}
	return fmt.Sprintf("%.2f", r), verdict
}

// checkTarget says whether a figure meets its target.
func checkTarget(value, target float64, format string) string {
	mark := "✔"
	if value > target {
		mark = "✘"
	}
	return mark + " ≤ " + fmt.Sprintf(format, target)
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
