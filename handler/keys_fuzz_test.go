package handler

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
		f.Add(key, ".jpg,.jpeg,.png,.bmp,.webp,.heic", ".ocr.json", ".ocr.claim", int64(1000))
	}
	f.Add("a.jpg", ".JPG", ".x", ".y", int64(plainBytes))
	f.Add("a", "n", ".ocr.jso", ".m", int64(plainBytes+1))
	f.Add("a", "ſ", ".ocr.s", ".K", int64(-1))
	f.Add("0", "0", "ⅻ", "\xbb", int64(982)) // the last byte of the one is the other
	f.Fuzz(func(t *testing.T, key, suffixes, result, claim string, size int64) {
		c, err := config.Parse([]string{"OCR_APP_CODE=x", "IMAGE_SUFFIXES=" + suffixes, "RESULT_SUFFIX=" + result, "CLAIM_SUFFIX=" + claim})
		if err != nil {
			return
		}
		h := New(Options{ImageSuffixes: c.ImageSuffixes, ResultSuffix: c.ResultSuffix, ClaimSuffix: c.ClaimSuffix})
		for _, own := range []string{key + h.ResultSuffix, key + h.ClaimSuffix, strings.ToUpper(key + h.ResultSuffix), key + h.ResultSuffix + h.ClaimSuffix, key + h.ClaimSuffix + h.ResultSuffix} {
			assert.False(t, h.isImage(own), "%q is an image by %q", own, c.ImageSuffixes)
		}
		assert.False(t, strings.HasSuffix(key+h.ResultSuffix, h.ClaimSuffix), "a document is no claim")
		assert.False(t, strings.HasSuffix(key+h.ClaimSuffix, h.ResultSuffix), "a claim is no document")
		switch process := processing(key, size); process {
		case "":
			assert.LessOrEqual(t, size, int64(plainBytes), "large pictures are made smaller")
			assert.Regexp(t, `(?i)\.(jpe?g|png|bmp)$`, key, "the provider takes no others")
		default:
			assert.Equal(t, shrink, process)
		}
	})
}
