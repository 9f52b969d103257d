package config

import (
	"fmt"
	"log/slog"
	"slices"
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
		Timeout: 45 * time.Second, MaxAttempts: 3, SecondLook: true, Raw: true, OnLostAnswer: Retry, OSSURLTTL: 5 * time.Minute,
		ImageSuffixes: []string{".jpg", ".jpeg", ".png", ".bmp", ".webp", ".heic"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim",
		MaxImageBytes: 20 << 20, LogLevel: slog.LevelInfo,
		ResultFields: []string{"name", "sex", "ethnicity", "birthDate", "address", "idNumber"}, ResultTags: []string{"fc-idcard-ocr=document"},
	}, c)
	empty := append([]string{}, valid...)
	for _, name := range Names()[2:] {
		empty = append(empty, name+"=  ")
	}
	again, err := Parse(empty)
	require.NoError(t, err)
	again.HTTPAllow, again.ImageExclude = nil, nil
	assert.Equal(t, c, again, "an empty value means the default")
}

func TestEveryVariableIsRead(t *testing.T) {
	c, err := Parse([]string{"OCR_APP_CODE=code", "OCR_ENDPOINT=http://127.0.0.1:8080/x", "OCR_DETAILS=false", "OCR_IMAGE_SOURCE=data", "OCR_TIMEOUT=3s",
		"OCR_MAX_ATTEMPTS=1", "OCR_RATE_LIMIT=0.5", "OCR_ON_LOST_ANSWER=park", "OSS_ENDPOINT=http://[::1]:1", "OSS_PUBLIC_ENDPOINT=https://img.example.com/",
		"OSS_PUBLIC_CNAME=true", "OSS_URL_TTL=1m", "IMAGE_SUFFIXES=.JPG, .tif,", "RESULT_SUFFIX=.r.json", "CLAIM_SUFFIX=.c", "MAX_IMAGE_BYTES=1000",
		"HTTP_ALLOW=cards, scans/2026/a b*,", "LOG_LEVEL=DEBUG", "OCR_DAILY_LIMIT=500", "OCR_SECOND_LOOK=false", "OCR_REUSE=true", "OCR_RAW=false",
		"IMAGE_EXCLUDE= -back.jpg ,tmp/*,", "RESULT_FIELDS=idNumber, name", "RESULT_TAGS=team=id cards, cost:center=a/b=c", "RESULT_ENCRYPTION=KMS:9468da86-3509-4f8d-a61e-6eab1eac0000"})
	require.NoError(t, err)
	assert.Equal(t, Config{AppCode: "code", Endpoint: "http://127.0.0.1:8080/x", ImageSource: Data, Timeout: 3 * time.Second, MaxAttempts: 1, RateLimit: .5,
		OnLostAnswer: Park, OSSEndpoint: "http://[::1]:1", OSSPublicEndpoint: "https://img.example.com/", OSSPublicCNAME: true, OSSURLTTL: time.Minute,
		ImageSuffixes: []string{".JPG", ".tif"}, ResultSuffix: ".r.json", ClaimSuffix: ".c", MaxImageBytes: 1000,
		HTTPAllow: []string{"cards", "scans/2026/a b*"}, LogLevel: slog.LevelDebug, DailyLimit: 500, Reuse: true,
		ImageExclude: []string{"-back.jpg", "tmp/*"}, ResultFields: []string{"idNumber", "name"}, ResultTags: []string{"team=id cards", "cost:center=a/b=c"},
		ResultEncryption: "KMS:9468da86-3509-4f8d-a61e-6eab1eac0000"}, c)
	c, err = Parse(append([]string{"RESULT_TAGS=none"}, valid...))
	require.NoError(t, err)
	assert.Empty(t, c.ResultTags)
}

func TestEachProblemNamesItsVariableAndWhatIsAccepted(t *testing.T) {
	for setting, want := range map[string]string{
		"OCR_ENDPOINT=http://example.com/ocrIdCard":                  "loopback",
		"OCR_ENDPOINT=example.com":                                   "https://",
		"OCR_ENDPOINT=https://canary:canary@example.com/":            "user",
		"OCR_DETAILS=perhaps":                                        "true or false",
		"OCR_IMAGE_SOURCE=file":                                      "auto, url or data",
		"OCR_TIMEOUT=20":                                             "such as 45s",
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
		"IMAGE_SUFFIXES=.reviewed.json":                              ".ocr.reviewed.json",
		"IMAGE_EXCLUDE=[ab.jpg":                                      "cannot be read",
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
		"OCR_DAILY_LIMIT=-1":                                         "no limit",
		"OCR_DAILY_LIMIT=many":                                       "no limit",
		"OCR_DAILY_LIMIT=２０":                                         "no limit",
		"OCR_SECOND_LOOK=no":                                         "true or false",
		"OCR_REUSE=no":                                               "true or false",
		"OCR_RAW=no":                                                 "true or false",
		"RESULT_FIELDS=name,birthdate":                               "birthDate",
		"RESULT_FIELDS=,":                                            "a comma-separated choice",
		"RESULT_TAGS=team":                                           "key=value",
		"RESULT_TAGS==x":                                             "key=value",
		"RESULT_TAGS=a=1,a=2":                                        "twice",
		"RESULT_TAGS=team=证件":                                        "cannot have",
		"RESULT_TAGS=a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1":    "11 tags",
		"RESULT_ENCRYPTION=aes256":                                   "AES256, KMS",
		"RESULT_ENCRYPTION=KMS:":                                     "KMS:<key id>",
		"RESULT_ENCRYPTION=KMS:a b":                                  "KMS:<key id>",
		"IMAGE_EXCLUDE=*":                                            "every image",
		"IMAGE_EXCLUDE=a.jpg,**":                                     "every image",
		"IMAGE_EXCLUDE=*.JPG,.jpeg,*.png,bmp,*webp,.heic":            "every image",
		"IMAGE_EXCLUDE=\xbb":                                         "not UTF-8",
		"OCR_APP_KEY=\"canary\"":                                     "in quotes",
		"OCR_APP_KEY=can'ary":                                        "quotation mark",
		"OCR_APP_SECRET=canary\u200b1":                               "U+200B",
		"OCR_APP_SECRET=\ufeffcanary":                                "U+FEFF",
		"OCR_APP_SECRET=canary canary":                               "blank",
		"OCR_APP_SECRET=canary１":                                     "full-width",
		"OCR_APP_CODE=“canary”":                                      "in quotes",
		"OCR_APP_CODE=APPCODE canary":                                "no part of the code",
		"OCR_APP_CODE=appcode canary":                                "no part of the code",
		"OCR_ENDPOINT='https://example.com/'":                        "in quotes",
		"OCR_ENDPOINT=https://exam\u200dple.com/":                    "U+200D",
		"IMAGE_SUFFIXES=\".jpg,.png\"":                               "in quotes",
		"RESULT_SUFFIX=.ocr\u00ad.json":                              "U+00AD",
		"LOG_LEVEL=loud":                                             "debug, info, warn or error",
	} {
		_, err := Parse(append(slices.Clone(valid), setting))
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

// Excluding results from the images does not make a configuration sound in which they are some: a pattern is soon changed.
func TestExcludedResultsAreStillRefused(t *testing.T) {
	_, err := Parse(append([]string{"IMAGE_SUFFIXES=.jpg,.json", "IMAGE_EXCLUDE=*.ocr.json"}, valid...))
	assert.ErrorContains(t, err, "RESULT_SUFFIX")
}

func TestMisspeltVariablesAreToldWithTheNearestName(t *testing.T) {
	for name, want := range map[string]string{
		"OCR_TIMEOT": "OCR_TIMEOUT", "OCR_TIME_OUT": "OCR_TIMEOUT", "OCR_TIEMOUT": "OCR_TIMEOUT", "ocr_timeout": "OCR_TIMEOUT", "OCR_APPKEY": "OCR_APP_KEY",
		"OCR_APP_SECRETS": "OCR_APP_SECRET", "OCR_MAX_ATTEMPT": "OCR_MAX_ATTEMPTS", "OCR_RETRIES": "OCR_RATE_LIMIT|OCR_DETAILS|OCR_REUSE|OCR_APP_KEY|OCR_TIMEOUT",
		"OSS_PUBLIC_ENDPONT": "OSS_PUBLIC_ENDPOINT", "OSS_URLTTL": "OSS_URL_TTL", "IMAGE_SUFFIX": "IMAGE_SUFFIXES", "IMAGES_EXCLUDE": "IMAGE_EXCLUDE",
		"RESULT_SUFIX": "RESULT_SUFFIX", "CLAIM_SUFFIXES": "CLAIM_SUFFIX", "HTTP_ALOW": "HTTP_ALLOW", "LOG_LEVL": "LOG_LEVEL", "MAX_IMAGE_BYTE": "MAX_IMAGE_BYTES",
	} {
		_, err := Parse(append([]string{name + "=canary"}, valid...))
		if assert.ErrorContains(t, err, "\n  "+name+": no such variable; accepted: ") {
			_, nearest, _ := strings.Cut(err.Error(), "accepted: ")
			assert.Contains(t, strings.Split(want, "|"), strings.TrimSuffix(nearest, " is the nearest name"), name)
			assert.NotContains(t, err.Error(), "canary")
		}
	}
	for _, others := range []string{"OCR_TIMEOT=", "HTTP_PROXY=x", "http_proxy=x", "OSS_ACCESS_KEY_ID=x", "OSS_REGION=x", "OSS_BUCKET=x", "IMAGE_PREFIX=x", "LOG_PROJECT=x", "LOG_STORE=x", "PATH=x",
		"IMAGE_TAG=x", "RESULT=x", "FC_FUNCTION_NAME=x", strings.Repeat("X", 1000) + "=x", "A=x"} {
		_, err := Parse(append([]string{others}, valid...))
		assert.NoError(t, err, others)
	}
	_, err := Parse(append([]string{"OCR_\x1b[31m\xff\n=x"}, valid...))
	assert.ErrorContains(t, err, "OCR_?[31m")
	assert.Equal(t, 1, strings.Count(err.Error(), "\n"), "one line a problem")
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
