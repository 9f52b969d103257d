package config

import (
	"regexp"
	"strings"
)

// deploymentVariable is what the deployment files take from the environment beside the variables of Config.
type deploymentVariable struct {
	name     string
	required bool
	form     string // of a value that is not empty, a regular expression; the function itself never needs one of them
	accepts  string
}

// deployment are the variables of s.yaml and s.custom.yaml. Names of buckets, projects and functions follow the rules of
// their services, ARNs those of the fc3 component and of asynchronous destinations.
var deployment = []deploymentVariable{
	{"REGION", true, `^[a-z]{2}-[a-z]+(-[a-z0-9]+)*$`, "the region of bucket and function, such as cn-hangzhou"},
	{"BUCKET", true, `^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`, "the name of the bucket: 3 to 63 lower-case letters, digits and dashes"},
	{"IMAGE_PREFIX", false, `^[^/\\*?$<>|'"\x00-\x1f\x7f][^\\*?$<>|'"\x00-\x1f\x7f]*$`, "the beginning of the keys to recognise, such as 2026/ or empty; no slash in front, quote or wildcard"},
	{"ACCOUNT_ID", false, `^\d{5,20}$`, "the ID of the Alibaba Cloud account, digits only"},
	{"LOG_PROJECT", false, `^(auto|[a-z0-9][a-z0-9-]{1,61}[a-z0-9])$`, "auto, which makes one, or the name of a project of Log Service"},
	{"LOG_STORE", false, `^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$`, "the name of a logstore: 3 to 63 lower-case letters, digits, dashes and underscores"},
	{"FUNCTION_NAME", false, `^[A-Za-z_][A-Za-z0-9_-]{0,63}$`, "letters, digits, dashes and underscores, at most 64, no digit or dash in front"},
	{"NAME_SUFFIX", false, `^-[a-z0-9][a-z0-9-]{0,14}[a-z0-9]$`, "a dash and 2 to 16 lower-case letters, digits and dashes, such as -test"},
	{"CREATE_BUCKET", false, `^(true|false)$`, "true or false"},
	{"FUNCTION_ROLE_ARN", false, `^acs:ram::\d+:role/[A-Za-z0-9.@_-]{1,64}$`, "empty, which makes a role, or one of the same account: acs:ram::ACCOUNT_ID:role/NAME"},
	{"FAILURE_DESTINATION", false, `^acs:mns:[a-z0-9-]+:\d+:/queues/[A-Za-z0-9-]+/messages$`, "empty, which makes a queue, or one of the same account: acs:mns:REGION:ACCOUNT_ID:/queues/NAME/messages"},
	{"SUCCESS_DESTINATION", false, `^acs:(mns:[a-z0-9-]+:\d+:/(queues|topics)/[A-Za-z0-9-]+/messages|fc:[a-z0-9-]+:\d+:functions/[A-Za-z0-9_./-]+)$`,
		"empty, acs:mns:REGION:ACCOUNT_ID:/queues/NAME/messages, the same with topics, or acs:fc:REGION:ACCOUNT_ID:functions/NAME"},
	{"RESERVED_CONCURRENCY", false, `^[1-9]\d{0,3}$`, "the most instances at a time, a whole number from 1 to 9999"},
	{"PACKAGE", false, `(?i)\.zip(\?.*)?$`, "the path or https:// address of fc-idcard-ocr.zip; empty builds it"},
}

// Check is Parse for use before a deployment: it also checks the variables that the deployment files take from the environment. The
// error lists every problem of both.
func Check(environ []string) error {
	_, p := parse(environ)
	values := make(map[string]string)
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			values[name] = strings.TrimSpace(value)
		}
	}
	for _, v := range deployment {
		switch value := values[v.name]; {
		case value == "" && v.required:
			p.add(v.name, "missing")
		case value != "" && !regexp.MustCompile(v.form).MatchString(value):
			p.add(v.name, "%q is not of that form", value)
		}
	}
	region, account := values["REGION"], values["ACCOUNT_ID"]
	for _, name := range []string{"FUNCTION_ROLE_ARN", "FAILURE_DESTINATION", "SUCCESS_DESTINATION"} {
		parts := strings.SplitN(values[name], ":", 5) // acs:SERVICE:REGION:ACCOUNT:RESOURCE
		if len(parts) < 5 {
			continue
		}
		if parts[2] != "" && region != "" && parts[2] != region {
			p.add(name, "is in region %q, REGION is %q", parts[2], region)
		}
		if account != "" && parts[3] != account {
			p.add(name, "is of account %s, the deployment of account %s", parts[3], account)
		}
	}
	return p.err()
}
