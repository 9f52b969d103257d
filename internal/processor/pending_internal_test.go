package processor

import (
	"fmt"
	"testing"

	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
)

func TestMemoryOfPendingResultsIsBounded(t *testing.T) {
	var p pendingResults
	for i := range 2 * maxPending {
		p.put(fmt.Sprint(i), &result.Document{Image: result.Image{Size: int64(i)}})
		p.put(fmt.Sprint(i), &result.Document{Image: result.Image{Size: int64(i)}})
	}
	assert.Len(t, p.entries, maxPending)
	assert.Nil(t, p.take(fmt.Sprint(maxPending-1)), "the oldest go")
	assert.EqualValues(t, maxPending, p.take(fmt.Sprint(maxPending)).Image.Size)
	assert.Nil(t, p.take(fmt.Sprint(maxPending)))
}
