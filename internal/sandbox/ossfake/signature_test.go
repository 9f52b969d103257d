package ossfake_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/ossfake"

	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const process = "image/auto-orient,1/resize,l_40/format,png"

// edit changes one query parameter of a URL.
func edit(t *testing.T, link, name, value string) string {
	t.Helper()
	u, err := url.Parse(link)
	require.NoError(t, err)
	q := u.Query()
	require.True(t, q.Has(name), "%s has no %s", u.Path, name)
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestAPresignedURLIsGoodForNothingButWhatWasSigned(t *testing.T) {
	t.Parallel()
	for _, s := range signings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, "")
			b := l.bucket(t, s)
			put(t, b, "a b+c.png", string(picture(t)))
			put(t, b, "other.png", "another")
			link, err := b.SignURL("a b+c.png", aliyun.HTTPGet, 300, aliyun.Process(process))
			require.NoError(t, err)

			signature, expires, token, key := "Signature", "Expires", "security-token", "OSSAccessKeyId"
			if s.version == aliyun.AuthV4 {
				signature, expires, token, key = "x-oss-signature", "x-oss-expires", "x-oss-security-token", "x-oss-credential"
			}
			tampered := map[string]struct{ method, link, code string }{
				"forged signature":    {"GET", edit(t, link, signature, "bm90IHRoZSBzaWduYXR1cmU="), "SignatureDoesNotMatch"},
				"changed process":     {"GET", edit(t, link, "x-oss-process", "image/resize,l_4096"), "SignatureDoesNotMatch"},
				"changed expiry":      {"GET", edit(t, link, expires, map[string]string{"Expires": "9999999999", "x-oss-expires": "301"}[expires]), "SignatureDoesNotMatch"},
				"other object":        {"GET", strings.Replace(link, "a%20b%2Bc.png", "other.png", 1), "SignatureDoesNotMatch"},
				"other method":        {"PUT", link, "SignatureDoesNotMatch"},
				"added sub-resource":  {"GET", link + "&acl", "SignatureDoesNotMatch"},
				"added x-oss- header": {"GET", link, "SignatureDoesNotMatch"},
			}
			if s.cred.SecurityToken != "" {
				tampered["wrong token"] = struct{ method, link, code string }{"GET", edit(t, link, token, "CAIS-other"), "InvalidSecurityToken"}
				tampered["no token"] = struct{ method, link, code string }{"GET", regexp.MustCompile(token+"=[^&]*&?").ReplaceAllString(link, ""), "InvalidAccessKeyId"}
			}
			u, err := url.Parse(link)
			require.NoError(t, err)
			tampered["unknown key"] = struct{ method, link, code string }{"GET", edit(t, link, key, strings.Replace(u.Query().Get(key), s.cred.AccessKeyID, "LTAInobody", 1)), "InvalidAccessKeyId"}

			for name, test := range tampered {
				var header []string
				if name == "added x-oss- header" {
					header = []string{"x-oss-range-behavior", "standard"}
				}
				status, body := fetch(t, test.method, test.link, header...)
				assert.Equal(t, 403, status, "%s: %s", name, body)
				assert.Contains(t, body, "<Code>"+test.code+"</Code>", name)
				if test.code == "SignatureDoesNotMatch" {
					assert.Contains(t, body, "<StringToSign>", name)
				}
			}
			// What fetchers do to a URL that is still the same one.
			for name, header := range map[string][]string{"range": {"Range", "bytes=0-3"}, "agent": {"User-Agent", "ocr"}, "none": nil} {
				status, body := fetch(t, http.MethodGet, link, header...)
				assert.Less(t, status, 300, "%s: %s", name, body)
			}
			shuffled := u.Query().Encode()
			u.RawQuery = shuffled
			u.RawPath = ""
			status, body := fetch(t, http.MethodGet, u.String())
			assert.Equal(t, 200, status, body)

			l.setAhead(290 * time.Second)
			status, _ = fetch(t, http.MethodGet, link)
			assert.Equal(t, 200, status)
			l.setAhead(302 * time.Second)
			status, body = fetch(t, http.MethodGet, link)
			assert.Equal(t, 403, status)
			assert.Contains(t, body, "<Message>Request has expired.</Message>")
			assert.Contains(t, body, "<EC>0002-00000069</EC>")
		})
	}
}

func TestASignedRequestIsRefusedIfItsCallerMayNotSign(t *testing.T) {
	t.Parallel()
	for _, v := range []aliyun.AuthVersionType{aliyun.AuthV1, aliyun.AuthV4} {
		l := start(t, "")
		l.keys.Add(ossfake.Credentials{AccessKeyID: "STS.old", AccessKeySecret: "s", SecurityToken: "t", Expires: time.Now().Add(-time.Second)})
		for name, test := range map[string]struct {
			cred ossfake.Credentials
			code string
		}{
			"unknown key":               {ossfake.Credentials{AccessKeyID: "LTAInobody", AccessKeySecret: "s"}, "InvalidAccessKeyId"},
			"wrong secret":              {ossfake.Credentials{AccessKeyID: longTerm.AccessKeyID, AccessKeySecret: "wrong"}, "SignatureDoesNotMatch"},
			"wrong token":               {ossfake.Credentials{AccessKeyID: role.AccessKeyID, AccessKeySecret: role.AccessKeySecret, SecurityToken: "wrong"}, "InvalidSecurityToken"},
			"missing token":             {ossfake.Credentials{AccessKeyID: role.AccessKeyID, AccessKeySecret: role.AccessKeySecret}, "InvalidAccessKeyId"},
			"token with long-term key":  {ossfake.Credentials{AccessKeyID: longTerm.AccessKeyID, AccessKeySecret: longTerm.AccessKeySecret, SecurityToken: "t"}, "InvalidAccessKeyId"},
			"token that has run out":    {ossfake.Credentials{AccessKeyID: "STS.old", AccessKeySecret: "s", SecurityToken: "t"}, "SecurityTokenExpired"},
			"secret of another account": {ossfake.Credentials{AccessKeyID: longTerm.AccessKeyID, AccessKeySecret: role.AccessKeySecret}, "SignatureDoesNotMatch"},
		} {
			b := l.bucket(t, signing{name, v, test.cred})
			_, err := b.GetObject("x")
			requireCode(t, err, 403, test.code)
			requireCode(t, b.PutObject("x", strings.NewReader("x")), 403, test.code)
			// An answer to HEAD carries the code in a header.
			_, err = b.GetObjectDetailedMeta("x")
			requireCode(t, err, 403, test.code)
		}
		l.setAhead(16 * time.Minute)
		_, err := l.bucket(t, signing{"", v, longTerm}).GetObject("x")
		requireCode(t, err, 403, "RequestTimeTooSkewed")
		l.setAhead(-16 * time.Minute)
		_, err = l.bucket(t, signing{"", v, longTerm}).GetObject("x")
		requireCode(t, err, 403, "RequestTimeTooSkewed")
		l.setAhead(14 * time.Minute)
		_, err = l.bucket(t, signing{"", v, longTerm}).GetObject("x")
		requireCode(t, err, 404, "NoSuchKey")
	}
}

func TestTheScopeOfAV4SignatureIsChecked(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	put(t, l.v4(t), "x", "x")
	elsewhere := l.bucket(t, signings[2], aliyun.Region("cn-beijing"))
	_, err := elsewhere.GetObject("x")
	requireCode(t, err, 400, "InvalidArgument")
	assert.ErrorContains(t, err, "Invalid signing region in Authorization header.")
	assert.ErrorContains(t, err, "0002-00000228")
	link, err := elsewhere.SignURL("x", aliyun.HTTPGet, 60)
	require.NoError(t, err)
	status, body := fetch(t, http.MethodGet, link)
	assert.Equal(t, 400, status)
	assert.Contains(t, body, "0002-00000226")

	for _, seconds := range []int64{0, 604801} {
		link, err := l.v4(t).SignURL("x", aliyun.HTTPGet, seconds)
		require.NoError(t, err)
		status, body := fetch(t, http.MethodGet, link)
		assert.Equal(t, 400, status, "%d s", seconds)
		assert.Contains(t, body, "0002-00000232", "%d s", seconds)
	}
	link, err = l.v4(t).SignURL("x", aliyun.HTTPGet, 604800)
	require.NoError(t, err)
	status, _ = fetch(t, http.MethodGet, link)
	assert.Equal(t, 200, status)
}

func TestWithoutASignatureNothingIsServed(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	put(t, l.v4(t), "x", "x")
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "POST"} {
		for _, path := range []string{"/", "/cards", "/cards/", "/cards/x", "/cards/x?append&position=0", "/none/x"} {
			status, _ := fetch(t, method, l.url+path)
			assert.Equal(t, 403, status, "%s %s", method, path)
		}
	}
	status, body := fetch(t, http.MethodGet, l.url+"/cards/x")
	assert.Equal(t, 403, status)
	assert.Contains(t, body, "<Code>AccessDenied</Code>")

	for authorization, code := range map[string]string{
		"Basic YTpi": "0002-00000061", "OSS nocolon": "0002-00000061",
		"OSS4-HMAC-SHA256 Credential=LTAI5tLocal/20261123/cn-hangzhou/oss/abc,Signature=0":                                        "0002-00000213",
		"OSS4-HMAC-SHA256 Credential=LTAI5tLocal/20261123/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=,Signature=0":       "0002-00000209",
		"OSS4-HMAC-SHA256 Credential=LTAI5tLocal/20261123/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=host;,Signature=0":  "0002-00000210",
		"OSS4-HMAC-SHA256 Credential=LTAI5tLocal/20261123/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=b;a,Signature=0":    "0002-00000210",
		"OSS4-HMAC-SHA256 Credential=LTAI5tLocal/20261123/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=Host,Signature=0":   "0002-00000210",
		"OSS4-HMAC-SHA256 Credential=LTAI5tLocal/20261123/cn-hangzhou/oss/aliyun_v4_request,Signature=0":                          "0002-00000214",
		"OSS4-HMAC-SHA256 Credential=LTAI5tLocal/20261123/cn-hangzhou/oss/aliyun_v4_request, AdditionalHeaders=host, Signature=0": "0002-00000214",
	} {
		status, body := fetch(t, http.MethodGet, l.url+"/cards/x", "Authorization", authorization)
		assert.Equal(t, 400, status, authorization)
		assert.Contains(t, body, "<EC>"+code+"</EC>", authorization)
	}
	link, err := l.v4(t).SignURL("x", aliyun.HTTPGet, 60)
	require.NoError(t, err)
	status, body = fetch(t, http.MethodGet, link, "Authorization", "OSS a:b")
	assert.Equal(t, 400, status)
	assert.Contains(t, body, "not both")
}

func hmac256(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// The request of this test is written out by hand from the documentation, not made by any code under test or SDK.
func TestAHandWrittenV4RequestWithAdditionalHeadersIsAccepted(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	now := time.Now().UTC()
	day, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	host := strings.TrimPrefix(l.url, "http://")
	canonical := "PUT\n/cards/%E4%B8%AD%20a%2Bb/%2A.txt\n\ncontent-length:5\ncontent-type:text/plain\nhost:" + host +
		"\nx-oss-content-sha256:UNSIGNED-PAYLOAD\nx-oss-date:" + stamp + "\n\ncontent-length;host\nUNSIGNED-PAYLOAD"
	sum := sha256.Sum256([]byte(canonical))
	scope := day + "/cn-hangzhou/oss/aliyun_v4_request"
	key := hmac256(hmac256(hmac256(hmac256([]byte("aliyun_v4"+longTerm.AccessKeySecret), day), "cn-hangzhou"), "oss"), "aliyun_v4_request")
	signature := hex.EncodeToString(hmac256(key, "OSS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
	send := func(host string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, l.url+"/cards/%E4%B8%AD%20a+b/%2A.txt", strings.NewReader("hello"))
		require.NoError(t, err)
		req.Host = host
		req.Header.Set("Content-Type", "text/plain")
		req.Header.Set("x-oss-date", stamp)
		req.Header.Set("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
		req.Header.Set("Authorization", "OSS4-HMAC-SHA256 Credential="+longTerm.AccessKeyID+"/"+scope+", AdditionalHeaders=content-length;host, Signature="+signature)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	assert.Equal(t, 200, send(host).StatusCode)
	assert.Equal(t, 403, send("elsewhere.example").StatusCode, "the host was signed")
	assert.Equal(t, "hello", get(t, l.v4(t), "中 a+b/*.txt"))
}

// Likewise for V1: the string to sign has the key and the sub-resources decoded.
func TestAHandWrittenV1RequestIsAccepted(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	date := time.Now().UTC().Format(http.TimeFormat)
	m := hmac.New(sha1.New, []byte(role.AccessKeySecret))
	m.Write([]byte("POST\n\ntext/plain\n" + date + "\nx-oss-meta-a:b\nx-oss-security-token:" + role.SecurityToken + "\n/cards/中 +.txt?append&position=0"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.url+"/cards/%E4%B8%AD%20%2B.txt?position=0&append", strings.NewReader("hello"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Date", date)
	req.Header.Set("x-oss-meta-a", "b")
	req.Header.Set("x-oss-security-token", role.SecurityToken)
	req.Header.Set("Authorization", "OSS "+role.AccessKeyID+":"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, "5", resp.Header.Get("x-oss-next-append-position"))
}

func TestLogsHoldNoSecretAndNoIDNumber(t *testing.T) {
	t.Parallel()
	l := start(t, "")
	b := l.bucket(t, signings[3])
	put(t, b, "11010519491231002X.jpg", "x")
	link, err := b.SignURL("11010519491231002X.jpg", aliyun.HTTPGet, 60)
	require.NoError(t, err)
	fetch(t, http.MethodGet, link)
	fetch(t, http.MethodGet, edit(t, link, "x-oss-signature", "00"))
	u, err := url.Parse(link)
	require.NoError(t, err)
	logs := l.logs.String()
	require.Contains(t, logs, "operation=PutObject")
	require.Contains(t, logs, "code=SignatureDoesNotMatch")
	for _, secret := range []string{role.AccessKeySecret, role.SecurityToken, url.QueryEscape(role.SecurityToken), u.Query().Get("x-oss-signature"), "x-oss-", "11010519491231002"} {
		assert.NotContains(t, logs, secret)
	}
}
