package ossfake_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// formUpload is a browser's form, signed as the documentation says, by hand.
type formUpload struct {
	fields [][2]string
	file   string
}

func (f *formUpload) set(name, value string) {
	for i := range f.fields {
		if f.fields[i][0] == name {
			f.fields[i][1] = value
			return
		}
	}
	f.fields = append(f.fields, [2]string{name, value})
}

func formPolicy(expires time.Time, conditions string) string {
	return base64.StdEncoding.EncodeToString([]byte(`{"expiration":"` + expires.UTC().Format("2006-01-02T15:04:05.000Z") + `","conditions":[` + conditions + `]}`))
}

func signedFormV1(policy string) *formUpload {
	m := hmac.New(sha1.New, []byte(role.AccessKeySecret))
	m.Write([]byte(policy))
	return &formUpload{fields: [][2]string{
		{"key", "form/${filename}"}, {"OSSAccessKeyId", role.AccessKeyID}, {"policy", policy}, {"Signature", base64.StdEncoding.EncodeToString(m.Sum(nil))},
		{"x-oss-security-token", role.SecurityToken},
	}, file: "hello"}
}

func signedFormV4(policy string) *formUpload {
	now := time.Now().UTC()
	day := now.Format("20060102")
	key := hmac256(hmac256(hmac256(hmac256([]byte("aliyun_v4"+longTerm.AccessKeySecret), day), testRegion), "oss"), "aliyun_v4_request")
	return &formUpload{fields: [][2]string{
		{"key", "form/${filename}"}, {"policy", policy}, {"x-oss-signature-version", "OSS4-HMAC-SHA256"}, {"x-oss-date", now.Format("20060102T150405Z")},
		{"x-oss-credential", longTerm.AccessKeyID + "/" + day + "/" + testRegion + "/oss/aliyun_v4_request"}, {"x-oss-signature", hex.EncodeToString(hmac256(key, policy))},
	}, file: "hello"}
}

func (f *formUpload) send(t *testing.T, l *local) (int, string) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, field := range f.fields {
		require.NoError(t, w.WriteField(field[0], field[1]))
	}
	p, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="a.jpg"`}, "Content-Type": {"image/jpeg"}})
	require.NoError(t, err)
	_, err = io.WriteString(p, f.file)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	resp, err := http.Post(l.url+"/cards", w.FormDataContentType(), &body) //nolint:noctx // A test on loopback.
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

func TestAFormIsAcceptedIfItsPolicyIsSignedAndMet(t *testing.T) {
	t.Parallel()
	conditions := `{"bucket":"cards"},["starts-with","$key","form/"],["content-length-range",1,10],["in","$content-type",["image/jpeg","image/png"]]`
	soon := time.Now().Add(time.Hour)
	for name, sign := range map[string]func(string) *formUpload{"V1": signedFormV1, "V4": signedFormV4} {
		l := start(t, "")
		f := sign(formPolicy(soon, conditions))
		f.set("x-oss-meta-a", "1")
		status, body := f.send(t, l)
		require.Equal(t, 204, status, "%s: %s", name, body)
		assert.Equal(t, "hello", get(t, l.v4(t), "form/a.jpg"))
		h, err := l.v4(t).GetObjectDetailedMeta("form/a.jpg")
		require.NoError(t, err)
		assert.Equal(t, "image/jpeg", h.Get("Content-Type"))
		assert.Equal(t, "1", h.Get("x-oss-meta-a"))
		assert.Equal(t, []string{"ObjectCreated:PostObject form/a.jpg"}, l.eventNames())
		f.set("success_action_status", "201")
		status, body = f.send(t, l)
		assert.Equal(t, 201, status)
		assert.Contains(t, body, "<Key>form/a.jpg</Key>")

		for problem, test := range map[string]struct {
			change func(*formUpload)
			status int
			code   string
		}{
			"forged signature": {func(f *formUpload) { f.set("Signature", "AAAA"); f.set("x-oss-signature", "00") }, 403, "SignatureDoesNotMatch"},
			"changed policy":   {func(f *formUpload) { f.set("policy", formPolicy(soon, conditions+`,{"a":"b"}`)) }, 403, "SignatureDoesNotMatch"},
			"other key":        {func(f *formUpload) { f.set("key", "elsewhere/a.jpg") }, 403, "AccessDenied"},
			"other type":       {func(f *formUpload) { f.set("x-oss-content-type", "text/html") }, 403, "AccessDenied"},
			"too large":        {func(f *formUpload) { f.file = strings.Repeat("x", 11) }, 400, "EntityTooLarge"},
			"too small":        {func(f *formUpload) { f.file = "" }, 400, "EntityTooSmall"},
			"no overwriting":   {func(f *formUpload) { f.set("x-oss-forbid-overwrite", "true") }, 409, "FileAlreadyExists"},
			"no key":           {func(f *formUpload) { f.set("key", "") }, 400, "InvalidArgument"},
		} {
			f := sign(formPolicy(soon, conditions))
			test.change(f)
			status, body := f.send(t, l)
			assert.Equal(t, test.status, status, "%s %s: %s", name, problem, body)
			assert.Contains(t, body, "<Code>"+test.code+"</Code>", "%s %s", name, problem)
		}
		status, body = sign(formPolicy(time.Now().Add(-time.Second), conditions)).send(t, l)
		assert.Equal(t, 403, status, name)
		assert.Contains(t, body, "Policy expired")
		for _, policy := range []string{"", "!", base64.StdEncoding.EncodeToString([]byte("{}")), formPolicy(soon, `["eq","$key"]`), formPolicy(soon, `["what","$key","a"]`)} {
			status, _ = sign(policy).send(t, l)
			assert.Equal(t, 400, status, fmt.Sprintf("%s %q", name, policy))
		}
	}
	l := start(t, "")
	status, _ := (&formUpload{fields: [][2]string{{"key", "a"}}, file: "x"}).send(t, l)
	assert.Equal(t, 403, status, "unsigned")
	f := signedFormV1(formPolicy(soon, conditions))
	f.set("x-oss-security-token", "wrong")
	status, body := f.send(t, l)
	assert.Equal(t, 403, status)
	assert.Contains(t, body, "InvalidSecurityToken")
}
