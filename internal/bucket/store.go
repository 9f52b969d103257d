// Package bucket is the object store as this program needs it: HEAD an object, read it, sign its URL, append to a claim
// under a condition, write and remove. It never retries what could not succeed, never logs or reports a URL, a key or a
// credential, and keeps the credentials of one invocation out of every other.
package bucket

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"
)

// Config says where OSS is. Empty endpoints are made from the region of each bucket.
type Config struct {
	Endpoint       string // data calls; default https://oss-<region>-internal.aliyuncs.com
	CNAME          bool   // Endpoint is a custom domain bound to the bucket, as operators' tools may need
	PublicEndpoint string // host of signed URLs; default https://oss-<region>.aliyuncs.com
	PublicCNAME    bool   // PublicEndpoint is a custom domain bound to the bucket

	// PutTags and AppendTags are the object tags of what Put and Append write: lifecycle rules match by tag, never by the end
	// of a key. Tags need oss:PutObjectTagging.
	PutTags, AppendTags map[string]string
	// Encryption is that of what is written: empty for the bucket's own, AES256, KMS, or KMS:<key id>. Appendable objects
	// cannot have a key ID (OSS, AppendObject): they are encrypted with the key that KMS keeps for OSS.
	Encryption string
}

// Client opens buckets over one shared set of connections. It is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client
}

// Credentials are those of one invocation: a temporary key of the function's role, valid with its token only.
type Credentials struct {
	AccessKeyID, AccessKeySecret, SecurityToken string
}

// New returns a Store. It connects to nothing.
func New(c Config) *Client {
	return &Client{config: c, http: &http.Client{
		Transport: transport{&http.Transport{
			// The internal endpoint is on the function's own network: no proxy, and short times to connect.
			DialContext:           (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   3 * time.Second,
			TLSClientConfig:       &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(64)}, // after a freeze, connections are opened again
			ResponseHeaderTimeout: 5 * time.Second,
			IdleConnTimeout:       20 * time.Second,
			MaxIdleConns:          256,
			MaxIdleConnsPerHost:   256,
			DisableCompression:    true, // OSS may gzip, and then length and checksum no longer fit
		}},
		// A redirect would carry the security token to another host: net/http drops Authorization there, not x-oss-*.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// CloseIdleConnections drops the connections kept alive. After a freeze of the instance they are probably broken, and a write
// on a broken connection fails although the service is available.
func (s *Client) CloseIdleConnections() { s.http.CloseIdleConnections() }

// Open returns the bucket called name in region (such as cn-hangzhou), used with the given credentials. It makes no request.
// Retries are logged.
func (s *Client) Open(name, region string, c Credentials, log *slog.Logger) (*Bucket, error) {
	region = strings.TrimPrefix(region, "oss-")
	if region == "" || strings.ContainsFunc(region, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
		return nil, fmt.Errorf("bucket: %q is not a region; expected one like cn-hangzhou", region)
	}
	if c.AccessKeyID == "" || c.AccessKeySecret == "" {
		return nil, fmt.Errorf("bucket: the invocation brought no credentials; the function needs a role")
	}
	endpoint := orDefault(s.config.Endpoint, "https://oss-"+region+"-internal.aliyuncs.com")
	data, err := s.client(endpoint, s.config.CNAME, name, region, c)
	if err != nil {
		return nil, err
	}
	public, err := s.client(orDefault(s.config.PublicEndpoint, "https://oss-"+region+".aliyuncs.com"), s.config.PublicCNAME, name, region, c)
	if err != nil {
		return nil, err
	}
	unsummed, config := *data, *data.Client.Config
	config.IsEnableCRC = false
	unsummed.Client.Config = &config
	return &Bucket{name: name, data: data, public: public, unsummed: &unsummed, region: region, endpoint: strings.TrimPrefix(strings.TrimPrefix(endpoint, "https://"), "http://"),
		config: s.config, log: log}, nil
}

// client makes an SDK client for one invocation (2 µs; the connections are the Store's). V4 is the only signature that OSS
// gives accounts since 2025, and the SDK's default is V1.
func (s *Client) client(endpoint string, cname bool, name, region string, c Credentials) (*oss.Bucket, error) {
	options := []oss.ClientOption{oss.HTTPClient(s.http), oss.AuthVersion(oss.AuthV4), oss.Region(region), oss.SecurityToken(c.SecurityToken)}
	if u, err := url.Parse(endpoint); err == nil && u.Hostname() == "localhost" {
		options = append(options, oss.ForcePathStyle(true)) // the SDK does so by itself for IP addresses only
	}
	if cname {
		options = append(options, oss.UseCname(true))
	}
	client, err := oss.New(endpoint, c.AccessKeyID, c.AccessKeySecret, options...)
	if err != nil {
		return nil, fmt.Errorf("bucket: the endpoint is not usable: %w", err)
	}
	b, err := client.Bucket(name)
	if err != nil {
		return nil, fmt.Errorf("bucket: %q is not a bucket name", name)
	}
	return b, nil
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
