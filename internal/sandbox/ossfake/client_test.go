package ossfake

import (
	"net/http"
	"net/http/httptest"
	"testing"

	sdk "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/require"
)

// newClient serves h and returns the official SDK's client for its bucket. Options come after those that sign with V4.
func newClient(t *testing.T, h http.Handler, c Credentials, options ...sdk.ClientOption) *sdk.Bucket {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return clientAt(t, server.URL, c, options...)
}

func clientAt(t *testing.T, endpoint string, c Credentials, options ...sdk.ClientOption) *sdk.Bucket {
	all := []sdk.ClientOption{sdk.AuthVersion(sdk.AuthV4), sdk.Region("cn-hangzhou")}
	if c.SecurityToken != "" {
		all = append(all, sdk.SecurityToken(c.SecurityToken))
	}
	client, err := sdk.New(endpoint, c.AccessKeyID, c.AccessKeySecret, append(all, options...)...)
	require.NoError(t, err)
	bucket, err := client.Bucket(testBucket)
	require.NoError(t, err)
	return bucket
}
