package result

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPicturesAreWhatTheirBytesSay(t *testing.T) {
	bmp := func(header byte) string {
		return "BM" + strings.Repeat("\x00", 12) + string([]byte{header, 0, 0, 0}) + strings.Repeat("\x00", 120)
	}
	for name, test := range map[string]struct {
		begin string
		want  PictureType
	}{
		"JFIF":                 {"\xff\xd8\xff\xe0\x00\x10JFIF", JPEG},
		"Exif":                 {"\xff\xd8\xff\xe1", JPEG},
		"PNG":                  {"\x89PNG\r\n\x1a\n", PNG},
		"PNG cut":              {"\x89PNG\r\n", OtherPicture},
		"BMP of OS/2":          {bmp(12), BMP},
		"BMP":                  {bmp(40), BMP},
		"BMP version 4":        {bmp(108), BMP},
		"BMP version 5":        {bmp(124), BMP},
		"text with BM":         {"BMW 320i, 2019, grey, 40,000 km", OtherPicture},
		"GIF":                  {"GIF89a", GIF},
		"old GIF":              {"GIF87a", GIF},
		"WebP":                 {"RIFF\x10\x00\x00\x00WEBPVP8X", WebP},
		"WAV":                  {"RIFF\x10\x00\x00\x00WAVEfmt ", OtherPicture},
		"HEIC":                 {"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", HEIC},
		"HEIC by a late brand": {"\x00\x00\x00\x1cftypxxxx\x00\x00\x00\x00miafMiHBheix", HEIC},
		"AVIF":                 {"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf", HEIC},
		"MP4":                  {"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2heic", OtherPicture},
		"box cut":              {"\x00\x00\x00\x18ftyp", OtherPicture},
		"TIFF":                 {"II*\x00\x08\x00\x00\x00", TIFF},
		"TIFF of Motorola":     {"MM\x00*\x00\x00\x00\x08", TIFF},
		"BigTIFF":              {"II+\x00\x08\x00\x00\x00", TIFF},
		"PDF":                  {"%PDF-1.7\n", PDF},
		"PDF behind noise":     {"\n\n\xef\xbb\xbf%PDF-1.4", PDF},
		"PDF too late":         {strings.Repeat("x", SniffBytes) + "%PDF-1.4", OtherPicture},
		"text":                 {"hello", OtherPicture},
		"nothing":              {"", OtherPicture},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "MP4" {
				test.begin = "\x00\x00\x00\x14" + test.begin[4:] // its box ends before the word
			}
			got := SniffPicture([]byte(test.begin))
			assert.Equal(t, test.want, got)
			assert.Equal(t, got == JPEG || got == PNG || got == BMP, got.Taken())
		})
	}
	cards, err := filepath.Glob("../../testdata/cards/*.jpg")
	require.NoError(t, err)
	require.NotEmpty(t, cards)
	for _, file := range cards {
		card, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, JPEG, SniffPicture(card), file)
	}
}
