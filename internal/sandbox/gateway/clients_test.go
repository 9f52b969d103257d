package gateway_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"

	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nodeCall is one call of the client for Node.js, nodeOutcome how it ended.
type nodeCall struct {
	Query map[string]string `json:"query,omitempty"`
	Form  map[string]string `json:"form"`
}

type nodeOutcome struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
	Body    struct {
		Result struct {
			IDNumber string `json:"idNo"`
		} `json:"showapi_res_body"`
	} `json:"body"`
}

// runNodeClient makes calls with the gateway's official client for Node.js.
func runNodeClient(t *testing.T, url, secret string, calls []nodeCall) (outcomes []nodeOutcome) {
	t.Helper()
	sandboxtest.RunNode(t, "aliyun-api-gateway", "gateway.mjs", map[string]any{"url": url, "appKey": appKey, "appSecret": secret, "calls": calls}, &outcomes)
	require.Len(t, outcomes, len(calls))
	return outcomes
}

func TestTheOfficialClientForNodeSignsAsTheGatewayDoes(t *testing.T) {
	t.Parallel()
	pictures := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("a card")) //nolint:errcheck // a test
	}))
	defer pictures.Close()
	f := start(t, func(c *gateway.Config) { c.Now = nil })
	picture := base64.StdEncoding.EncodeToString([]byte{0xfb, 0xff, 0xfe, 0x3e, 0x3f, 0xbf, 0xff})
	require.Contains(t, picture, "+")
	require.Contains(t, picture, "/")
	require.Contains(t, picture, "=")
	url := pictures.URL + "/2026/%E8%BA%AB%E4%BB%BD.jpg?x-oss-process=image%2Fresize%2Cl_2000&x-oss-signature=a%2Bb&empty="
	calls := []nodeCall{
		{Form: map[string]string{"imgUrl": url, "need_more_info": "1"}},
		{Form: map[string]string{"imgData": picture}},
		{Form: map[string]string{"imgData": picture, "note": "中文 值+/=&?%", "空": ""}},
		{Form: map[string]string{"imgData": picture, "note": ""}},
		{Form: map[string]string{"imgData": picture, "both": "form"}, Query: map[string]string{"both": "query", "only": "查询 a+b"}},
	}
	for n, outcome := range runNodeClient(t, f.url+gateway.Path, appSecret, calls) {
		assert.Equal(t, http.StatusOK, outcome.Status, "call %d: %s", n+1, outcome.Message)
		assert.Equal(t, card.IDNumber, outcome.Body.Result.IDNumber, "call %d", n+1)
	}
	for _, outcome := range runNodeClient(t, f.url+gateway.Path, appSecret+"x", calls[:1]) {
		assert.Equal(t, http.StatusBadRequest, outcome.Status)
		assert.Contains(t, outcome.Message, "Invalid Signature, Server StringToSign:`POST#")
	}
}
