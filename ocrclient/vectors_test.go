package ocrclient

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// vectorFile holds what official clients of the gateway signed; see its "about".
type vectorFile struct {
	Vectors []struct {
		Name            string            `json:"name"`
		Method          string            `json:"method"`
		Path            string            `json:"path"`
		Query           [][2]string       `json:"query"`
		Form            [][2]string       `json:"form"`
		Accept          string            `json:"accept"`
		ContentMD5      string            `json:"content_md5"`
		ContentType     string            `json:"content_type"`
		Date            string            `json:"date"`
		AppKey          string            `json:"app_key"`
		AppSecret       string            `json:"app_secret"`
		SignatureMethod SignatureMethod   `json:"signature_method"`
		SignedHeaders   map[string]string `json:"signed_headers"`
		StringToSign    string            `json:"string_to_sign"`
		Signature       string            `json:"signature"`
		SignedNames     string            `json:"x_ca_signature_headers"`
	} `json:"vectors"`
	Published []struct {
		Name          string            `json:"name"`
		Method        string            `json:"method"`
		Path          string            `json:"path"`
		Params        [][2]string       `json:"params"`
		Accept        string            `json:"accept"`
		ContentType   string            `json:"content_type"`
		Date          string            `json:"date"`
		SignedHeaders map[string]string `json:"signed_headers"`
		AppSecret     string            `json:"app_secret"`
		StringToSign  string            `json:"string_to_sign"`
		Signature     string            `json:"signature"`
	} `json:"published_vectors"`
}

func readVectors(t testing.TB) vectorFile {
	raw, err := os.ReadFile("../testdata/vectors/apigw.json")
	require.NoError(t, err)
	var f vectorFile
	require.NoError(t, json.Unmarshal(raw, &f))
	require.NotEmpty(t, f.Vectors)
	require.NotEmpty(t, f.Published)
	return f
}

func params(pairs ...[2]string) (list []param) {
	for _, p := range pairs {
		list = append(list, param{name: p[0], value: p[1]})
	}
	return list
}

func headers(signed map[string]string) (list []param) {
	for name, value := range signed {
		list = append(list, param{name: name, value: value})
	}
	return list
}

func (s *canonicalRequest) text() string {
	var b strings.Builder
	s.sort()
	s.writeTo(&b)
	return b.String()
}

func TestSignatureEqualsOfficialClients(t *testing.T) {
	for _, v := range readVectors(t).Vectors {
		t.Run(v.Name, func(t *testing.T) {
			s := canonicalRequest{method: v.Method, accept: v.Accept, contentMD5: v.ContentMD5, contentType: v.ContentType, date: v.Date,
				headers: headers(v.SignedHeaders), path: v.Path, params: slices.Concat(params(v.Form...), params(v.Query...))}
			assert.Equal(t, v.StringToSign, s.text())
			assert.Equal(t, v.Signature, AppKey{Key: v.AppKey, Secret: v.AppSecret, Method: v.SignatureMethod}.sign(&s))
			assert.ElementsMatch(t, strings.Split(v.SignedNames, ","), s.headerNames())

			header := http.Header{}
			s.headers = slices.DeleteFunc(s.headers, func(h param) bool { return h.name == "x-ca-key" || h.name == "x-ca-signature-method" })
			method := v.SignatureMethod
			if _, announced := v.SignedHeaders["x-ca-signature-method"]; !announced {
				method = ""
			}
			AppKey{Key: " " + v.AppKey + "\n", Secret: "\t" + v.AppSecret + " ", Method: method}.authorize(header, &s)
			assert.Equal(t, v.Signature, header.Get("X-Ca-Signature"), "blanks around key and secret do not count")
		})
	}
}

func TestSignatureEqualsPublishedServerVectors(t *testing.T) {
	for _, v := range readVectors(t).Published {
		t.Run(v.Name, func(t *testing.T) {
			s := canonicalRequest{method: v.Method, accept: v.Accept, contentType: v.ContentType, date: v.Date,
				headers: headers(v.SignedHeaders), path: v.Path, params: params(v.Params...)}
			assert.Equal(t, v.StringToSign, s.text())
			assert.Equal(t, v.Signature, AppKey{Secret: v.AppSecret}.sign(&s))
		})
	}
}

func TestPictureIsEncodedAsTheStandardLibraryDoes(t *testing.T) {
	for _, size := range []int{1, 2, 3, rawChunk - 1, rawChunk, rawChunk + 1, 3*rawChunk + 7} {
		raw := make([]byte, size)
		for i := range raw {
			raw[i] = byte(i*131 + i>>8 + i>>13)
		}
		want := base64.StdEncoding.EncodeToString(raw)
		for name, p := range map[string]*picture{"raw": {raw: raw}, "encoded": {encoded: want}} {
			var b strings.Builder
			p.writeTo(&b)
			assert.Equal(t, want, b.String(), "%s %d", name, size)
			for _, buffer := range []int{1, maxEscaped - 1, maxEscaped, 8 << 10} {
				f := form{params: []param{{name: "imgData", picture: p}, {name: "need_more_info", value: "1"}}}
				var sent strings.Builder
				_, err := io.CopyBuffer(struct{ io.Writer }{&sent}, f.reader(), make([]byte, buffer))
				require.NoError(t, err)
				require.Equal(t, "imgData="+url.QueryEscape(want)+"&need_more_info=1", sent.String(), "%s %d, read in pieces of %d", name, size, buffer)
				require.EqualValues(t, sent.Len(), f.length())
			}
		}
	}
}
