package ossfake_test

import (
	"strings"
	"testing"

	"fc-idcard-ocr/internal/sandbox/ossfake"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func mustParse(t *testing.T, document string) *ossfake.Policy {
	t.Helper()
	p, err := ossfake.ParsePolicy([]byte(document))
	require.NoError(t, err)
	return p
}

func TestAPolicyAllowsWhatAStatementAllowsAndNoneDenies(t *testing.T) {
	t.Parallel()
	p := mustParse(t, `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":["oss:GetObject","oss:Put*"],"Resource":["acs:oss:*:*:cards/2026/*","acs:oss:oss-cn-hangzhou:123456:cards/one?.jpg"]},
		{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:cards"},
		{"Effect":"Deny","Action":"*","Resource":"acs:oss:*:*:cards/*/secret/*"}]}`)
	for question, want := range map[string]bool{
		"oss:GetObject cards 2026/a.jpg": true, "oss:getobject cards 2026/x/y.jpg": true, "oss:PutObject cards 2026/a.jpg": true,
		"oss:GetObject cards one1.jpg": true, "oss:GetObject cards one.jpg": false, "oss:GetObject cards one12.jpg": false,
		"oss:DeleteObject cards 2026/a.jpg": false, "oss:GetObject cards 2025/a.jpg": false, "oss:GetObject other 2026/a.jpg": false,
		"oss:GetObject cards 2026/secret/a.jpg": false, "oss:ListObjects cards": true, "oss:ListObjects other": false, "oss:ListBuckets": false,
	} {
		q := append(strings.Fields(question), "", "")
		assert.Equal(t, want, p.Allows(q[0], testRegion, q[1], q[2], nil), question)
	}
	assert.False(t, p.Allows("oss:GetObject", "cn-beijing", "cards", "one1.jpg", nil), "another region")
	assert.True(t, mustParse(t, `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}`).Allows("oss:ListBuckets", testRegion, "", "", nil))
}

func TestAPolicyThatWouldNotBeEnforcedIsRefused(t *testing.T) {
	t.Parallel()
	for document, word := range map[string]string{
		`[]`: "policy", `{"Version":"2","Statement":[]}`: "Version", `{"Version":"1","Statement":[]}`: "Statement",
		`{"Version":"1","Statement":[{"Effect":"Maybe","Action":"*","Resource":"*"}]}`:                                                      "Effect",
		`{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*"}]}`:                                                                   "Action",
		`{"Version":"1","Statement":[{"Effect":"Allow","Action":"GetObject","Resource":"*"}]}`:                                              "GetObject",
		`{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"cards/*"}]}`:                                                "cards/*",
		`{"Version":"1","Statement":[{"Effect":"Allow","Action":5,"Resource":"*"}]}`:                                                        "string",
		`{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"acs:MFAPresent":"true"}}}]}`:       "acs:MFAPresent",
		`{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"acs:CurrentTime":"x"}}}]}`: "DateLessThan",
		`{"Version":"1","Statement":[{"Effect":"Allow","NotAction":"*","Action":"*","Resource":"*"}]}`:                                      "NotAction",
		`{"Version":"1","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`:                                      "Principal",
		`{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","NotResource":""}]}`:                                     "NotResource",
	} {
		_, err := ossfake.ParsePolicy([]byte(document))
		assert.ErrorContains(t, err, word, document)
	}
}

func TestThePolicyBindsSTSCallersOnly(t *testing.T) {
	t.Parallel()
	policy := mustParse(t, `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:cards/*"},
		{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:cards/*.ocr.*"}]}`)
	l := start(t, "", func(c *ossfake.Config) { c.Policy = policy })
	owner, function := l.bucket(t, signings[2]), l.bucket(t, signings[3])
	put(t, owner, "a.jpg", string(picture(t)))
	assert.NotEmpty(t, get(t, function, "a.jpg"))
	put(t, function, "a.jpg.ocr.json", "{}")
	_, err := function.AppendObject("a.jpg.ocr.claim", strings.NewReader("x"), 0)
	require.NoError(t, err)

	denied := map[string]error{
		"put":    function.PutObject("b.jpg", strings.NewReader("x")),
		"delete": function.DeleteObject("a.jpg"),
	}
	_, denied["append"] = function.AppendObject("b", strings.NewReader("x"), 0)
	_, denied["list"] = function.ListObjectsV2()
	_, denied["copy"] = function.CopyObject("a.jpg", "b.jpg")
	_, denied["delete many"] = function.DeleteObjects([]string{"a.jpg"})
	_, denied["multipart"] = function.InitiateMultipartUpload("b.jpg")
	_, denied["buckets"] = l.client(t, signings[3]).ListBuckets()
	for name, err := range denied {
		require.Error(t, err, name)
		requireCode(t, err, 403, "AccessDenied")
	}
	link, err := function.SignURL("b.jpg", aliyun.HTTPPut, 60)
	require.NoError(t, err)
	status, _ := fetch(t, "PUT", link)
	assert.Equal(t, 403, status, "a presigned URL allows no more than its signer may")
	assert.NotEmpty(t, get(t, owner, "a.jpg"))
}

func TestConditionsNarrowAStatement(t *testing.T) {
	t.Parallel()
	p := mustParse(t, `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oss:ListObjects","Resource":"*","Condition":{"StringLike":{"oss:Prefix":["in/*","out/"]},"Bool":{"acs:SecureTransport":"true"}}},
		{"Effect":"Allow","Action":"oss:GetObject","Resource":"*"},
		{"Effect":"Deny","Action":"oss:GetObject","Resource":"*","Condition":{"NotIpAddress":{"acs:SourceIp":["127.0.0.0/8","::1"]}}}]}`)
	for _, test := range []struct {
		action, key, value string
		want               bool
	}{
		{"oss:ListObjects", "oss:Prefix", "in/2026", true},
		{"oss:ListObjects", "oss:Prefix", "out/", true},
		{"oss:ListObjects", "oss:Prefix", "out/x", false},
		{"oss:ListObjects", "oss:Delimiter", "/", false},
		{"oss:GetObject", "acs:SourceIp", "127.0.0.1", true},
		{"oss:GetObject", "acs:SourceIp", "::1", true},
		{"oss:GetObject", "acs:SourceIp", "10.0.0.1", false},
	} {
		context := map[string]string{"acs:SecureTransport": "true", test.key: test.value}
		assert.Equal(t, test.want, p.Allows(test.action, testRegion, "cards", "", context), test)
	}
	l := start(t, "", func(c *ossfake.Config) { c.Policy = p })
	b := l.bucket(t, signings[3])
	_, err := b.ListObjectsV2(aliyun.Prefix("in/"))
	require.NoError(t, err)
	_, err = b.ListObjectsV2()
	requireCode(t, err, 403, "AccessDenied")
	_, err = b.GetObject("none")
	requireCode(t, err, 404, "NoSuchKey")
}
