// Package store is the operator's view of one bucket: list it in key order, read documents, remove a document that is to be
// made anew, and ask how the bucket is set up. It never writes an object's content and never puts a key, URL or credential
// into an error.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/account"
	"fc-idcard-ocr/internal/ctl/listing"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
)

// Config says which bucket, and how to reach it.
type Config struct {
	Bucket   string
	Region   string // such as cn-hangzhou, with or without "oss-"
	Endpoint string // default https://oss-<region>.aliyuncs.com
	CNAME    bool   // Endpoint is a custom domain bound to the bucket
	Account  account.Source
}

// Store is one bucket. It is safe for concurrent use. Its methods retry what can pass three times.
type Store struct {
	name   string
	client *oss.Client
}

// Open returns the bucket. It makes no request.
func Open(c Config) (*Store, error) {
	c.Region = strings.TrimPrefix(c.Region, "oss-")
	switch {
	case !config.ValidBucket(c.Bucket):
		return nil, fmt.Errorf("%q is not a bucket name; expected 3 to 63 lower-case letters, digits and dashes", c.Bucket)
	case c.Region == "" || strings.ContainsFunc(c.Region, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }):
		return nil, fmt.Errorf("%q is not a region; expected one like cn-hangzhou", c.Region)
	}
	if scheme, rest, ok := strings.Cut(c.Endpoint, "://"); ok && (scheme != "https" && scheme != "http" || rest == "" || scheme == "http" && !pathStyle(c.Endpoint)) {
		return nil, fmt.Errorf("%q is no endpoint; expected an https:// URL, as a request's signature and an object's content must not be readable on the way", c.Endpoint)
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://oss-" + c.Region + ".aliyuncs.com"
	}
	settings := oss.LoadDefaultConfig().WithRegion(c.Region).WithEndpoint(c.Endpoint).WithUseCName(c.CNAME).WithUsePathStyle(pathStyle(c.Endpoint)).
		WithSignatureVersion(oss.SignatureVersionV4).WithCredentialsProvider(provider(c.Account)).WithProxyFromEnvironment(true).
		WithConnectTimeout(5 * time.Second).WithReadWriteTimeout(30 * time.Second).WithLogLevel(oss.LogOff)
	return &Store{name: c.Bucket, client: oss.NewClient(settings)}, nil
}

// pathStyle tells a sandbox, whose buckets are in the path: 127.0.0.1 has no subdomains.
func pathStyle(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && config.Loopback(u.Hostname())
}

func provider(source account.Source) credentials.CredentialsProvider {
	return credentials.CredentialsProviderFunc(func(ctx context.Context) (credentials.Credentials, error) {
		c, err := source(ctx)
		return credentials.Credentials{AccessKeyID: c.AccessKeyID, AccessKeySecret: c.AccessKeySecret, SecurityToken: c.SecurityToken}, err
	})
}

// Name is the bucket's name.
func (s *Store) Name() string { return s.name }

// List streams the objects whose keys begin with prefix and are greater than after, in byte order of the keys, a thousand a
// request. The listing ends with the first error.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[listing.Object, error] {
	return func(yield func(listing.Object, error) bool) {
		request := &oss.ListObjectsV2Request{Bucket: &s.name, Prefix: &prefix, MaxKeys: 1000, EncodingType: oss.Ptr("url")}
		if after != "" {
			request.StartAfter = &after
		}
		for {
			page, err := s.client.ListObjectsV2(ctx, request)
			if err != nil {
				yield(listing.Object{}, failure("list the bucket", err))
				return
			}
			for _, o := range page.Contents {
				if !yield(object(o), nil) {
					return
				}
			}
			if !page.IsTruncated {
				return
			}
			if oss.ToString(page.NextContinuationToken) == "" {
				yield(listing.Object{}, &Error{Doing: "list the bucket", Code: "NoContinuationToken"})
				return
			}
			request.ContinuationToken, request.StartAfter = page.NextContinuationToken, nil
		}
	}
}

func object(o oss.ObjectProperties) listing.Object {
	// The page's XML is one string: cloned, the parts that are kept do not keep all of it.
	return listing.Object{Key: strings.Clone(oss.ToString(o.Key)), ETag: strings.Clone(bucket.ETag(oss.ToString(o.ETag))), Size: o.Size, LastModified: oss.ToTime(o.LastModified)}
}

// Read returns an object's bytes, at most limit of them; a larger object is an error.
func (s *Store) Read(ctx context.Context, key string, limit int64) ([]byte, error) {
	result, err := s.client.GetObject(ctx, &oss.GetObjectRequest{Bucket: &s.name, Key: &key})
	if err != nil {
		return nil, failure("read an object", err)
	}
	defer result.Body.Close()
	body, err := io.ReadAll(io.LimitReader(result.Body, limit+1))
	if err != nil {
		return nil, failure("read an object", err)
	}
	if int64(len(body)) > limit {
		return nil, &Error{Doing: "read an object", Code: codeTooLarge}
	}
	return body, nil
}

// Remove deletes an object. One that is not there is no error.
func (s *Store) Remove(ctx context.Context, key string) error {
	if _, err := s.client.DeleteObject(ctx, &oss.DeleteObjectRequest{Bucket: &s.name, Key: &key}); err != nil {
		return failure("remove an object", err)
	}
	return nil
}

// SignURL returns a URL with which anybody can read the object for a time. It makes no request. The URL is a secret.
func (s *Store) SignURL(ctx context.Context, key string, life time.Duration) (string, error) {
	result, err := s.client.Presign(ctx, &oss.GetObjectRequest{Bucket: &s.name, Key: &key}, oss.PresignExpires(life))
	if err != nil {
		return "", failure("sign a URL", err)
	}
	return result.URL, nil
}

// Versioning returns the state of the bucket's versioning: Enabled, Suspended, or empty if it was never on.
func (s *Store) Versioning(ctx context.Context) (string, error) {
	result, err := s.client.GetBucketVersioning(ctx, &oss.GetBucketVersioningRequest{Bucket: &s.name})
	if err != nil {
		return "", failure("ask for the bucket's versioning", err)
	}
	return oss.ToString(result.VersionStatus), nil
}

// Error is a request to OSS that failed. Its text holds OSS's code, status and request ID, never a key, URL or secret.
type Error struct {
	Doing     string // what was tried, such as "list the bucket"
	Status    int    // HTTP status, 0 if no answer came
	Code      string // OSS's, such as NoSuchKey
	EC        string // OSS's finer code, such as 0048-00000401
	RequestID string

	err error
}

// Error tells what was tried, and OSS's code, status and request ID.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "OSS: could not %s", e.Doing)
	if e.err != nil {
		fmt.Fprintf(&b, ": %v", e.err)
	}
	for _, part := range []struct{ name, value string }{{"code", e.Code}, {"EC", e.EC}, {"request", e.RequestID}} {
		if part.value != "" {
			fmt.Fprintf(&b, ", %s %s", part.name, part.value)
		}
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d", e.Status)
	}
	return b.String()
}

// Unwrap returns the cause if no answer came.
func (e *Error) Unwrap() error { return e.err }

// NotFound reports that the object is not there.
func NotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code != "NoSuchBucket"
}

// codeTooLarge is the Code of Read's refusal. OSS has none of this name.
const codeTooLarge = "TooLarge"

// TooLarge reports that the object is larger than the limit of Read.
func TooLarge(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == codeTooLarge
}

// Configuration reports that no such request will succeed until somebody changes credentials, permissions or addresses.
func Configuration(err error) bool {
	var e *Error
	if errors.Is(err, account.ErrNone) {
		return true
	}
	return errors.As(err, &e) && (e.Status == http.StatusForbidden || e.Code == "NoSuchBucket" || e.Code == "PublicEndpointForbidden" || e.Code == "SecondLevelDomainForbidden" ||
		(e.Status >= 300 && e.Status < 400))
}

func failure(doing string, err error) error {
	e := &Error{Doing: doing}
	var service *oss.ServiceError
	var address *url.Error
	switch {
	case errors.As(err, &service):
		e.Status, e.Code, e.EC, e.RequestID = service.StatusCode, word(service.Code), word(service.EC), word(service.RequestID)
	case errors.Is(err, account.ErrNone):
		return err
	case errors.Is(err, context.Canceled):
		e.err = context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		e.err = context.DeadlineExceeded
	case errors.As(err, &address): // its address holds the key, and its text may hold a query
		e.err = address.Err
	default:
		e.err = errors.New("the answer is not understood, or the connection broke")
	}
	return e
}

// word keeps codes and request IDs, and drops what may be an echo of something else.
func word(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}) {
		return ""
	}
	return s
}
