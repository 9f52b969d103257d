package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"
	"fc-idcard-ocr/ocrclient/ocrclienttest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An answer that was paid and cannot be read is given out: nothing else keeps it.
func TestRecognizeGivesOutAnAnswerThatCannotBeRead(t *testing.T) {
	const code = "own-code"
	api := ocrclienttest.NewServer(ocrclient.AppCode(code))
	defer api.Close()
	api.Answer = func(ocrclienttest.Call) ocrclienttest.Answer {
		return ocrclienttest.Answer{Body: "<html>11010519491231002X"}
	}
	t.Setenv("OCR_ENDPOINT", api.URL)
	t.Setenv("OCR_APP_CODE", code)
	recognize := func(args ...string) string {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 1, run(t.Context(), append(append([]string{"recognize"}, args...), picture(t, "a picture")), strings.NewReader(""), &stdout, &stderr), stderr.String())
		return stdout.String()
	}
	var r recognition
	require.NoError(t, json.Unmarshal([]byte(recognize("-o", "json")), &r))
	require.NotNil(t, r.Error)
	assert.Equal(t, result.BadAnswer, r.Error.Code)
	require.NotNil(t, r.Document)
	assert.Equal(t, "<html>11010519491231002X", r.Document.RawText)
	assert.Contains(t, recognize("--no-mask"), "11010519491231002X")
	assert.NotContains(t, recognize(), "19491231")
	assert.Equal(t, 3, api.Accepted())
}

func TestVerdictIsToldWithItsReasons(t *testing.T) {
	assert.Equal(t, "not checked", valid(nil))
	assert.Equal(t, "yes", valid(&result.Validation{Verdict: result.Consistent, Valid: true}))
	assert.Equal(t, "doubtful: region-unknown, sex-unreadable", valid(&result.Validation{Verdict: result.Doubtful, Reasons: []result.Reason{result.RegionUnknown, result.SexUnreadable}}))
	assert.Equal(t, "no: check-digit-wrong", valid(&result.Validation{Verdict: result.Contradictory, Reasons: []result.Reason{result.CheckDigitWrong}}))
}
