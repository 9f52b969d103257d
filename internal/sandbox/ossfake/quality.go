package ossfake

import (
	"math"
	"strings"
)

func parseQuality(args []string) (imageStep, error) {
	values, err := imageArguments("quality", args, "q", "Q")
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, errInvalidArgument("x-oss-process", strings.Join(args, ","), "The operation quality needs q or Q.")
	}
	relative, err := imageNumber(values, "q", 1, 100)
	if err != nil {
		return nil, err
	}
	absolute, err := imageNumber(values, "Q", 1, 100)
	if err != nil {
		return nil, err
	}
	return func(p *picture) error {
		source := p.sourceQuality
		if source == 0 {
			source = 100
		}
		if relative > 0 {
			p.quality = max(1, source*relative/100)
		} else {
			// A picture is never saved better than it came.
			p.quality = min(source, absolute)
		}
		return nil
	}, nil
}

// standardLuminance is the quantisation table of quality 50 in zigzag order (ITU-T T.81, table K.1).
var standardLuminance = [64]int{
	16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
	26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
	56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
	95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
}

// jpegQuality estimates with which quality a JPEG was saved, from its luminance table; 0 if it has none.
func jpegQuality(source []byte) int {
	sum := 0
	jpegSegments(source, func(marker byte, payload []byte) bool {
		// Table 0 with 8-bit entries comes first in every usual file.
		if marker != 0xdb || len(payload) < 65 || payload[0] != 0 {
			return true
		}
		for _, v := range payload[1:65] {
			sum += int(v)
		}
		return false
	})
	if sum == 0 {
		return 0
	}
	best, distance := 0, math.MaxInt
	for q := 1; q <= 100; q++ {
		scale := 200 - 2*q
		if q < 50 {
			scale = 5000 / q
		}
		have := 0
		for _, v := range standardLuminance {
			have += min(max((v*scale+50)/100, 1), 255)
		}
		if d := max(have-sum, sum-have); d < distance {
			best, distance = q, d
		}
	}
	return best
}
