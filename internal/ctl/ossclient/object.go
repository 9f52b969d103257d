package ossclient

import (
	"bytes"
	"context"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
)

// TryAppend appends a byte at position 1 of an object that is not there. OSS refuses that, and writes nothing: for want of a
// right (AccessDenied), or if there is one, because the object has another length.
func (b *Bucket) TryAppend(ctx context.Context, key string) error {
	_, err := b.client.AppendObject(ctx, &oss.AppendObjectRequest{Bucket: &b.name, Key: &key, Position: oss.Ptr(int64(1)), Body: bytes.NewReader([]byte("x"))})
	if err != nil {
		return failure("append to an object", err)
	}
	return nil
}
