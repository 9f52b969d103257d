package processor

import (
	"context"
	"path"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
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

// imageInput is what is to be recognised: an object, or bytes that came with a request.
type imageInput struct {
	store   Bucket // with key and process, or
	key     string
	process string
	image   []byte // the bytes, read once, or
	base64  string // the bytes in base64
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

// request prepares one call. The URL is signed anew each time, so that its whole life is ahead.
func (in *imageInput) request(ctx context.Context, source config.ImageSource, ttl time.Duration) (ocrclient.Request, error) {
	if in.store == nil {
		return ocrclient.Request{Image: in.image, ImageBase64: in.base64}, nil
	}
	if source == config.URL {
		url, err := in.store.SignURL(in.key, in.process, ttl)
		return ocrclient.Request{ImageURL: url}, err
	}
	if in.image == nil {
		image, err := in.store.Read(ctx, in.key, in.process, maxDataBytes)
		if err != nil {
			return ocrclient.Request{}, err
		}
		in.image = image
	}
	return ocrclient.Request{Image: in.image}, nil
}
