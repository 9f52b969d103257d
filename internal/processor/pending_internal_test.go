package processor

import (
	"fmt"
	"testing"

	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
)

func TestMemoryOfPendingResultsIsBounded(t *testing.T) {
	var p pendingResults
	image := func(i int) result.Image { return result.Image{Bucket: "cards", Key: fmt.Sprint(i), Size: int64(i)} }
	for i := range 2 * maxPending {
		for range 2 {
			p.put(pendingResult{nonce: fmt.Sprint(i), document: &result.Document{Image: image(i)}})
		}
	}
	assert.Len(t, p.entries, maxPending)
	assert.Nil(t, p.take(fmt.Sprint(maxPending-1), image(maxPending-1)).document, "the oldest go")
	assert.EqualValues(t, maxPending, p.take(fmt.Sprint(maxPending), image(maxPending)).document.Image.Size)
	assert.Nil(t, p.take(fmt.Sprint(maxPending), image(maxPending)).document)
	assert.Nil(t, p.take("another nonce", image(maxPending+1)).document)
	assert.Len(t, p.entries, maxPending-2, "what else is there of the image is forgotten, and of no other")
}
