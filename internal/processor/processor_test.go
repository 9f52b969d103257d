package processor_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var _ processor.OCRClient = (*ocrclient.Client)(nil)

func TestRegionIsTheEventsElseTheInvocationsElseTheFunctions(t *testing.T) {
	for _, test := range []struct{ event, invocation, function, want string }{
		{"a", "b", "c", "a"}, {"", "b", "c", "b"}, {"", "", "c", "c"}, {"", "", "", ""},
	} {
		f := ocrtest.NewFixture(t)
		f.Options.Region = test.function
		opened := "none"
		f.Options.Open = func(_, region string, _ bucket.Credentials, _ *slog.Logger) (processor.Bucket, error) {
			opened = region
			return f.Bucket, nil
		}
		_, err := f.Processor().OpenBucket("cards", test.event, processor.Invocation{Region: test.invocation}, f.Options.Log)
		require.NoError(t, err)
		assert.Equal(t, test.want, opened)
	}
}

func TestResumeIsToldAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		resumed := 0
		f.Options.OnResume = func() { resumed++ }
		for _, pause := range []time.Duration{0, time.Second, 6 * time.Second} {
			time.Sleep(pause) // virtual
			f.Processor().DropStaleConnections()
		}
		assert.Equal(t, 1, resumed)
	})
}
