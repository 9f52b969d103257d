package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/result"
)

func (t Target) function(ctx context.Context) Finding {
	if t.Function == nil {
		return skip("no function was named (--account, or --fc-endpoint)")
	}
	f, err := t.Function.Describe(ctx)
	if err != nil {
		return t.functionFailure(err, "fc:GetFunction")
	}
	var wrong, fixes []string
	add := func(fix, format string, args ...any) {
		wrong, fixes = append(wrong, fmt.Sprintf(format, args...)), append(fixes, fix)
	}
	if limit := time.Duration(f.Timeout) * time.Second; f.Timeout > 0 && limit < t.Config.Timeout+5*time.Second {
		add("raise the function's timeout, or lower OCR_TIMEOUT", "its timeout of %s leaves no room for a call of OCR_TIMEOUT %s", limit, t.Config.Timeout)
	}
	for name, mine := range map[string]string{"IMAGE_SUFFIXES": strings.Join(t.Config.ImageSuffixes, ","), "RESULT_SUFFIX": t.Config.ResultSuffix, "CLAIM_SUFFIX": t.Config.ClaimSuffix} {
		theirs := f.EnvironmentVariables[name]
		if theirs = strings.ReplaceAll(theirs, " ", ""); theirs != "" && !strings.EqualFold(theirs, mine) {
			add("set "+name+" for ocrctl as the function has it", "%s is %q there and %q here, so ocrctl takes other objects for images or results", name, theirs, mine)
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		slices.Sort(fixes)
		return fail(strings.Join(fixes, "; "), "the function is there, but %s", strings.Join(wrong, "; "))
	}
	return ok("the function is there (runtime %s)", f.Runtime)
}

func (t Target) functionFailure(err error, action string) Finding {
	var e *fcclient.Error
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

func (t Target) trigger(ctx context.Context) Finding {
	if t.Function == nil {
		return skip("no function was named (--account, or --fc-endpoint)")
	}
	triggers, err := t.Function.Triggers(ctx)
	if err != nil {
		return t.functionFailure(err, "fc:ListTriggers")
	}
	var ours []string
	for _, trigger := range triggers {
		if trigger.Type == "eventbridge" {
			ours = append(ours, trigger.Name+" (EventBridge; not looked into)")
		}
		o, isOSS := trigger.OSS()
		if !isOSS || (t.Bucket != nil && trigger.SourceARN != "" && !strings.HasSuffix(trigger.SourceARN, ":"+t.Bucket.Name())) {
			continue
		}
		if suffix := o.Filter.Key.Suffix; suffix == "" {
			return warn("give the trigger a suffix such as .jpg: without one the function is also called for its own results (it skips them, and each call is billed)",
				"OSS trigger %s has no suffix", trigger.Name)
		} else if strings.HasSuffix(t.Config.ResultSuffix, suffix) || strings.HasSuffix(t.Config.ClaimSuffix, suffix) {
			return fail("change the trigger's suffix to that of images", "OSS trigger %s calls the function for its own results", trigger.Name)
		}
		all := slices.Contains(o.Events, "oss:ObjectCreated:*")
		var missing []string
		for _, event := range result.CreateEvents {
			event = "oss:" + event
			if !all && !slices.Contains(o.Events, event) {
				missing = append(missing, event)
			}
		}
		if len(missing) > 0 {
			return warn("add them to the trigger's events, if pictures can come that way", "OSS trigger %s does not listen to %s", trigger.Name, strings.Join(missing, ", "))
		}
		ours = append(ours, fmt.Sprintf("%s (%q ... %q)", trigger.Name, o.Filter.Key.Prefix, o.Filter.Key.Suffix))
	}
	if len(ours) == 0 {
		return fail("deploy the trigger (s deploy), or create one in the console", "the function has no OSS trigger for the bucket, so uploads are not recognised")
	}
	return ok("%s", strings.Join(ours, ", "))
}
