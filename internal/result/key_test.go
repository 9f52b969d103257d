package result

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Results and claims are never images, whatever the case of their endings.
func TestResultsAndClaimsAreNoImages(t *testing.T) {
	keys := Keys{ImageSuffixes: []string{".jpg", ".heic"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}
	for key, want := range map[string]bool{
		"a.jpg": true, "a.JPG": true, "a.HeiC": true, ".jpg": true, "a.jpg.ocr.jpg": true, "身份证.jpg": true,
		"a.jpg.ocr.json": false, "a.jpg.ocr.claim": false, "a.jpg.OCR.JSON": false, "a.jpg/": false, "ajpg": false, "": false, "a.jpg ": false,
	} {
		assert.Equal(t, want, keys.IsImage(key), key)
	}
}
