package main

import (
	"context"
	"fmt"
	"os"

	"fc-idcard-ocr/internal/ctl/doctor"

	"github.com/spf13/cobra"
)

func newDoctor(s *settings) *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what is wrong, and how to put it right",
		Long: `Find out what is wrong, and how to put it right: configuration, the OCR API's address, this machine's clock, key and signature, bucket and permissions, versioning, whether signed URLs can be fetched from outside, function and trigger.

Nothing is changed, and no call is made that can be charged: key and signature are tried with a call that has no picture, which the provider refuses for free. What is not named (bucket, account) is skipped. The exit code is 1 if anything fails.`,
		Example: `  ocrctl doctor -b cards -r cn-hangzhou --account 1234567890123456
  ocrctl doctor --sandbox`,
		Args: cobra.NoArgs,
	}
	s.bucketFlags(c)
	s.functionFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error { return s.doctor(c.Context()) }
	return c
}

func (s *settings) doctor(ctx context.Context) error {
	failed := false
	tell := func(f doctor.Finding) {
		failed = failed || f.Result == doctor.Failure
		s.printFinding(f)
	}
	conf, err := s.config(true)
	if err != nil {
		tell(doctor.Finding{Check: "configuration", Result: doctor.Failure, Detail: err.Error(), Fix: "set the variables named"})
		return exitError{code: exitFailed}
	}
	tell(doctor.Finding{Check: "configuration", Result: doctor.OK, Detail: "the variables are complete and valid"})
	target := doctor.Target{Config: conf}
	if s.named() {
		if target.Bucket, err = s.openBucket(conf); err != nil {
			return err
		}
		target.OSSEndpoint = first(s.endpoint, conf.OSSPublicEndpoint, "https://oss-"+s.region+".aliyuncs.com")
		if s.sandboxInfo != nil || first(s.accountID, s.fcEndpoint, os.Getenv("OCRCTL_ACCOUNT"), os.Getenv("OCRCTL_FC_ENDPOINT")) != "" {
			if target.Function, err = s.functions(); err != nil {
				return err
			}
		}
	}
	target.Run(ctx, tell)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed:
		return exitError{code: exitFailed}
	}
	return nil
}

// named reports whether a bucket was named anywhere.
func (s *settings) named() bool {
	return s.sandboxInfo != nil || first(s.bucket, os.Getenv("OCRCTL_BUCKET")) != ""
}

func (s *settings) printFinding(f doctor.Finding) {
	if s.json() {
		s.print(f) //nolint:errcheck // nobody is left to be told
		return
	}
	sign := map[doctor.Result]string{doctor.OK: "ok     ", doctor.Warning: "WARNING", doctor.Failure: "FAILED ", doctor.Skipped: "skipped"}[f.Result]
	fmt.Fprintf(s.stdout, "%s  %-13s  %s\n", sign, f.Check, f.Detail)
	if f.Fix != "" {
		fmt.Fprintf(s.stdout, "%24s -> %s\n", "", f.Fix)
	}
}
