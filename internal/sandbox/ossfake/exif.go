package ossfake

import (
	"bytes"
	"encoding/binary"
)

// exifOrientation returns the EXIF orientation of a picture, 1 to 8, or 0 if it has none. It reads this one tag and nothing
// else of the EXIF data.
func exifOrientation(picture []byte) int {
	switch {
	case bytes.HasPrefix(picture, []byte("\xff\xd8")):
		return orientationOfJPEG(picture)
	case bytes.HasPrefix(picture, []byte("II*\x00")), bytes.HasPrefix(picture, []byte("MM\x00*")):
		return orientationOfTIFF(picture)
	case bytes.HasPrefix(picture, []byte("RIFF")) && len(picture) > 12 && string(picture[8:12]) == "WEBP":
		return orientationInChunks(picture[12:], "EXIF", binary.LittleEndian, false)
	case bytes.HasPrefix(picture, []byte("\x89PNG\r\n\x1a\n")):
		return orientationInChunks(picture[8:], "eXIf", binary.BigEndian, true)
	}
	return 0
}

// jpegSegments calls visit with each marker segment before the picture data until visit returns false.
func jpegSegments(b []byte, visit func(marker byte, payload []byte) bool) {
	for b = b[2:]; len(b) >= 4 && b[0] == 0xff; {
		marker := b[1]
		if marker == 0xff {
			b = b[1:]
			continue
		}
		if marker == 0xda || marker == 0xd9 {
			return
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 2 || n+2 > len(b) || !visit(marker, b[4:n+2]) {
			return
		}
		b = b[n+2:]
	}
}

func orientationOfJPEG(b []byte) int {
	orientation := 0
	jpegSegments(b, func(marker byte, payload []byte) bool {
		if marker != 0xe1 || !bytes.HasPrefix(payload, []byte("Exif\x00\x00")) {
			return true
		}
		orientation = orientationOfTIFF(payload[6:])
		return false
	})
	return orientation
}

// orientationInChunks looks for a chunk in the layouts of WebP (name, size) and PNG (size, name, data, CRC).
func orientationInChunks(b []byte, name string, order binary.ByteOrder, png bool) int {
	for len(b) >= 8 {
		found, size := string(b[:4]), int64(order.Uint32(b[4:]))
		skip := size + size%2
		if png {
			found, size = string(b[4:8]), int64(order.Uint32(b))
			skip = size + 4
		}
		if 8+size > int64(len(b)) {
			return 0
		}
		if found == name {
			return orientationOfTIFF(bytes.TrimPrefix(b[8:8+size], []byte("Exif\x00\x00")))
		}
		if 8+skip > int64(len(b)) {
			return 0
		}
		b = b[8+skip:]
	}
	return 0
}

// orientationOfTIFF reads tag 0x0112 of the first directory.
func orientationOfTIFF(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 0
	}
	entries := int64(order.Uint16(b[at:]))
	for i := range entries {
		e := at + 2 + 12*i
		if e+12 > int64(len(b)) {
			return 0
		}
		if order.Uint16(b[e:]) != 0x0112 {
			continue
		}
		if v := order.Uint16(b[e+8:]); v >= 1 && v <= 8 {
			return int(v)
		}
		return 0
	}
	return 0
}
