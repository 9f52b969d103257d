package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"
)

// Bucket is one bucket, used with the credentials of one invocation. Its methods retry what can pass (see Retryable) three
// times within the context's deadline, and return an *Error. It is safe for concurrent use.
type Bucket struct {
	name         string
	data, public *oss.Bucket
	log          *slog.Logger
}

// Object is what a look at an object tells.
type Object struct {
	ETag        string // upper case, without quotes
	Size        int64  // bytes
	ContentType string
	Meta        map[string]string // x-oss-meta-*, names in lower case without the prefix
}

// Head looks at an object (HEAD).
func (b *Bucket) Head(ctx context.Context, key string) (Object, error) {
	var header http.Header
	err := b.withRetry(ctx, "HEAD", requestTimeout, func(ctx context.Context) (err error) {
		header, err = b.data.GetObjectDetailedMeta(key, oss.WithContext(ctx))
		return err
	})
	if err != nil {
		return Object{}, err
	}
	o := Object{ETag: ETag(header.Get("ETag")), ContentType: header.Get("Content-Type"), Meta: make(map[string]string)}
	o.Size, _ = strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	for name := range header {
		if meta, ok := strings.CutPrefix(strings.ToLower(name), "x-oss-meta-"); ok {
			o.Meta[meta] = header.Get(name)
		}
	}
	return o, nil
}

// Read returns an object's bytes (GET), after OSS has processed it if process is not empty (x-oss-process, such as
// "image/resize,l_2048/format,jpg"). More than limit bytes are ErrTooLarge.
func (b *Bucket) Read(ctx context.Context, key, process string, limit int64) ([]byte, error) {
	var content []byte
	err := b.withRetry(ctx, "GET", downloadTimeout, func(ctx context.Context) error {
		options := []oss.Option{oss.WithContext(ctx)}
		if process != "" {
			options = append(options, oss.Process(process))
		}
		result, err := b.data.DoGetObject(&oss.GetObjectRequest{ObjectKey: key}, options)
		if err != nil {
			return err
		}
		body := result.Response.Body
		defer body.Close()
		var buffer bytes.Buffer
		if n, err := strconv.ParseInt(result.Response.Headers.Get("Content-Length"), 10, 64); err == nil && n > 0 && n <= limit {
			buffer.Grow(int(n) + bytes.MinRead) // one allocation of the right size
		}
		if _, err = buffer.ReadFrom(io.LimitReader(body, limit+1)); err != nil {
			return err
		}
		if int64(buffer.Len()) > limit {
			return ErrTooLarge
		}
		content = buffer.Bytes()
		return nil
	})
	return content, err
}

// SignURL returns a URL (V4, GET only) with which anybody can read the object, processed if process is not empty, for the
// given time or until the invocation's credentials end, whichever is sooner. It makes no request. The URL is a secret.
func (b *Bucket) SignURL(key, process string, life time.Duration) (string, error) {
	var options []oss.Option
	if process != "" {
		options = append(options, oss.Process(process)) // part of the signature: it cannot be added or taken away later
	}
	signed, err := b.public.SignURL(key, oss.HTTPGet, int64(life/time.Second), options...)
	if err != nil {
		return "", &Error{Op: "sign", kind: ErrInvalid, err: fmt.Errorf("the SDK refuses to sign this key")}
	}
	return signed, nil
}

// Append adds data to an appendable object if it is position bytes long now, and returns its new length; position 0
// creates it if nothing is there. This is OSS's one documented compare-and-set, on versioned buckets too; otherwise
// ErrPosition. After ErrPosition the append may be the caller's own, whose answer was lost: read and compare.
func (b *Bucket) Append(ctx context.Context, key string, position int64, data []byte) (length int64, err error) {
	err = b.withRetry(ctx, "APPEND", requestTimeout, func(ctx context.Context) (err error) {
		length, err = b.data.AppendObject(key, bytes.NewReader(data), position, oss.WithContext(ctx), oss.ContentType("application/x-ndjson"))
		return err
	})
	if err == nil && length == 0 {
		length = position + int64(len(data)) // an answer without x-oss-next-append-position
	}
	return length, err
}

// Put stores an object in place of what is there (PUT). Names in meta become x-oss-meta-*; values are ASCII.
func (b *Bucket) Put(ctx context.Context, key, contentType string, meta map[string]string, body []byte) error {
	return b.put(ctx, key, contentType, meta, body)
}

// PutIfAbsent is Put where nothing is, and an error where something is. It is no lock: versioned buckets ignore the condition
// (x-oss-forbid-overwrite, OSS PutObject reference), and it is documented nowhere as atomic.
func (b *Bucket) PutIfAbsent(ctx context.Context, key, contentType string, meta map[string]string, body []byte) error {
	return b.put(ctx, key, contentType, meta, body, oss.ForbidOverWrite(true))
}

func (b *Bucket) put(ctx context.Context, key, contentType string, meta map[string]string, body []byte, more ...oss.Option) error {
	return b.withRetry(ctx, "PUT", requestTimeout, func(ctx context.Context) error {
		options := append([]oss.Option{oss.WithContext(ctx), oss.ContentType(contentType)}, more...)
		for name, value := range meta {
			options = append(options, oss.Meta(name, value))
		}
		return b.data.PutObject(key, bytes.NewReader(body), options...)
	})
}

// Delete deletes an object (DELETE). An object that is not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	return b.withRetry(ctx, "DELETE", requestTimeout, func(ctx context.Context) error {
		return b.data.DeleteObject(key, oss.WithContext(ctx))
	})
}

// ETag returns an ETag without quotes and in upper case, so that two can be compared: events and headers write it differently.
func ETag(s string) string { return strings.ToUpper(strings.Trim(strings.TrimSpace(s), `"`)) }
