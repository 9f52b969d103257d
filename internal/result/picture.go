package result

import (
	"bytes"
	"slices"
)

// PictureType is what a picture's bytes say it is, whatever its name or Content-Type.
type PictureType string

// The known types.
const (
	JPEG         PictureType = "JPEG"
	PNG          PictureType = "PNG"
	BMP          PictureType = "BMP"
	GIF          PictureType = "GIF"
	WebP         PictureType = "WebP"
	HEIC         PictureType = "HEIC" // HEIF with HEVC or AV1 in it, so AVIF too
	TIFF         PictureType = "TIFF"
	PDF          PictureType = "PDF"
	OtherPicture PictureType = "other"
)

// ProviderTypes are those that the provider takes as they are. OSS converts the others, but for PDF and what is no picture.
var ProviderTypes = []PictureType{JPEG, PNG, BMP}

// Taken reports whether the provider takes pictures of this type as they are.
func (p PictureType) Taken() bool { return slices.Contains(ProviderTypes, p) }

// SniffBytes is how many bytes SniffPicture reads, at most.
const SniffBytes = 1024

// SniffPicture returns the type of an image by its first bytes.
func SniffPicture(begin []byte) PictureType {
	begin = begin[:min(len(begin), SniffBytes)]
	at := func(offset int, magic string) bool {
		return len(begin) >= offset && bytes.HasPrefix(begin[offset:], []byte(magic))
	}
	switch {
	case at(0, "\xff\xd8\xff"):
		return JPEG
	case at(0, "\x89PNG\r\n\x1a\n"):
		return PNG
	case at(0, "BM") && len(begin) >= 18 && isBMPHeader(begin[14:18]):
		return BMP
	case at(0, "GIF87a"), at(0, "GIF89a"):
		return GIF
	case at(0, "RIFF") && at(8, "WEBP"):
		return WebP
	case at(4, "ftyp") && isHEIF(begin):
		return HEIC
	case at(0, "II*\x00"), at(0, "MM\x00*"), at(0, "II+\x00"), at(0, "MM\x00+"): // the last two are BigTIFF
		return TIFF
	case bytes.Contains(begin, []byte("%PDF-")): // readers take it anywhere in the first 1,024 bytes
		return PDF
	}
	return OtherPicture
}

// isBMPHeader distinguishes the length of a BMP's second header from text that begins with BM.
func isBMPHeader(length []byte) bool {
	return bytes.Equal(length[1:], []byte{0, 0, 0}) && slices.Contains([]byte{12, 16, 40, 52, 56, 64, 108, 124}, length[0])
}

// isHEIF searches for one of HEIF's brands, the major one first, in the ftyp box that a file begins with.
func isHEIF(begin []byte) bool {
	end := min(len(begin), int(begin[2])<<8|int(begin[3]))
	for i := 8; i+4 <= end; i += 4 {
		switch string(begin[i : i+4]) {
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis":
			return true
		}
	}
	return false
}
