package console_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/console"
	"fc-idcard-ocr/internal/sandbox"
	sandboxconsole "fc-idcard-ocr/internal/sandbox/console"
)

// ask sends a request and returns the answer with its body.
func ask(t *testing.T, method, url, languages string, body io.Reader) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	request.Header.Set("Accept-Language", languages)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(content)
}

func TestThePageIsInTheLanguageThatIsPreferred(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	for languages, expected := range map[string]string{
		"": "en", "fr": "en", "en-GB": "en", "zh": "zh-CN", "zh-TW,en;q=0.9": "zh-CN", "en;q=0.8,zh-CN;q=0.9": "zh-CN",
		"zh;q=0.5,en": "en", "zh;q=0": "en", "de, zh-CN;q=0.7, en;q=x": "zh-CN",
	} {
		response, body := ask(t, "GET", cloud.ManagementURL+"/", languages, nil)
		assert.Contains(t, body, fmt.Sprintf(`<html lang="%s">`, expected), languages)
		policy := response.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'")
		assert.NotContains(t, policy, "unsafe")
		assert.NotContains(t, policy, "http")
	}
}

func TestMistakesOfThePageAreAnsweredClearly(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	require.NoError(t, cloud.Upload(t.Context(), "page.jpg", []byte("<html><script>alert(1)</script>")))
	id := idOf(t, cloud, "page.jpg")
	for _, test := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", "/api/uploads", "x", 400, "name must be a file name"},
		{"POST", "/api/uploads?name=..%2Fa.jpg", "x", 400, "name must be a file name"},
		{"POST", "/api/uploads?name=a%5Cb.jpg", "x", 400, "name must be a file name"},
		{"POST", "/api/uploads?name=a.jpg.ocr.json", "x", 415, "must end in one of .jpg"},
		{"POST", "/api/uploads?name=a.jpg", "", 400, "the file is empty"},
		{"POST", "/api/uploads?name=a.jpg", strings.Repeat("x", console.MaxPicture+1), 413, "at most 20 MB"},
		{"GET", "/api/image?id=00", "", 404, "no such image"},
		{"GET", "/api/picture?id=00", "", 404, "no such image"},
		{"GET", "/static/index.html", "", 404, "nothing here"},
		{"GET", "/api/picture?id=" + id, "", 415, "cannot be shown here"},
		{"GET", "/api/picture?size=small&id=" + id, "", 415, "cannot make a picture"},
		{"GET", "/nothing", "", 404, "the console is at its first page"},
	} {
		response, body := ask(t, test.method, cloud.ManagementURL+test.path, "", strings.NewReader(test.body))
		assert.Equal(t, test.status, response.StatusCode, test.path)
		assert.Contains(t, body, test.text)
	}
	_, err := sandboxconsole.New(sandboxconsole.Config{})
	assert.ErrorContains(t, err, "incomplete")
}

func TestIDNumbersLeaveTheServerMaskedUnlessAskedFor(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	content, err := os.ReadFile(specimen)
	require.NoError(t, err)
	response, _ := ask(t, "POST", cloud.ManagementURL+"/api/uploads?name=a.jpg", "", bytes.NewReader(content))
	require.Equal(t, http.StatusCreated, response.StatusCode)
	_, document, err := cloud.Await(t.Context(), console.Folder+"a.jpg")
	require.NoError(t, err)
	require.Equal(t, idNumber, document.Card.IDNumber)
	id := idOf(t, cloud, console.Folder+"a.jpg")
	for path, shown := range map[string]bool{"/api/image?id=" + id: false, "/api/image?reveal=1&id=" + id: true, "/api/download?what=document&id=" + id: true, "/api/numbers": false} {
		response, body := ask(t, "GET", cloud.ManagementURL+path, "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode)
		assert.Equal(t, shown, strings.Contains(body, idNumber), path)
		assert.Equal(t, shown, strings.Contains(body, "张三"), path)
	}
	_, body := ask(t, "POST", cloud.ManagementURL+"/api/images", "", strings.NewReader(`{"limit":10,"search":"040307001"}`))
	assert.Contains(t, body, masked)
	assert.NotContains(t, body, "040307")
}

// idOf waits until the console knows the image, and returns its ID.
func idOf(t *testing.T, cloud *sandbox.Cloud, key string) (id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, body := ask(t, "POST", cloud.ManagementURL+"/api/images", "", strings.NewReader(`{"limit":200}`))
		var page console.Page
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		for _, row := range page.Rows {
			if row.Key == key {
				id = row.ID
			}
		}
		return id != ""
	}, 20*time.Second, 20*time.Millisecond)
	return id
}

func TestTheStepsAreToldAsTheyHappen(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", cloud.ManagementURL+"/api/events", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewScanner(response.Body)
	require.True(t, lines.Scan())
	require.Equal(t, ": connected", lines.Text())

	content, err := os.ReadFile(specimen)
	require.NoError(t, err)
	require.NoError(t, cloud.Upload(ctx, "a.jpg", content))
	seen := map[string]bool{}
	image := ""
	for !seen["release"] && lines.Scan() {
		data, isData := strings.CutPrefix(lines.Text(), "data: ")
		if !isData {
			continue
		}
		if data == "{}" {
			continue // the table has changed
		}
		var step console.Step
		require.NoError(t, json.Unmarshal([]byte(data), &step))
		image = cmp.Or(image, step.Image)
		assert.Equal(t, image, step.Image)
		if step.Service == "gateway" {
			assert.Equal(t, "recognized", step.Outcome)
			assert.True(t, step.Charged)
		}
		seen[step.Step] = true
	}
	assert.Equal(t, map[string]bool{"upload": true, "claim": true, "look": true, "recognize": true, "write": true, "release": true}, seen)
}
