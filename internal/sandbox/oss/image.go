package oss

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/image/tiff"
	_ "golang.org/x/image/webp" // Registers the WebP decoder.
)

// Limits of image processing (https://help.aliyun.com/zh/oss/user-guide/resize-images-4).
const (
	maxImageBytes    = 20 << 20
	maxImageSide     = 30000
	maxImagePixels   = 250_000_000
	maxResultSide    = 16384
	maxResultPixels  = 16_777_216
	defaultJPEGLevel = 90
)

// imageStep is one operation of a processing instruction, checked and ready to run.
type imageStep func(*picture) error

// picture is what the operations of one instruction work on.
type picture struct {
	img    image.Image
	format string
	// orientation is the EXIF orientation that is still to be applied, 0 or 1 if none.
	orientation int
	// quality is the JPEG quality of the result, 0 if no operation set it.
	quality       int
	sourceQuality int
}

// imageInstruction is a parsed x-oss-process.
type imageInstruction struct {
	steps []imageStep
	info  bool
}

// parseImageProcess reads "image/resize,w_100/format,png". Everything is checked before a picture is touched.
func parseImageProcess(text string) (imageInstruction, error) {
	var in imageInstruction
	parts := strings.Split(text, "/")
	switch {
	case parts[0] == "style":
		return in, errorf(http.StatusNotFound, "NoSuchStyle", "", "The specified style does not exist.")
	case parts[0] != "image" || len(parts) < 2:
		return in, errInvalidArgument("x-oss-process", text, "The x-oss-process must be image/ followed by operations, such as image/resize,w_100/format,jpg.")
	}
	for _, part := range parts[1:] {
		name, rest, _ := strings.Cut(part, ",")
		var args []string
		if rest != "" {
			args = strings.Split(rest, ",")
		}
		var step imageStep
		var err error
		switch name {
		case "resize":
			step, err = parseResize(args)
		case "auto-orient":
			step, err = parseAutoOrient(args)
		case "rotate":
			step, err = parseRotate(args)
		case "quality":
			step, err = parseQuality(args)
		case "format":
			step, err = parseFormat(args)
		case "info":
			in.info = true
			continue
		case "crop", "circle", "indexcrop", "rounded-corners", "blur", "bright", "contrast", "sharpen", "watermark", "interlace", "average-hue", "blindwatermark", "deblindwatermark":
			return in, errNotImplemented("The image operation " + name)
		default:
			return in, errInvalidArgument("x-oss-process", part, "The operation %s is not supported.", name)
		}
		if err != nil {
			return in, err
		}
		in.steps = append(in.steps, step)
	}
	if in.info && len(parts) > 2 {
		return in, errInvalidArgument("x-oss-process", text, "The operation info cannot be combined with others.")
	}
	return in, nil
}

// imageArguments splits arguments such as w_100 and checks that only known ones occur.
func imageArguments(operation string, args []string, known ...string) (map[string]string, error) {
	values := map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "_")
		valid := false
		for _, k := range known {
			valid = valid || k == name
		}
		if !ok || !valid {
			return nil, errInvalidArgument("x-oss-process", a, "The argument %s of %s is invalid: known are %s.", a, operation, strings.Join(known, ", "))
		}
		values[name] = value
	}
	return values, nil
}

func imageNumber(values map[string]string, name string, low, high int) (int, error) {
	text, ok := values[name]
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, errInvalidArgument("x-oss-process", name+"_"+text, "The value %s of parameter %s is invalid: it must be between %d and %d.", text, name, low, high)
	}
	return n, nil
}

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
	draw.CatmullRom.Scale(canvas, target, p.img, p.img.Bounds(), draw.Over, nil)
	p.img = canvas
	return nil
}

// scaled multiplies a side, rounded to the nearest pixel and at least one.
func scaled(side int, ratio float64) int { return max(1, int(math.Round(float64(side)*ratio))) }

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

func parseFormat(args []string) (imageStep, error) {
	if len(args) != 1 {
		return nil, errInvalidArgument("x-oss-process", strings.Join(args, ","), "The operation format needs one format.")
	}
	format := strings.ToLower(args[0])
	switch format {
	case "jpeg":
		format = "jpg"
	case "jpg", "png", "bmp", "gif", "tiff":
	case "webp", "heic", "avif":
		return nil, errNotImplemented("Writing " + format)
	default:
		return nil, errInvalidArgument("x-oss-process", "format,"+args[0], "The format %s is invalid: it must be jpg, png, bmp, gif, tiff, webp, heic or avif.", args[0])
	}
	return func(p *picture) error {
		p.format = format
		return nil
	}, nil
}

func errImageTooLarge(format string, args ...any) *apiError {
	return errorf(http.StatusBadRequest, "ImageTooLarge", "", format, args...)
}

// processImage serves GetObject with x-oss-process.
func (s *Server) processImage(w http.ResponseWriter, req *request, m metadata, f *os.File) error {
	instruction, err := parseImageProcess(req.query.get("x-oss-process"))
	if err != nil {
		return err
	}
	if m.Size > maxImageBytes {
		return errImageTooLarge("The image is %d bytes, more than the %d that can be processed.", m.Size, maxImageBytes)
	}
	select {
	case s.images <- struct{}{}:
		defer func() { <-s.images }()
	case <-req.Context().Done():
		return req.Context().Err()
	}
	source, err := contentOf(f, m.Size)
	if err != nil {
		return err
	}
	h := w.Header()
	setETag(h, m.ETag)
	h.Set("Last-Modified", m.LastModified.UTC().Format(http.TimeFormat))
	var body []byte
	contentType := "application/json"
	if instruction.info {
		body, err = imageInfo(source)
	} else {
		body, contentType, err = transform(source, instruction.steps)
	}
	if err != nil {
		return err
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	// The answer is under way; a client that went away is no fault of the server.
	_, _ = w.Write(body)
	return nil
}

// inspect finds format and size of a picture and refuses what must not be decoded.
func inspect(source []byte) (image.Config, string, error) {
	cfg, format, err := image.DecodeConfig(bytes.NewReader(source))
	switch {
	case errors.Is(err, image.ErrFormat):
		return cfg, "", errorf(http.StatusBadRequest, "BadRequest", "", "This image format is not supported.")
	case err != nil:
		return cfg, "", errImageDamage()
	}
	if cfg.Width > maxImageSide || cfg.Height > maxImageSide || int64(cfg.Width)*int64(cfg.Height) > maxImagePixels {
		return cfg, "", errImageTooLarge("The image is %d x %d pixels; the limit is %d on a side and %d in all.", cfg.Width, cfg.Height, maxImageSide, maxImagePixels)
	}
	if cfg.Width == 0 || cfg.Height == 0 {
		return cfg, "", errImageDamage()
	}
	if format == "jpeg" {
		format = "jpg"
	}
	return cfg, format, nil
}

func errImageDamage() error {
	return errorf(http.StatusForbidden, "ImageDamage", "", "The image file may be damaged.")
}

func transform(source []byte, steps []imageStep) (body []byte, contentType string, err error) {
	_, format, err := inspect(source)
	if err != nil {
		return nil, "", err
	}
	img, _, err := image.Decode(bytes.NewReader(source))
	if err != nil {
		return nil, "", errImageDamage()
	}
	p := &picture{img: img, format: format, orientation: exifOrientation(source)}
	if format == "jpg" {
		p.sourceQuality = jpegQuality(source)
	}
	for _, step := range steps {
		if err := step(p); err != nil {
			return nil, "", err
		}
	}
	return p.encode()
}

func (p *picture) encode() (body []byte, contentType string, err error) {
	var b bytes.Buffer
	switch p.format {
	case "jpg":
		quality := p.quality
		if quality == 0 {
			quality = defaultJPEGLevel
			if p.sourceQuality > 0 {
				quality = p.sourceQuality
			}
		}
		contentType, err = "image/jpeg", jpeg.Encode(&b, opaque(p.img), &jpeg.Options{Quality: quality})
	case "png":
		contentType, err = "image/png", png.Encode(&b, p.img)
	case "gif":
		contentType, err = "image/gif", gif.Encode(&b, p.img, nil)
	case "bmp":
		contentType, err = "image/bmp", bmp.Encode(&b, opaque(p.img))
	case "tiff":
		contentType, err = "image/tiff", tiff.Encode(&b, p.img, &tiff.Options{Compression: tiff.Deflate})
	default:
		return nil, "", errNotImplemented("Writing " + p.format)
	}
	return b.Bytes(), contentType, err
}

// opaque puts a picture with transparency on white, for formats without it.
func opaque(img image.Image) image.Image {
	if o, ok := img.(interface{ Opaque() bool }); !ok || o.Opaque() {
		return img
	}
	out := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), img, img.Bounds().Min, draw.Over)
	return out
}

// imageInfo answers the operation info: a JSON object whose members each have a text value.
func imageInfo(source []byte) ([]byte, error) {
	cfg, format, err := inspect(source)
	if err != nil {
		return nil, err
	}
	type value struct {
		Value string `json:"value"`
	}
	info := map[string]value{
		"FileSize":    {strconv.Itoa(len(source))},
		"Format":      {format},
		"ImageWidth":  {strconv.Itoa(cfg.Width)},
		"ImageHeight": {strconv.Itoa(cfg.Height)},
		"FrameCount":  {"1"},
	}
	if o := exifOrientation(source); o > 0 {
		info["Orientation"] = value{strconv.Itoa(o)}
	}
	return json.Marshal(info)
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
