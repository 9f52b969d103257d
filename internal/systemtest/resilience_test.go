package systemtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/ossfake"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// failure returns what the function told the platform.
func failure(t testing.TB, err error) *fcfake.FunctionError {
	t.Helper()
	var failed *fcfake.FunctionError
	require.ErrorAs(t, err, &failed)
	return failed
}

// documentOf returns the document beside any image, nil if there is none.
func (c *cloud) documentOf(key string) *result.Document {
	body, _, err := c.bucket.Read(c.t.Context(), key+".ocr.json", bucket.ReadOptions{Limit: 8 << 20})
	if errors.Is(err, bucket.ErrNotFound) {
		return nil
	}
	require.NoError(c.t, err)
	var d result.Document
	require.NoError(c.t, json.Unmarshal(body, &d))
	return &d
}

// eventOf is one event with a record of each key.
func eventOf(keys []string) []byte {
	list := make([]string, len(keys))
	for i, key := range keys {
		event := string(ossfake.Event{Name: "ObjectCreated:PutObject", Bucket: bucketName, Key: key, Time: time.Now(), Region: "cn-hangzhou"}.JSON())
		list[i] = strings.TrimSuffix(strings.TrimPrefix(event, `{"events":[`), "]}")
	}
	return []byte(`{"events":[` + strings.Join(list, ",") + `]}`)
}

// The time of one invocation is not enough for ten thousand records: it ends by itself, before it is killed, and tells how
// much is open. Most of the images are gone, as reaching for them takes its time too.
func TestEventOfTenThousandRecordsEndsBeforeItsDeadline(t *testing.T) {
	const records, there = 10_000, 300
	c := start(t, "LOG_LEVEL=error")
	folder := filepath.Join(c.dir, bucketName, "bulk")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	keys := make([]string, records)
	for i := range keys {
		keys[i] = fmt.Sprintf("bulk/%05d.jpg", i)
		if i < there {
			require.NoError(t, os.WriteFile(filepath.Join(folder, filepath.Base(keys[i])), fmt.Append(nil, "picture ", i), 0o644))
		}
	}
	require.NoError(t, c.runtime.Warm(t.Context()))
	c.gateway.SetIntercept(func(gateway.Call) gateway.Fault { return gateway.Fault{Latency: 300 * time.Millisecond} })
	deadline := time.Now().Add(7 * time.Second)
	_, err := c.invoke(eventOf(keys), fcfake.Options{RequestID: "r1", Deadline: deadline})
	failed := failure(t, err)
	assert.Equal(t, "Timeout", failed.ErrorType, "its own word, not the platform's: %s", failed.Message)
	assert.True(t, time.Now().Before(deadline))
	assert.Less(t, len(failed.Payload), 2048)
	assert.Regexp(t, `^\d+ of 10000 images can succeed later; first cards/bulk/\d{5}\.jpg: .+`, failed.Message)
	if peak := c.peakMemory(); peak > 0 {
		t.Logf("peak memory of the function: %d MB", peak>>20)
		assert.Less(t, peak, int64(256<<20))
	}
	settled := 0
	for _, key := range keys[:there] {
		if d := c.documentOf(key); d != nil && d.Status == result.Recognized {
			settled++
		}
	}
	assert.Equal(t, settled, c.gateway.Ledger.Accepted(), "each paid answer is written")
	assert.Positive(t, settled)
	assert.Less(t, settled, there)
	c.gateway.SetIntercept(nil)
	_, err = c.invoke(eventOf(keys[:there]), fcfake.Options{RequestID: "r1", RetryCount: 1})
	require.NoError(t, err)
	assert.Equal(t, there, c.gateway.Ledger.Accepted(), "one call each over both deliveries")

}

// peakMemory is the most that a process of the cloud's function ever had in memory, in bytes; 0 where /proc does not tell.
func (c *cloud) peakMemory() (peak int64) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		if target, err := os.Readlink(filepath.Join(process, "exe")); err != nil || target != binary {
			continue
		}
		environ, err := os.ReadFile(filepath.Join(process, "environ"))
		if err != nil || !bytes.Contains(environ, []byte("OSS_ENDPOINT="+c.oss.URL+"\x00")) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(process, "status"))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		line, _, _ := strings.Cut(rest, "\n")
		kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
		require.NoError(c.t, err)
		peak = max(peak, kilobytes<<10)
	}
	return peak
}

// OSS and gateway refuse time stamps that are 15 minutes off. Nothing can be written then, so the platform hears it.
func TestClockThatIsTwentyMinutesOff(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"behind": 20 * time.Minute, "ahead": -20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var skew atomic.Int64
			c := startAt(t, func() time.Time { return time.Now().Add(time.Duration(skew.Load())) })
			event := c.upload("a picture")
			skew.Store(int64(off))
			answer, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
			failed := failure(t, err)
			assert.Equal(t, "ClockSkew", failed.ErrorType)
			assert.Regexp(t, "clock is off: by (19m5|20m)", failed.Message)
			assert.Empty(t, c.gateway.Ledger.Calls(), "nothing is paid")
			assert.Len(t, c.sent(), 2, "claim and document; the same clock is not asked again")
			c.noCanary(answer, err)

			trigger := httptest.NewServer(c.runtime.HTTPTrigger())
			defer trigger.Close()
			response, err := http.Post(trigger.URL+"/recognitions", "image/jpeg", strings.NewReader("a picture"))
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, http.StatusBadGateway, response.StatusCode, "a picture in the body goes straight to the gateway")
			assert.Contains(t, string(body), `"ClockSkew"`)
			assert.Regexp(t, "this clock is (19m5|20m)", string(body))
			assert.Zero(t, c.gateway.Ledger.Accepted())

			skew.Store(0)
			_, err = c.invoke(event, fcfake.Options{RequestID: "r1", RetryCount: 1})
			require.NoError(t, err)
			assert.Equal(t, result.Recognized, c.document().Status)
			assert.Equal(t, 1, c.gateway.Ledger.Charged())
		})
	}
}

// The credentials of an invocation can end in its middle; the next one brings others.
func TestCredentialsThatEndInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source string
		phase  func(c *cloud, end func()) // when they end

		calls, charged int
		document       string // after the first delivery
	}{
		"after the claim": {source: "auto", phase: func(c *cloud, end func()) {
			c.setIntercept(func(request string, next http.HandlerFunc) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					next(w, r)
					if strings.HasPrefix(request, "APPEND") {
						end()
					}
				}
			})
		}},
		"between call and document": {source: "auto", calls: 1, charged: 1, phase: func(c *cloud, end func()) {
			c.gateway.SetIntercept(func(gateway.Call) gateway.Fault {
				return gateway.Fault{Phase: gateway.PhaseAfterCharge, Hook: func(gateway.Call) { end() }, Status: 200,
					Body: []byte(`{"showapi_res_code":0,"showapi_res_id":"x","showapi_res_body":{"ret_code":0,"flag":true,"idNo":"` + card.IDNumber + `","name":"` + card.Name + `"}}`)}
			})
		}},
		"between document and release": {source: "auto", calls: 1, charged: 1, document: "recognized", phase: func(c *cloud, end func()) {
			c.setIntercept(func(request string, next http.HandlerFunc) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					next(w, r)
					if strings.HasPrefix(request, "PUT") {
						end()
					}
				}
			})
		}},
		"before the picture is read": {source: "data", phase: func(c *cloud, end func()) {
			c.setIntercept(func(request string, next http.HandlerFunc) http.HandlerFunc {
				if request == "GET "+key {
					end()
				}
				return next
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, "OCR_IMAGE_SOURCE="+test.source)
			event := c.upload("a picture")
			var once sync.Once
			test.phase(c, func() { once.Do(func() { c.keys.ExpireTokens(time.Now().Add(-time.Second)) }) })
			answer, err := c.invoke(event, fcfake.Options{RequestID: "r1"})
			assert.Len(t, c.gateway.Ledger.Calls(), test.calls)
			if test.document == "" {
				assert.Equal(t, "AccessDenied", failure(t, err).ErrorType)
				assert.Contains(t, err.Error(), "credentials expired")
				assert.Nil(t, c.document())
			} else {
				require.NoError(t, err)
				assert.Equal(t, test.document, string(c.document().Status))
			}
			c.setIntercept(nil)
			c.gateway.SetIntercept(nil)
			c.mu.Lock()
			c.role.SecurityToken += "-next"
			c.keys.Add(c.role)
			c.mu.Unlock()
			_, err = c.invoke(event, fcfake.Options{RequestID: "r1", RetryCount: 1})
			require.NoError(t, err)
			d := c.document()
			require.NotNil(t, d)
			assert.Equal(t, result.Recognized, d.Status)
			assert.Zero(t, d.OCR.PossibleExtraCharges)
			assert.Equal(t, 1, c.gateway.Ledger.Charged(), "paid once")
			assert.Len(t, c.gateway.Ledger.Calls(), 1)
			c.noCanary(answer, err)
		})
	}
}

// An endpoint may be an IPv6 address, with its brackets.
func TestEndpointsWithIPv6Addresses(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on this machine")
	}
	c := start(t)
	storage := httptest.NewUnstartedServer(c.oss.Config.Handler)
	storage.Listener.Close()
	storage.Listener = listener
	storage.Start()
	defer storage.Close()
	api := httptest.NewUnstartedServer(c.gateway)
	api.Listener.Close()
	api.Listener, err = net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	api.Start()
	defer api.Close()
	for _, source := range []string{"url", "data"} {
		c.env = append(c.env, "OSS_ENDPOINT="+storage.URL, "OSS_PUBLIC_ENDPOINT="+storage.URL, "OCR_ENDPOINT="+api.URL+"/ocrIdCard", "OCR_IMAGE_SOURCE="+source)
		name := "a b+" + source + ".jpg"
		_, err := c.process().Invoke(t.Context(), c.uploadAs(name, "picture "+source), fcfake.Options{})
		require.NoError(t, err)
		assert.Equal(t, result.Recognized, c.documentOf(name).Status)
	}
	assert.Equal(t, 2, c.gateway.Ledger.Charged())
}

// Function Compute reaches the custom runtime over IPv4 today; the server does not care.
func TestCustomRuntimeListensOnIPv4AndIPv6(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on this machine")
	}
	_, port, err := net.SplitHostPort(free.Addr().String())
	require.NoError(t, err)
	require.NoError(t, free.Close())
	c := start(t)
	process := exec.Command(binary)
	process.Env = append([]string{"FC_SERVER_PORT=" + port, "FC_REGION=cn-hangzhou"}, c.env...)
	process.Stdout, process.Stderr = c.logs, c.logs
	require.NoError(t, process.Start())
	defer func() { process.Process.Kill(); process.Wait() }()
	for i, host := range []string{"127.0.0.1", "::1"} {
		address := net.JoinHostPort(host, port)
		require.Eventually(t, func() bool { return reachable(address) }, 10*time.Second, 10*time.Millisecond, address)
		response, body, err := post(t, address, c.uploadAs(bulkKey(i), fmt.Sprint("picture ", i)))
		require.NoError(t, err)
		assert.Equal(t, 200, response.StatusCode, "%s", body)
	}
	assert.Equal(t, 2, c.gateway.Ledger.Charged())
}

// OSS is on the function's own network: its calls carry a security token and go past any proxy. The OCR call is to the
// Internet and takes the proxy of the environment. Go itself never uses one for loopback, so both addresses are others.
func TestProxyOfTheEnvironmentIsForTheOCRCallOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		extra  []string
		asked  string // the only kind of question to the proxy
		code   string
		stored bool
	}{
		"OSS":                  {[]string{"OSS_ENDPOINT=https://0.0.0.0:1"}, "", "Unavailable", false},
		"OCR":                  {[]string{"OCR_ENDPOINT=https://ocr.invalid/ocrIdCard"}, "CONNECT ocr.invalid:443", "Unavailable", true},
		"OCR, left out":        {[]string{"OCR_ENDPOINT=https://0.0.0.0:1/ocrIdCard", "NO_PROXY=0.0.0.0", "no_proxy=0.0.0.0"}, "", "Unavailable", true},
		"proxy is no address":  {[]string{"OCR_ENDPOINT=https://ocr.invalid/ocrIdCard", "HTTPS_PROXY=http://user:canaryProxyPassword@x y", "https_proxy="}, "", "Unavailable", true},
		"proxy does not exist": {[]string{"OCR_ENDPOINT=https://ocr.invalid/ocrIdCard", "HTTPS_PROXY=http://user:canaryProxyPassword@127.0.0.1:1", "https_proxy="}, "", "Unavailable", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var asked []string
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.Method+" "+r.Host)
				http.Error(w, canaries["AppSecret"], http.StatusBadGateway)
			}))
			defer proxy.Close()
			address := strings.Replace(proxy.URL, "http://", "http://user:canaryProxyPassword@", 1)
			settings := []string{"HTTPS_PROXY=" + address, "HTTP_PROXY=" + address, "https_proxy=" + address, "http_proxy=" + address, "ALL_PROXY=" + address}
			c := start(t, append(settings[:len(settings):len(settings)], test.extra...)...)
			answer, err := c.invoke(c.upload("a picture"), fcfake.Options{})
			assert.Equal(t, test.code, failure(t, err).ErrorType)
			mu.Lock()
			if test.asked == "" {
				assert.Empty(t, asked)
			} else {
				assert.NotEmpty(t, asked)
			}
			for _, question := range asked {
				assert.Equal(t, test.asked, question)
			}
			mu.Unlock()
			assert.Equal(t, test.stored, c.document() != nil)
			assert.Empty(t, c.gateway.Ledger.Calls())
			c.noCanary(answer, err)
		})
	}
}

// wrap writes a script that starts the function, in which "$FUNCTION" is the binary. It returns nothing if there is no such shell.
func wrap(t *testing.T, shell, script string) string {
	path, err := exec.LookPath(shell)
	if err != nil {
		return ""
	}
	file := filepath.Join(t.TempDir(), "function")
	require.NoError(t, os.WriteFile(file, []byte("#!"+path+"\n"+strings.ReplaceAll(script, "$FUNCTION", binary)+"\n"), 0o755))
	return file
}

// The function writes no file, and what it prints is never worth an image.
func TestNoDiskAndNoReaderOfTheLogAreNeeded(t *testing.T) {
	for name, test := range map[string]struct{ shell, script string }{
		"no file can be written": {"sh", "ulimit -f 0; export HOME=/nonexistent TMPDIR=/nonexistent; cd /; exec $FUNCTION"},
		"the disk is full":       {"sh", "ulimit -f 0; export HOME=/nonexistent TMPDIR=/nonexistent; cd /; exec $FUNCTION >/dev/full 2>&1"},
		"nobody reads the log":   {"bash", "exec $FUNCTION > >(exec true) 2>&1"},
		"the log is closed":      {"sh", "exec $FUNCTION >&- 2>&-"},
	} {
		// Before anything runs in parallel: a file that a fork of another test still has open for writing cannot be executed.
		script := wrap(t, test.shell, test.script)
		for _, mode := range []fcfake.Mode{fcfake.ModeGo1, fcfake.ModeCustom} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				t.Parallel()
				if script == "" {
					t.Skip("no ", test.shell, " on this machine")
				}
				c := start(t, "LOG_LEVEL=debug", "OCR_ON_LOST_ANSWER=park")
				c.mode, c.command = mode, script
				c.runtime = c.process()
				for i := range 3 {
					// A throttled call makes it log in the middle of the image, between claim and payment.
					c.gateway.SetIntercept(gateway.Script(gateway.Refuse(gateway.ThrottledByAPP)))
					name := bulkKey(i)
					_, err := c.invoke(c.uploadAs(name, fmt.Sprint("picture ", i)), fcfake.Options{})
					require.NoError(t, err)
					require.NotNil(t, c.documentOf(name))
					assert.Equal(t, result.Recognized, c.documentOf(name).Status)
				}
				_, err := c.invoke([]byte("no event"), fcfake.Options{})
				assert.Equal(t, "BadRequest", failure(t, err).ErrorType)
				_, err = c.invoke(c.uploadAs(bulkKey(9), "picture 9"), fcfake.Options{})
				require.NoError(t, err)
				assert.Equal(t, 4, c.gateway.Ledger.Charged())
			})
		}
	}
}

// MAX_IMAGE_BYTES is the last size that is taken, as an object and in the body of a request.
func TestLargestPicture(t *testing.T) {
	const most = 20 << 20
	picture, err := os.ReadFile("../../testdata/cards/photo-03.jpg")
	require.NoError(t, err)
	padded := func(size int) string {
		return string(append(picture[:len(picture):len(picture)], make([]byte, size-len(picture))...))
	}
	for name, test := range map[string]struct {
		content  string
		status   string
		code     string
		accepted int
	}{
		"20 MiB":            {padded(most), "recognized", "", 1},
		"20 MiB and a byte": {padded(most + 1), "failed", "ImageTooLarge", 0},
		"nothing":           {"", "failed", "ImageUnsupported", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, "OCR_TIMEOUT=20s")
			answer, err := c.invoke(c.upload(test.content), fcfake.Options{})
			require.NoError(t, err)
			d := c.document()
			require.NotNil(t, d)
			assert.Equal(t, test.status, string(d.Status))
			if test.code != "" {
				assert.Equal(t, test.code, string(d.Error.Code))
				assert.False(t, d.Error.Retryable)
			}
			assert.Equal(t, test.accepted, c.gateway.Ledger.Accepted())
			c.noCanary(answer, err)
		})
	}
}

// Bodies to the custom runtime, however large or slow, take bounded memory and time.
func TestHugeAndSlowBodiesAreBounded(t *testing.T) {
	const most = 20 << 20
	c := start(t, "OCR_TIMEOUT=20s")
	address, process := c.listening()
	for name, test := range map[string]struct {
		path, contentType string
		size              int64
		chunked           bool
		status            int
	}{
		"picture of 20 MiB":            {"/recognitions", "image/jpeg", most, false, 422},
		"picture of 20 MiB, chunked":   {"/recognitions", "image/jpeg", most, true, 422},
		"picture of 20 MiB + 1":        {"/recognitions", "image/jpeg", most + 1, false, 413},
		"picture of 20 MiB + 1, chunk": {"/recognitions", "image/jpeg", most + 1, true, 413},
		"picture of 40 MiB":            {"/recognitions", "image/jpeg", 40 << 20, false, 413},
		"picture of 40 MiB, chunked":   {"/recognitions", "image/jpeg", 40 << 20, true, 413},
		"JSON of 40 MiB":               {"/recognitions", "application/json", 40 << 20, true, 413},
		"event of 40 MiB":              {"/invoke", "application/octet-stream", 40 << 20, true, 404},
		"body to nowhere":              {"/nowhere", "application/octet-stream", 40 << 20, true, 404},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequest("POST", "http://"+address+test.path, io.LimitReader(zeros{}, test.size))
			require.NoError(t, err)
			if !test.chunked {
				request.ContentLength = test.size
			}
			request.Header.Set("Content-Type", test.contentType)
			// A server may answer and close before it has read everything; then the sender sees the answer or the broken connection.
			response, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
			if err != nil {
				assert.Greater(t, test.size, int64(32<<20), "%v", err)
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, test.status, response.StatusCode, "%.200s", body)
			assert.Less(t, len(body), 4096)
		})
	}
	assert.Len(t, c.gateway.Ledger.Calls(), 2, "the two that are not too large; the provider refuses over 10 MiB")
	if peak := c.peakMemory(); peak > 0 {
		t.Logf("peak memory of the function: %d MB", peak>>20)
		assert.Less(t, peak, int64(384<<20), "an instance has 512 MB")
	}
	assert.Nil(t, process.ProcessState, "it lives")
	for name, canary := range canaries {
		assert.NotContains(t, c.logs.String(), canary, name)
	}
}

// An instance that outgrows its memory is killed, and the answers of the calls under way, which are paid, go with it.
func TestPicturesAtOnceStayWithinTheInstancesMemory(t *testing.T) {
	const instance, size, atOnce = 128 << 20, 8 << 20, 24
	var paid atomic.Int32
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		paid.Add(1)
		time.Sleep(200 * time.Millisecond) // so that pictures are in memory side by side
		fmt.Fprintf(w, `{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"flag":true,"idNo":%q,"name":%q}}`, card.IDNumber, card.Name)
	}))
	defer provider.Close()
	c := start(t, "OCR_TIMEOUT=20s", "OCR_ENDPOINT="+provider.URL, fmt.Sprint("MAX_IMAGE_BYTES=", size), fmt.Sprint("FC_FUNCTION_MEMORY_SIZE=", instance>>20))
	address, process := c.listening()
	for name, chunked := range map[string]bool{"length told": false, "in chunks": true} {
		t.Run(name, func(t *testing.T) {
			paid.Store(0)
			var statuses [600]atomic.Int32
			var group sync.WaitGroup
			for range atOnce {
				group.Go(func() {
					request, err := http.NewRequest("POST", "http://"+address+"/recognitions", io.LimitReader(zeros{}, size))
					if !assert.NoError(t, err) {
						return
					}
					if !chunked {
						request.ContentLength = size
					}
					request.Header.Set("Content-Type", "image/jpeg")
					response, err := http.DefaultClient.Do(request)
					if !assert.NoError(t, err) {
						return
					}
					response.Body.Close()
					statuses[response.StatusCode].Add(1)
				})
			}
			group.Wait()
			assert.Equal(t, paid.Load(), statuses[http.StatusOK].Load())
			assert.EqualValues(t, atOnce, statuses[http.StatusOK].Load()+statuses[http.StatusTooManyRequests].Load())
			assert.Positive(t, statuses[http.StatusOK].Load())
		})
	}
	peak := c.peakMemory()
	t.Logf("peak memory of the function: %d MB", peak>>20)
	assert.Less(t, peak, int64(instance))
	assert.Nil(t, process.ProcessState, "it lives")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Answers of the OCR API that nobody would expect. Each ends with a document; what may be paid is never called again.
func TestStrangeAnswersOfTheOCRAPI(t *testing.T) {
	answer := func(extra string) string {
		return `{"showapi_res_code":0,"showapi_res_id":"x","showapi_fee_num":1,"showapi_res_body":{"ret_code":0,"flag":true,"idNo":"` + card.IDNumber + `","name":"` + card.Name + `"` + extra + `}}`
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				io.WriteString(conn, text)
				conn.Close()
			}
		}
	}
	for name, test := range map[string]struct {
		serve  http.HandlerFunc
		status result.Status
		code   result.Code
		extra  int
		calls  int32
		again  bool // the outcome of the last call is unknown
	}{
		"10 MB": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, answer(`,"x":"`+strings.Repeat("x", 10<<20)+`"`))
		}, result.Failed, result.BadAnswer, 1, 1, false},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for io.WriteString(w, answer("")); r.Context().Err() == nil; {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
					return
				}
			}
		}, result.Failed, result.BadAnswer, 1, 1, false},
		"more than its length says": {raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + answer("")), result.Failed, result.BadAnswer, 1, 1, false},
		"less than its length says": {raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer(""))+9, answer(""))), result.Failed, result.Unavailable, 2, 3, true},
		"deep": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, answer(`,"x":`+strings.Repeat("[", 9_900)+strings.Repeat("]", 9_900)))
		}, result.Recognized, "", 0, 1, false},
		"too deep": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, answer(`,"x":`+strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001)))
		}, result.Failed, result.BadAnswer, 1, 1, false},
		"duplicate keys": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, answer(`,"name":"`+card.Name+`2","idNo":"`+card.IDNumber+`"`))
		}, result.Recognized, "", 0, 1, false},
		"huge numbers": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, answer(`,"showapi_fee_num":1e999,"x":-`+strings.Repeat("9", 1000)))
		}, result.Recognized, "", 0, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				io.Copy(io.Discard, r.Body)
				test.serve(w, r)
			}))
			defer api.Close()
			c := start(t, "OCR_TIMEOUT=5s", "OCR_ENDPOINT="+api.URL+"/ocrIdCard")
			event := c.upload("a picture")
			answer, err := c.invoke(event, fcfake.Options{})
			assert.Equal(t, test.again, err != nil)
			d := c.document()
			require.NotNil(t, d)
			assert.Equal(t, test.status, d.Status)
			if test.code != "" {
				assert.Equal(t, test.code, d.Error.Code)
				assert.Equal(t, test.again, d.Error.Retryable)
			}
			assert.Equal(t, test.extra, d.OCR.PossibleExtraCharges)
			assert.Equal(t, test.calls, calls.Load())
			stored, err := c.bucket.Head(t.Context(), key+".ocr.json")
			require.NoError(t, err)
			assert.Less(t, stored.Size, int64(1<<20))
			if test.again {
				_, err := c.invoke(event, fcfake.Options{})
				require.NoError(t, err)
				assert.Equal(t, result.AnswerLost, c.document().Error.Code, "asked once more, in vain")
				test.calls++
			}
			again, err := c.invoke(event, fcfake.Options{})
			require.NoError(t, err)
			assert.Contains(t, string(again.Payload), "unchanged")
			assert.Equal(t, test.calls, calls.Load(), "settled")
			c.noCanary(answer, nil)
		})
	}
}
