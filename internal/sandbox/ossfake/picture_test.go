package ossfake_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// picture is a PNG of 80 by 40 pixels.
func picture(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 80, 40))
	for x := range 80 {
		for y := range 40 {
			img.Set(x, y, color.RGBA{uint8(3 * x), uint8(6 * y), 0, 255}) //nolint:gosec // Both stay below 256.
		}
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, img))
	return b.Bytes()
}

func TestAPictureIsProcessedOnItsWayOut(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	put(t, b, "a.png", string(picture(t)))
	cfg, format, err := image.DecodeConfig(strings.NewReader(get(t, b, "a.png", aliyun.Process("image/auto-orient,1/resize,l_40/format,jpg"))))
	require.NoError(t, err)
	assert.Equal(t, "jpeg", format)
	assert.Equal(t, [2]int{40, 20}, [2]int{cfg.Width, cfg.Height})
	assert.Equal(t, string(picture(t)), get(t, b, "a.png"), "the object itself stays as it is")
	assert.JSONEq(t, `{"FileSize":{"value":"`+sizeOf(picture(t))+`"},"Format":{"value":"png"},"FrameCount":{"value":"1"},"ImageHeight":{"value":"40"},"ImageWidth":{"value":"80"}}`,
		get(t, b, "a.png", aliyun.Process("image/info")))

	put(t, b, "a.txt", "no picture")
	put(t, b, "cut.png", string(picture(t)[:60]))
	for _, test := range []struct {
		key, process string
		status       int
		code         string
	}{
		{"missing.png", "image/resize,w_10", 404, "NoSuchFile"},
		{"cut.png", "image/resize,w_10", 403, "ImageDamage"},
		{"a.txt", "image/resize,w_10", 400, "BadRequest"},
		{"a.png", "image/resize,w_0", 400, "InvalidArgument"},
		{"a.png", "image/blur,r_3,s_2", 501, "NotImplemented"},
	} {
		_, err := b.GetObject(test.key, aliyun.Process(test.process))
		requireCode(t, err, test.status, test.code)
	}
	_, err = b.GetObject("a.png", aliyun.Process("image/resize,w_10"), aliyun.IfNoneMatch(etagOf(t, b, "a.png")))
	require.ErrorContains(t, err, "304")
}

func TestAFileOver20MegabytesIsStoredButNotProcessed(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.v4(t)
	file := filepath.Join(l.dir, testBucket, "large.png")
	require.NoError(t, os.WriteFile(file, picture(t), 0o600))
	require.NoError(t, os.Truncate(file, 20<<20+1))
	_, err := b.GetObject("large.png", aliyun.Process("image/resize,w_10"))
	requireCode(t, err, 400, "ImageTooLarge")
}
