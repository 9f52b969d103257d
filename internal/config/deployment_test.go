package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var deployable = append([]string{"REGION=cn-hangzhou", "BUCKET=cards", "ACCOUNT_ID=1234567890123456"}, valid...)

func TestCheckAcceptsWhatTheDeploymentFilesTake(t *testing.T) {
	require.NoError(t, Check(deployable))
	require.NoError(t, Check(append([]string{"IMAGE_PREFIX=2026/身份证 a", "LOG_PROJECT=auto", "LOG_STORE=fc-idcard-ocr", "FUNCTION_NAME=idcard-ocr_2", "NAME_SUFFIX=-test", "CREATE_BUCKET=true",
		"FUNCTION_ROLE_ARN=acs:ram::1234567890123456:role/idcard-ocr", "FAILURE_DESTINATION=acs:mns:cn-hangzhou:1234567890123456:/queues/idcard-ocr-failures/messages",
		"SUCCESS_DESTINATION=acs:fc:cn-hangzhou:1234567890123456:functions/next", "RESERVED_CONCURRENCY=25", "PACKAGE=./fc-idcard-ocr.zip"}, deployable...)))
}

func TestCheckTellsWhatWouldFailOnlyOnceDeployed(t *testing.T) {
	for setting, want := range map[string]string{
		"REGION=":                   "REGION: missing",
		"REGION=oss_cn":             "such as cn-hangzhou",
		"BUCKET=Cards":              "lower-case",
		"IMAGE_PREFIX=/2026":        "no slash in front",
		"IMAGE_PREFIX=a*":           "wildcard",
		"ACCOUNT_ID=me@example.com": "digits only",
		"LOG_PROJECT=Logs":          "auto",
		"LOG_STORE=-x":              "logstore",
		"FUNCTION_NAME=1st":         "no digit",
		"NAME_SUFFIX=test":          "such as -test",
		"CREATE_BUCKET=yes":         "true or false",
		"FUNCTION_ROLE_ARN=acs:ram::6543210987654321:role/idcard-ocr":                       "is of account 6543210987654321",
		"FUNCTION_ROLE_ARN=idcard-ocr":                                                      "acs:ram::ACCOUNT_ID:role/NAME",
		"FAILURE_DESTINATION=acs:mns:cn-hangzhou:1234567890123456:/queues/failures":         "/queues/NAME/messages",
		"FAILURE_DESTINATION=acs:mns:cn-beijing:1234567890123456:/queues/failures/messages": `in region "cn-beijing"`,
		"SUCCESS_DESTINATION=https://example.com":                                           "acs:fc:REGION",
		"SUCCESS_DESTINATION=acs:mns:cn-hangzhou:6543210987654321:/topics/t/messages":       "is of account",
		"RESERVED_CONCURRENCY=0":                                                            "from 1",
		"PACKAGE=./dist/main":                                                               "fc-idcard-ocr.zip",
		"OCR_IMAGE_SOURCE=base64":                                                           "auto, url or data",
	} {
		name, _, _ := strings.Cut(setting, "=")
		err := Check(append(append([]string{}, deployable...), setting))
		if assert.ErrorContains(t, err, want, setting) {
			assert.Contains(t, err.Error(), "1 problem\n  "+name+": ", setting)
			assert.Equal(t, 1, strings.Count(err.Error(), "; accepted: "), setting)
		}
	}
}

func TestCheckTellsMissingValuesTogether(t *testing.T) {
	err := Check([]string{"OCR_APP_SECRET=canary"})
	require.Error(t, err)
	assert.Equal(t, "the configuration has 3 problems", strings.SplitN(err.Error(), "\n", 2)[0])
	for _, name := range []string{"OCR_APP_KEY", "REGION", "BUCKET"} {
		assert.Contains(t, err.Error(), "\n  "+name+": missing")
	}
	assert.NotContains(t, err.Error(), "canary")
}
