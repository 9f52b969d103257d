package result

import (
	"strings"
	"testing"

	"fc-idcard-ocr/internal/config"

	"github.com/stretchr/testify/assert"
)

// Whatever keys and suffixes there are: the document and the claim beside an image are no images, or the function would
// call itself and pay without end.
func FuzzObjectKeys(f *testing.F) {
	for _, key := range []string{"2026/a.jpg", "A.JPG", "a.jpg.ocr.json", "a.jpg.ocr.claim.png", "身份证.png", "a.İjpg", "a.jpſ", ".jpg", "", "a.jpg\x00", "\xff.bmp", "a.JPEG?x=1", "K.heic", "../a.webp"} {
		f.Add(key, ".jpg,.jpeg,.png,.bmp,.webp,.heic", ".ocr.json", ".ocr.claim")
	}
	f.Add("a.jpg", ".JPG", ".x", ".y")
	f.Add("a", "n", ".ocr.jso", ".m")
	f.Add("a", "ſ", ".ocr.s", ".K")
	f.Add("0", "0", "ⅻ", "\xbb") // the last byte of the one is the other
	f.Fuzz(func(t *testing.T, key, suffixes, resultSuffix, claimSuffix string) {
		c, err := config.Parse([]string{"OCR_APP_CODE=x", "IMAGE_SUFFIXES=" + suffixes, "RESULT_SUFFIX=" + resultSuffix, "CLAIM_SUFFIX=" + claimSuffix})
		if err != nil {
			return
		}
		k := Keys{ImageSuffixes: c.ImageSuffixes, ResultSuffix: c.ResultSuffix, ClaimSuffix: c.ClaimSuffix}
		for _, own := range []string{k.Result(key), k.Claim(key), strings.ToUpper(k.Result(key)), k.Claim(k.Result(key)), k.Result(k.Claim(key))} {
			assert.False(t, k.IsImage(own), "%q is an image by %q", own, c.ImageSuffixes)
		}
		assert.False(t, strings.HasSuffix(k.Result(key), k.ClaimSuffix), "a document is no claim")
		assert.False(t, strings.HasSuffix(k.Claim(key), k.ResultSuffix), "a claim is no document")
	})
}
