package ossfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http"
	"os"
	"strconv"
	"strings"

	"fc-idcard-ocr/internal/result"

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

// Limits of this server, which the service does not have: a laptop's memory.
const (
	// maxDecodedBytes is for a decoded picture: 134 megapixels with 8 bits a channel, more than the OCR engine takes.
	maxDecodedBytes = 512 << 20
	// maxDeflateRatio is how much DEFLATE can make of a byte (https://zlib.net/zlib_tech.html).
	maxDeflateRatio = 1032
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
	if s.cfg.DecodeHEIC != nil && result.SniffPicture(source) == result.HEIC {
		if source, err = s.cfg.DecodeHEIC(req.Context(), source); err != nil {
			return errImageDamage()
		}
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

// checkDecodeLimits refuses a picture that would take too much memory once decoded. A file that is too small to hold what its
// header promises is refused too: the decoders make room for all of it before they notice.
func checkDecodeLimits(source []byte, cfg image.Config, format string) error {
	pixels := int64(cfg.Width) * int64(cfg.Height)
	perPixel := int64(4) // also of formats with less: turning and flattening a picture makes RGBA of it
	switch cfg.ColorModel {
	case color.RGBA64Model, color.NRGBA64Model:
		perPixel = 8
	}
	if pixels*perPixel > maxDecodedBytes {
		return errImageTooLarge("The image is %d x %d pixels, which would take %d bytes of memory; this local OSS processes at most %d, whereas the service takes %d pixels.",
			cfg.Width, cfg.Height, pixels*perPixel, maxDecodedBytes, maxImagePixels)
	}
	least := pixels / 8 // one bit a pixel
	switch format {
	case "bmp": // is not compressed
	case "png":
		least /= maxDeflateRatio
	default:
		return nil
	}
	if int64(len(source)) < least {
		return errImageDamage()
	}
	return nil
}

func transform(source []byte, steps []imageStep) (body []byte, contentType string, err error) {
	cfg, format, err := inspect(source)
	if err != nil {
		return nil, "", err
	}
	if err := checkDecodeLimits(source, cfg, format); err != nil {
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
