package main

import (
	"context"
	"fmt"
	"os"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/doctor"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
)

func newDoctor(s *settings) *cobra.Command {
	var uploader string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what is wrong, and how to put it right",
		Long: `Find out what is wrong, and how to put it right: the function's own variables, key, time-out, role, logs, retries, failure destination, concurrency and triggers; the OCR API's address; this machine's clock; the bucket's region, public access, encryption, storage class, retention, versioning, lifecycle and access log; what the uploader must not be allowed; and whether signed URLs can be fetched from outside.

The function's settings are read (fc:GetFunction), so no key of the OCR API is needed here; the function's is tried, and one that is set here too. Nothing is changed, and no call is made that can be charged: a key is tried with a call that has no picture, which the provider refuses for free. What is not named (bucket, account), or may not be read, is skipped. The exit code is 1 if anything fails.`,
		Example: `  ocrctl doctor -b cards -r cn-hangzhou --account 1234567890123456
  ocrctl doctor -b cards -r cn-hangzhou --account 1234567890123456 --uploader-profile scanner
  ocrctl doctor --sandbox`,
		Args: noArguments,
	}
	s.bucketFlags(c)
	s.functionFlags(c.Flags())
	c.Flags().StringVar(&uploader, "uploader-profile", "", "`name` of the profile with the credentials of whoever uploads, to check what they may do")
	c.RunE = func(c *cobra.Command, _ []string) error { return s.doctor(c.Context(), uploader) }
	return c
}

func (s *settings) doctor(ctx context.Context, uploader string) error {
	failed := false
	tell := func(f doctor.Finding) {
		failed = failed || f.Result == doctor.Failure
		s.printFinding(f)
	}
	target := doctor.Target{}
	conf, err := s.localConfig()
	target.Config, target.ConfigErr = conf, err
	if err := s.doctorTarget(&target, conf, uploader); err != nil {
		return err
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

// doctorTarget opens what was named.
func (s *settings) doctorTarget(target *doctor.Target, conf config.Config, uploader string) (err error) {
	if !s.named() {
		return nil
	}
	if target.Bucket, err = s.openBucket(conf); err != nil {
		return err
	}
	target.Region = s.region
	target.OSSEndpoint = first(s.endpoint, conf.OSSPublicEndpoint, "https://oss-"+s.region+".aliyuncs.com")
	target.OpenPublic = func(endpoint string, cname bool) (*ossclient.Bucket, error) {
		public := s.bucketConfig(conf)
		public.Endpoint, public.CNAME = endpoint, cname
		return ossclient.Open(public)
	}
	if uploader != "" {
		theirs := s.bucketConfig(conf)
		theirs.Credentials = credentials.Chain(uploader)
		if target.Uploader, err = ossclient.Open(theirs); err != nil {
			return usageError{err}
		}
	}
	if s.sandboxInfo != nil || first(s.accountID, s.fcEndpoint, os.Getenv("OCRCTL_ACCOUNT"), os.Getenv("OCRCTL_FC_ENDPOINT")) != "" {
		target.Function, err = s.functions()
	}
	return err
}

// named reports whether a bucket was named anywhere.
func (s *settings) named() bool {
	return s.sandboxInfo != nil || first(s.bucket, os.Getenv("OCRCTL_BUCKET")) != ""
}

func (s *settings) printFinding(f doctor.Finding) {
	if s.json() {
		s.print(f) //nolint:errcheck // there is nobody to report it to
		return
	}
	sign := map[doctor.Result]message.Key{doctor.OK: "ok", doctor.Warning: "WARNING", doctor.Failure: "FAILED", doctor.Skipped: "skipped"}[f.Result]
	fmt.Fprintf(s.stdout, "%s  %s  %s\n", display.Pad(message.Text(sign), 7), display.Pad(f.Title(), 14), f.Detail)
	if f.Fix != "" {
		fmt.Fprintf(s.stdout, "%25s -> %s\n", "", f.Fix)
	}
}
