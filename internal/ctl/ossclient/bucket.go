// Package ossclient is the operator's view of one bucket: list it in key order, read documents, remove documents and versions,
// write a review beside an image, and ask how the bucket is set up. It never puts a key, URL or credential
// into an error.
package ossclient

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/message"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	sdk "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/transport"
)

// Config says which bucket, and how to reach it.
type Config struct {
	Bucket   string
	Region   string // such as cn-hangzhou, with or without "oss-"
	Endpoint string // default https://oss-<region>.aliyuncs.com
	CNAME    bool   // Endpoint is a custom domain bound to the bucket
	// Credentials sign the requests.
	Credentials credentials.Provider
	// Parallel is how many requests are made at a time; that many connections are kept.
	Parallel int
}

// Bucket is one bucket. It is safe for concurrent use. Its methods retry what can pass three times.
type Bucket struct {
	name    string
	client  *oss.Client
	streams int // listings at a time
}

// Open returns the bucket. It makes no request.
func Open(c Config) (*Bucket, error) {
	if !config.ValidBucket(c.Bucket) {
		return nil, message.Errorf("%q is not a bucket name; expected 3 to 63 lower-case letters, digits and dashes", c.Bucket)
	}
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	return &Bucket{name: c.Bucket, client: client, streams: min(max(c.Parallel, 1), maxStreams)}, nil
}

// Buckets lists the names of the account's buckets in all regions, a thousand at most. Bucket is not used.
func Buckets(ctx context.Context, c Config) (names []string, err error) {
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	page, err := client.ListBuckets(ctx, &oss.ListBucketsRequest{MaxKeys: 1000})
	if err != nil {
		return nil, failure("list the buckets", err)
	}
	for _, bucket := range page.Buckets {
		names = append(names, oss.ToString(bucket.Name))
	}
	return names, nil
}

func newClient(c Config) (*oss.Client, error) {
	c.Region = strings.TrimPrefix(c.Region, "oss-")
	if c.Region == "" || strings.ContainsFunc(c.Region, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
		return nil, message.Errorf("%q is not a region; expected one like cn-hangzhou", c.Region)
	}
	if scheme, rest, ok := strings.Cut(c.Endpoint, "://"); ok && (scheme != "https" && scheme != "http" || rest == "" || scheme == "http" && !pathStyle(c.Endpoint)) {
		return nil, message.Errorf("%q is no endpoint; expected an https:// URL, as a request's signature and an object's content must not be readable on the way", c.Endpoint)
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://oss-" + c.Region + ".aliyuncs.com"
	}
	return oss.NewClient(oss.LoadDefaultConfig().WithRegion(c.Region).WithEndpoint(c.Endpoint).WithUseCName(c.CNAME).WithUsePathStyle(pathStyle(c.Endpoint)).
		WithSignatureVersion(oss.SignatureVersionV4).WithCredentialsProvider(sdkProvider(c.Credentials)).WithLogLevel(oss.LogOff).
		WithHttpClient(newHTTPClient(c.Parallel))), nil
}

// newHTTPClient keeps as many connections as there are requests at a time, and some for the listing. The SDK's own keeps ten and
// opens a hundred at most.
func newHTTPClient(parallel int) *http.Client {
	connectTimeout, timeout := 5*time.Second, 30*time.Second
	return transport.NewHttpClient(&transport.Config{ConnectTimeout: &connectTimeout, ReadWriteTimeout: &timeout}, transport.ProxyFromEnvironment(),
		func(t *http.Transport) {
			connections := max(parallel, 1) + maxStreams
			t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.MaxIdleConns = connections, connections, connections
		})
}

// pathStyle recognises a sandbox, whose buckets are in the path: 127.0.0.1 has no subdomains.
func pathStyle(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && config.Loopback(u.Hostname())
}

func sdkProvider(provider credentials.Provider) sdk.CredentialsProvider {
	return sdk.CredentialsProviderFunc(func(ctx context.Context) (sdk.Credentials, error) {
		c, err := provider(ctx)
		return sdk.Credentials{AccessKeyID: c.AccessKeyID, AccessKeySecret: c.AccessKeySecret, SecurityToken: c.SecurityToken}, err
	})
}

// Name is the bucket's name.
func (b *Bucket) Name() string { return b.name }

// Read returns an object's bytes, at most limit of them; a larger object is an error.
func (b *Bucket) Read(ctx context.Context, key string, limit int64) ([]byte, error) {
	return b.ReadVersion(ctx, Version{Key: key}, limit)
}

// Remove deletes an object. One that is not there is no error.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	return b.RemoveVersion(ctx, Version{Key: key})
}

// SignURL returns a URL with which anybody can read the object for a time. It makes no request. The URL is a secret.
func (b *Bucket) SignURL(ctx context.Context, key string, life time.Duration) (string, error) {
	result, err := b.client.Presign(ctx, &oss.GetObjectRequest{Bucket: &b.name, Key: &key}, oss.PresignExpires(life))
	if err != nil {
		return "", failure("sign a URL", err)
	}
	return result.URL, nil
}

// Versioning returns the state of the bucket's versioning: Enabled, Suspended, or empty if it was never on.
func (b *Bucket) Versioning(ctx context.Context) (string, error) {
	result, err := b.client.GetBucketVersioning(ctx, &oss.GetBucketVersioningRequest{Bucket: &b.name})
	if err != nil {
		return "", failure("ask for the bucket's versioning", err)
	}
	return oss.ToString(result.VersionStatus), nil
}
