package processor_test

import (
	"testing"
	"testing/synctest"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPaidAnswerThatIsNotUnderstoodIsInTheDocument(t *testing.T) {
	for name, test := range map[string]struct {
		plan    []ocrtest.Outcome
		dropRaw bool
		status  result.Status
		want    string // the beginning of rawText; "" for none
	}{
		"not understood":             {plan: []ocrtest.Outcome{ocrtest.Garbled}, status: result.Failed, want: ocrtest.GarbledBody},
		"not to be kept":             {plan: []ocrtest.Outcome{ocrtest.Garbled}, dropRaw: true, status: result.Failed},
		"broken off, parked":         {plan: []ocrtest.Outcome{ocrtest.BrokenOff}, status: result.Failed, want: `{"msg":"识别成功!"`},
		"failed without any answer":  {plan: []ocrtest.Outcome{ocrtest.QuotaExhausted}, status: result.Failed},
		"understood after all calls": {plan: []ocrtest.Outcome{ocrtest.NotRecognized}, status: result.Recognized},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, test.plan...)
				f.Options.OnLostAnswer = config.Park
				f.Options.Retention.DropRaw = test.dropRaw
				f.Process(ocrtest.First("r1"))
				d := f.Document()
				require.Equal(t, test.status, d.Status)
				if test.want == "" {
					assert.Empty(t, d.RawText)
				} else {
					assert.Contains(t, d.RawText, test.want)
				}
				assert.NotContains(t, f.Log.String(), "canary")
				assert.NotContains(t, f.Log.String(), "识别成功")
			})
		})
	}
}
