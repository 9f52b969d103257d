package systemtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const (
	bulkImages  = 200
	bulkAtOnce  = 50
	bulkLatency = 500 * time.Millisecond
	bulkIdeal   = bulkImages / bulkAtOnce * bulkLatency
)

// Every image is paid once and has its document. How fast that is, bench measures; here it is only bounded against working
// on one image after the other.
func TestOneProcessHoldsFiftyCallsAtOnce(t *testing.T) {
	c := start(t, "OCR_TIMEOUT=20s", "LOG_LEVEL=info")
	c.mode = fcfake.ModeCustom
	process := c.process()
	c.gateway.SetIntercept(func(gateway.Call) gateway.Fault { return gateway.Fault{Latency: bulkLatency} })
	_, err := process.Invoke(t.Context(), []byte(`{"events":[]}`), fcfake.Options{}) // starts the instance
	require.NoError(t, err)
	images := make(chan []byte, bulkImages)
	for i := range bulkImages {
		images <- c.uploadAs(bulkKey(i), fmt.Sprint("picture ", i))
	}
	close(images)

	var group errgroup.Group
	began := time.Now()
	for range bulkAtOnce {
		group.Go(func() error {
			for event := range images {
				if _, err := process.Invoke(t.Context(), event, fcfake.Options{}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	took := time.Since(began)

	assert.Equal(t, bulkImages, c.gateway.Ledger.Charged(), "paid calls")
	assert.Len(t, c.gateway.Ledger.Calls(), bulkImages, "calls")
	nonces, recognised := map[string]bool{}, 0
	for _, call := range c.gateway.Ledger.Calls() {
		nonces[call.Nonce] = true
	}
	assert.Len(t, nonces, bulkImages)
	for i := range bulkImages {
		body, _, err := c.bucket.Read(t.Context(), bulkKey(i)+".ocr.json", bucket.ReadOptions{Limit: 1 << 20})
		require.NoError(t, err)
		if bytes.Contains(body, []byte(`"status": "recognized"`)) {
			recognised++
		}
		_, err = c.bucket.Head(t.Context(), bulkKey(i)+".ocr.claim")
		assert.Error(t, err, "a claim is left")
	}
	assert.Equal(t, bulkImages, recognised, "documents")
	assert.Less(t, took, 10*bulkIdeal)
}

func bulkKey(i int) string { return fmt.Sprintf("bulk/%03d.jpg", i) }

// listening runs the binary by itself, as a custom runtime.
func (c *cloud) listening() (address string, process *exec.Cmd) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	address = listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(c.t, err)
	require.NoError(c.t, listener.Close())
	process = exec.Command(binary)
	process.Env = append([]string{"FC_SERVER_PORT=" + port, "FC_SERVER_HOST=127.0.0.1", "FC_REGION=cn-hangzhou"}, c.env...)
	process.Stdout, process.Stderr = c.logs, c.logs
	require.NoError(c.t, process.Start())
	c.t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
	})
	require.Eventually(c.t, func() bool { return reachable(address) }, 10*time.Second, 10*time.Millisecond, "the process does not listen")
	return address, process
}

func reachable(address string) bool {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	connection.Close()
	return true
}

// post sends an event as FC does.
func post(t testing.TB, address string, event []byte) (*http.Response, []byte, error) {
	request, err := http.NewRequest("POST", "http://"+address+"/invoke", bytes.NewReader(event))
	require.NoError(t, err)
	for name, value := range map[string]string{
		"x-fc-request-id": "request-1", "x-fc-control-path": "/invoke", "x-fc-region": "cn-hangzhou", "x-fc-retry-count": "0",
		"x-fc-function-deadline": strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10),
		"x-fc-access-key-id":     "STS.NUcanaryKeyID", "x-fc-access-key-secret": canaries["STS secret"], "x-fc-security-token": canaries["STS token"],
	} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// SIGTERM ends the process after its running images: they are paid, and their documents are written.
func TestTerminatedProcessFinishesItsImages(t *testing.T) {
	t.Parallel()
	c := start(t, "OCR_TIMEOUT=20s")
	const images = 3
	var running sync.WaitGroup
	running.Add(images)
	release := make(chan struct{})
	c.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
		running.Done()
		<-release
		return gateway.Fault{}
	})
	address, process := c.listening()
	var group errgroup.Group
	for i := range images {
		event := c.uploadAs(bulkKey(i), fmt.Sprint("picture ", i))
		group.Go(func() error {
			response, body, err := post(t, address, event)
			if err == nil && (response.StatusCode != 200 || !bytes.Contains(body, []byte(`"recognized"`))) {
				err = fmt.Errorf("%d %s", response.StatusCode, body)
			}
			return err
		})
	}
	running.Wait()
	require.NoError(t, process.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { return !reachable(address) }, 10*time.Second, 10*time.Millisecond, "no new work is taken")
	close(release)
	require.NoError(t, group.Wait())
	require.NoError(t, process.Wait(), "the process ends well")
	assert.Equal(t, images, c.gateway.Ledger.Charged())
	for i := range images {
		_, err := c.bucket.Head(t.Context(), bulkKey(i)+".ocr.json")
		assert.NoError(t, err)
		_, err = c.bucket.Head(t.Context(), bulkKey(i)+".ocr.claim")
		assert.Error(t, err, "a claim is left")
	}
	for name, canary := range canaries {
		assert.NotContains(t, c.logs.String(), canary, name)
	}
}

// One connection carries any number of invocations, and a failed one does not end it.
func TestConnectionIsKeptBetweenInvocations(t *testing.T) {
	t.Parallel()
	c := start(t)
	address, _ := c.listening()
	var dials atomic.Int32
	client := &http.Client{Transport: &http.Transport{Dial: func(network, address string) (net.Conn, error) {
		dials.Add(1)
		return net.Dial(network, address)
	}}}
	for range 5 {
		for _, body := range []string{`{"events":[]}`, `no event`} {
			response, err := client.Post("http://"+address+"/invoke", "application/octet-stream", strings.NewReader(body))
			require.NoError(t, err)
			answer, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			response.Body.Close()
			failed := body == `no event`
			assert.Equal(t, failed, response.Header.Get("x-fc-status") == "404", "%s", answer)
		}
	}
	assert.EqualValues(t, 1, dials.Load())
}

// The real binary behind the HTTP trigger, in both runtimes.
func TestHTTPTriggerOfBothRuntimes(t *testing.T) {
	t.Parallel()
	for _, mode := range []fcfake.Mode{fcfake.ModeGo1, fcfake.ModeCustom} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			c.mode = mode
			c.runtime = c.process()
			event := c.upload("a picture")
			trigger := httptest.NewServer(c.runtime.HTTPTrigger())
			t.Cleanup(trigger.Close)
			query := "?" + url.Values{"bucket": {bucketName}, "key": {key}}.Encode()
			object := fmt.Sprintf(`{"bucket":%q,"key":%q}`, bucketName, key)
			for _, step := range []struct {
				method, path, contentType, body string
				status, charged                 int
			}{
				{"GET", "/recognitions" + query, "", "", 404, 0},
				{"POST", "/invoke", "application/json", string(event), 404, 0},
				{"POST", "/initialize", "", "", 404, 0},
				{"POST", "/recognitions", "application/json", object, 200, 1},
				{"POST", "/recognitions", "application/json", object, 200, 1},
				{"GET", "/recognitions" + query, "", "", 200, 1},
				{"HEAD", "/recognitions" + query, "", "", 200, 1},
				{"POST", "/recognitions", "image/png", "a picture\x00\xff", 200, 2},
				{"POST", "/recognitions", "image/png", "no card", 422, 2},
				{"POST", "/recognitions", "image/png", "", 400, 2},
				{"POST", "/recognitions", "application/json", `{"bucket":"cards-evil","key":"a.jpg"}`, 403, 2},
				{"POST", "/recognitions", "application/json", `{"bucket":"cards","key":"a.jpg"}`, 404, 2},
				{"POST", "/recognitions", "application/json", `{"bucket":"cards","key":"../cards/2026/a.jpg"}`, 404, 2},
				{"POST", "/recognitions", "text/plain", object, 415, 2},
				{"DELETE", "/recognitions", "", "", 405, 2},
				{"GET", "//recognitions" + query, "", "", 404, 2},
				{"GET", "/healthz", "", "", 200, 2},
				{"GET", "/openapi.yaml", "", "", 200, 2},
			} {
				request, err := http.NewRequest(step.method, trigger.URL+step.path, strings.NewReader(step.body))
				require.NoError(t, err)
				if step.contentType != "" {
					request.Header.Set("Content-Type", step.contentType)
				}
				response, err := trigger.Client().Do(request)
				require.NoError(t, err)
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				response.Body.Close()
				name := step.method + " " + step.path + " " + step.contentType
				assert.Equal(t, step.status, response.StatusCode, "%s: %s", name, body)
				assert.Equal(t, "no-store", response.Header.Get("Cache-Control"), name)
				if step.method != "HEAD" && step.path != "/openapi.yaml" {
					assert.True(t, json.Valid(body), "%s: %s", name, body)
				}
				assert.Equal(t, step.charged, c.gateway.Ledger.Charged(), "%s: paid calls", name)
			}
			for name, canary := range canaries {
				assert.NotContains(t, c.logs.String(), canary, name)
			}
		})
	}
}
