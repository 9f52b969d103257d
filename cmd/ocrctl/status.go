package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"

	"github.com/spf13/cobra"
)

// statusFlags are what the command line says beside the options of the count.
type statusFlags struct {
	inventory.Options
	listingOnly bool
	list        string
	watch       time.Duration
}

func newStatus(s *settings) *cobra.Command {
	var f statusFlags
	c := &cobra.Command{
		Use:   "status",
		Short: "Count a bucket's images by what became of them, or list some of them",
		Long: `Count a bucket's images by what became of them: recognised, unrecognised, failed (by code), without a document, still in work. One pass over the listing, and one read for each document unless --listing-only. Images with equal bytes are found by their ETags (not those of multipart uploads), which takes some 60 bytes of memory for each image.

A document counts if it is not older than the image and, where it is read, if it names the image's present ETag; one that names another is stale. A document that cannot be read is counted and named, and the exit code is 1. Nothing is written. An image without a document, long after its upload, has lost its event: ocrctl backfill submits it.

With --list the images themselves are printed, one a line: those of a status, an error code or a state (missing, outdated, stale, inProgress, staleClaim, unreadable), retryable failures, contradictory cards, or those that may have been paid more than once (twice-called).`,
		Example: `  ocrctl status --bucket cards --region cn-hangzhou
  ocrctl status -b cards -r cn-hangzhou --prefix 2026/ --watch 30s
  ocrctl status -b cards -r cn-hangzhou --list contradictory --no-mask
  ocrctl status --sandbox --output json`,
		Args: noArguments,
	}
	s.listingFlags(c, &f.Prefix, &f.Parallel)
	claimAgeFlag(c.Flags(), &f.ClaimAge)
	c.Flags().BoolVar(&f.listingOnly, "listing-only", false, "read no document: neither statuses nor codes are counted")
	c.Flags().DurationVar(&f.watch, "watch", 0, "count again after this `pause`, until Ctrl-C; at least 1s")
	c.Flags().StringVar(&f.list, "list", "", "print the images of this `kind`: a status, an error code, a state, retryable, contradictory or twice-called")
	completeWords(c, "list", listKinds())
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case f.watch != 0 && f.watch < time.Second:
			return usageError{message.Errorf("--watch %s: accepted is 1s or more", f.watch)}
		case f.list != "" && !slices.Contains(listKinds(), f.list):
			return usageError{message.Errorf("--list %q: accepted are %s", f.list, strings.Join(listKinds(), ", "))}
		case f.list != "" && (f.listingOnly || f.watch != 0):
			return usageError{message.Errorf("--list does not go with --listing-only or --watch")}
		}
		f.Read = !f.listingOnly
		return s.status(c.Context(), f)
	}
	return c
}

// The kinds of --list beside states, statuses and codes.
const (
	listRetryable     = "retryable"
	listContradictory = "contradictory"
	listTwiceCalled   = "twice-called"
)

var listStates = []inventory.State{inventory.Missing, inventory.Outdated, inventory.Stale, inventory.InProgress, inventory.StaleClaim, inventory.Unreadable}

// listKinds are the words that --list takes.
func listKinds() []string {
	kinds := []string{listContradictory, listRetryable, listTwiceCalled}
	for _, state := range listStates {
		kinds = append(kinds, string(state))
	}
	for _, status := range statuses {
		kinds = append(kinds, string(status))
	}
	for _, code := range result.Codes {
		kinds = append(kinds, string(code))
	}
	return kinds
}

// ofKind reports whether --list prints the image.
func ofKind(kind string, i inventory.Image) bool {
	d := i.Document
	switch {
	case string(i.State) == kind:
		return true
	case d == nil || i.State != inventory.Documented:
		return false
	case kind == listContradictory:
		return i.Contradictory()
	case kind == listTwiceCalled:
		return d.OCR.PossibleExtraCharges > 0
	case kind == listRetryable:
		return d.Error != nil && d.Error.Retryable
	}
	return string(d.Status) == kind || d.Error != nil && string(d.Error.Code) == kind
}

func (s *settings) status(ctx context.Context, f statusFlags) error {
	s.parallel = f.Parallel
	conf, bucket, err := s.open()
	if err != nil {
		return err
	}
	f.Keys = keys(conf)
	for {
		bar := s.progress("counting images", -1)
		if f.list != "" && isTerminal(s.stdout) {
			bar.end()
			bar.bar = nil // the images themselves are seen
		}
		failed := troubles{s: s}
		listed, lost := int64(0), error(nil)
		report, err := inventory.Count(ctx, bucket, f.Options, time.Now(), func(i inventory.Image, r inventory.Report) {
			switch {
			case f.list != "" && lost == nil && ofKind(f.list, i):
				listed++
				lost = s.printListed(i)
			case f.list == "" && i.State == inventory.Unreadable:
				failed.unread(i.Key, i.Cause)
			}
			bar.at(r.Images)
		})
		bar.end()
		if err == nil {
			err = lost
		}
		if err != nil {
			return err
		}
		if f.list != "" {
			s.note("%d of %d images", listed, report.Images)
			if help := kindHint(f.list); help != "" && listed > 0 {
				s.note("%s", help)
			}
			if report.Unreadable > 0 && f.list != string(inventory.Unreadable) {
				return exitError{exitFailed, message.Sprintf("%d documents could not be read, so images may be missing here; `ocrctl status --list unreadable` names them", report.Unreadable)}
			}
			return nil
		}
		if f.watch != 0 && !s.json() {
			s.printStamp()
		}
		if err := s.printStatus(report, f.Read); err != nil {
			return err
		}
		if f.watch == 0 {
			return failed.err()
		}
		timer := time.NewTimer(f.watch)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// printStamp begins a count of --watch: in the place of the last one on a terminal, below it anywhere else.
func (s *settings) printStamp() {
	if isTerminal(s.stdout) {
		fmt.Fprint(s.stdout, "\x1b[H\x1b[2J")
	}
	fmt.Fprintln(s.stdout, time.Now().Format(time.DateTime))
}

// kindHint is what helps images of a kind.
func kindHint(kind string) string {
	switch kind {
	case listRetryable:
		return message.Text("`ocrctl backfill --retry-failed retryable` submits them again (" + onePaidCall + ")")
	case listContradictory:
		return message.Text("`ocrctl show KEY --open` shows one beside its picture (free)")
	}
	if help, ok := stateHints[inventory.State(kind)]; ok {
		return message.Text(help)
	}
	return hintFor(result.Code(kind))
}

// printListed prints one image of --list.
func (s *settings) printListed(i inventory.Image) error {
	status, code := result.Status(""), result.Code("")
	if i.Document != nil {
		status = i.Document.Status
		if i.Document.Error != nil {
			code = i.Document.Error.Code
		}
	}
	if s.json() {
		return s.print(struct {
			Key    string          `json:"key"`
			State  inventory.State `json:"state"`
			Status result.Status   `json:"status,omitempty"`
			Code   result.Code     `json:"code,omitempty"`
			Cause  string          `json:"cause,omitempty"`
		}{i.Key, i.State, status, code, i.Cause})
	}
	what := string(i.State)
	switch {
	case i.Cause != "":
		what = i.Cause
	case i.State != inventory.Documented:
	case code != "":
		what = string(code)
	default:
		what = string(status)
	}
	_, err := fmt.Fprintf(s.stdout, "%-16s  %s\n", display.Printable(what), display.Printable(s.key(i.Key)))
	return err
}

func (s *settings) printStatus(r inventory.Report, read bool) error {
	if s.json() {
		return s.print(struct {
			Bucket string    `json:"bucket"`
			At     time.Time `json:"at"`
			inventory.Report
		}{s.bucket, time.Now().UTC().Truncate(time.Second), r})
	}
	var rows [][]string
	line := func(indent, name string, count int64, remark string) {
		if remark != "" {
			remark = "  " + remark
		}
		rows = append(rows, []string{strconv.FormatInt(count, 10), indent + name + remark})
	}
	line("", message.Text("images"), r.Images, message.Sprintf("(%.1f MB)", float64(r.ImageBytes)/1e6))
	line("  ", message.Text("with a document"), r.Documents, "")
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		line("    ", string(status), r.Statuses[status], "")
	}
	for _, code := range slices.Sorted(maps.Keys(r.Codes)) {
		line("      ", string(code), r.Codes[code], hintFor(code))
	}
	if r.Unreadable > 0 {
		line("    ", message.Text("unreadable"), r.Unreadable, message.Text("`ocrctl status --list unreadable` names them"))
	}
	line("  ", message.Text("without a document"), r.Missing, fixFor(r.Missing, "lost events, or on their way; `ocrctl backfill` submits them"))
	line("  ", message.Text("document older than the image"), r.Outdated, fixFor(r.Outdated, "`ocrctl backfill` submits them"))
	if read {
		line("  ", message.Text("document of another version"), r.Stale, fixFor(r.Stale, "`ocrctl backfill --retry-failed stale` submits them"))
	}
	line("  ", message.Text("in work"), r.InProgress, "")
	line("  ", message.Text("stale claim"), r.StaleClaims, fixFor(r.StaleClaims, "work broke off; `ocrctl backfill` submits them"))
	if r.EqualImages > 0 {
		line("", message.Text("with the bytes of another image"), r.EqualImages, message.Sprintf("in %d groups; `ocrctl backfill --reuse` pays for one image of each", r.EqualGroups))
	}
	if r.OrphanDocuments+r.OrphanClaims > 0 {
		line("", message.Text("documents without image"), r.OrphanDocuments, "")
		line("", message.Text("claims without image"), r.OrphanClaims, "")
	}
	if read {
		line("", message.Text("charged"), r.Charged, "")
		line("", message.Text("took two calls or more"), r.MoreCalls, fixFor(r.MoreCalls, "retries, or pictures without a front; OCR_SECOND_LOOK=false saves the second call of those"))
		line("", message.Text("possible extra charges"), r.Extra, fixFor(r.Extra, "`ocrctl status --list twice-called` names the images"))
		line("", message.Text("retryable failures"), r.Retryable, fixFor(r.Retryable, "`ocrctl backfill --retry-failed retryable`"))
		line("", message.Text("cards that contradict themselves"), r.Invalid, fixFor(r.Invalid, "`ocrctl status --list contradictory` names them"))
	}
	return display.Columns(s.stdout, rows)
}

func fixFor(n int64, fix message.Key) string {
	if n == 0 {
		return ""
	}
	return message.Text(fix)
}
