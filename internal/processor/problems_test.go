package processor_test

import (
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
)

func TestProblemsAreThoseThatMakeImagesFail(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*ocrtest.Fixture, *processor.Invocation)
		want   string // the beginning of the only problem
	}{
		"nothing":          {change: func(*ocrtest.Fixture, *processor.Invocation) {}},
		"no role":          {change: func(_ *ocrtest.Fixture, inv *processor.Invocation) { inv.Credentials = bucket.Credentials{} }, want: "role: "},
		"a short time-out": {change: func(f *ocrtest.Fixture, _ *processor.Invocation) { f.Options.Timeout = 59 * time.Second }, want: "OCR_TIMEOUT: 59s"},
		"no region":        {change: func(_ *ocrtest.Fixture, inv *processor.Invocation) { inv.Region = "" }, want: "region: "},
		"a slow rate":      {change: func(f *ocrtest.Fixture, _ *processor.Invocation) { f.Options.RateLimit = .001 }, want: "OCR_RATE_LIMIT: "},
		"no deadline":      {change: func(_ *ocrtest.Fixture, inv *processor.Invocation) { inv.Deadline = time.Time{} }},
	} {
		f, inv := ocrtest.NewFixture(t), ocrtest.First("r")
		test.change(f, &inv)
		problems := f.Processor().Problems(inv)
		if test.want == "" {
			assert.Empty(t, problems, name)
			continue
		}
		if assert.Len(t, problems, 1, name) {
			assert.True(t, strings.HasPrefix(problems[0], test.want), problems[0])
			assert.Contains(t, problems[0], "; accepted: ")
		}
	}
}

// The problem is real: the image fails, and without a call.
func TestATimeOutThatIsTooShortMakesImagesFail(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.Timeout = 59 * time.Second
	o := f.Process(ocrtest.First("r"))
	assert.Equal(t, result.Failed, o.Status)
	assert.Zero(t, f.OCR.Accepted())
}
