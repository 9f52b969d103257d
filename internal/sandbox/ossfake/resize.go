package ossfake

import (
	"image"
	"image/color"
	"math"
	"strconv"

	"golang.org/x/image/draw"
)

// resize are the arguments of the operation resize.
type resize struct {
	w, h, l, s, percent int
	mode                string
	enlarge             bool
	color               color.RGBA
}

func parseResize(args []string) (imageStep, error) {
	values, err := imageArguments("resize", args, "w", "h", "l", "s", "m", "p", "limit", "color")
	if err != nil {
		return nil, err
	}
	r := resize{mode: values["m"], color: color.RGBA{255, 255, 255, 255}}
	for _, n := range []struct {
		name  string
		into  *int
		limit int
	}{{"w", &r.w, maxResultSide}, {"h", &r.h, maxResultSide}, {"l", &r.l, maxResultSide}, {"s", &r.s, maxResultSide}, {"p", &r.percent, 1000}} {
		if *n.into, err = imageNumber(values, n.name, 1, n.limit); err != nil {
			return nil, err
		}
	}
	switch r.mode {
	case "":
		r.mode = "lfit"
	case "lfit", "mfit", "fill", "pad", "fixed":
	default:
		e := errInvalidArgument("x-oss-process", "m_"+r.mode, "The value %s of parameter m is invalid: it must be lfit, mfit, fill, pad or fixed.", r.mode)
		e.ec = "0040-00000311"
		return nil, e
	}
	switch values["limit"] {
	case "", "1":
	case "0":
		r.enlarge = true
	default:
		return nil, errInvalidArgument("x-oss-process", "limit_"+values["limit"], "The value of parameter limit must be 0 or 1.")
	}
	if c, ok := values["color"]; ok {
		n, err := strconv.ParseUint(c, 16, 32)
		if err != nil || len(c) != 6 {
			return nil, errInvalidArgument("x-oss-process", "color_"+c, "The value of parameter color must be RRGGBB.")
		}
		r.color = color.RGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 255} //nolint:gosec // Cut to bytes on purpose.
	}
	if r.w+r.h+r.l+r.s+r.percent == 0 {
		return nil, errInvalidArgument("x-oss-process", "resize", "The operation resize needs one of w, h, l, s and p.")
	}
	return r.apply, nil
}

// box returns the rectangle the arguments ask for; a side of 0 is free.
func (r resize) box(width, height int) (w, h int) {
	if r.w > 0 || r.h > 0 {
		return r.w, r.h
	}
	if width >= height {
		return r.l, r.s
	}
	return r.s, r.l
}

func (r resize) apply(p *picture) error {
	width, height := p.img.Bounds().Dx(), p.img.Bounds().Dy()
	w, h := r.box(width, height)
	if w == 0 && h == 0 {
		// Only p is given.
		w, h = scaled(width, float64(r.percent)/100), scaled(height, float64(r.percent)/100)
	}
	rw, rh := float64(w)/float64(width), float64(h)/float64(height)
	switch {
	case w == 0:
		rw = rh
	case h == 0:
		rh = rw
	}
	ratio := math.Min(rw, rh)
	if r.mode == "mfit" || r.mode == "fill" {
		ratio = math.Max(rw, rh)
	}
	if !r.enlarge && (r.mode == "fixed" && (rw > 1 || rh > 1) || r.mode != "fixed" && ratio > 1) {
		return nil
	}
	toW, toH := scaled(width, ratio), scaled(height, ratio)
	canvasW, canvasH := toW, toH
	switch r.mode {
	case "fixed":
		toW, toH = scaled(width, rw), scaled(height, rh)
		canvasW, canvasH = toW, toH
	case "fill", "pad":
		if w > 0 && h > 0 {
			canvasW, canvasH = w, h
		}
	}
	if max(toW, toH, canvasW, canvasH) > maxResultSide || toW*toH > maxResultPixels || canvasW*canvasH > maxResultPixels {
		e := errInvalidArgument("x-oss-process", "resize", "The result would be larger than %d pixels on a side or %d in all.", maxResultSide, maxResultPixels)
		e.ec = "0040-00000007"
		return e
	}
	if toW == width && toH == height && canvasW == toW && canvasH == toH {
		return nil
	}
	canvas := image.NewRGBA(image.Rect(0, 0, canvasW, canvasH))
	if r.mode == "pad" {
		draw.Draw(canvas, canvas.Bounds(), image.NewUniform(r.color), image.Point{}, draw.Src)
	}
	at := image.Pt((canvasW-toW)/2, (canvasH-toH)/2)
	target := image.Rectangle{Min: at, Max: at.Add(image.Pt(toW, toH))}
	scale(canvas, target, p.img, maxScratch)
	p.img = canvas
	return nil
}

// maxScratch is how many pixels the scaler may keep between its two passes, at 32 bytes each: 512 MiB.
const maxScratch = 16 << 20

// scale draws the picture into the target. The scaler's scratch is as wide as the target and as high as the picture, so a
// high picture is made lower first, and one that is not twice as high as the target is scaled without scratch.
func scale(canvas *image.RGBA, target image.Rectangle, img image.Image, scratch int) {
	for target.Dx()*img.Bounds().Dy() > scratch && img.Bounds().Dy() >= 2*target.Dy() {
		img = halfAsHigh(img)
	}
	var scaler draw.Scaler = draw.CatmullRom
	if target.Dx()*img.Bounds().Dy() > scratch {
		scaler = draw.ApproxBiLinear
	}
	scaler.Scale(canvas, target, img, img.Bounds(), draw.Over, nil)
}

// halfAsHigh makes one row of each two. Of an odd number the last is left out: a picture this high does not show it.
func halfAsHigh(img image.Image) image.Image {
	b := img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()/2))
	two := image.NewRGBA(image.Rect(0, 0, b.Dx(), 2))
	for y := range out.Rect.Dy() {
		draw.Draw(two, two.Rect, img, image.Pt(b.Min.X, b.Min.Y+2*y), draw.Src)
		row := out.Pix[y*out.Stride:][:out.Stride]
		for x := range row {
			row[x] = uint8((uint(two.Pix[x]) + uint(two.Pix[two.Stride+x]) + 1) / 2) //nolint:gosec // The mean of two bytes.
		}
	}
	return out
}

// scaled multiplies a side, rounded to the nearest pixel and at least one.
func scaled(side int, ratio float64) int { return max(1, int(math.Round(float64(side)*ratio))) }
