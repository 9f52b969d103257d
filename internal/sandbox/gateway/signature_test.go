package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type vector struct {
	Name          string            `json:"name"`
	Method        string            `json:"method"`
	BodyBase64    *string           `json:"body_base64"`
	Accept        string            `json:"accept"`
	ContentMD5    string            `json:"content_md5"`
	ContentType   string            `json:"content_type"`
	Date          string            `json:"date"`
	AppSecret     string            `json:"app_secret"`
	SignedHeaders map[string]string `json:"signed_headers"`
	SignedNames   string            `json:"x_ca_signature_headers"`
	StringToSign  string            `json:"string_to_sign"`
	Signature     string            `json:"signature"`
	URI           string            `json:"wire_uri_go"`
	Body          string            `json:"wire_body_go"`
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	file, err := os.ReadFile("../../../testdata/vectors/apigw.json")
	require.NoError(t, err)
	var content struct {
		Vectors []vector `json:"vectors"`
	}
	require.NoError(t, json.Unmarshal(file, &content))
	require.NotEmpty(t, content.Vectors)
	return content.Vectors
}

// The vectors were produced by the official clients; what the gateway reads back off the wire must verify, and nothing
// else may.
func TestEveryOfficialVectorVerifiesOverTheWire(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				form, refusal := readForm(w, r)
				assert.Nil(t, refusal)
				toSign, ok := verifySignature(r, form, v.AppSecret)
				assert.Equal(t, v.StringToSign, toSign)
				assert.True(t, ok, "the right secret verifies")
				_, ok = verifySignature(r, form, v.AppSecret+"x")
				assert.False(t, ok, "another secret does not")
				form.Set("extra", "1")
				_, ok = verifySignature(r, form, v.AppSecret)
				assert.False(t, ok, "another parameter does not")
			}))
			defer server.Close()

			body := []byte(v.Body)
			if v.BodyBase64 != nil {
				var err error
				body, err = base64.StdEncoding.DecodeString(*v.BodyBase64)
				require.NoError(t, err)
			}
			request, err := http.NewRequest(v.Method, server.URL+v.URI, bytes.NewReader(body))
			require.NoError(t, err)
			for name, value := range map[string]string{
				"Accept": v.Accept, "Content-MD5": v.ContentMD5, "Content-Type": v.ContentType, "Date": v.Date,
				"X-Ca-Signature": v.Signature, "X-Ca-Signature-Headers": v.SignedNames,
			} {
				if value != "" {
					request.Header.Set(name, value)
				}
			}
			for name, value := range v.SignedHeaders {
				request.Header.Set(name, value)
			}
			response, err := server.Client().Do(request)
			require.NoError(t, err)
			response.Body.Close()
		})
	}
}

func TestTheErrorHeaderShowsTheStringToSignOnOneLineAndIsCut(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "Invalid Signature, Server StringToSign:`POST##a`", invalidSignature("POST\n\na").Message)
	long := invalidSignature(strings.Repeat("x", 1<<20)).Message
	assert.Len(t, long, maxErrorMessage)
}
