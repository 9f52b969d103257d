package acsauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The example of the documentation of V3 signatures, RunInstances.
func TestTheSignatureIsThatOfTheDocumentation(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "https://ecs.cn-shanghai.aliyuncs.com/?ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai", nil)
	hash := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for name, value := range map[string]string{"x-acs-action": "RunInstances", "x-acs-content-sha256": hash, "x-acs-date": "2023-10-26T10:22:32Z",
		"x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d", "x-acs-version": "2014-05-26"} {
		r.Header.Set(name, value)
	}
	signed := []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
	assert.True(t, verify(r, hash, signed, "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0", "YourAccessKeySecret"))
	assert.False(t, verify(r, hash, signed[:5], "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0", "YourAccessKeySecret"))
}

// The example of the documentation of RPC-style signatures, DescribeRegions.
func TestTheSignatureInParametersIsThatOfTheDocumentation(t *testing.T) {
	v := &Verifier{Version: "2014-05-26", Keys: map[string]string{"testid": "testsecret"}, Now: func() time.Time { return time.Date(2016, 2, 23, 12, 50, 0, 0, time.UTC) }}
	parameters, err := url.ParseQuery("Format=XML&SignatureMethod=HMAC-SHA1&AccessKeyId=testid&Action=DescribeRegions&SignatureNonce=3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf" +
		"&SignatureVersion=1.0&Timestamp=2016-02-23T12%3A46%3A24Z&Version=2014-05-26&Signature=OLeaidS1JvxuMvnyHOwuJ%2BuX5qY%3D")
	require.NoError(t, err)
	code := func(method, name, value string) string {
		changed := url.Values{}
		for n, v := range parameters {
			changed[n] = v
		}
		if name != "" {
			changed.Set(name, value)
		}
		if refused := v.CheckParameters(method, changed); refused != nil {
			return refused.Code
		}
		return ""
	}
	assert.Equal(t, "SignatureDoesNotMatch", code("POST", "", ""))
	assert.Equal(t, "SignatureDoesNotMatch", code("GET", "Format", "JSON"))
	assert.Equal(t, "InvalidAccessKeyId.NotFound", code("GET", "AccessKeyId", "other"))
	assert.Equal(t, "InvalidTimeStamp.Expired", code("GET", "Timestamp", "2016-02-23T12:30:24Z"))
	assert.Equal(t, "InvalidVersion", code("GET", "Version", "2015-11-01"))
	assert.Empty(t, code("GET", "", ""))
	assert.Equal(t, "SignatureNonceUsed", code("GET", "", ""))
}
