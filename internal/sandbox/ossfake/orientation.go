package ossfake

import (
	"image"
	"strconv"
	"strings"

	"golang.org/x/image/draw"
)

func parseAutoOrient(args []string) (imageStep, error) {
	if len(args) != 1 || args[0] != "0" && args[0] != "1" {
		return nil, errInvalidArgument("x-oss-process", strings.Join(args, ","), "The value of auto-orient must be 0 or 1.")
	}
	if args[0] == "0" {
		return func(*picture) error { return nil }, nil
	}
	return func(p *picture) error {
		p.img = orient(p.img, p.orientation)
		p.orientation = 0
		return nil
	}, nil
}

func parseRotate(args []string) (imageStep, error) {
	if len(args) != 1 {
		return nil, errInvalidArgument("x-oss-process", strings.Join(args, ","), "The operation rotate needs one angle.")
	}
	angle, err := strconv.Atoi(args[0])
	if err != nil || angle < 0 || angle > 360 {
		return nil, errInvalidArgument("x-oss-process", args[0], "The angle of rotate must be between 0 and 360.")
	}
	// The EXIF orientation that turns a picture by as much.
	orientation, ok := map[int]int{0: 1, 90: 6, 180: 3, 270: 8, 360: 1}[angle]
	if !ok {
		return nil, errNotImplemented("A rotation that is no multiple of 90 degrees")
	}
	return func(p *picture) error {
		p.img = orient(p.img, orientation)
		return nil
	}, nil
}

// orient turns and mirrors a picture so that an EXIF orientation becomes 1.
func orient(img image.Image, orientation int) image.Image {
	if orientation < 2 || orientation > 8 {
		return img
	}
	src := toRGBA(img)
	w, h := src.Rect.Dx(), src.Rect.Dy()
	outW, outH := w, h
	if orientation >= 5 {
		outW, outH = h, w
	}
	dst := image.NewRGBA(image.Rect(0, 0, outW, outH))
	for y := range outH {
		for x := range outW {
			var sx, sy int
			switch orientation {
			case 2:
				sx, sy = w-1-x, y
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sx, sy = x, h-1-y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, h-1-x
			case 7:
				sx, sy = w-1-y, h-1-x
			case 8:
				sx, sy = w-1-y, x
			}
			copy(dst.Pix[dst.PixOffset(x, y):][:4], src.Pix[sy*src.Stride+4*sx:][:4])
		}
	}
	return dst
}

// toRGBA returns the picture with its corner at 0,0 and four bytes a pixel.
func toRGBA(img image.Image) *image.RGBA {
	if rgba, ok := img.(*image.RGBA); ok && rgba.Rect.Min == (image.Point{}) {
		return rgba
	}
	out := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(out, out.Bounds(), img, img.Bounds().Min, draw.Src)
	return out
}
