// Package doctor finds out why the recognition of a bucket does not work: it looks at one thing after the other and says of
// each what it found and what to do. It never changes anything and never makes a call that can be charged.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/ctl/ossclient"
)

// Result is how a check ended.
type Result string

// The results.
const (
	OK      Result = "ok"
	Warning Result = "warning" // works, but look at it
	Failure Result = "failure" // does not work
	Skipped Result = "skipped" // cannot be looked at, because of something before, or because it was not named
)

// Finding is one check's outcome.
type Finding struct {
	Check  string `json:"check"`
	Result Result `json:"result"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // unless OK
}

// Target is what is checked. Nil members are skipped.
type Target struct {
	Config   config.Config
	Bucket   *ossclient.Bucket
	Function *fcclient.Client
	// OSSEndpoint is where the clock is read; empty means that of the OCR API.
	OSSEndpoint string
	// HTTP makes the requests that need no signature of Alibaba Cloud.
	HTTP *http.Client
	Now  func() time.Time
}

// allowedSkew is what OCR gateway and OSS tolerate of a clock.
const allowedSkew = 15 * time.Minute

// Run runs all checks, in an order in which what fails first explains what fails later.
func (t Target) Run(ctx context.Context, report func(Finding)) {
	if t.Now == nil {
		t.Now = time.Now
	}
	if t.HTTP == nil {
		t.HTTP = &http.Client{Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	for _, c := range []struct {
		name  string
		check func(context.Context) Finding
	}{
		{"OCR address", t.address}, {"clock", t.clock}, {"OCR key", t.key}, {"bucket", t.bucket}, {"versioning", t.versioning},
		{"signed URL", t.signedURL}, {"function", t.function}, {"trigger", t.trigger},
	} {
		if ctx.Err() != nil {
			return
		}
		limited, cancel := context.WithTimeout(ctx, 40*time.Second)
		finding := c.check(limited)
		cancel()
		finding.Check = c.name
		report(finding)
	}
}

func ok(format string, args ...any) Finding {
	return Finding{Result: OK, Detail: fmt.Sprintf(format, args...)}
}

func fail(fix, format string, args ...any) Finding {
	return Finding{Result: Failure, Detail: fmt.Sprintf(format, args...), Fix: fix}
}

func warn(fix, format string, args ...any) Finding {
	return Finding{Result: Warning, Detail: fmt.Sprintf(format, args...), Fix: fix}
}

func skip(format string, args ...any) Finding {
	return Finding{Result: Skipped, Detail: fmt.Sprintf(format, args...)}
}

// What puts right what OSS, Function Compute and the OCR gateway refuse alike. Those of Function Compute's API have a part
// after a dot, such as InvalidTimeStamp.Expired (help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature).
const (
	correct  = "correct the credentials: AccessKey ID and secret do not belong together, or are no longer valid"
	renew    = "renew the credentials: they are temporary (STS) and have ended, or token and AccessKey do not belong together"
	setClock = "set this machine's clock (NTP)"
)
