package processor

import (
	"fmt"
	"testing"
	"time"

	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
)

func TestMemoryOfPendingResultsIsBounded(t *testing.T) {
	var p pendingResults
	image := func(i int) result.Image { return result.Image{Bucket: "cards", Key: fmt.Sprint(i), Size: int64(i)} }
	for i := range 2 * maxPending {
		for range 2 {
			p.put(pendingResult{document: &result.Document{Image: image(i)}})
		}
	}
	assert.Len(t, p.entries, maxPending)
	assert.Nil(t, p.take(image(maxPending-1)).document, "the oldest go")
	assert.EqualValues(t, maxPending, p.take(image(maxPending)).document.Image.Size)
	assert.Nil(t, p.take(image(maxPending)).document)
	for _, replace := range []func(*result.Image){
		func(i *result.Image) { i.ETag = "E2" },
		func(i *result.Image) { i.LastModified = time.Unix(1, 0) },
		func(i *result.Image) { i.VersionID = "v2" },
	} {
		other := image(maxPending + 1)
		replace(&other)
		assert.Nil(t, p.take(other).document)
		assert.Nil(t, p.take(image(maxPending+1)).document, "it was replaced")
		p.put(pendingResult{document: &result.Document{Image: image(maxPending + 1)}})
	}
	assert.Len(t, p.entries, maxPending-1, "no other image is forgotten")
}
