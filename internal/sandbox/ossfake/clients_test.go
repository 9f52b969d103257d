package ossfake

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/bucket/buckettest"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var testRole = Credentials{AccessKeyID: "STS.test", AccessKeySecret: "role-secret", SecurityToken: "CAIS+to/ken=="}

// nodeKeys are the awkward keys without those that the client's HTTP library rewrites ("../x" and "a/./b") after they were signed.
func nodeKeys() []string {
	return slices.DeleteFunc(slices.Clone(buckettest.Keys), func(key string) bool {
		return slices.ContainsFunc(strings.Split(key, "/"), func(segment string) bool { return segment == "." || segment == ".." })
	})
}

// nodeOutcome is how a call of the client for Node.js ended.
type nodeOutcome struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
}

// nodeResult is what oss.mjs saw with one way to sign.
type nodeResult struct {
	Version     string `json:"version"`
	Credentials string `json:"credentials"`
	Keys        map[string]struct {
		Put        int      `json:"put"`
		Head       int      `json:"head"`
		Meta       string   `json:"meta"`
		Get        bool     `json:"get"`
		Listed     []string `json:"listed"`
		URL        int      `json:"url"`
		URLContent bool     `json:"urlContent"`
		Delete     int      `json:"delete"`
		Gone       int      `json:"gone"`
	} `json:"keys"`
	Forgeries map[string]nodeOutcome `json:"forgeries"`
}

func TestTheOfficialClientForNodeWorksAndItsForgeriesDoNot(t *testing.T) {
	t.Parallel()
	for _, result := range runNodeClient(t) {
		name := result.Version + " " + result.Credentials
		require.Len(t, result.Keys, len(nodeKeys()), name)
		for key, got := range result.Keys {
			assert.Equal(t, 200, got.Put, "%s: put %s", name, key)
			assert.Equal(t, 200, got.Head, "%s: head %s", name, key)
			assert.Equal(t, "node", got.Meta, "%s: metadata of %s", name, key)
			assert.True(t, got.Get, "%s: content of %s", name, key)
			assert.Equal(t, []string{key}, got.Listed, "%s: list %s", name, key)
			assert.Equal(t, 200, got.URL, "%s: presigned URL of %s", name, key)
			assert.True(t, got.URLContent, "%s: content of the presigned URL of %s", name, key)
			assert.Equal(t, 204, got.Delete, "%s: delete %s", name, key)
			assert.Equal(t, 404, got.Gone, "%s: head after delete of %s", name, key)
		}
		want := map[string]nodeOutcome{
			"genuine":               {200, ""},
			"forged signature":      {403, "SignatureDoesNotMatch"},
			"changed x-oss-process": {403, "SignatureDoesNotMatch"},
			"removed x-oss-process": {403, "SignatureDoesNotMatch"},
			"other key":             {403, "SignatureDoesNotMatch"},
			"other method":          {403, "SignatureDoesNotMatch"},
			"expired URL":           {403, "AccessDenied"},
			"changed date":          {403, "AccessDenied"},
			"changed expiry":        {403, "SignatureDoesNotMatch"},
			"forged secret":         {403, "SignatureDoesNotMatch"},
			"unknown key":           {403, "InvalidAccessKeyId"},
			"late clock":            {403, "RequestTimeTooSkewed"},
		}
		if result.Credentials == "role" {
			want["wrong token"] = nodeOutcome{403, "InvalidSecurityToken"}
			want["wrong token in the header"] = nodeOutcome{403, "InvalidSecurityToken"}
			want["no token"] = nodeOutcome{403, "InvalidAccessKeyId"}
		}
		assert.Equal(t, want, result.Forgeries, name)
	}
}

// runNodeClient runs testdata/clients/oss.mjs against a new server and returns its four results.
func runNodeClient(t *testing.T) []nodeResult {
	server, err := New(Config{Dir: t.TempDir(), Region: "cn-hangzhou", Buckets: []string{testBucket}, Keys: NewKeyring(testKey, testRole)})
	require.NoError(t, err)
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()
	const picture = "scan-01.jpg"
	require.NoError(t, clientAt(t, web.URL, testKey).PutObjectFromFile(picture, "../../../testdata/cards/"+picture))

	type credentials struct {
		ID     string `json:"accessKeyId"`
		Secret string `json:"accessKeySecret"`
		Token  string `json:"stsToken,omitempty"`
	}
	input := map[string]any{
		// The client signs no URL for an address in numbers.
		"endpoint": strings.Replace(web.URL, "127.0.0.1", "localhost", 1), "region": "cn-hangzhou", "bucket": testBucket,
		"picture": picture, "keys": nodeKeys(),
		"credentials": map[string]credentials{
			"long-term": {testKey.AccessKeyID, testKey.AccessKeySecret, ""},
			"role":      {testRole.AccessKeyID, testRole.AccessKeySecret, testRole.SecurityToken},
		},
	}
	var results []nodeResult
	sandboxtest.RunNode(t, "ali-oss", "oss.mjs", input, &results)
	require.Len(t, results, 4)
	return results
}
