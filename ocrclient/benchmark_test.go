package ocrclient

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// noise returns random bytes, like those of a compressed image.
func noise(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// The baselines: "hmac" is HMAC-SHA256 over the string to sign, already in memory; "encode+hmac" also encodes the image in
// base64, which every signer of image bytes must do; "plain" is a straightforward signer.
func BenchmarkSignature(b *testing.B) {
	const endpoint = "https://cards.oss-cn-hangzhou.aliyuncs.com/2026/a.jpg?x-oss-signature="
	auth := AppKey{Key: "203753385", Secret: "benchmark-secret"}
	image := noise(3 << 19) // 2 MB of base64
	for _, form := range []struct {
		name    string
		request Request
	}{
		{"URL", Request{ImageURL: endpoint + strings.Repeat("a", 1500), Details: true}},
		{"2MB-base64", Request{ImageBase64: base64.StdEncoding.EncodeToString(image), Details: true}},
		{"2MB-image", Request{Image: image, Details: true}},
	} {
		f, err := newForm(form.request)
		require.NoError(b, err)
		fresh := func() *canonicalRequest {
			return &canonicalRequest{method: "POST", accept: acceptHeader, contentType: contentTypeHeader, path: "/ocrIdCard", params: f.params,
				headers: params([2]string{"x-ca-nonce", "0b3b2b0a-5b0c-4b0e-8b0a-0b3b2b0a5b0c"}, [2]string{"x-ca-timestamp", "1525872629832"}, [2]string{"x-ca-key", "203753385"})}
		}
		s, text := fresh(), []byte(fresh().text())
		require.Equal(b, auth.sign(fresh()), plainSignature(auth.Secret, form.request, s))
		for _, way := range []struct {
			name string
			sign func()
		}{
			{"signer", func() { auth.sign(s) }},
			{"hmac", func() { plainHMAC(auth.Secret, text) }},
			{"encode+hmac", func() { base64.StdEncoding.EncodeToString(form.request.Image); plainHMAC(auth.Secret, text) }},
			{"plain", func() { plainSignature(auth.Secret, form.request, s) }},
		} {
			if way.name == "encode+hmac" && form.request.Image == nil {
				continue
			}
			b.Run(form.name+"/"+way.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					way.sign()
				}
			})
		}
	}
}

func plainHMAC(secret string, text []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func plainSignature(secret string, r Request, s *canonicalRequest) string {
	form := plainForm(r)
	headers := slices.SortedFunc(slices.Values(s.headers), func(a, b param) int { return cmp.Compare(a.name, b.name) })
	text := strings.Join([]string{s.method, s.accept, s.contentMD5, s.contentType, s.date}, "\n") + "\n"
	for _, h := range headers {
		text += h.name + ":" + h.value + "\n"
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	pairs := make([]string, 0, len(form))
	for _, name := range names {
		pairs = append(pairs, name+"="+form.Get(name))
	}
	return plainHMAC(secret, []byte(text+s.path+"?"+strings.Join(pairs, "&")))
}

func plainForm(r Request) url.Values {
	form := url.Values{"need_more_info": {"1"}}
	switch {
	case r.ImageURL != "":
		form.Set("imgUrl", r.ImageURL)
	case r.ImageBase64 != "":
		form.Set("imgData", r.ImageBase64)
	default:
		form.Set("imgData", base64.StdEncoding.EncodeToString(r.Image))
	}
	return form
}

// BenchmarkImageRequest makes, signs and sends a picture. B/op counts everything that is allocated beside the picture.
func BenchmarkImageRequest(b *testing.B) {
	drain := roundTripper(func(r *http.Request) (*http.Response, error) {
		n, err := io.Copy(io.Discard, r.Body)
		require.NoError(b, err)
		require.Equal(b, r.ContentLength, n)
		answer := `{"showapi_res_code":0,"showapi_res_body":{"ret_code":-1,"flag":false,"msg":""}}`
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
	})
	for name, size := range map[string]int{"1.5MB": 1_500_000, "15MB": 15_000_000} {
		request := Request{Image: noise(size), Details: true}
		b.Run(name+"/client", func(b *testing.B) {
			c := Client{Auth: AppKey{Key: "203753385", Secret: "benchmark-secret"}, HTTP: &http.Client{Transport: drain}}
			b.ReportAllocs()
			for b.Loop() {
				_, err := c.Recognize(b.Context(), request)
				require.NoError(b, err)
			}
		})
		b.Run(name+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				signature := plainSignature("benchmark-secret", request, &canonicalRequest{method: "POST", accept: acceptHeader, path: "/ocrIdCard"})
				r, err := http.NewRequest("POST", DefaultEndpoint, strings.NewReader(plainForm(request).Encode()))
				require.NoError(b, err)
				r.Header.Set("X-Ca-Signature", signature)
				_, err = drain(r)
				require.NoError(b, err)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
