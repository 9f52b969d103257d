package processor

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"
)

const (
	// maxUnprocessedBytes is the size up to which the provider wants pictures ("better under 1.5 MB").
	maxUnprocessedBytes = 1_500_000
	// resizeProcess makes any picture that OSS can read one that the provider takes. Resizing comes before turning, which
	// has a limit of 4,096 pixels a side, and format comes last, as OSS's documents want it.
	resizeProcess = "image/resize,l_2048/auto-orient,1/quality,Q_85/format,jpg"
	// maxDataBytes bounds what is sent as imgData after processing.
	maxDataBytes = 20 << 20
)

// errReplacedUnpaid says that the image is of another version than the one that was inspected, seen before anything was paid.
var errReplacedUnpaid = errors.New("the image was replaced")

// imageInput is what is to be recognised: an object, or bytes that came with a request.
type imageInput struct {
	store    Bucket // with the members after it, or
	key      string
	process  string
	version  claim.Version
	archived bool
	buffers  *buffers
	image    []byte // the bytes, read once, or
	base64   string // the bytes in base64

	pinned bool // the last request is surely about version
}

// ossProcess returns the x-oss-process that makes the object fit for the provider, empty if it is so already.
func ossProcess(key string, size int64) string {
	switch strings.ToLower(path.Ext(key)) {
	case ".jpg", ".jpeg", ".png", ".bmp":
		if size <= maxUnprocessedBytes {
			return ""
		}
	}
	return resizeProcess
}

// request prepares one call. The URL is signed again each time, so that its whole lifetime is left.
func (in *imageInput) request(ctx context.Context, source config.ImageSource, ttl time.Duration) (ocrclient.Request, error) {
	switch {
	case in.store == nil:
		return ocrclient.Request{Image: in.image, ImageBase64: in.base64}, nil
	case source == config.URL:
		url, err := in.store.SignURL(in.key, in.process, in.version.VersionID, ttl)
		in.pinned = in.version.VersionID != ""
		return ocrclient.Request{ImageURL: url}, err
	case in.image == nil:
		if err := in.read(ctx); err != nil {
			return ocrclient.Request{}, err
		}
	}
	return ocrclient.Request{Image: in.image}, nil
}

// read reads the picture and compares what OSS says of it with the version that was inspected.
func (in *imageInput) read(ctx context.Context) error {
	image, object, err := in.store.Read(ctx, in.key, bucket.ReadOptions{Process: in.process, VersionID: in.version.VersionID, Limit: maxDataBytes, Buffer: in.buffers.get})
	if errors.Is(err, bucket.ErrInvalid) && in.process != "" {
		return in.readUnconverted(ctx, err)
	}
	if err != nil {
		return err
	}
	same := object.ETag == in.version.ETag && (object.LastModified.IsZero() || object.LastModified.Equal(in.version.LastModified))
	switch {
	case in.version.VersionID != "" || same:
		in.pinned = true
	case in.process == "":
		return errReplacedUnpaid
	default: // a processed picture need not come with the ETag of its source
		now, err := in.store.Head(ctx, in.key)
		if err != nil {
			return err
		}
		if !versionOf(now).Equal(in.version) {
			return errReplacedUnpaid
		}
		in.pinned = true // the same before and after the picture was read
	}
	in.image = image
	return nil
}

// forget gives up the bytes of an object.
func (in *imageInput) forget() {
	if in.store != nil {
		in.buffers.put(in.image)
		in.image = nil
	}
}

// readUnconverted reads a picture that OSS does not convert. The provider may take it as it is, unless its bytes say that it
// is of a type that the provider cannot take.
func (in *imageInput) readUnconverted(ctx context.Context, refusal error) error {
	in.process = ""
	if err := in.read(ctx); errors.Is(err, bucket.ErrTooLarge) {
		return refusal
	} else if err != nil {
		return err
	}
	if kind := result.SniffPicture(in.image); !kind.Taken() && kind != result.OtherPicture {
		return fmt.Errorf("the object is a %s file, which OSS does not convert: %w", kind, refusal)
	}
	return nil
}
