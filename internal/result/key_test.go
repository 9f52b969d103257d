package result

import (
	"reflect"
	"testing"

	"fc-idcard-ocr/internal/config"

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

// Whoever may write the program's own objects only cannot make it pay.
func TestNothingBelowTheOwnPrefixIsAnImage(t *testing.T) {
	keys := Keys{ImageSuffixes: []string{".jpg"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}
	for key, want := range map[string]bool{
		OwnPrefix + "x.jpg": false, OwnPrefix + "budget/x.jpg": false, IndexPrefix + "x.JPG": false,
		".fc-idcard-ocr.jpg": true, ".FC-idcard-ocr/x.jpg": true, "a/" + OwnPrefix + "x.jpg": true,
	} {
		assert.Equal(t, want, keys.IsImage(key), key)
	}
}

func TestExcludedKeysAreNoImages(t *testing.T) {
	keys := Keys{ImageSuffixes: []string{".jpg", ".PNG"}, ImageExclude: []string{"*-back.jpg", "_thumb.png", "tmp/*", "*/draft/*/x*.jpg"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}
	for key, want := range map[string]bool{
		"a.jpg":                  true,
		"A.JPG":                  true,
		"a.gif":                  false,
		"a-back.jpg":             false,
		"2026/11/a-BACK.Jpg":     false,
		"-back.jpg":              false,
		"a-back.jpg.jpg":         true,
		"a-back.png":             true,
		"a_thumb.png":            false,
		"a_THUMB.PNG":            false,
		"_thumb.png/a.png":       true,
		"tmp/a.jpg":              false,
		"tmp/b/a.jpg":            false,
		"x/tmp/a.jpg":            true,
		"a/draft/b/x1.jpg":       false,
		"a/draft/b/c/x1.jpg":     false,
		"a/draft/x1.jpg":         true,
		"a/draft/b/y1.jpg":       true,
		"a.jpg.ocr.json":         false,
		"cards/front-back.jpg.a": false,
	} {
		assert.Equal(t, want, keys.IsImage(key), key)
	}
	assert.True(t, Keys{ImageSuffixes: []string{".jpg"}, ImageExclude: []string{"a*a.jpg"}}.IsImage("a.jpg"), "one letter is not two")
	globs := Keys{ImageSuffixes: []string{".jpg"}, ImageExclude: []string{"[ab]?.jpg", "scans/back-?.JPG"}}
	for key, want := range map[string]bool{"ab.jpg": false, "b/.jpg": false, "cb.jpg": true, "abc.jpg": true, "scans/back-1.jpg": false, "scans/back-12.jpg": true} {
		assert.Equal(t, want, globs.IsImage(key), key)
	}
}

func TestCardFieldsAreThoseOfTheConfiguration(t *testing.T) {
	var names []string
	for field := range reflect.TypeFor[Card]().NumField() {
		names = append(names, reflect.TypeFor[Card]().Field(field).Tag.Get("json"))
	}
	assert.Equal(t, config.CardFields, names)
}
