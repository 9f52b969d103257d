package ocrengine

import (
	"bytes"
	"fmt"
	"image/png"

	"golang.org/x/image/bmp"
)

// maxPixels is the most that a picture may hold, here and in reader.mjs: more than any phone camera takes, and little
// enough that a small file made to unpack into gigabytes is refused.
const maxPixels = 120_000_000

func bmpToPNG(image []byte) ([]byte, error) {
	config, err := bmp.DecodeConfig(bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if int64(config.Width)*int64(config.Height) > maxPixels {
		return nil, fmt.Errorf("%w: %d x %d pixels, at most %d are accepted", ErrUnreadable, config.Width, config.Height, maxPixels)
	}
	// The format is not compressed: with less than a bit a pixel the file is cut, which the decoder would notice last of all.
	if int64(len(image)) < int64(config.Width)*int64(config.Height)/8 {
		return nil, fmt.Errorf("%w: %d x %d pixels in %d bytes", ErrUnreadable, config.Width, config.Height, len(image))
	}
	picture, err := bmp.Decode(bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("ocrengine: %w", err)
	}
	return out.Bytes(), nil
}
