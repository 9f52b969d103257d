package processor

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestProcessingOnlyWhereItIsNeeded(t *testing.T) {
	for key, want := range map[string]bool{"a.jpg": false, "a.JPEG": false, "a.png": false, "a.bmp": false, "a.webp": true, "a.HEIC": true, "a": true} {
		assert.Equal(t, want, ossProcess(key, 1_500_000) != "", key)
		assert.NotEmpty(t, ossProcess(key, 1_500_001), key)
	}
}

func FuzzOSSProcess(f *testing.F) {
	for _, key := range []string{"2026/a.jpg", "A.JPG", "身份证.png", "a.jpſ", ".jpg", "", "a.jpg\x00", "\xff.bmp", "a.JPEG?x=1", "K.heic", "../a.webp"} {
		f.Add(key, int64(1000))
	}
	f.Add("a.jpg", int64(maxUnprocessedBytes))
	f.Add("a.jpg", int64(maxUnprocessedBytes+1))
	f.Add("a", int64(-1))
	f.Fuzz(func(t *testing.T, key string, size int64) {
		switch process := ossProcess(key, size); process {
		case "":
			assert.LessOrEqual(t, size, int64(maxUnprocessedBytes), "large pictures are made smaller")
			assert.Regexp(t, `(?i)\.(jpe?g|png|bmp)$`, key, "the provider takes no others")
		default:
			assert.Equal(t, resizeProcess, process)
		}
	})
}
