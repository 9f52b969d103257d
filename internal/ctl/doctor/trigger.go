package doctor

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// triggers checks which uploads reach the function: every suffix of IMAGE_SUFFIXES, in lower and upper case, by every kind of
// upload, and nothing that the function writes itself.
func (e *examination) triggers(ctx context.Context) Finding {
	if e.Function == nil {
		return skip(noFunction)
	}
	list, err := e.Function.Triggers(ctx)
	if err != nil {
		return functionFailure(err, "fc:ListTriggers")
	}
	var names, covered []string
	var missing, unknown Finding
	for _, trigger := range list {
		if trigger.Type == "eventbridge" {
			suffixes, known := eventBridgeSuffixes(trigger)
			if !known {
				unknown = ok("EventBridge trigger %s, whose filter is not looked into", trigger.Name)
			}
			names, covered = append(names, trigger.Name), append(covered, suffixes...)
			continue
		}
		o, isOSS := trigger.OSS()
		if !isOSS || e.Bucket != nil && trigger.SourceARN != "" && !strings.HasSuffix(trigger.SourceARN, ":"+e.Bucket.Name()) {
			continue
		}
		if f := e.ownResults(trigger.Name, o.Filter.Key.Suffix); f.Result == Failure || f.Result == Warning {
			return f
		}
		if events := e.missingEvents(o.Events); len(events) > 0 && missing.Result == "" {
			missing = warn("add them to the trigger's events, if pictures can come (or, with REMOVE_WITH_IMAGE, go) that way", "OSS trigger %s does not listen to %s", trigger.Name, strings.Join(events, ", "))
		}
		names, covered = append(names, trigger.Name), append(covered, o.Filter.Key.Suffix)
	}
	switch uncovered := e.uncovered(covered); {
	case len(names) == 0:
		return fail("deploy the trigger (s deploy), or create one in the console", "the function has no OSS trigger for the bucket, so uploads are not recognised")
	case unknown.Result != "":
		return unknown
	case len(uncovered) > 0:
		return warn("add triggers for them, or take them out of IMAGE_SUFFIXES", "no trigger calls the function for keys ending in %s, which IMAGE_SUFFIXES lists: only backfill recognises these", strings.Join(uncovered, ", "))
	case missing.Result != "":
		return missing
	}
	return ok("%d triggers call the function for all of IMAGE_SUFFIXES", len(names))
}

// ownResults finds a trigger that calls the function for what it writes itself.
func (e *examination) ownResults(name, suffix string) Finding {
	switch {
	case suffix == "":
		return warn("give the trigger a suffix such as .jpg: without one the function is also called for its own results (it skips them, and each call is billed)",
			"OSS trigger %s has no suffix", name)
	case strings.HasSuffix(e.config.ResultSuffix, suffix) || strings.HasSuffix(e.config.ClaimSuffix, suffix):
		return fail("change the trigger's suffix to that of images", "OSS trigger %s calls the function for its own results", name)
	}
	return Finding{}
}

// missingEvents are those that the function works on and a trigger does not listen to.
func (e *examination) missingEvents(events []string) (missing []string) {
	wanted := result.CreateEvents
	if e.config.RemoveWithImage {
		wanted = slices.Concat(wanted, result.RemoveEvents)
	}
	for _, event := range wanted {
		event = "oss:" + event
		if all := event[:strings.LastIndex(event, ":")] + ":*"; !slices.Contains(events, event) && !slices.Contains(events, all) {
			missing = append(missing, event)
		}
	}
	return missing
}

// uncovered are the endings of images for which there is no trigger. Triggers tell upper and lower case apart, IMAGE_SUFFIXES does
// not: both are expected.
func (e *examination) uncovered(covered []string) (missing []string) {
	for _, suffix := range e.config.ImageSuffixes {
		for _, cased := range []string{strings.ToLower(suffix), strings.ToUpper(suffix)} {
			if !slices.ContainsFunc(covered, func(c string) bool { return strings.HasSuffix(cased, c) }) && !slices.Contains(missing, cased) {
				missing = append(missing, cased)
			}
		}
	}
	return missing
}

// eventBridgeSuffixes reads the suffixes of the key from the filter of an EventBridge trigger, as deploy/eventbridge-trigger.yaml
// has it; known is false for other filters.
func eventBridgeSuffixes(t fcclient.Trigger) (suffixes []string, known bool) {
	var config struct {
		Pattern string `json:"eventRuleFilterPattern"`
	}
	var pattern struct {
		Data struct {
			OSS struct {
				Object struct {
					Key []struct {
						Suffix string `json:"suffix"`
					} `json:"key"`
				} `json:"object"`
			} `json:"oss"`
		} `json:"data"`
	}
	if json.Unmarshal([]byte(t.Config), &config) != nil || json.Unmarshal([]byte(config.Pattern), &pattern) != nil {
		return nil, false
	}
	for _, key := range pattern.Data.OSS.Object.Key {
		if key.Suffix != "" {
			suffixes = append(suffixes, key.Suffix)
		}
	}
	return suffixes, len(suffixes) > 0
}

// httpTrigger finds an HTTP trigger that anybody may call, and pay with.
func (e *examination) httpTrigger(ctx context.Context) Finding {
	if e.Function == nil {
		return skip(noFunction)
	}
	list, err := e.Function.Triggers(ctx)
	if err != nil {
		return skip("the function's triggers cannot be read")
	}
	for _, t := range list {
		if t.Type != "http" {
			continue
		}
		var config struct {
			AuthType string `json:"authType"`
		}
		json.Unmarshal([]byte(t.Config), &config) //nolint:errcheck // an unreadable one counts as anonymous
		if config.AuthType == "function" || config.AuthType == "jwt" {
			return ok("callers of trigger %s sign their requests (%s)", t.Name, config.AuthType)
		}
		const fix message.Key = "set its authType to function"
		if len(e.config.HTTPAllow) > 0 {
			return warn(fix, "HTTP trigger %s is open: whoever knows its address can read cards of %s, send pictures, and have them paid", t.Name, strings.Join(e.config.HTTPAllow, ", "))
		}
		return warn(fix, "HTTP trigger %s is open: whoever knows its address can send pictures, and each is paid", t.Name)
	}
	return ok("there is none")
}
