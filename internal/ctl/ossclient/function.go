package ossclient

import (
	"context"
	"log/slog"
	"strings"

	"fc-idcard-ocr/internal/bucket"
)

// FunctionBucket is a bucket as the function uses it.
type FunctionBucket = bucket.Bucket

// OpenAsFunction opens a bucket with the function's own adapter, at the address and with the credentials of c; encryption is
// RESULT_ENCRYPTION. What is written has no tags. It is for one run of a command: temporary credentials are not renewed.
func OpenAsFunction(ctx context.Context, c Config, encryption string) (*FunctionBucket, error) {
	key, err := c.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://oss-" + strings.TrimPrefix(c.Region, "oss-") + ".aliyuncs.com"
	}
	return bucket.New(bucket.Config{Endpoint: c.Endpoint, CNAME: c.CNAME, PublicEndpoint: c.Endpoint, PublicCNAME: c.CNAME, Encryption: encryption}).
		Open(c.Bucket, c.Region, bucket.Credentials{AccessKeyID: key.AccessKeyID, AccessKeySecret: key.AccessKeySecret, SecurityToken: key.SecurityToken}, slog.New(slog.DiscardHandler))
}
