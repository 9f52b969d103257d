package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheckTellsWhatTheFunctionsBinaryTells(t *testing.T) {
	for name, value := range map[string]string{"OCR_APP_KEY": "204000000", "OCR_APP_SECRET": "canary", "OCR_APP_CODE": "", "REGION": "cn-hangzhou", "BUCKET": "cards", "ACCOUNT_ID": "1234567890123456",
		"FAILURE_DESTINATION": "", "FUNCTION_ROLE_ARN": ""} {
		t.Setenv(name, value)
	}
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitOK, run(t.Context(), []string{"check"}, strings.NewReader(""), &stdout, &stderr), stderr.String())
	assert.Equal(t, "configuration ok\n", stdout.String())
	t.Setenv("BUCKET", "")
	t.Setenv("FUNCTION_ROLE_ARN", "acs:ram::6543210987654321:role/x")
	assert.Equal(t, exitConfiguration, run(t.Context(), []string{"check"}, strings.NewReader(""), &stdout, &stderr))
	for _, words := range []string{"2 problems", "BUCKET: missing", "FUNCTION_ROLE_ARN: is of account 6543210987654321"} {
		assert.Contains(t, stderr.String(), words)
	}
	assert.NotContains(t, stderr.String(), "canary")
}
