package doctor

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/fcclient"
)

// configuration checks the variables of this machine. With a function they only matter to ocrctl's other commands.
func (e *examination) configuration(context.Context) Finding {
	switch {
	case e.ConfigErr != nil:
		return fail("correct the variables named, in the environment of ocrctl", "%v", e.ConfigErr)
	case e.described == nil:
		return ok("the variables here are valid")
	}
	var differ []string
	for name, pair := range map[string][2]any{"IMAGE_SUFFIXES": {e.Config.ImageSuffixes, e.config.ImageSuffixes}, "IMAGE_EXCLUDE": {e.Config.ImageExclude, e.config.ImageExclude},
		"RESULT_SUFFIX": {e.Config.ResultSuffix, e.config.ResultSuffix}, "CLAIM_SUFFIX": {e.Config.ClaimSuffix, e.config.ClaimSuffix}} {
		if e.configErr == nil && !reflect.DeepEqual(pair[0], pair[1]) {
			value := e.described.EnvironmentVariables[name]
			differ = append(differ, name+"="+value)
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return warn("", "ocrctl takes other keys for images, results or claims than the function, so status and backfill count wrongly").
			fixedBy("set for ocrctl what the function has: %s", strings.Join(differ, " "))
	}
	return ok("the variables here are valid, and name the same images and results as the function's")
}

func (e *examination) function(context.Context) Finding {
	switch {
	case e.Function == nil:
		return skip(noFunction)
	case e.describeErr != nil:
		return functionFailure(e.describeErr, "fc:GetFunction")
	case e.described.InternetAccess != nil && !*e.described.InternetAccess && e.described.VPC.ID == "":
		return fail("switch the function's internet access on (internetAccess), or give it a VPC with a NAT gateway", "the function has no way out to the OCR API")
	}
	return ok("the function is there (runtime %s)", e.described.Runtime)
}

// variables checks the function's environment as the function does at its start.
func (e *examination) variables(context.Context) Finding {
	switch {
	case e.described == nil:
		return skip("the function's variables cannot be read")
	case e.configErr != nil:
		return fail("correct the function's variables and deploy them: with these no instance starts", "%v", e.configErr)
	}
	return ok("the function's variables are complete and valid")
}

func functionFailure(err error, action string) Finding {
	var e *fcclient.Error
	if !errors.As(err, &e) {
		return fail("set up credentials of Alibaba Cloud, and name account and region", "%v", err)
	}
	fix := tryLater
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
		return fail("", "%v", err).fixedBy("allow the RAM user or role %s on the function", action)
	case e.Status == 0:
		fix = "check --account, --region and --fc-endpoint, and the way out to them"
	}
	return fail(fix, "%v", err)
}

// reserve is what the function needs of its time-out beside the call.
const reserve = 5 * time.Second

func (e *examination) timeout(context.Context) Finding {
	if e.described == nil || e.described.Timeout == 0 {
		return skip("the function's time-out cannot be read")
	}
	limit := time.Duration(e.described.Timeout) * time.Second
	switch all := time.Duration(e.config.MaxAttempts)*e.config.Timeout + reserve; {
	case limit < e.config.Timeout+reserve:
		return fail("raise the function's time-out to 180 s, or lower OCR_TIMEOUT", "its time-out of %s leaves no room for a call of OCR_TIMEOUT %s", limit, e.config.Timeout)
	case limit < all:
		return ok("%s: room for one call of %s, not for all of OCR_MAX_ATTEMPTS (%d)", limit, e.config.Timeout, e.config.MaxAttempts)
	}
	return ok("%s: room for OCR_MAX_ATTEMPTS (%d) calls of %s", limit, e.config.MaxAttempts, e.config.Timeout)
}

func (e *examination) role(context.Context) Finding {
	if e.described == nil {
		return skip("the function's role cannot be read")
	}
	if e.described.Role == "" {
		return fail("give the function a role that may do what deploy/ram-policy.json lists", "the function has no role, so it gets no credentials for OSS and every image fails")
	}
	_, name, _ := strings.Cut(e.described.Role, ":role/")
	return ok("the function has the role %s (its policy is not looked at)", name)
}

func (e *examination) logs(context.Context) Finding {
	switch {
	case e.described == nil:
		return skip("the function's log configuration cannot be read")
	case e.described.Log.Project == "" || e.described.Log.Logstore == "":
		return warn("give the function a project and a logstore (logConfig)", "the function writes no log: nobody can tell later what became of an event")
	}
	return ok("to logstore %s of project %s", e.described.Log.Logstore, e.described.Log.Project)
}

// failures checks the destination of failed events.
func (e *examination) failures(ctx context.Context) Finding {
	if e.described == nil {
		return skip("the function cannot be read")
	}
	a, err := e.Function.AsyncInvocation(ctx)
	switch {
	case err != nil:
		return skip("the function's asynchronous configuration cannot be read (fc:GetAsyncInvokeConfig)")
	case a.Retries != nil && *a.Retries == 0:
		return fail("set maxAsyncRetryAttempts to 3", "failed events are not delivered again, so a passing failure is a lost image")
	case a.Destination.OnFailure.ARN == "":
		return warn("name a queue as onFailure destination; `ocrctl redrive` submits its events again", "events that fail for good go nowhere")
	}
	return ok("failed events are delivered again, then go to %s", a.Destination.OnFailure.ARN[strings.LastIndex(a.Destination.OnFailure.ARN, ":")+1:])
}

func (e *examination) concurrency(ctx context.Context) Finding {
	if e.described == nil {
		return skip("the function cannot be read")
	}
	instances, reserved, err := e.Function.ReservedConcurrency(ctx)
	switch {
	case err != nil:
		return skip("the function's reserved concurrency cannot be read (fc:GetConcurrencyConfig)")
	case !reserved:
		return warn("reserve some instances (reservedConcurrency, such as 10)", "the number of calls at a time is bounded by nothing but the account's limit")
	case instances == 0:
		return fail("`ocrctl resume --concurrency 10`, then `ocrctl backfill`", "the function is paused: it may have 0 instances")
	case e.config.DailyLimit == 0:
		return ok("%d instances at most; OCR_DAILY_LIMIT is off", instances)
	}
	return ok("%d instances at most, OCR_DAILY_LIMIT is %d", instances, e.config.DailyLimit)
}

// region compares where bucket and function are: a trigger works within one region only.
func (e *examination) region(context.Context) Finding {
	if e.info == nil {
		return skip("the bucket's region cannot be read (oss:GetBucketInfo)")
	}
	functions := e.Region
	if e.described != nil {
		if parts := strings.Split(e.described.ARN, ":"); len(parts) > 2 {
			functions = parts[2]
		}
	}
	switch {
	case functions != "" && e.info.Region != functions:
		return fail("put function and bucket into one region: triggers and internal endpoints work within one only", "the bucket is in %s, the function in %s", e.info.Region, functions)
	case e.Region != "" && e.info.Region != e.Region:
		return fail("", "the bucket is in %s, not in %s", e.info.Region, e.Region).fixedBy("set --region %s", e.info.Region)
	}
	return ok("bucket and function are in %s", e.info.Region)
}

// hasKey reports whether a configuration can call the OCR API.
func hasKey(c config.Config) bool { return c.AppCode != "" || c.AppKey != "" && c.AppSecret != "" }
