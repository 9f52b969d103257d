package ossfake_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	v2credentials "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// v2Client is the official Go SDK V2, which signs with x-oss-date and can sign further headers.
func (l *local) v2Client(version v2.SignatureVersionType, c signing, additional ...string) *v2.Client {
	cfg := v2.LoadDefaultConfig().WithEndpoint(l.url).WithRegion(testRegion).WithUsePathStyle(true).WithDisableSSL(true).WithRetryMaxAttempts(1).
		WithSignatureVersion(version).WithAdditionalHeaders(additional).
		WithCredentialsProvider(v2credentials.NewStaticCredentialsProvider(c.cred.AccessKeyID, c.cred.AccessKeySecret, c.cred.SecurityToken))
	return v2.NewClient(cfg)
}

func TestTheOfficialGoSDKV2Works(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		version    v2.SignatureVersionType
		caller     signing
		additional []string
	}{
		{"V1", v2.SignatureVersionV1, signings[0], nil},
		{"V1 with STS", v2.SignatureVersionV1, signings[1], nil},
		{"V4", v2.SignatureVersionV4, signings[2], nil},
		{"V4 with STS", v2.SignatureVersionV4, signings[3], nil},
		{"V4 with STS and additional headers", v2.SignatureVersionV4, signings[3], []string{"host", "content-length"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, "")
			client := l.v2Client(test.version, test.caller, test.additional...)
			ctx := t.Context()
			for _, key := range nastyKeys {
				_, err := client.PutObject(ctx, &v2.PutObjectRequest{Bucket: v2.Ptr(testBucket), Key: v2.Ptr(key), Body: strings.NewReader("content"), Metadata: map[string]string{"a": "1"}})
				require.NoError(t, err, key)
				head, err := client.HeadObject(ctx, &v2.HeadObjectRequest{Bucket: v2.Ptr(testBucket), Key: v2.Ptr(key)})
				require.NoError(t, err, key)
				assert.Equal(t, "1", head.Metadata["a"], key)
				got, err := client.GetObject(ctx, &v2.GetObjectRequest{Bucket: v2.Ptr(testBucket), Key: v2.Ptr(key)})
				require.NoError(t, err, key)
				body, err := io.ReadAll(got.Body)
				require.NoError(t, err, key)
				require.NoError(t, got.Body.Close())
				assert.Equal(t, "content", string(body), key)
				link, err := client.Presign(ctx, &v2.GetObjectRequest{Bucket: v2.Ptr(testBucket), Key: v2.Ptr(key), Process: v2.Ptr("image/info")}, v2.PresignExpires(time.Minute))
				require.NoError(t, err, key)
				status, answer := fetch(t, http.MethodGet, link.URL)
				assert.Equal(t, 400, status, key)
				assert.Contains(t, answer, "This image format is not supported.", "the signature was right: the object is no picture")
			}
			claim := &v2.AppendObjectRequest{Bucket: v2.Ptr(testBucket), Key: v2.Ptr("claim"), Position: v2.Ptr(int64(0)), Body: strings.NewReader("one")}
			appended, err := client.AppendObject(ctx, claim)
			require.NoError(t, err)
			assert.EqualValues(t, 3, appended.NextPosition)
			claim.Body = strings.NewReader("two")
			_, err = client.AppendObject(ctx, claim)
			var answer *v2.ServiceError
			require.True(t, errors.As(err, &answer), "%v", err)
			assert.Equal(t, "PositionNotEqualToLength", answer.Code)
			assert.Equal(t, "3", answer.Headers.Get("x-oss-next-append-position"))

			page, err := client.ListObjectsV2(ctx, &v2.ListObjectsV2Request{Bucket: v2.Ptr(testBucket), Prefix: v2.Ptr("cl")})
			require.NoError(t, err)
			require.Len(t, page.Contents, 1)
			assert.Equal(t, "Appendable", v2.ToString(page.Contents[0].Type))
			_, err = client.CopyObject(ctx, &v2.CopyObjectRequest{Bucket: v2.Ptr(testBucket), Key: v2.Ptr("copy"), SourceKey: v2.Ptr("中文/身份证 正面.jpg")})
			require.NoError(t, err)
			deleted, err := client.DeleteMultipleObjects(ctx, &v2.DeleteMultipleObjectsRequest{Bucket: v2.Ptr(testBucket), Objects: []v2.DeleteObject{{Key: v2.Ptr("copy")}, {Key: v2.Ptr("claim")}}})
			require.NoError(t, err)
			assert.Len(t, deleted.DeletedObjects, 2)
			there, err := client.IsObjectExist(ctx, testBucket, "claim")
			require.NoError(t, err)
			assert.False(t, there)
		})
	}
}
