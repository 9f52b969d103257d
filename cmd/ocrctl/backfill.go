package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/backfill"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"

	"github.com/spf13/cobra"
)

// backfillFlags are what the command line says beside the options of the job.
type backfillFlags struct {
	backfill.Options
	all, restart             bool
	since, retry, checkpoint string
	price                    float64
	reuseWait                time.Duration
}

func newBackfill(s *settings) *cobra.Command {
	var f backfillFlags
	c := &cobra.Command{
		Use:   "backfill (--prefix PREFIX | --all)",
		Short: "Submit the images of a bucket that have no result yet to the function",
		Long: `Submit the images of a bucket that have no result yet to the function, as if they had just been uploaded. The command lists and submits, asynchronously; the function recognises, and pays. Start with --dry-run.

An image is submitted if it has no document; if its document is older than it is; or if a claim older than --claim-age lies beside it. The listing contains times, but no ETags of documents, so an image that was replaced in the same second in which its document was written counts as done. With --retry-failed each document is read: one that names another ETag than the image's is submitted, and so are the chosen failures; the document of a final failure is removed just before, as the function would let it stand. A document that cannot be read or removed is named, the run goes on, and the exit code is 1.

The run can be stopped (Ctrl-C) or killed at any time; the same command goes on where it stopped, from a checkpoint file. Nothing is paid twice by that: what is submitted twice is recognised once. A run ends early at --limit (of this run) or --max-charge (of all runs of the same job), and at the first request that fails for good.

With --reuse images of equal bytes (by ETag of a simple upload and size) cost one call: one is submitted, or none if one has its answer already, and the documents of the others are written from its document once that is there ("charged": false, "reusedFrom"), after the bytes of both were read and compared by SHA-256. Failures are not reused.`,
		Example: `  ocrctl backfill -b cards -r cn-hangzhou --prefix 2026/ --dry-run --price 0.02
  ocrctl backfill -b cards -r cn-hangzhou --account 1234567890 --prefix 2026/ --max-charge 1000
  ocrctl backfill -b cards -r cn-hangzhou --account 1234567890 --all --retry-failed Timeout,Internal
  ocrctl backfill --sandbox --all`,
		Args: noArguments,
	}
	flags := c.Flags()
	s.listingFlags(c, &f.Prefix, &f.Parallel)
	s.functionFlags(flags)
	flags.BoolVar(&f.all, "all", false, "the whole bucket; required if there is no --prefix, as it costs money")
	flags.StringVar(&f.since, "since", "", "only images changed since this `time`: a date, a time, or a duration back from now (48h)")
	flags.StringVar(&f.retry, "retry-failed", "", "read the documents and submit failures again: `codes` separated by commas, retryable, all (status failed), or stale (documents of another version, which any of them submits)")
	completeList(c, "retry-failed", backfill.Words())
	flags.BoolVarP(&f.DryRun, "dry-run", "n", false, "list and count only: nothing is written or called")
	flags.Float64Var(&f.Rate, "rate", 10, "images submitted per `second`, more than 0 and at most 1000")
	flags.Int64Var(&f.Limit, "limit", 0, "submit at most this `number` of images in this run; 0 means no limit")
	flags.Int64Var(&f.MaxCharge, "max-charge", 0, "stop before all runs together cause more than this `number` of paid calls, one per image; 0 means no limit")
	flags.Float64Var(&f.price, "price", 0, "`price` of a call, for the estimate")
	claimAgeFlag(flags, &f.ClaimAge)
	flags.StringVar(&f.checkpoint, "checkpoint", "", "`file` to go on from (default: one per job in ocrctl's folder of the user's cache)")
	flags.BoolVar(&f.Reuse, "reuse", false, "submit one image of those with equal bytes, and write the documents of the others from its document")
	flags.DurationVar(&f.reuseWait, "reuse-wait", 10*time.Minute, "wait at most this `time` for the documents of submitted images, with --reuse")
	c.MarkFlagFilename("checkpoint", "jsonl") //nolint:errcheck // the flag is there
	flags.BoolVar(&f.restart, "restart", false, "forget the checkpoint and start from the beginning")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.check(); err != nil {
			return err
		}
		return s.backfill(c.Context(), f)
	}
	return c
}

func (f *backfillFlags) check() (err error) {
	if f.since != "" {
		if f.Since, err = parseSince(f.since, time.Now()); err != nil {
			return err
		}
	}
	if f.Retry, err = backfill.ParseSelection(f.retry); err != nil {
		return usageError{message.Errorf("--retry-failed: %w", err)}
	}
	switch {
	case f.Prefix == "" && !f.all:
		return usageError{message.Errorf("neither --prefix nor --all: recognising a whole bucket costs money, so it has to be asked for; try --all --dry-run first")}
	case f.Prefix != "" && f.all:
		return usageError{message.Errorf("--prefix and --all exclude each other")}
	case !(f.Rate > 0 && f.Rate <= 1000):
		return usageError{message.Errorf("--rate %v: accepted is more than 0, up to 1000", f.Rate)}
	case f.Limit < 0 || f.MaxCharge < 0:
		return usageError{message.Errorf("--limit and --max-charge: accepted are whole numbers from 0")}
	case !(f.price >= 0 && f.price < 1e6):
		return usageError{message.Errorf("--price %v: accepted is 0 or more, such as 0.02", f.price)}
	case f.reuseWait < 0:
		return usageError{message.Errorf("--reuse-wait %s: accepted is 0 or more", f.reuseWait)}
	}
	return nil
}

func (s *settings) backfill(ctx context.Context, f backfillFlags) error {
	s.parallel = f.Parallel
	conf, bucket, err := s.open()
	if err != nil {
		return err
	}
	j := &backfill.Job{Options: f.Options, Objects: bucket}
	if !f.DryRun {
		client, err := s.functions()
		if err != nil {
			return err
		}
		j.Invoker = client
	}
	j.Bucket, j.Region, j.Function, j.Keys, j.MaxImageBytes, j.Retention = s.bucket, s.region, s.functionName(), keys(conf), conf.MaxImageBytes, result.NewRetention(conf)
	path, err := f.checkpointPath(j.Identity(f.since))
	if err != nil {
		return err
	}
	if !f.DryRun {
		unlock, err := backfill.Lock(path)
		if err != nil {
			return err
		}
		defer unlock()
	}
	if j.Checkpoint, err = openCheckpoint(path, f, j.Identity(f.since)); err != nil {
		return err
	}
	if at := j.Checkpoint.After(); at != "" {
		images, _ := j.Checkpoint.Submitted()
		s.note("Going on after %s: %d images were submitted before. --restart starts from the beginning.", s.key(at), images)
	}
	if f.Reuse {
		if j.Plan, err = backfill.PlanReuse(ctx, j); err != nil {
			return err
		}
	}
	what, total := message.Key("submitting images"), int64(-1)
	switch {
	case f.DryRun:
		what = "counting images"
	case f.Limit > 0:
		total = f.Limit
	}
	bar := s.progress(what, total)
	counted := s.count(ctx, j, bar)
	j.Progress = func(c backfill.Counts) {
		if f.DryRun {
			bar.at(c.Images)
			return
		}
		bar.at(c.Total())
	}
	failed := troubles{s: s}
	j.Failed = func(key string, why backfill.Skip, cause string) {
		if why == backfill.Unremovable {
			failed.unremoved(key, cause)
		} else {
			failed.unread(key, cause)
		}
	}
	started := time.Now()
	told := func() {}
	if !f.DryRun {
		told = s.whenInterrupted(ctx, "Stopping; what is being submitted may take some seconds to end. Ctrl-C again ends at once, and nothing is paid twice by that.")
	}
	report, err := j.Run(ctx)
	told()
	bar.end()
	counted()
	var reused *backfill.Reused
	if err == nil {
		reused, err = s.finishReuse(ctx, conf, j, report, f.reuseWait)
	}
	if printErr := s.printBackfill(report, reused, f, j.Checkpoint, time.Since(started)); err == nil {
		err = printErr
	}
	switch {
	case err != nil:
		return err
	case report.Stopped == backfill.Interrupted && f.DryRun: // it left no checkpoint to go on from
		return context.Canceled
	case report.Stopped == backfill.Interrupted:
		return exitError{exitInterrupted, message.Text("interrupted; the same command goes on where it stopped")}
	case report.Stopped != "" && !f.DryRun:
		return exitError{exitStopped, message.Sprintf("stopped at the %s; the same command goes on where it stopped", report.Stopped)}
	case reused != nil && reused.Waiting > 0:
		return exitError{code: exitFailed}
	}
	return failed.err()
}

// count counts the images concurrently, so that the bar can show the time left. It reads the listing a
// second time, and does so only for somebody who looks at the bar.
func (s *settings) count(ctx context.Context, j *backfill.Job, b bar) (stop func()) {
	if b.bar == nil || j.DryRun || j.Limit > 0 || j.Retry.Any() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		dry := &backfill.Job{Options: j.Options, Objects: j.Objects, Plan: j.Plan}
		dry.DryRun = true
		var err error
		if dry.Checkpoint, err = backfill.Open(j.Checkpoint.Path(), j.Checkpoint.Job()); err != nil {
			return
		}
		if report, err := dry.Run(ctx); err == nil && ctx.Err() == nil {
			b.total(report.Total())
		}
	}()
	return func() { cancel(); <-done }
}

// checkpointPath is where the job's checkpoint is.
func (f backfillFlags) checkpointPath(identity backfill.Identity) (string, error) {
	if f.checkpoint != "" {
		return f.checkpoint, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", configurationError{message.Errorf("there is no folder for the checkpoint; name a file with --checkpoint: %w", err)}
	}
	return filepath.Join(cache, "ocrctl", identity.FileName()), nil
}

func openCheckpoint(path string, f backfillFlags, identity backfill.Identity) (*backfill.Checkpoint, error) {
	if f.restart && !f.DryRun {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if f.restart && f.DryRun {
		return backfill.New(path, identity), nil
	}
	c, err := backfill.Open(path, identity)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// key is an object key as it may be shown.
func (s *settings) key(key string) string {
	if s.noMask {
		return key
	}
	return result.MaskKey(key)
}

func (s *settings) printBackfill(r backfill.Report, reused *backfill.Reused, f backfillFlags, c *backfill.Checkpoint, took time.Duration) error {
	cost := float64(r.Charges) * f.price
	if s.json() {
		out := struct {
			Bucket string `json:"bucket"`
			Prefix string `json:"prefix"`
			DryRun bool   `json:"dryRun"`
			backfill.Report
			Reused     *backfill.Reused `json:"reused,omitempty"` // with --reuse
			Cost       *float64         `json:"cost,omitempty"`   // of Charges, if --price was given
			Checkpoint string           `json:"checkpoint,omitempty"`
			Seconds    float64          `json:"seconds"`
		}{Bucket: s.bucket, Prefix: f.Prefix, DryRun: f.DryRun, Report: r, Reused: reused, Seconds: took.Round(time.Millisecond).Seconds()}
		if f.price > 0 {
			out.Cost = &cost
		}
		if r.Stopped != "" && !f.DryRun {
			out.Checkpoint = c.Path()
		}
		return s.print(out)
	}
	var b strings.Builder
	if f.DryRun {
		message.Fprintf(&b, "%d images seen, %d to submit", r.Images, r.Total())
	} else {
		message.Fprintf(&b, "%d images seen, %d submitted", r.Images, r.Total())
	}
	list(&b, r.Submitted)
	message.Fprintf(&b, "; %d skipped", r.Images-r.Total())
	list(&b, r.Skipped)
	message.Fprintf(&b, "\n%d paid calls, if each image is recognised at the first", r.Charges)
	if f.price > 0 {
		message.Fprintf(&b, ": %.2f at %v each", cost, f.price)
	}
	describeReuse(&b, reused)
	if r.Earlier > 0 {
		message.Fprintf(&b, "\n%d images (%d paid calls) were submitted by earlier runs", r.Earlier, r.EarlierCharges)
	}
	if r.Stopped != "" && !f.DryRun {
		message.Fprintf(&b, "\ncheckpoint: %s", c.Path())
	}
	if r.Total() > 0 && !f.DryRun && r.Stopped == "" {
		b.WriteString(message.Text("\nThe function is at work now; `ocrctl status` shows what becomes of them."))
	}
	_, err := fmt.Fprintln(s.stdout, b.String())
	return err
}

func list[K ~string](b *strings.Builder, counts map[K]int64) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if len(parts) > 0 {
		fmt.Fprintf(b, " (%s)", strings.Join(parts, ", "))
	}
}
