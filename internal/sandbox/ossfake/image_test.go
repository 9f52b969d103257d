package ossfake

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"
)

// encodedPNG returns a transparent picture of the given size as a PNG file.
func encodedPNG(t *testing.T, width, height int) []byte {
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, width, height))))
	return b.Bytes()
}

func TestResizeFollowsTheServicesRules(t *testing.T) {
	source := encodedPNG(t, 200, 100)
	for arguments, want := range map[string]image.Point{
		"l_100": {100, 50}, "s_50": {100, 50}, "w_40": {40, 20}, "h_40": {80, 40}, "p_50": {100, 50}, "w_100,h_100": {100, 50},
		"m_mfit,w_100,h_80": {160, 80}, "m_fixed,w_30,h_70": {30, 70}, "m_fill,w_50,h_50": {50, 50}, "m_pad,w_50,h_50": {50, 50},
		// Nothing is enlarged unless that is asked for.
		"l_4096": {200, 100}, "l_400,limit_0": {400, 200},
	} {
		instruction, err := parseImageProcess("image/resize," + arguments)
		require.NoError(t, err, arguments)
		body, contentType, err := transform(source, instruction.steps)
		require.NoError(t, err, arguments)
		assert.Equal(t, "image/png", contentType, arguments)
		cfg, err := png.DecodeConfig(bytes.NewReader(body))
		require.NoError(t, err, arguments)
		assert.Equal(t, want, image.Pt(cfg.Width, cfg.Height), arguments)
	}
	instruction, err := parseImageProcess("image/resize,w_10000,h_10000,m_fixed,limit_0")
	require.NoError(t, err)
	_, _, err = transform(source, instruction.steps)
	assert.Equal(t, "0040-00000007", asAnswer(t, err).ec)
}

func TestWrongProcessingInstructionsAreRefused(t *testing.T) {
	for instruction, code := range map[string]string{
		"image": "InvalidArgument", "video/snapshot": "InvalidArgument", "image/resize": "InvalidArgument", "image/resize,w_0": "InvalidArgument",
		"image/resize,w_x": "InvalidArgument", "image/resize,w_16385": "InvalidArgument", "image/resize,m_other,w_10": "InvalidArgument",
		"image/resize,w_10,limit_2": "InvalidArgument", "image/resize,x_10": "InvalidArgument", "image/resize,w_10,color_red": "InvalidArgument",
		"image/rotate": "InvalidArgument", "image/rotate,361": "InvalidArgument", "image/auto-orient,2": "InvalidArgument",
		"image/quality,Q_101": "InvalidArgument", "image/quality": "InvalidArgument", "image/format,doc": "InvalidArgument",
		"image/format": "InvalidArgument", "image/info/resize,w_10": "InvalidArgument", "image/nonsense": "InvalidArgument",
		"image/rotate,45": "NotImplemented", "image/watermark,text_aGVsbG8": "NotImplemented", "image/format,webp": "NotImplemented",
		"style/small": "NoSuchStyle",
	} {
		_, err := parseImageProcess(instruction)
		if assert.Error(t, err, instruction) {
			assert.Equal(t, code, asAnswer(t, err).code, instruction)
		}
	}
}

func asAnswer(t *testing.T, err error) *apiError {
	var answer *apiError
	require.ErrorAs(t, err, &answer)
	return answer
}

func TestOrientationTurnsThePictureUpright(t *testing.T) {
	// The corner at the top left of the upright picture, for each of the eight ways it can be stored.
	corners := map[int]image.Point{1: {0, 0}, 2: {2, 0}, 3: {2, 1}, 4: {0, 1}, 5: {0, 0}, 6: {0, 1}, 7: {2, 1}, 8: {2, 0}}
	for orientation, corner := range corners {
		stored := image.NewRGBA(image.Rect(0, 0, 3, 2))
		stored.Set(corner.X, corner.Y, color.White)
		got := orient(stored, orientation)
		r, _, _, _ := got.At(0, 0).RGBA()
		assert.NotZero(t, r, "orientation %d", orientation)
		assert.Equal(t, orientation >= 5, got.Bounds().Dx() == 2, "orientation %d", orientation)
	}
}

func TestFormatAndQualityAreKept(t *testing.T) {
	source := encodedPNG(t, 64, 64)
	instruction, err := parseImageProcess("image/quality,Q_85/format,jpg")
	require.NoError(t, err)
	body, contentType, err := transform(source, instruction.steps)
	require.NoError(t, err)
	assert.Equal(t, "image/jpeg", contentType)
	assert.InDelta(t, 85, jpegQuality(body), 1)
	decoded, err := jpeg.Decode(bytes.NewReader(body))
	require.NoError(t, err)
	r, g, b, _ := decoded.At(3, 3).RGBA()
	assert.Equal(t, [3]uint32{0xffff, 0xffff, 0xffff}, [3]uint32{r, g, b}, "transparent becomes white")
}

func TestBombsAndDamagedPicturesAreRefusedBeforeDecoding(t *testing.T) {
	good := encodedPNG(t, 1, 1)
	// The header claims more pixels than its checksum was made for; a JPEG's header has none.
	var wide bytes.Buffer
	require.NoError(t, jpeg.Encode(&wide, image.NewGray(image.Rect(0, 0, 1, 1)), nil))
	frame := bytes.Index(wide.Bytes(), []byte{0xff, 0xc0})
	require.Positive(t, frame)
	huge := bytes.Clone(wide.Bytes())
	copy(huge[frame+5:], []byte{0xff, 0xff, 0xff, 0xff})
	for name, test := range map[string]struct {
		source []byte
		status int
		code   string
	}{
		"no picture": {[]byte("hello"), 400, "BadRequest"}, "cut": {good[:40], 403, "ImageDamage"}, "empty": {nil, 400, "BadRequest"},
		"too many pixels":                                {huge, 400, "ImageTooLarge"},
		"a PNG that promises 60000 x 60000 pixels":       {promisingPNG(60000, 60000, 8), 400, "ImageTooLarge"},
		"a PNG that takes too much memory":               {promisingPNG(15000, 15000, 8), 400, "ImageTooLarge"},
		"a PNG with 16 bits that takes too much memory":  {promisingPNG(9000, 9000, 16), 400, "ImageTooLarge"},
		"a PNG too small for what it promises":           {promisingPNG(10000, 10000, 8), 403, "ImageDamage"},
		"a BMP that promises 60000 x 60000 pixels":       {promisingBMP(60000, 60000), 400, "ImageTooLarge"},
		"a BMP that stands on its head":                  {promisingBMP(60000, -60000), 400, "ImageTooLarge"},
		"a BMP whose size is the largest number":         {promisingBMP(math.MaxInt32, math.MaxInt32), 403, "ImageDamage"},
		"a BMP too small for what it promises":           {promisingBMP(10000, 10000), 403, "ImageDamage"},
		"a GIF that promises 60000 x 60000 pixels":       {promisingGIF(60000, 60000), 400, "ImageTooLarge"},
		"a GIF cut after its head":                       {promisingGIF(100, 100), 403, "ImageDamage"},
		"a WebP that promises 46000 x 46000 pixels":      {promisingWebP(46000, 46000), 400, "ImageTooLarge"},
		"a WebP of more pixels than its format has":      {promisingWebP(60000, 60000), 403, "ImageDamage"},
		"a WebP cut after its head":                      {promisingWebP(100, 100), 403, "ImageDamage"},
		"a TIFF that promises 60000 x 60000 pixels":      {promisingTIFF(60000, 60000), 400, "ImageTooLarge"},
		"a TIFF that promises 4294967295 pixels a side":  {promisingTIFF(math.MaxUint32, math.MaxUint32), 403, "ImageDamage"},
		"a TIFF that promises what its data do not have": {promisingTIFF(5000, 5000), 403, "ImageDamage"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := transform(test.source, nil)
		runtime.ReadMemStats(&after)
		answer := asAnswer(t, err)
		assert.Equal(t, test.status, answer.status, name)
		assert.Equal(t, test.code, answer.code, name)
		// What a 5000 x 5000 TIFF takes is a picture's due; the others are refused by their head.
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), "%s: bytes allocated", name)
	}
}

// The heads of files without what should follow.

func promisingPNG(width, height uint32, depth byte) []byte {
	data := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	data = append(binary.BigEndian.AppendUint32(data, height), depth, 6, 0, 0, 0)
	file := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), data...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(data))
}

func promisingBMP(width, height int32) []byte {
	file := append([]byte("BM"), 54, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0)
	file = binary.LittleEndian.AppendUint32(file, uint32(width))
	file = binary.LittleEndian.AppendUint32(file, uint32(height))
	return append(append(file, 1, 0, 24, 0), make([]byte, 24)...)
}

func promisingGIF(width, height uint16) []byte {
	file := binary.LittleEndian.AppendUint16([]byte("GIF89a"), width)
	return append(binary.LittleEndian.AppendUint16(file, height), 0, 0, 0)
}

func promisingWebP(width, height uint32) []byte {
	file := append([]byte("RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00"), 0, 0, 0, 0)
	for _, side := range []uint32{width - 1, height - 1} {
		file = append(file, byte(side), byte(side>>8), byte(side>>16))
	}
	return file
}

func promisingTIFF(width, height uint32) []byte {
	file := []byte("II*\x00\x08\x00\x00\x00\x08\x00")
	for _, entry := range []struct {
		tag   uint16
		value uint32
	}{{256, width}, {257, height}, {258, 8}, {259, 5}, {262, 1}, {273, 110}, {278, height}, {279, 20}} { // LZW of 20 bytes
		file = binary.LittleEndian.AppendUint16(file, entry.tag)
		file = append(file, 4, 0, 1, 0, 0, 0)
		file = binary.LittleEndian.AppendUint32(file, entry.value)
	}
	return append(file, make([]byte, 24)...)
}

func TestPicturesTooHighForTheScalersMemoryAreScaledAllTheSame(t *testing.T) {
	// A white stripe in the upper half. The scratch would be as wide as the target and as high as the source.
	const scratch = 64 << 10
	source := image.NewGray(image.Rect(0, 0, 160, 1200))
	draw.Draw(source, image.Rect(0, 0, 160, 600), image.White, image.Point{}, draw.Src)
	for _, size := range []image.Point{{1638, 10}, {400, 410}} {
		canvas := image.NewRGBA(image.Rectangle{Max: size})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		scale(canvas, canvas.Rect, source, scratch)
		runtime.ReadMemStats(&after)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20), "bytes allocated")
		for _, at := range []struct{ y, want int }{{size.Y / 4, 255}, {size.Y * 3 / 4, 0}} {
			r, _, _, a := canvas.At(size.X/2, at.y).RGBA()
			assert.Equal(t, [2]int{at.want, 255}, [2]int{int(r >> 8), int(a >> 8)}, "%v at %d", size, at.y)
		}
	}
}
