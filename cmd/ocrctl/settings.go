package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settings are what all commands share. Values come from flags, else the environment, else defaults.
type settings struct {
	stdin  io.Reader
	stdout io.Writer
	stderr *terminal

	output     string // text or json
	noMask     bool
	sandbox    bool
	sandboxDir string
	profile    string

	bucket, region, endpoint string
	parallel                 int // requests at a time, 0 if the command makes one after the other
	cname                    bool

	function, qualifier, accountID, fcEndpoint string

	sandboxInfo *sandboxinfo.Info // of the sandbox
}

// global adds the flags of all commands.
func (s *settings) global(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&s.output, "output", "o", "text", "`format` of what is printed: text or json")
	completeWords(root, "output", []string{"text", "json"})
	flags.BoolVar(&s.noMask, "no-mask", false, "do not mask names, addresses and ID numbers in text")
	flags.BoolVar(&s.noMask, "show", false, "")
	flags.MarkHidden("show") //nolint:errcheck // the flag is there
	flags.Var(sandboxFlag{s}, "sandbox", "use the sandbox on this machine instead of Alibaba Cloud")
	flags.Lookup("sandbox").NoOptDefVal = "true"
	flags.StringVar(&s.sandboxDir, "sandbox-dir", "", "`folder` of the sandbox, or the URL of its HTTP port; implies --sandbox (default "+sandboxinfo.DefaultDir+")")
	root.MarkPersistentFlagDirname("sandbox-dir") //nolint:errcheck // the flag is there
	flags.StringVar(&s.profile, "profile", "", "`name` of the profile with the credentials [ALIBABA_CLOUD_PROFILE]")
}

// bucketFlags adds the flags of commands that read a bucket.
func (s *settings) bucketFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVarP(&s.bucket, "bucket", "b", "", "`name` of the bucket [OCRCTL_BUCKET]")
	c.RegisterFlagCompletionFunc("bucket", s.completeBuckets) //nolint:errcheck // the flag is there
	flags.StringVarP(&s.region, "region", "r", "", "`region` of bucket and function, such as cn-hangzhou [OCRCTL_REGION, ALIBABA_CLOUD_REGION_ID]")
	flags.StringVar(&s.endpoint, "oss-endpoint", "", "`URL` of OSS [OSS_PUBLIC_ENDPOINT] (default https://oss-<region>.aliyuncs.com)")
	flags.BoolVar(&s.cname, "oss-cname", false, "the endpoint is a custom domain bound to the bucket [OSS_PUBLIC_CNAME]")
}

// listingFlags adds the flags of commands that go through a bucket's listing, and puts what they say into the options
// of the command's own package.
func (s *settings) listingFlags(c *cobra.Command, prefix *string, parallel *int) {
	s.bucketFlags(c)
	flags := c.Flags()
	flags.StringVarP(prefix, "prefix", "p", "", "only keys that begin with this `prefix`")
	parallelFlag(flags, parallel)
}

func parallelFlag(flags *pflag.FlagSet, parallel *int) {
	*parallel = 16
	flags.Var(number{parallel, 1, maxParallel}, "parallel", "`number` of requests at a time, 1 to 256")
}

// completeBuckets names the buckets that the credentials may list, or nothing if that cannot be found out soon.
func (s *settings) completeBuckets(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), 3*time.Second)
	defer cancel()
	conf, err := s.config(false)
	if err != nil || s.findSandbox() != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	region := first(s.region, os.Getenv("OCRCTL_REGION"), os.Getenv("ALIBABA_CLOUD_REGION_ID"), "cn-hangzhou")
	endpoint := first(s.endpoint, conf.OSSPublicEndpoint)
	if s.sandboxInfo != nil {
		region, endpoint = s.sandboxInfo.Region, s.sandboxInfo.OSS
	}
	names, err := ossclient.Buckets(ctx, ossclient.Config{Region: region, Endpoint: endpoint, Credentials: s.credentials()})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// maxParallel is the most requests at a time.
const maxParallel = 256

// functionFlags adds the flags of commands that call the function.
func (s *settings) functionFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&s.function, "function", "f", "", "`name` of the function [OCRCTL_FUNCTION] (default idcard-ocr)")
	flags.StringVar(&s.qualifier, "qualifier", "", "`version` or alias of the function (default LATEST)")
	flags.StringVar(&s.accountID, "account", "", "`ID` of the Alibaba Cloud account, of which the API's address is made [OCRCTL_ACCOUNT]")
	flags.StringVar(&s.fcEndpoint, "fc-endpoint", "", "`URL` of the Function Compute API [OCRCTL_FC_ENDPOINT] (default https://<account>.<region>.fc.aliyuncs.com)")
}

// check resolves what is the same for all commands.
func (s *settings) check(c *cobra.Command) error {
	if !slices.Contains([]string{"text", "json"}, s.output) {
		return usageError{message.Errorf("--output %q: accepted are text and json", s.output)}
	}
	if c.Flags().Changed("show") { // cobra's own notice of a deprecated flag goes to standard output
		s.note("--show is deprecated; use --no-mask")
	}
	return s.findSandbox()
}

// findSandbox reads where the sandbox is, if it is to be used.
func (s *settings) findSandbox() error {
	if s.sandboxDir == "" && !s.sandbox {
		return nil
	}
	where := first(s.sandboxDir, sandboxinfo.DefaultDir)
	found, err := sandboxinfo.Find(where)
	if err != nil {
		return configurationError{err}
	}
	if err := checkReachable(found.OSS); err != nil {
		return configurationError{message.Errorf("no sandbox runs there: it has ended without taking its note %s away, as nothing answers at %s; start it with `go run ./cmd/sandbox`", where, found.OSS)}
	}
	s.sandboxInfo = &found
	return nil
}

// checkReachable returns an error if nobody listens at the address of a service of the sandbox.
func checkReachable(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	connection, err := net.DialTimeout("tcp", u.Host, 2*time.Second)
	if err != nil {
		return err
	}
	return connection.Close()
}

// first returns the first that is not empty.
func first(values ...string) string {
	for _, value := range values {
		if value = strings.TrimSpace(value); value != "" {
			return value
		}
	}
	return ""
}

// localConfig reads the function's variables, with its key if one is set here.
func (s *settings) localConfig() (config.Config, error) {
	hasKey := s.sandboxInfo != nil || first(os.Getenv("OCR_APP_KEY"), os.Getenv("OCR_APP_SECRET"), os.Getenv("OCR_APP_CODE")) != ""
	c, err := s.config(hasKey)
	if !hasKey {
		c.AppCode = ""
	}
	return c, err
}

// config reads the function's variables. Commands that never call the OCR API need no key for it.
func (s *settings) config(withKey bool) (config.Config, error) {
	environ := os.Environ()
	if s.sandboxInfo != nil {
		environ = append(environ, "OCR_ENDPOINT="+s.sandboxInfo.OCR, "OCR_APP_KEY="+s.sandboxInfo.AppKey, "OCR_APP_SECRET="+s.sandboxInfo.AppSecret, "OCR_APP_CODE=",
			"OSS_PUBLIC_ENDPOINT="+s.sandboxInfo.OSS, "OSS_PUBLIC_CNAME=false", "OSS_ENDPOINT=")
	}
	if !withKey {
		environ = append(environ, "OCR_APP_CODE=unused")
	}
	c, err := config.Parse(environ)
	if err != nil {
		return c, configurationError{err}
	}
	return c, nil
}

func keys(c config.Config) result.Keys {
	return result.Keys{ImageSuffixes: c.ImageSuffixes, ImageExclude: c.ImageExclude, ResultSuffix: c.ResultSuffix, ClaimSuffix: c.ClaimSuffix}
}

// credentials are those of who calls.
func (s *settings) credentials() credentials.Provider {
	if s.sandboxInfo != nil {
		return credentials.Static(credentials.Credentials{AccessKeyID: s.sandboxInfo.AccessKeyID, AccessKeySecret: s.sandboxInfo.AccessKeySecret})
	}
	return credentials.Chain(s.profile)
}

// resolveTarget resolves bucket and region.
func (s *settings) resolveTarget() error {
	s.bucket, s.region = first(s.bucket, os.Getenv("OCRCTL_BUCKET")), first(s.region, os.Getenv("OCRCTL_REGION"), os.Getenv("ALIBABA_CLOUD_REGION_ID"))
	if s.sandboxInfo != nil {
		s.bucket, s.region = first(s.bucket, s.sandboxInfo.Bucket), s.sandboxInfo.Region
	}
	s.region = strings.TrimPrefix(s.region, "oss-")
	switch {
	case s.bucket == "":
		return usageError{message.Errorf("no bucket; name it with --bucket or OCRCTL_BUCKET")}
	case s.region == "":
		return usageError{message.Errorf("no region; name it with --region or OCRCTL_REGION, such as cn-hangzhou")}
	}
	return nil
}

// open opens the bucket for a command that never calls the OCR API, and returns the function's variables beside it.
func (s *settings) open() (config.Config, *ossclient.Bucket, error) {
	conf, err := s.config(false)
	if err != nil {
		return conf, nil, err
	}
	bucket, err := s.openBucket(conf)
	return conf, bucket, err
}

// openBucket opens the bucket.
func (s *settings) openBucket(c config.Config) (*ossclient.Bucket, error) {
	if err := s.resolveTarget(); err != nil {
		return nil, err
	}
	opened, err := ossclient.Open(s.bucketConfig(c))
	if err != nil {
		return nil, usageError{err}
	}
	return opened, nil
}

// bucketConfig is the bucket at the address of ocrctl.
func (s *settings) bucketConfig(c config.Config) ossclient.Config {
	return ossclient.Config{Bucket: s.bucket, Region: s.region, Endpoint: first(s.endpoint, c.OSSPublicEndpoint), CNAME: s.cname || (s.endpoint == "" && c.OSSPublicCNAME),
		Credentials: s.credentials(), Parallel: s.parallel}
}

// openAsFunction opens the bucket with the function's own adapter, which writes as the function does.
func (s *settings) openAsFunction(ctx context.Context, c config.Config) (*ossclient.FunctionBucket, error) {
	return ossclient.OpenAsFunction(ctx, s.bucketConfig(c), c.ResultEncryption)
}

// functions returns the client of the function.
func (s *settings) functions() (*fcclient.Client, error) {
	if err := s.resolveTarget(); err != nil {
		return nil, err
	}
	endpoint := first(s.fcEndpoint, os.Getenv("OCRCTL_FC_ENDPOINT"))
	if s.sandboxInfo != nil {
		endpoint = s.sandboxInfo.FC
	}
	if endpoint == "" {
		id := first(s.accountID, os.Getenv("OCRCTL_ACCOUNT"))
		if id == "" || strings.Trim(id, "0123456789") != "" {
			return nil, usageError{message.Errorf("no account ID (a number), of which the address of Function Compute is made; name it with --account or OCRCTL_ACCOUNT, or give --fc-endpoint")}
		}
		endpoint = fcclient.Endpoint(id, s.region)
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !config.Loopback(u.Hostname())) {
		return nil, usageError{message.Errorf("--fc-endpoint %q: accepted are an https:// URL, and http:// for loopback (127.0.0.1, [::1], localhost)", endpoint)}
	}
	return &fcclient.Client{Endpoint: endpoint, Function: s.functionName(), Qualifier: s.qualifier, Credentials: s.credentials()}, nil
}

// functionName resolves the function's name.
func (s *settings) functionName() string {
	theirs := ""
	if s.sandboxInfo != nil {
		theirs = s.sandboxInfo.Function
	}
	return first(s.function, theirs, os.Getenv("OCRCTL_FUNCTION"), "idcard-ocr")
}

// json reports whether output is for machines.
func (s *settings) json() bool { return s.output == "json" }

// print writes v as JSON.
func (s *settings) print(v any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := s.stdout.Write(display.JSON(text.Bytes()))
	return err
}

// parseSince reads the text of --since.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d).UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, usageError{message.Errorf("--since %q: accepted are a date (2026-11-23), a time (2026-11-23T08:00:00Z) and a duration back from now (48h)", text)}
}
