package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// An environment is what an operator types. It never makes Parse panic, what is wrong is told by the variable's name, and
// whatever is told, a secret is not.
func FuzzParseEnvironment(f *testing.F) {
	f.Add("", "")
	f.Add("OCR_TIMEOUT=1h\x00OSS_URL_TTL=-5m\x00OCR_RATE_LIMIT=1e400\x00OCR_MAX_ATTEMPTS=0x10", "\n")
	f.Add("OCR_ENDPOINT=http://[::1]:1/a\x00OSS_ENDPOINT=https://[::1\x00OSS_PUBLIC_ENDPOINT=https://user:pw@x/\x00OSS_PUBLIC_CNAME=1", "\x7f")
	f.Add("IMAGE_SUFFIXES=,,\x00RESULT_SUFFIX=\x00CLAIM_SUFFIX=.OCR.JSON", " x ")
	f.Add("HTTP_ALLOW=a/b,*,cards/../x,\xff\x00LOG_LEVEL=INFO+1", "\xff")
	f.Add("OCR_APP_CODE\x00=\x00==\x00OCR_IMAGE_SOURCE=URL\x00OCR_ON_LOST_ANSWER= park ", "$OCR_APP_KEY ${HOME}")
	f.Add("MAX_IMAGE_BYTES=99999999999999999999\x00OCR_DETAILS=T", "")
	const canary = "zz-secret-canary"
	f.Fuzz(func(t *testing.T, environment, tail string) {
		if strings.Contains(environment, canary) {
			return
		}
		environ := append([]string{"OCR_APP_KEY=" + canary + "1" + tail, "OCR_APP_SECRET=" + canary + "2" + tail, "OCR_APP_CODE=" + canary + "3" + tail}, strings.Split(environment, "\x00")...)
		c, err := Parse(environ)
		public, encodeErr := json.Marshal(c.Public())
		assert.NoError(t, encodeErr, "GET /healthz shows it")
		whole, encodeErr := json.Marshal(c)
		assert.NoError(t, encodeErr)
		assert.NotContains(t, fmt.Sprintf("%s %s %v %+v %#v %v", public, whole, c, c, c, err), canary)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if name, _, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && strings.HasPrefix(line, "  ") && strings.Contains(line, "; accepted: ") && !strings.Contains(line, ": no such variable; accepted: ") {
					assert.Contains(t, Names(), name)
				}
			}
			return
		}
		assert.Greater(t, c.OSSURLTTL, c.Timeout)
		assert.Positive(t, c.MaxAttempts)
		assert.Positive(t, c.MaxImageBytes)
		assert.GreaterOrEqual(t, c.RateLimit, 0.0)
		assert.NotEmpty(t, c.ImageSuffixes)
		assert.NotEmpty(t, c.ResultSuffix)
		assert.NotEmpty(t, c.ClaimSuffix)
	})
}
