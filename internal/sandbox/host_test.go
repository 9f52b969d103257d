package sandbox_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox"
)

// A page that makes its own host name point at loopback has the browser send that name.
func TestNoPortAnswersUnderAnotherHostName(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	for _, url := range []string{cloud.TriggerURL + "/healthz", cloud.TriggerURL + "/sandbox.json", cloud.OSSEndpoint + "/", cloud.OCREndpoint, cloud.ManagementURL + "/", cloud.ManagementURL + "/ledger"} {
		for host, refused := range map[string]bool{"evil.example": true, "evil.example:8901": true, "": false, "localhost": false, "[::1]:1": false, "127.0.0.1.evil.example": true} {
			request, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
			require.NoError(t, err)
			if host != "" {
				request.Host = host
			}
			response, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			response.Body.Close()
			assert.Equal(t, refused, response.StatusCode == http.StatusForbidden && strings.Contains(string(body), "names no loopback address"), "%s %s: %d %s", url, host, response.StatusCode, body)
			if refused {
				assert.NotContains(t, string(body), sandbox.AccessKeySecret)
			}
		}
	}
}
