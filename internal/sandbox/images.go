package sandbox

import (
	"context"
	"strings"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"fc-idcard-ocr/internal/sandbox/console"
)

// Images lists the images of the watched bucket, each with the ETag of its document. The order is that of the keys.
func (c *Cloud) Images(ctx context.Context) ([]console.Image, error) {
	bucket, err := c.bucket()
	if err != nil {
		return nil, err
	}
	images := []console.Image{}
	documents := map[string]string{}
	for marker := ""; ; {
		page, err := bucket.ListObjectsV2(aliyun.MaxKeys(1000), aliyun.ContinuationToken(marker), aliyun.WithContext(ctx))
		if err != nil {
			return nil, err
		}
		for _, object := range page.Objects {
			if image, isResult := strings.CutSuffix(object.Key, ResultSuffix); isResult {
				documents[image] = object.ETag
			} else if IsImage(object.Key) {
				images = append(images, console.Image{Key: object.Key, Size: object.Size, Uploaded: object.LastModified})
			}
		}
		if !page.IsTruncated {
			break
		}
		marker = page.NextContinuationToken
	}
	for n := range images {
		images[n].DocumentETag = documents[images[n].Key]
	}
	return images, nil
}
