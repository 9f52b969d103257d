package ossfake

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const cardsFolder = "../../../testdata/cards/"

// tiffHeader is EXIF data that holds nothing but another tag and an orientation.
func tiffHeader(order binary.AppendByteOrder, orientation uint16) []byte {
	b := []byte("II*\x00")
	if order.String() == "BigEndian" {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	for _, entry := range [][2]uint16{{0x0100, 1}, {0x0112, orientation}} {
		b = order.AppendUint16(b, entry[0])
		b = order.AppendUint16(b, 3)
		b = order.AppendUint32(b, 1)
		b = order.AppendUint16(b, entry[1])
		b = order.AppendUint16(b, 0)
	}
	return order.AppendUint32(b, 0)
}

// withOrientation puts EXIF data into a JPEG, behind a segment that is none.
func withOrientation(jpeg, tiff []byte) []byte {
	var b bytes.Buffer
	b.Write(jpeg[:2])
	for _, segment := range [][]byte{[]byte("\xe0JFIF\x00"), append([]byte("\xe1Exif\x00\x00"), tiff...)} {
		b.Write([]byte{0xff, segment[0]})
		// The length counts itself but not the marker.
		b.Write(binary.BigEndian.AppendUint16(nil, uint16(len(segment)+1)))
		b.Write(segment[1:])
	}
	b.Write(jpeg[2:])
	return b.Bytes()
}

func chunk(order binary.AppendByteOrder, name string, payload []byte) []byte {
	if order.String() == "BigEndian" {
		// PNG: size, name, data, checksum, which nobody looks at here.
		b := append(order.AppendUint32(nil, uint32(len(payload))), name...)
		return append(append(b, payload...), 0, 0, 0, 0)
	}
	b := order.AppendUint32([]byte(name), uint32(len(payload)))
	b = append(b, payload...)
	return append(b, make([]byte, len(payload)%2)...)
}

func TestTheOrientationIsFoundInEveryFormatThatHasOne(t *testing.T) {
	t.Parallel()
	card, err := os.ReadFile(cardsFolder + "lowres-02.jpg")
	require.NoError(t, err)
	for orientation := range uint16(10) {
		want := int(orientation)
		if orientation > 8 {
			want = 0
		}
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			tiff := tiffHeader(order, orientation)
			for name, file := range map[string][]byte{
				"tiff": tiff,
				"jpeg": withOrientation(card, tiff),
				"png":  append([]byte("\x89PNG\r\n\x1a\n"), append(chunk(binary.BigEndian, "IHDR", make([]byte, 13)), chunk(binary.BigEndian, "eXIf", tiff)...)...),
				"webp": append([]byte("RIFF\x00\x00\x00\x00WEBP"), append(chunk(binary.LittleEndian, "VP8X", make([]byte, 9)), chunk(binary.LittleEndian, "EXIF", tiff)...)...),
			} {
				assert.Equal(t, want, exifOrientation(file), "%s, %s, %d", name, order, orientation)
				for end := range file[:min(len(file), 120)] {
					// What is cut off is no reason to fail.
					assert.Contains(t, []int{0, want}, exifOrientation(file[:end]), "%s cut at %d", name, end)
				}
			}
		}
	}
	assert.Zero(t, exifOrientation(card))
}

func FuzzExifOrientation(f *testing.F) {
	tiff := tiffHeader(binary.BigEndian, 6)
	f.Add(tiff)
	f.Add(withOrientation([]byte("\xff\xd8\xff\xd9"), tiff))
	f.Add(append([]byte("RIFF\x00\x00\x00\x00WEBP"), chunk(binary.LittleEndian, "EXIF", tiff)...))
	f.Add(append([]byte("\x89PNG\r\n\x1a\n"), chunk(binary.BigEndian, "eXIf", tiff)...))
	f.Fuzz(func(t *testing.T, file []byte) {
		if o := exifOrientation(file); o < 0 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}
