package ossfake

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"

	sdk "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"
)

// fetchPicture requests a URL as the OCR service does and decodes what it gets.
func fetchPicture(t *testing.T, url string) (img image.Image, format string) {
	resp, err := http.Get(url) //nolint:gosec,noctx // A loopback address.
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode, string(body))
	require.Equal(t, strconv.Itoa(len(body)), resp.Header.Get("Content-Length"))
	img, format, err = image.Decode(bytes.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, "image/"+format, resp.Header.Get("Content-Type"))
	return img, format
}

// difference is the mean distance of the grey of two pictures of one size, 0 to 255, at every fifth point of every fifth line.
func difference(a, b image.Image) float64 {
	grey := func(img image.Image, x, y int) int {
		at := img.Bounds().Min.Add(image.Pt(x, y))
		return int(color.GrayModel.Convert(img.At(at.X, at.Y)).(color.Gray).Y)
	}
	sum, points := 0, 0
	for y := 0; y < a.Bounds().Dy(); y += 5 {
		for x := 0; x < a.Bounds().Dx(); x += 5 {
			d := grey(a, x, y) - grey(b, x, y)
			sum += max(d, -d)
			points++
		}
	}
	return float64(sum) / float64(points)
}

func TestPresignedURLsDeliverTheCardsAsTheInstructionSays(t *testing.T) {
	t.Parallel()
	server, err := New(Config{Dir: t.TempDir(), Region: "cn-hangzhou", Buckets: []string{testBucket}, Keys: NewKeyring(testRole)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	bucket := newClient(t, server, testRole)

	for _, test := range []struct {
		card, process, format string
		width, height         int
	}{
		{"lowres-02.jpg", "image/resize,l_2048/auto-orient,1/quality,Q_85/format,jpg", "jpeg", 660, 440},
		{"scan-04.jpg", "image/auto-orient,1/resize,l_546/quality,Q_85/format,jpg", "jpeg", 546, 359},
		{"lowres-02.jpg", "image/resize,l_400/format,png", "png", 400, 267},
		{"lowres-02.jpg", "image/resize,m_fixed,w_300,h_300/format,bmp", "bmp", 300, 300},
		{"lowres-02.jpg", "image/resize,p_50/format,gif", "gif", 330, 220},
	} {
		t.Run(test.card+" "+test.process, func(t *testing.T) {
			source, err := os.ReadFile(cardsFolder + test.card)
			require.NoError(t, err)
			original, err := jpeg.Decode(bytes.NewReader(source))
			require.NoError(t, err)
			require.NoError(t, bucket.PutObject(test.card, bytes.NewReader(source)))
			url, err := bucket.SignURL(test.card, sdk.HTTPGet, 60, sdk.Process(test.process))
			require.NoError(t, err)

			got, format := fetchPicture(t, url)
			assert.Equal(t, test.format, format)
			require.Equal(t, image.Pt(test.width, test.height), got.Bounds().Size())
			want := image.NewRGBA(image.Rect(0, 0, test.width, test.height))
			draw.ApproxBiLinear.Scale(want, want.Rect, original, original.Bounds(), draw.Src, nil)
			limit := 6.0
			if format == "gif" {
				// 256 colours.
				limit = 20
			}
			assert.Less(t, difference(want, got), limit, "it shows the same")

			body, err := bucket.GetObject(test.card)
			require.NoError(t, err)
			defer body.Close()
			stored, err := io.ReadAll(body)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(source, stored), "the object itself stays as it is")
		})
	}
}

func TestACardPhotographedUprightIsTurned(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(cardsFolder + "lowres-02.jpg")
	require.NoError(t, err)
	original, err := jpeg.Decode(bytes.NewReader(source))
	require.NoError(t, err)
	server, err := New(Config{Dir: t.TempDir(), Region: "cn-hangzhou", Buckets: []string{testBucket}, Keys: NewKeyring(testKey)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	bucket := newClient(t, server, testKey)
	stored := withOrientation(source, tiffHeader(binary.BigEndian, 6))
	require.NoError(t, bucket.PutObject("turned.jpg", bytes.NewReader(stored)))

	process := func(instruction string) image.Image {
		url, err := bucket.SignURL("turned.jpg", sdk.HTTPGet, 60, sdk.Process(instruction))
		require.NoError(t, err)
		img, _ := fetchPicture(t, url)
		return img
	}
	got := process("image/auto-orient,1")
	require.Equal(t, image.Pt(440, 660), got.Bounds().Size())
	assert.Less(t, difference(orient(original, 6), got), 6.0)
	got = process("image/auto-orient,0/format,jpg")
	assert.Less(t, difference(original, got), 6.0, "only if that is asked for")
	got = process("image/rotate,90")
	assert.Less(t, difference(orient(original, 6), got), 6.0)

	body, err := bucket.GetObject("turned.jpg", sdk.Process("image/info"))
	require.NoError(t, err)
	defer body.Close()
	var info map[string]struct {
		Value string `json:"value"`
	}
	require.NoError(t, json.NewDecoder(body).Decode(&info))
	assert.Equal(t, "6", info["Orientation"].Value)
	assert.Equal(t, "660", info["ImageWidth"].Value)
	assert.Equal(t, strconv.Itoa(len(stored)), info["FileSize"].Value)
}
