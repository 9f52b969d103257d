package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/verify"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/testdata/cards"

	"github.com/spf13/cobra"
)

// verifyOptions say what verify may do.
type verifyOptions struct {
	prefix     string
	maxCharge  int
	triggerURL string
	wait       time.Duration
}

func newVerify(s *settings) *cobra.Command {
	o := verifyOptions{wait: 2 * time.Minute}
	c := &cobra.Command{
		Use:   "verify",
		Short: "Try the assumptions behind the guarantees on your own account",
		Long: `Try the assumptions behind the guarantees (docs/assumptions.md) on your own bucket, gateway and function, and say of each whether it holds, does not hold or was not tested, and what follows.

Everything is written under a scratch prefix, ocrctl-verify-... below the triggers' prefix, and removed again with all versions. Most checks are free. --max-charge bounds the calls that can be charged: with 1 the API's answer is checked, with 2 also whether the provider fetches a signed URL, with 3 also an upload that goes through trigger and function. The picture is a specimen that belongs to nobody.

The key is that of this machine, else the function's (fc:GetFunction). The report names no bucket, key, account or person, and is fit for an issue report. The exit code is 1 if an assumption does not hold.`,
		Example: `  ocrctl verify -b cards -r cn-hangzhou --account 1234567890123456 --max-charge 3
  ocrctl verify -b cards -r cn-hangzhou --account 1234567890123456 -o json > report.json
  ocrctl verify --sandbox --max-charge 3`,
		Args: noArguments,
	}
	s.bucketFlags(c)
	s.functionFlags(c.Flags())
	flags := c.Flags()
	flags.StringVarP(&o.prefix, "prefix", "p", "", "put the scratch prefix below this `prefix` (default that of the first trigger)")
	flags.Var(number{&o.maxCharge, 0, 100}, "max-charge", "`number` of calls that may be charged")
	flags.StringVar(&o.triggerURL, "trigger-url", "", "`URL` of the function's HTTP trigger, to try what its callers can pass for")
	flags.Var(age{&o.wait}, "wait", "`age` at which a delivery counts as failed")
	c.RunE = func(c *cobra.Command, _ []string) error { return s.verify(c.Context(), o) }
	return c
}

func (s *settings) verify(ctx context.Context, o verifyOptions) error {
	conf, err := s.localConfig()
	if err != nil {
		return err
	}
	t := verify.Target{MaxCharge: o.maxCharge, TriggerURL: o.triggerURL, Wait: o.wait, Picture: cards.Specimen, Prefix: o.prefix, Config: conf}
	if t.Bucket, err = s.openBucket(conf); err != nil {
		return err
	}
	if s.sandboxInfo != nil || first(s.accountID, s.fcEndpoint, os.Getenv("OCRCTL_ACCOUNT"), os.Getenv("OCRCTL_FC_ENDPOINT")) != "" {
		if t.Function, err = s.functions(); err != nil {
			return err
		}
		if err := s.learnFunction(ctx, &t, o); err != nil {
			return err
		}
	}
	if t.Store, err = s.openAsFunction(ctx, t.Config); err != nil {
		return err
	}
	tell := s.printAssumption
	if s.json() {
		tell = nil
	}
	report := t.Run(ctx, tell)
	if s.json() {
		err = s.print(report)
	} else {
		_, err = message.Fprintf(s.stdout, "\nOCR calls: %d made, %d charged as their answers tell. Region %s, versioning %s, encryption %s, class %s, runtime %s, key %s.\n", report.Calls.Made, report.Calls.Charged,
			first(report.Setup.Region, message.Text("unknown")), verify.Word(report.Setup.Versioning), verify.Word(report.Setup.Encryption), verify.Word(report.Setup.StorageClass), first(report.Setup.Runtime, message.Text("unknown")), report.Setup.Auth)
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, f := range report.Findings {
		if f.Verdict == verify.Fails {
			return exitError{code: exitFailed}
		}
	}
	return nil
}

// learnFunction takes suffixes, time-outs and, if there is none here, the key from the function, and the prefix from its triggers.
func (s *settings) learnFunction(ctx context.Context, t *verify.Target, o verifyOptions) error {
	described, err := t.Function.Describe(ctx)
	if err != nil {
		return err
	}
	var environ []string
	for name, value := range described.EnvironmentVariables {
		environ = append(environ, name+"="+value)
	}
	theirs, err := config.Parse(environ)
	if err != nil {
		return configurationError{message.Errorf("the function's variables: %w", err)}
	}
	if t.Config.AppCode != "" || t.Config.AppKey != "" {
		theirs.AppKey, theirs.AppSecret, theirs.AppCode = t.Config.AppKey, t.Config.AppSecret, t.Config.AppCode
	}
	t.Config = theirs
	if o.prefix != "" {
		return nil
	}
	triggers, err := t.Function.Triggers(ctx)
	if err != nil {
		return err
	}
	for _, trigger := range triggers {
		if oss, ok := trigger.OSS(); ok && strings.HasSuffix(trigger.SourceARN, ":"+s.bucket) {
			t.Prefix = oss.Filter.Key.Prefix
			break
		}
	}
	return nil
}

func (s *settings) printAssumption(f verify.Finding) {
	fmt.Fprintf(s.stdout, "%s  %-21s %s\n", display.Pad(f.Verdict.Title(), 13), f.ID, f.Assumption)
	if f.Detail != "" {
		fmt.Fprintf(s.stdout, "%37s%s\n", "", f.Detail)
	}
	if f.Follows != "" {
		fmt.Fprintf(s.stdout, "%34s-> %s\n", "", f.Follows)
	}
}
