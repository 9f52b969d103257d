package oss

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestResizeFollowsTheServicesRules(t *testing.T) {
	for arguments, want := range map[string]image.Point{
		"l_100": {100, 50}, "s_50": {100, 50}, "w_40": {40, 20}, "h_40": {80, 40}, "p_50": {100, 50}, "w_100,h_100": {100, 50},
		"m_mfit,w_100,h_80": {160, 80}, "m_fixed,w_30,h_70": {30, 70}, "l_4096": {200, 100}, "l_400,limit_0": {400, 200},
	} {
		p := &picture{Image: image.NewRGBA(image.Rect(0, 0, 200, 100))}
		require.NoError(t, resize(p, arguments), arguments)
		assert.Equal(t, want, p.Bounds().Size(), arguments)
	}
	for _, arguments := range []string{"", "w_0", "w_x", "w_16385", "m_other,w_10,h_10", "w_10000,h_10000,m_fixed,limit_0"} {
		assert.Error(t, resize(&picture{Image: image.NewRGBA(image.Rect(0, 0, 200, 100))}, arguments), arguments)
	}
}

func TestOrientationTurnsThePictureUpright(t *testing.T) {
	// The corner at the top left of the upright picture, for each of the eight ways it can be stored.
	corners := map[int]image.Point{1: {0, 0}, 2: {2, 0}, 3: {2, 1}, 4: {0, 1}, 5: {0, 0}, 6: {0, 1}, 7: {2, 1}, 8: {2, 0}}
	for orientation, corner := range corners {
		stored := image.NewRGBA(image.Rect(0, 0, 3, 2))
		stored.Set(corner.X, corner.Y, color.White)
		got := upright(stored, orientation)
		r, _, _, _ := got.At(0, 0).RGBA()
		assert.NotZero(t, r, "orientation %d", orientation)
		assert.Equal(t, orientation >= 5, got.Bounds().Dx() == 2, "orientation %d", orientation)
	}
}

func TestFormatAndQualityAreKept(t *testing.T) {
	var source bytes.Buffer
	require.NoError(t, png.Encode(&source, image.NewNRGBA(image.Rect(0, 0, 64, 64))))
	p, err := decodePicture(source.Bytes())
	require.NoError(t, err)
	require.NoError(t, setFormat(p, "jpg"))
	require.NoError(t, setQuality(p, "Q_85"))
	var result bytes.Buffer
	require.NoError(t, p.encode(&result))
	decoded, err := jpeg.Decode(&result)
	require.NoError(t, err)
	r, g, b, _ := decoded.At(3, 3).RGBA()
	assert.Equal(t, [3]uint32{0xffff, 0xffff, 0xffff}, [3]uint32{r, g, b}, "transparent becomes white")
}

func TestBombsAndDamagedPicturesAreRefusedBeforeDecoding(t *testing.T) {
	var bomb bytes.Buffer
	require.NoError(t, png.Encode(&bomb, image.NewGray(image.Rect(0, 0, 1, 1))))
	huge := bytes.Replace(bomb.Bytes(), []byte("IHDR\x00\x00\x00\x01\x00\x00\x00\x01"), []byte("IHDR\x00\x00\x75\x31\x00\x00\x00\x01"), 1)
	for name, source := range map[string][]byte{"not a picture": []byte("hello"), "cut": bomb.Bytes()[:40], "damaged or too wide": huge} {
		_, err := decodePicture(source)
		assert.Error(t, err, name)
	}
}
