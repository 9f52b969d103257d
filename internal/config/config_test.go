package config

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var valid = []string{"OCR_APP_KEY= key ", "OCR_APP_SECRET=\tsecret\n"}

func TestDefaultsAreThoseOfTheTable(t *testing.T) {
	c, err := Parse(valid)
	require.NoError(t, err)
	assert.Equal(t, Config{
		AppKey: "key", AppSecret: "secret", Endpoint: "https://idcare7.market.alicloudapi.com/ocrIdCard", Details: true, ImageSource: Auto,
		Timeout: 20 * time.Second, MaxAttempts: 3, OnLostAnswer: Retry, OSSURLTTL: 5 * time.Minute,
		ImageSuffixes: []string{".jpg", ".jpeg", ".png", ".bmp", ".webp", ".heic"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim",
		MaxImageBytes: 20 << 20, LogLevel: slog.LevelInfo,
	}, c)
	empty := append([]string{}, valid...)
	for _, name := range Names()[2:] {
		empty = append(empty, name+"=  ")
	}
	again, err := Parse(empty)
	require.NoError(t, err)
	again.HTTPAllow = nil
	assert.Equal(t, c, again, "an empty value means the default")
}

func TestEveryVariableIsRead(t *testing.T) {
	c, err := Parse([]string{"OCR_APP_CODE=code", "OCR_ENDPOINT=http://127.0.0.1:8080/x", "OCR_DETAILS=false", "OCR_IMAGE_SOURCE=data", "OCR_TIMEOUT=3s",
		"OCR_MAX_ATTEMPTS=1", "OCR_RATE_LIMIT=0.5", "OCR_ON_LOST_ANSWER=park", "OSS_ENDPOINT=http://[::1]:1", "OSS_PUBLIC_ENDPOINT=https://img.example.com/",
		"OSS_PUBLIC_CNAME=true", "OSS_URL_TTL=1m", "IMAGE_SUFFIXES=.JPG, .tif,", "RESULT_SUFFIX=.r.json", "CLAIM_SUFFIX=.c", "MAX_IMAGE_BYTES=1000",
		"HTTP_ALLOW=cards, scans/2026/a b*,", "LOG_LEVEL=DEBUG"})
	require.NoError(t, err)
	assert.Equal(t, Config{AppCode: "code", Endpoint: "http://127.0.0.1:8080/x", ImageSource: Data, Timeout: 3 * time.Second, MaxAttempts: 1, RateLimit: .5,
		OnLostAnswer: Park, OSSEndpoint: "http://[::1]:1", OSSPublicEndpoint: "https://img.example.com/", OSSPublicCNAME: true, OSSURLTTL: time.Minute,
		ImageSuffixes: []string{".JPG", ".tif"}, ResultSuffix: ".r.json", ClaimSuffix: ".c", MaxImageBytes: 1000,
		HTTPAllow: []string{"cards", "scans/2026/a b*"}, LogLevel: slog.LevelDebug}, c)
}

func TestEachProblemNamesItsVariableAndWhatIsAccepted(t *testing.T) {
	for setting, want := range map[string]string{
		"OCR_ENDPOINT=http://example.com/ocrIdCard":                  "loopback",
		"OCR_ENDPOINT=example.com":                                   "https://",
		"OCR_ENDPOINT=https://canary:canary@example.com/":            "user",
		"OCR_DETAILS=perhaps":                                        "true or false",
		"OCR_IMAGE_SOURCE=file":                                      "auto, url or data",
		"OCR_TIMEOUT=20":                                             "such as 20s",
		"OCR_TIMEOUT=50ms":                                           "10m",
		"OCR_MAX_ATTEMPTS=0":                                         "1 to 10",
		"OCR_MAX_ATTEMPTS=three":                                     "1 to 10",
		"OCR_RATE_LIMIT=-1":                                          "no limit",
		"OCR_RATE_LIMIT=NaN":                                         "no limit",
		"OCR_ON_LOST_ANSWER=pay":                                     "retry or park",
		"OSS_ENDPOINT=https://oss-cn-hangzhou.aliyuncs.com/b":        "without path",
		"OSS_ENDPOINT=http://oss-cn-hangzhou.aliyuncs.com":           "loopback",
		"OSS_PUBLIC_ENDPOINT=https://oss-cn-x-internal.aliyuncs.com": "reach",
		"OSS_PUBLIC_CNAME=yes":                                       "true or false",
		"OSS_URL_TTL=20s":                                            "longer than OCR_TIMEOUT",
		"OSS_URL_TTL=169h":                                           "168h",
		"IMAGE_SUFFIXES=,":                                           "endings",
		"IMAGE_SUFFIXES=.jpg,.JSON":                                  "RESULT_SUFFIX",
		"IMAGE_SUFFIXES=.jpg,.claim":                                 "CLAIM_SUFFIX",
		"IMAGE_SUFFIXES=.jpg,.card.ocr.json":                         "RESULT_SUFFIX",
		"RESULT_SUFFIX=.ocr.PNG":                                     "no image key has",
		"RESULT_SUFFIX=.a/b":                                         "slash",
		"CLAIM_SUFFIX=.ocr.json":                                     "CLAIM_SUFFIX",
		"CLAIM_SUFFIX=.x.ocr.json":                                   "CLAIM_SUFFIX",
		"CLAIM_SUFFIX=\xbb":                                          "not UTF-8",
		"RESULT_SUFFIX=.\xbb":                                        "not UTF-8",
		"IMAGE_SUFFIXES=.jpg,\xbb":                                   "not UTF-8",
		"MAX_IMAGE_BYTES=20971521":                                   "20971520",
		"MAX_IMAGE_BYTES=20MB":                                       "20971520",
		"HTTP_ALLOW=*":                                               "bucket/prefix",
		"HTTP_ALLOW=cards,/etc":                                      "bucket/prefix",
		"HTTP_ALLOW=Cards/a":                                         "bucket/prefix",
		"LOG_LEVEL=loud":                                             "debug, info, warn or error",
	} {
		_, err := Parse(append([]string{setting}, valid...))
		if assert.ErrorContains(t, err, want, setting) {
			name, _, _ := strings.Cut(setting, "=")
			if !strings.HasPrefix(want, "RESULT") && !strings.HasPrefix(want, "CLAIM") {
				assert.Contains(t, err.Error(), "\n  "+name+": ", setting)
			}
			assert.NotContains(t, err.Error(), "canary")
			assert.Equal(t, 1, strings.Count(err.Error(), "accepted:"), setting)
		}
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	_, err := Parse([]string{"OCR_APP_SECRET=canary-secret", "OCR_TIMEOUT=x", "OCR_IMAGE_SOURCE=x", "OSS_PUBLIC_CNAME=true", "LOG_LEVEL=x"})
	require.Error(t, err)
	for _, name := range []string{"OCR_APP_KEY", "OCR_TIMEOUT", "OCR_IMAGE_SOURCE", "OSS_PUBLIC_ENDPOINT", "LOG_LEVEL"} {
		assert.Contains(t, err.Error(), "\n  "+name+": ")
	}
	assert.Contains(t, err.Error(), "5 problems")
	assert.NotContains(t, err.Error(), "canary")
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	c, err := Parse([]string{"OCR_APP_KEY=canary1", "OCR_APP_SECRET=canary2", "OCR_APP_CODE=canary3"})
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c)+log.String(), "canary")
	_, err = Parse([]string{"OCR_APP_CODE=canary\x00"})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "canary")
}

func TestBucketNames(t *testing.T) {
	for name, ok := range map[string]bool{"cards": true, "a-1": true, "ab": false, "-ab": false, "ab-": false, "Cards": false, "a_b": false, "a.b": false,
		strings.Repeat("a", 63): true, strings.Repeat("a", 64): false, "": false} {
		assert.Equal(t, ok, ValidBucket(name), name)
	}
}
