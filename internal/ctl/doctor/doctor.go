// Package doctor finds out why the recognition of a bucket does not work: it checks one thing after the other and says of
// each what it found and what to do. It never changes anything and never makes a call that can be charged.
package doctor

import (
	"context"
	"net/http"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"
)

// Result is how a check ended.
type Result string

// The results.
const (
	OK      Result = "ok"
	Warning Result = "warning" // works, but should be checked
	Failure Result = "failure" // does not work
	Skipped Result = "skipped" // cannot be checked, because of an earlier finding, or because it was not named
)

// Finding is one check's outcome.
type Finding struct {
	Check  message.Key `json:"check"` // a name for programs, which is not translated; Title is
	Result Result      `json:"result"`
	Detail string      `json:"detail"`
	Fix    string      `json:"fix,omitempty"` // unless OK
}

// Title is the check's name in the language in use.
func (f Finding) Title() string { return message.Text(f.Check) }

// Target is what is checked. Nil members are skipped.
type Target struct {
	// Config is the configuration of this machine, and ConfigErr its problems. It may lack a key: what is checked is the function's.
	Config    config.Config
	ConfigErr error
	Bucket    *ossclient.Bucket
	Function  *fcclient.Client
	// Uploader is the bucket as whoever uploads sees it.
	Uploader *ossclient.Bucket
	// Region is the one that was named.
	Region string
	// OpenPublic opens the bucket at the address from which the provider fetches pictures.
	OpenPublic func(endpoint string, cname bool) (*ossclient.Bucket, error)
	// OSSEndpoint is where the clock is read; empty means that of the OCR API.
	OSSEndpoint string
	// HTTP makes the requests that need no signature of Alibaba Cloud.
	HTTP *http.Client
	Now  func() time.Time
}

// allowedSkew is what OCR gateway and OSS tolerate of a clock.
const allowedSkew = 15 * time.Minute

// examination is a Target with what was learned of it so far.
type examination struct {
	Target
	// config is the function's configuration, or this machine's if the function's cannot be read.
	config    config.Config
	configErr error
	// described is how the function is set up, nil if that cannot be read; describeErr says why.
	described   *fcclient.Function
	describeErr error
	// info is how the bucket is set up, nil if that cannot be read; infoErr says why.
	info    *ossclient.Info
	infoErr error
	// lifecycle are the bucket's rules.
	lifecycle    []ossclient.Rule
	lifecycleErr error
}

// Run runs all checks, in an order in which what fails first explains what fails later. Each check goes on after a failure of
// another one.
func (t Target) Run(ctx context.Context, report func(Finding)) {
	if t.Now == nil {
		t.Now = time.Now
	}
	if t.HTTP == nil {
		t.HTTP = &http.Client{Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	e := &examination{Target: t}
	e.learn(ctx)
	for _, c := range []struct {
		name  message.Key
		check func(context.Context) Finding
	}{
		{"configuration", e.configuration}, {"function", e.function}, {"variables", e.variables},
		{"OCR address", e.address}, {"clock", e.clock}, {"OCR key", e.localKey}, {"function's key", e.functionKey},
		{"time-out", e.timeout}, {"role", e.role}, {"logs", e.logs}, {"failures", e.failures}, {"concurrency", e.concurrency},
		{"triggers", e.triggers}, {"HTTP trigger", e.httpTrigger}, {"region", e.region},
		{"bucket", e.bucket}, {"public access", e.publicAccess}, {"encryption", e.encryption}, {"storage class", e.storageClass},
		{"retention", e.retention}, {"versioning", e.versioning}, {"lifecycle", e.documentLifecycle}, {"access log", e.accessLog},
		{"uploader", e.uploader}, {"signed URL", e.signedURL},
	} {
		limited, cancel := context.WithTimeout(ctx, 40*time.Second)
		finding := c.check(limited)
		cancel()
		if ctx.Err() != nil { // what the check found may be the interruption only
			return
		}
		finding.Check = c.name
		report(finding)
	}
}

// learn asks function and bucket how they are set up.
func (e *examination) learn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	e.config, e.configErr = e.Config, e.ConfigErr
	if e.Function != nil {
		f, err := e.Function.Describe(ctx)
		if e.describeErr = err; err == nil {
			e.described = &f
			environ := make([]string, 0, len(f.EnvironmentVariables))
			for name, value := range f.EnvironmentVariables {
				environ = append(environ, name+"="+value)
			}
			e.config, e.configErr = config.Parse(environ)
		}
	}
	if e.Bucket != nil {
		info, err := e.Bucket.Info(ctx)
		if e.infoErr = err; err == nil {
			e.info = &info
		}
		e.lifecycle, e.lifecycleErr = e.Bucket.Lifecycle(ctx)
	}
}

func ok(format string, args ...any) Finding {
	return Finding{Result: OK, Detail: message.Sprintf(format, args...)}
}

func fail(fix message.Key, format string, args ...any) Finding {
	return Finding{Result: Failure, Detail: message.Sprintf(format, args...), Fix: message.Text(fix)}
}

func warn(fix message.Key, format string, args ...any) Finding {
	return Finding{Result: Warning, Detail: message.Sprintf(format, args...), Fix: message.Text(fix)}
}

func skip(format string, args ...any) Finding {
	return Finding{Result: Skipped, Detail: message.Sprintf(format, args...)}
}

// fixedBy returns the finding with a fix that names what was found.
func (f Finding) fixedBy(format string, args ...any) Finding {
	f.Fix = message.Sprintf(format, args...)
	return f
}

// What puts right what OSS, Function Compute and the OCR gateway refuse alike. Those of Function Compute's API have a part
// after a dot, such as InvalidTimeStamp.Expired (help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature).
const (
	correct  message.Key = "correct the credentials: AccessKey ID and secret do not belong together, or are no longer valid"
	renew    message.Key = "renew the credentials: they are temporary (STS) and have ended, or token and AccessKey do not belong together"
	setClock message.Key = "set this machine's clock (NTP)"
	tryLater message.Key = "try again later"
)

const (
	noBucket   = "no bucket was named"
	noFunction = "no function was named (--account, or --fc-endpoint)"
)
