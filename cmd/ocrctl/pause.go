package main

import (
	"context"
	"fmt"
	"time"

	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
)

func newPause(s *settings) *cobra.Command {
	c := &cobra.Command{
		Use:   "pause",
		Short: "Stop the function, so that it pays for nothing more",
		Long: `Stop the function, so that it pays for nothing more. Its reserved concurrency is set to 0: images in progress are finished, and no
other image is started. Uploads continue; Function Compute retries their events for some hours and discards them after a day. No image is lost: after
resume, backfill submits the images without a document.`,
		Example: `  ocrctl pause -r cn-hangzhou --account 1234567890123456`,
		Args:    noArguments,
	}
	s.placeFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return s.pause(c.Context()) }
	return c
}

func newResume(s *settings) *cobra.Command {
	var instances int64
	c := &cobra.Command{
		Use:   "resume --concurrency NUMBER",
		Short: "Let a paused function work again",
		Long: `Let a paused function work again, with this number of concurrent instances: pause has printed the previous number; s.yaml and template.yml deploy 10, s.custom.yaml
2. Then run the backfill that it names: events that came meanwhile may be lost.`,
		Example: `  ocrctl resume -r cn-hangzhou --account 1234567890123456 --concurrency 10`,
		Args:    noArguments,
	}
	s.placeFlags(c)
	c.Flags().Int64Var(&instances, "concurrency", 0, "`number` of instances at a time, at least 1")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if instances < 1 {
			return usageError{message.Errorf("--concurrency is missing or less than 1: name the number of instances that the function may have at a time, as pause printed it")}
		}
		return s.resume(c.Context(), instances)
	}
	return c
}

// placeFlags adds the flags that name a function without its bucket.
func (s *settings) placeFlags(c *cobra.Command) {
	s.bucketFlags(c)
	s.functionFlags(c.Flags())
	for _, name := range []string{"bucket", "oss-endpoint", "oss-cname", "qualifier"} {
		c.Flags().Lookup(name).Hidden = true // the same everywhere, and not needed here
	}
}

func (s *settings) pause(ctx context.Context) error {
	s.bucket = first(s.bucket, "unused")
	client, err := s.functions()
	if err != nil {
		return err
	}
	before, reserved, err := client.ReservedConcurrency(ctx)
	if err != nil {
		return err
	}
	if err := client.Reserve(ctx, 0); err != nil {
		return err
	}
	since := time.Now().UTC().Format(time.RFC3339)
	if s.json() {
		out := map[string]any{"function": client.Function, "paused": true, "since": since}
		if reserved {
			out["concurrencyBefore"] = before
		}
		return s.print(out)
	}
	was := "10"
	text := message.Text("nothing was reserved before")
	if reserved {
		was, text = fmt.Sprint(before), message.Sprintf("it had %d before", before)
	}
	if reserved && before == 0 {
		was, text = "10", message.Text("it was paused before")
	}
	_, err = message.Fprintf(s.stdout, "%s is paused: it may have 0 instances (%s). What it is working on is finished.\nGo on with: ocrctl resume --concurrency %s\nand then:   ocrctl backfill --all --since %s\n",
		client.Function, text, was, since)
	return err
}

func (s *settings) resume(ctx context.Context, instances int64) error {
	s.bucket = first(s.bucket, "unused")
	client, err := s.functions()
	if err != nil {
		return err
	}
	if err := client.Reserve(ctx, instances); err != nil {
		return err
	}
	if s.json() {
		return s.print(map[string]any{"function": client.Function, "paused": false, "concurrency": instances})
	}
	_, err = message.Fprintf(s.stdout, "%s works again, with at most %d instances.\nEvents of the time of the pause may be lost; submit their images: ocrctl backfill --all --since TIME-OF-THE-PAUSE\n", client.Function, instances)
	return err
}
