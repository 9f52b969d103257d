// Package doctor finds out why the recognition of a bucket does not work: it looks at one thing after the other and says of
// each what it found and what to do. It never changes anything and never makes a call that can be charged.
package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/account"
	"fc-idcard-ocr/internal/ctl/functions"
	"fc-idcard-ocr/internal/ctl/store"
	"fc-idcard-ocr/ocrclient"
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

// Patient is what is looked at. Nil members are skipped.
type Patient struct {
	Config    config.Config
	Bucket    *store.Store
	Functions *functions.Client
	// OSSEndpoint is where the clock is read; empty means that of the OCR API.
	OSSEndpoint string
	// HTTP makes the requests that need no signature of Alibaba Cloud.
	HTTP *http.Client
	Now  func() time.Time
}

// allowedSkew is what OCR gateway and OSS tolerate of a clock.
const allowedSkew = 15 * time.Minute

// Examine runs all checks, in an order in which what fails first explains what fails later.
func (p Patient) Examine(ctx context.Context, tell func(Finding)) {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.HTTP == nil {
		p.HTTP = &http.Client{Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	for _, check := range []struct {
		name string
		look func(context.Context) Finding
	}{
		{"OCR address", p.address}, {"clock", p.clock}, {"OCR key", p.key}, {"bucket", p.bucket}, {"versioning", p.versioning},
		{"signed URL", p.signedURL}, {"function", p.function}, {"trigger", p.trigger},
	} {
		if ctx.Err() != nil {
			return
		}
		limited, cancel := context.WithTimeout(ctx, 40*time.Second)
		finding := check.look(limited)
		cancel()
		finding.Check = check.name
		tell(finding)
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

// address looks whether the OCR API's host has an address and takes connections.
func (p Patient) address(ctx context.Context) Finding {
	u, err := url.Parse(p.Config.Endpoint)
	if err != nil {
		return fail("correct OCR_ENDPOINT", "OCR_ENDPOINT is no URL")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	connection, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return fail("check the name server and OCR_ENDPOINT", "the name %s cannot be resolved", u.Hostname())
	case err != nil:
		return fail("open the way out to port "+port+" (firewall, proxy, VPC without NAT)", "%s takes no connection on port %s", u.Hostname(), port)
	}
	defer connection.Close()
	if u.Scheme == "https" {
		secure := tls.Client(connection, &tls.Config{ServerName: u.Hostname()})
		if err := secure.HandshakeContext(ctx); err != nil {
			return fail("something on the way (a proxy?) answers in its place, or this machine lacks root certificates", "the TLS certificate of %s is not accepted", u.Hostname())
		}
	}
	return ok("%s answers", u.Hostname())
}

// clock compares this machine's with a server's.
func (p Patient) clock(ctx context.Context) Finding {
	endpoint := p.OSSEndpoint
	if endpoint == "" {
		endpoint = p.Config.Endpoint
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint, nil)
	if err != nil {
		return skip("no server to compare with")
	}
	before := p.Now()
	response, err := p.HTTP.Do(r)
	if err != nil {
		return skip("no server answered")
	}
	response.Body.Close()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return skip("the server told no time")
	}
	skew := before.Sub(theirs).Truncate(time.Second)
	const fix = setClock + "; signatures are refused when it is more than 15 minutes off"
	switch {
	case skew.Abs() >= allowedSkew:
		return fail(fix, "this machine's clock is %s off", skew)
	case skew.Abs() > time.Minute:
		return warn(fix, "this machine's clock is %s off", skew)
	}
	return ok("less than a minute off")
}

// key makes a call that the provider refuses free of charge: its picture is none ("错误的 imgData", ret_code -1). The gateway has
// checked key, signature and quota by then.
func (p Patient) key(ctx context.Context) Finding {
	c := p.Config
	var auth ocrclient.Auth = ocrclient.AppKey{Key: string(c.AppKey), Secret: string(c.AppSecret)}
	if c.AppCode != "" {
		auth = ocrclient.AppCode(c.AppCode)
	}
	answer, err := (&ocrclient.Client{Endpoint: c.Endpoint, Auth: auth}).Recognize(ctx, ocrclient.Request{Image: []byte("not a picture: ocrctl doctor")})
	var failed *ocrclient.Error
	switch {
	case err == nil && answer.Charged:
		return warn("tell the provider: a call with no picture in it should be free", "key and signature are accepted, but the call was counted as charged")
	case err == nil && answer.Code() == ocrclient.QuotaExhausted:
		return fail("buy more calls in the cloud market", "the provider reports that the calls are used up")
	case err == nil:
		return ok("key and signature are accepted (a call without a picture, free of charge)")
	case !errors.As(err, &failed):
		return fail("correct the variables", "%v", err)
	}
	fixes := map[ocrclient.Code]string{
		ocrclient.Unauthorized:   "take AppKey and AppSecret from 云市场 > 已购买的服务 (not those of a RAM user), and see that the application is authorised for the API",
		ocrclient.QuotaExhausted: "buy more calls in the cloud market, and see that the account is not in arrears",
		ocrclient.ClockSkew:      setClock,
		ocrclient.BadRequest:     "correct OCR_ENDPOINT: the gateway knows no such address",
	}
	fix := fixes[failed.Code]
	if fix == "" {
		fix = "try again later; give the gateway's request ID to its operator if it stays"
	}
	return fail(fix, "%v", failed)
}

func (p Patient) bucket(ctx context.Context) Finding {
	if p.Bucket == nil {
		return skip("no bucket was named")
	}
	objects := 0
	for _, err := range p.Bucket.List(ctx, "", "") {
		if err != nil {
			return p.storeFailure(err, "oss:ListObjects")
		}
		objects++
		break
	}
	if _, err := p.Bucket.Read(ctx, "ocrctl-doctor-there-is-no-such-object", 1); err != nil && !store.NotFound(err) {
		return p.storeFailure(err, "oss:GetObject")
	}
	if objects == 0 {
		return warn("upload a picture", "the bucket can be listed and read; it is empty")
	}
	return ok("the bucket can be listed and read")
}

func (p Patient) storeFailure(err error, action string) Finding {
	var e *store.Error
	if errors.Is(err, account.ErrNone) || !errors.As(err, &e) {
		return fail("set up credentials of Alibaba Cloud", "%v", err)
	}
	fix := "try again later"
	switch {
	case e.Code == "NoSuchBucket":
		fix = "correct --bucket and --region"
	case e.Code == "PublicEndpointForbidden" || e.EC == "0048-00000401":
		fix = customDomain
	case e.Code == "InvalidAccessKeyId" || e.Code == "SignatureDoesNotMatch":
		fix = correct
	case slices.Contains([]string{"SecurityTokenExpired", "InvalidSecurityToken", "AccessKeyIdAndSecurityTokenNotMatch"}, e.Code):
		fix = renew
	case e.Code == "RequestTimeTooSkewed":
		fix = setClock
	case e.Status == http.StatusForbidden:
		fix = "allow the RAM user or role " + action + " on the bucket; if it is, the region or endpoint is another bucket's"
	case e.Status == 0:
		fix = "check --region and --oss-endpoint, and the way out to them"
	}
	return fail(fix, "%v", err)
}

// What puts right what OSS, Function Compute and the OCR gateway refuse alike. Those of Function Compute's API have a part
// after a dot, such as InvalidTimeStamp.Expired (help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature).
const (
	correct  = "correct the credentials: AccessKey ID and secret do not belong together, or are no longer valid"
	renew    = "renew the credentials: they are temporary (STS) and have ended, or token and AccessKey do not belong together"
	setClock = "set this machine's clock (NTP)"
)

const customDomain = "accounts newer than 2025-03-20 cannot use the default public endpoint in mainland regions: bind a domain of your own to the bucket and set " +
	"OSS_PUBLIC_ENDPOINT=https://<domain> and OSS_PUBLIC_CNAME=true; or set OCR_IMAGE_SOURCE=data for the function, which needs no public address"

func (p Patient) versioning(ctx context.Context) Finding {
	if p.Bucket == nil {
		return skip("no bucket was named")
	}
	state, err := p.Bucket.Versioning(ctx)
	switch {
	case err != nil:
		return skip("the bucket's versioning cannot be asked for (oss:GetBucketVersioning)")
	case state == "":
		return ok("off")
	}
	return warn("a lifecycle rule that removes previous versions and delete markers keeps claims and replaced documents from piling up", "versioning is %s: it works, and each image leaves an old version of its claim behind", strings.ToLower(state))
}

// signedURL fetches what the OCR provider would fetch, without credentials.
func (p Patient) signedURL(ctx context.Context) Finding {
	switch {
	case p.Bucket == nil:
		return skip("no bucket was named")
	case p.Config.ImageSource == config.Data:
		return ok("not needed: OCR_IMAGE_SOURCE is data")
	}
	const key = "ocrctl-doctor-there-is-no-such-object"
	signed, err := p.Bucket.SignURL(ctx, key, 5*time.Minute)
	if err != nil {
		return skip("no URL can be signed")
	}
	u, err := url.Parse(signed)
	if err != nil {
		return skip("no URL can be signed")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, signed, nil)
	if err != nil {
		return skip("no URL can be signed")
	}
	response, err := p.HTTP.Do(r)
	if err != nil {
		return fail("check OSS_PUBLIC_ENDPOINT; a custom domain needs a certificate of its own in OSS", "%s, from which the provider fetches pictures, does not answer", u.Host)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 16<<10))
	body := string(text)
	switch {
	case response.StatusCode == http.StatusNotFound && strings.Contains(body, "NoSuchKey"):
		return ok("%s serves signed URLs (asked for an object that is not there)", u.Host)
	case strings.Contains(body, "PublicEndpointForbidden") || strings.Contains(body, "0048-00000401"):
		return fail(customDomain, "%s refuses signed URLs of this account", u.Host)
	case response.StatusCode == http.StatusForbidden:
		return fail("allow oss:GetObject on the bucket; behind a CDN, bind the domain to the bucket directly", "%s refuses the signed URL (403)", u.Host)
	}
	return fail("check OSS_PUBLIC_ENDPOINT and OSS_PUBLIC_CNAME: what answers there is not the bucket", "%s answered with status %d", u.Host, response.StatusCode)
}

func (p Patient) function(ctx context.Context) Finding {
	if p.Functions == nil {
		return skip("no function was named (--account, or --fc-endpoint)")
	}
	f, err := p.Functions.Describe(ctx)
	if err != nil {
		return p.functionFailure(err, "fc:GetFunction")
	}
	var wrong, fixes []string
	note := func(fix, format string, args ...any) {
		wrong, fixes = append(wrong, fmt.Sprintf(format, args...)), append(fixes, fix)
	}
	if limit := time.Duration(f.Timeout) * time.Second; f.Timeout > 0 && limit < p.Config.Timeout+5*time.Second {
		note("raise the function's timeout, or lower OCR_TIMEOUT", "its timeout of %s leaves no room for a call of OCR_TIMEOUT %s", limit, p.Config.Timeout)
	}
	for name, mine := range map[string]string{"IMAGE_SUFFIXES": strings.Join(p.Config.ImageSuffixes, ","), "RESULT_SUFFIX": p.Config.ResultSuffix, "CLAIM_SUFFIX": p.Config.ClaimSuffix} {
		theirs := f.EnvironmentVariables[name]
		if theirs = strings.ReplaceAll(theirs, " ", ""); theirs != "" && !strings.EqualFold(theirs, mine) {
			note("set "+name+" for ocrctl as the function has it", "%s is %q there and %q here, so ocrctl takes other objects for images or results", name, theirs, mine)
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		slices.Sort(fixes)
		return fail(strings.Join(fixes, "; "), "the function is there, but %s", strings.Join(wrong, "; "))
	}
	return ok("the function is there (runtime %s)", f.Runtime)
}

func (p Patient) functionFailure(err error, action string) Finding {
	var e *functions.Error
	if !errors.As(err, &e) {
		return fail("set up credentials of Alibaba Cloud, and name account and region", "%v", err)
	}
	fix := "try again later"
	switch {
	case e.Code == "FunctionNotFound":
		fix = "correct --function, --region and --account, or deploy the function"
	case strings.HasPrefix(e.Code, "InvalidSecurityToken"):
		fix = renew
	case strings.HasPrefix(e.Code, "InvalidTimeStamp"):
		fix = setClock
	case strings.HasPrefix(e.Code, "InvalidAccessKeyId") || e.Code == "SignatureDoesNotMatch":
		fix = correct
	case e.Status == http.StatusForbidden:
		fix = "allow the RAM user or role " + action + ", fc:ListTriggers and fc:InvokeFunction on the function"
	case e.Status == 0:
		fix = "check --account, --region and --fc-endpoint, and the way out to them"
	}
	return fail(fix, "%v", err)
}

// whole are the events after which a whole new object is there.
var whole = []string{"oss:ObjectCreated:PutObject", "oss:ObjectCreated:PostObject", "oss:ObjectCreated:CompleteMultipartUpload", "oss:ObjectCreated:CopyObject"}

func (p Patient) trigger(ctx context.Context) Finding {
	if p.Functions == nil {
		return skip("no function was named (--account, or --fc-endpoint)")
	}
	triggers, err := p.Functions.Triggers(ctx)
	if err != nil {
		return p.functionFailure(err, "fc:ListTriggers")
	}
	var ours []string
	for _, t := range triggers {
		if t.Type == "eventbridge" {
			ours = append(ours, t.Name+" (EventBridge; not looked into)")
		}
		o, isOSS := t.OSS()
		if !isOSS || (p.Bucket != nil && t.SourceARN != "" && !strings.HasSuffix(t.SourceARN, ":"+p.Bucket.Name())) {
			continue
		}
		if suffix := o.Filter.Key.Suffix; suffix == "" {
			return warn("give the trigger a suffix such as .jpg: without one the function is also called for its own results (it skips them, and each call is billed)",
				"OSS trigger %s has no suffix", t.Name)
		} else if strings.HasSuffix(p.Config.ResultSuffix, suffix) || strings.HasSuffix(p.Config.ClaimSuffix, suffix) {
			return fail("change the trigger's suffix to that of images", "OSS trigger %s calls the function for its own results", t.Name)
		}
		all := slices.Contains(o.Events, "oss:ObjectCreated:*")
		var missing []string
		for _, event := range whole {
			if !all && !slices.Contains(o.Events, event) {
				missing = append(missing, event)
			}
		}
		if len(missing) > 0 {
			return warn("add them to the trigger's events, if pictures can come that way", "OSS trigger %s does not listen to %s", t.Name, strings.Join(missing, ", "))
		}
		ours = append(ours, fmt.Sprintf("%s (%q ... %q)", t.Name, o.Filter.Key.Prefix, o.Filter.Key.Suffix))
	}
	if len(ours) == 0 {
		return fail("deploy the trigger (s deploy), or create one in the console", "the function has no OSS trigger for the bucket, so uploads are not recognised")
	}
	return ok("%s", strings.Join(ours, ", "))
}
