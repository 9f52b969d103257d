package main

import (
	"context"
	"errors"
	"log/slog"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/message"
)

// openWritable opens the bucket with the function's own client, which appends and writes. An empty name is that of --bucket.
// written is the properties of what is written.
func (s *settings) openWritable(ctx context.Context, c config.Config, name string, written bucket.Config) (*bucket.Bucket, error) {
	if _, err := s.openBucket(c); err != nil { // checks names and addresses, and makes no request
		return nil, err
	}
	written.Endpoint = first(s.endpoint, c.OSSPublicEndpoint, "https://oss-"+s.region+".aliyuncs.com")
	written.CNAME = s.cname || (s.endpoint == "" && c.OSSPublicCNAME)
	client := bucket.New(written)
	key, err := s.credentials()(ctx)
	if err != nil {
		return nil, err
	}
	opened, err := client.Open(first(name, s.bucket), s.region, bucket.Credentials(key), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, usageError{err}
	}
	return opened, nil
}

// writableError distinguishes permanent from transient errors, in the errors of openWritable's buckets.
func writableError(err error) error {
	for _, kind := range []error{bucket.ErrNoBucket, bucket.ErrAccessDenied, bucket.ErrCredentialsExpired, bucket.ErrClockSkew, bucket.ErrWrongEndpoint} {
		if errors.Is(err, kind) {
			return configurationError{err}
		}
	}
	if errors.Is(err, bucket.ErrNotAppendable) {
		return message.Errorf("%w; something else was written under this key: remove that object", err)
	}
	return err
}
