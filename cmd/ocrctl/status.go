package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"fc-idcard-ocr/internal/ctl/inventory"

	"github.com/spf13/cobra"
)

// claimAge is the default age from which a claim counts as left behind: longer than the function's time-out in any of the
// deployments here.
const claimAge = 15 * time.Minute

func newStatus(s *settings) *cobra.Command {
	o := inventory.Options{}
	var listingOnly bool
	var watch time.Duration
	c := &cobra.Command{
		Use:   "status",
		Short: "Count a bucket's images by what became of them",
		Long: `Count a bucket's images by what became of them: recognised, unrecognised, failed (by code), without a document, still
in work. One pass over the listing, in constant memory, and one read for each document unless --listing-only.

Whether a document is about the image as it is now is judged by time: it counts if it is not older than the image.
Nothing is written. An image without a document, long after its upload, has lost its event: ocrctl backfill submits it.`,
		Example: `  ocrctl status --bucket cards --region cn-hangzhou
  ocrctl status -b cards -r cn-hangzhou --prefix 2026/ --watch 30s
  ocrctl status --sandbox --output json`,
		Args: cobra.NoArgs,
	}
	s.listingFlags(c.Flags(), &o.Prefix, &o.Parallel)
	c.Flags().DurationVar(&o.ClaimAge, "claim-age", claimAge, "`age` from which a claim counts as stale; more than the function's time-out")
	c.Flags().BoolVar(&listingOnly, "listing-only", false, "read no document: neither statuses nor codes are counted")
	c.Flags().DurationVar(&watch, "watch", 0, "count again after this `pause`, until Ctrl-C; at least 1s")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case watch != 0 && watch < time.Second:
			return usageError{fmt.Errorf("--watch %s: accepted is 1s or more", watch)}
		case o.ClaimAge <= 0:
			return usageError{fmt.Errorf("--claim-age %s: accepted is more than 0", o.ClaimAge)}
		}
		if err := checkParallel(o.Parallel); err != nil {
			return err
		}
		o.Read = !listingOnly
		return s.status(c.Context(), o, watch)
	}
	return c
}

func (s *settings) status(ctx context.Context, o inventory.Options, watch time.Duration) error {
	conf, bucket, err := s.open()
	if err != nil {
		return err
	}
	o.Keys = keys(conf)
	for {
		bar := s.progress("counting images", -1)
		report, err := inventory.Count(ctx, bucket, o, time.Now(), func(r inventory.Report) { bar.at(r.Images) })
		bar.end()
		if err != nil {
			return err
		}
		if err := s.printStatus(report, o.Read); err != nil || watch == 0 {
			return err
		}
		timer := time.NewTimer(watch)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		if !s.json() {
			fmt.Fprintln(s.stdout)
		}
	}
}

func (s *settings) printStatus(r inventory.Report, read bool) error {
	if s.json() {
		return s.print(struct {
			Bucket string    `json:"bucket"`
			At     time.Time `json:"at"`
			inventory.Report
		}{s.bucket, time.Now().UTC().Truncate(time.Second), r})
	}
	w := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	line := func(indent, name string, count int64, remark string) {
		if remark != "" {
			remark = "  " + remark
		}
		fmt.Fprintf(w, "%d\t  %s%s%s\n", count, indent, name, remark)
	}
	line("", "images", r.Images, fmt.Sprintf("(%.1f MB)", float64(r.ImageBytes)/1e6))
	line("  ", "with a document", r.Documents, "")
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		line("    ", string(status), r.Statuses[status], "")
	}
	for _, code := range slices.Sorted(maps.Keys(r.Codes)) {
		line("      ", string(code), r.Codes[code], "")
	}
	if r.Unreadable > 0 {
		line("    ", "unreadable", r.Unreadable, "not documents of this program")
	}
	line("  ", "without a document", r.Missing, fixFor(r.Missing, "lost events, or on their way; `ocrctl backfill` submits them"))
	line("  ", "document older than the image", r.Outdated, fixFor(r.Outdated, "`ocrctl backfill` submits them"))
	line("  ", "in work", r.InProgress, "")
	line("  ", "stale claim", r.StaleClaims, fixFor(r.StaleClaims, "work broke off; `ocrctl backfill` submits them"))
	if r.OrphanDocuments+r.OrphanClaims > 0 {
		line("", "documents without image", r.OrphanDocuments, "")
		line("", "claims without image", r.OrphanClaims, "")
	}
	if read {
		line("", "charged", r.Charged, "")
		line("", "possible extra charges", r.Extra, "")
		line("", "retryable failures", r.Retryable, fixFor(r.Retryable, "`ocrctl backfill --retry-failed retryable`"))
		line("", "cards that contradict themselves", r.Invalid, "")
	}
	return w.Flush()
}

func fixFor(n int64, fix string) string {
	if n == 0 {
		return ""
	}
	return fix
}
