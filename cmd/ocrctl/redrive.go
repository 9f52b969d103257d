package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"fc-idcard-ocr/internal/ctl/redrive"
	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"
)

// redriveFlags are what the command line says beside the options of the job.
type redriveFlags struct {
	queue, endpoint string
	rate            float64
	limit           int64
	dryRun          bool
}

func newRedrive(s *settings) *cobra.Command {
	var f redriveFlags
	c := &cobra.Command{
		Use:   "redrive",
		Short: "Submit the events of the failure queue again",
		Long: `Submit the events of the failure queue again: those that failed after all retries of Function Compute. A message leaves the queue only after its event
was accepted. The function pays for nothing that has a document already, and what fails again comes back to the queue; a run takes only what was
waiting when it began. Start with --dry-run, which reads 16 messages and changes nothing.`,
		Example: `  ocrctl redrive -r cn-hangzhou --account 1234567890123456 --dry-run
  ocrctl redrive -r cn-hangzhou --account 1234567890123456 --rate 2 --limit 100`,
		Args: noArguments,
	}
	s.placeFlags(c)
	flags := c.Flags()
	flags.StringVar(&f.queue, "queue", "", "`name` or ARN of the queue [OCRCTL_QUEUE] (default idcard-ocr-failures)")
	flags.StringVar(&f.endpoint, "mns-endpoint", "", "`URL` of the queue's API [OCRCTL_MNS_ENDPOINT] (default https://<account>.mns.<region>.aliyuncs.com)")
	flags.Float64Var(&f.rate, "rate", 5, "events submitted per `second`, more than 0 and at most 100")
	flags.Int64Var(&f.limit, "limit", 0, "take at most this `number` of messages; 0 means all that are waiting")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "read only: nothing is submitted or deleted")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case !(f.rate > 0 && f.rate <= 100):
			return usageError{message.Errorf("--rate %v: accepted is more than 0, up to 100", f.rate)}
		case f.limit < 0:
			return usageError{message.Errorf("--limit: accepted are whole numbers from 0")}
		}
		return s.redrive(c.Context(), f)
	}
	return c
}

func (s *settings) redrive(ctx context.Context, f redriveFlags) error {
	s.bucket = first(s.bucket, "unused")
	client, err := s.functions()
	if err != nil {
		return err
	}
	queue := &redrive.Queue{Name: queueName(first(f.queue, os.Getenv("OCRCTL_QUEUE"), "idcard-ocr-failures")), Endpoint: first(f.endpoint, os.Getenv("OCRCTL_MNS_ENDPOINT"))}
	if s.sandboxInfo != nil {
		queue.Endpoint = first(queue.Endpoint, s.sandboxInfo.MNS)
	}
	if queue.Endpoint == "" {
		id := first(s.accountID, os.Getenv("OCRCTL_ACCOUNT"))
		if id == "" || strings.Trim(id, "0123456789") != "" {
			return usageError{message.Errorf("no account ID (a number), of which the address of the queue is made; name it with --account or OCRCTL_ACCOUNT, or give --mns-endpoint")}
		}
		queue.Endpoint = redrive.Endpoint(id, s.region)
	}
	if !strings.HasPrefix(queue.Endpoint, "https://") && s.sandboxInfo == nil {
		return usageError{message.Errorf("--mns-endpoint %q: accepted is an https:// URL", queue.Endpoint)}
	}
	source := s.credentials()
	queue.Key = func(ctx context.Context) (redrive.Key, error) {
		k, err := source(ctx)
		return redrive.Key{ID: k.AccessKeyID, Secret: k.AccessKeySecret, Token: k.SecurityToken}, err
	}
	j := &redrive.Job{Queue: queue, Invoker: client, Function: client.Function, Limiter: rate.NewLimiter(rate.Limit(f.rate), 1), Limit: f.limit, DryRun: f.dryRun}
	report, err := j.Run(ctx)
	if printErr := s.printRedrive(report, f.dryRun); err == nil {
		err = printErr
	}
	var refused *redrive.QueueError
	if errors.As(err, &refused) && refused.Status/100 == 4 {
		return configurationError{err}
	}
	return err
}

// queueName takes the name out of a queue's ARN, as a destination is written: acs:mns:REGION:ACCOUNT:/queues/NAME/messages.
func queueName(s string) string {
	if _, after, ok := strings.Cut(s, ":/queues/"); ok {
		s, _, _ = strings.Cut(after, "/")
	}
	return s
}

func (s *settings) printRedrive(r redrive.Report, dryRun bool) error {
	if s.json() {
		return s.print(r)
	}
	text := message.Sprintf("%d messages were waiting; %d submitted", r.Waiting, r.Submitted)
	if dryRun {
		text = message.Sprintf("%d messages are waiting; of the first %d, %d would be submitted", r.Waiting, r.Looked, r.Submitted)
	}
	if r.Foreign > 0 {
		text += message.Sprintf("; %d are no events of this function and stay", r.Foreign)
	}
	if r.Twice > 0 {
		text += message.Sprintf("; %d submitted, but still in the queue", r.Twice)
	}
	if !dryRun && r.Submitted > 0 {
		text += message.Text("\nThe function is at work now; `ocrctl status` shows what becomes of them.")
	}
	_, err := fmt.Fprintln(s.stdout, text)
	return err
}
