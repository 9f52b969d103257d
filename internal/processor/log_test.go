package processor_test

import (
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLogLineOfAnImage(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Fail(bucket.ErrAccessDenied, ocrtest.Op("DELETE"))
	o := f.Process(ocrtest.Retry("r1", 2))
	require.False(t, o.Retry(), o.Err)
	line := f.LogLine("image done")
	assert.Equal(t, "INFO", line["level"])
	assert.EqualValues(t, 2, line["retryCount"])
	assert.Contains(t, line["claimLeft"], "access denied")
	assert.Equal(t, "cards", line["bucket"])
	assert.NotContains(t, line, "code")
	assert.NotContains(t, line, "reason")
}

func TestImageThatBreaksOffIsDoneInTheLogToo(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Bucket.Fail = func(op, key string) error {
		if op == "PUT" {
			panic("canary")
		}
		return nil
	}
	o := f.Process(ocrtest.First("r1"))
	require.True(t, o.Retry())
	line := f.LogLine("image done")
	assert.Equal(t, string(result.Internal), line["code"])
	assert.NotContains(t, f.Log.String(), "canary\"")
	assert.Equal(t, result.Internal, o.Err.Code)
}
