package ossclient

import (
	"bytes"
	"context"
	"io"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
)

// Put writes an object. What an operator writes is never an image's document: reviews beside it, and in a sandbox the images.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, contentType string) error {
	_, err := b.client.PutObject(ctx, &oss.PutObjectRequest{Bucket: &b.name, Key: &key, ContentType: &contentType, Body: bytes.NewReader(body)})
	if err != nil {
		return failure("write an object", err)
	}
	return nil
}

// Process returns a picture as OSS makes it by a processing instruction (x-oss-process), at most limit bytes of it.
func (b *Bucket) Process(ctx context.Context, key, process string, limit int64) ([]byte, error) {
	result, err := b.client.GetObject(ctx, &oss.GetObjectRequest{Bucket: &b.name, Key: &key, Process: &process})
	if err != nil {
		return nil, failure("process a picture", err)
	}
	defer result.Body.Close()
	body, err := io.ReadAll(io.LimitReader(result.Body, limit+1))
	if err != nil {
		return nil, failure("process a picture", err)
	}
	if int64(len(body)) > limit {
		return nil, &Error{Op: "process a picture", Code: codeTooLarge}
	}
	return body, nil
}
