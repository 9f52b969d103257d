package sandbox_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	openapiutil "github.com/alibabacloud-go/openapi-util/service"
	aliyun "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/gobuild"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/ossfake"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"
)

var function string // the function binary of this module

func TestMain(m *testing.M) { sandboxtest.Main(m, gobuild.Function, &function) }

// reader stands for the OCR engine where reading is not the point: every picture shows the same card.
type reader struct{}

func (reader) Read(context.Context, []byte) (ocrengine.Card, error) {
	return ocrengine.Card{Name: "张三", Sex: "男", Ethnicity: "汉", BirthDate: "1904-03-07", Address: "北京市东城区样本胡同12号院3号楼4单元501室", IDNumber: "11010119040307001X"}, nil
}

func start(t *testing.T, change func(*sandbox.Options)) *sandbox.Cloud {
	t.Helper()
	options := sandbox.Options{Dir: t.TempDir(), Function: function, Reader: reader{}, Logs: t.Output(),
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	options.Async.Speedup = 100 // pauses of milliseconds; an event is still good for a quarter of an hour
	if change != nil {
		change(&options)
	}
	cloud, err := sandbox.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cloud.Close()) })
	return cloud
}

func specimen(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../testdata/cards", name))
	require.NoError(t, err)
	return content
}

func TestAPictureBecomesADocument(t *testing.T) {
	t.Parallel()
	for _, mode := range []fcfake.Mode{fcfake.ModeGo1, fcfake.ModeCustom} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var requests []string
			cloud := start(t, func(o *sandbox.Options) {
				o.Mode = mode
				o.WrapOSS = func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						mu.Lock()
						requests = append(requests, r.Method+" "+r.URL.EscapedPath())
						mu.Unlock()
						next.ServeHTTP(w, r)
					})
				}
			})
			key := "2026/样本 a+b%.JPG"
			require.NoError(t, cloud.Upload(t.Context(), key, specimen(t, "scan-01.jpg")))
			raw, document, err := cloud.Await(t.Context(), key)
			require.NoError(t, err)
			assert.True(t, document.Recognized(), string(raw))
			assert.Equal(t, "张三", document.Card.Name)
			assert.Equal(t, "11010119040307001X", document.Card.IDNumber)
			assert.Equal(t, key, document.Image.Key)
			assert.True(t, document.OCR.Charged)
			require.NoError(t, cloud.Runtime.Wait(t.Context()))

			stored, err := os.ReadFile(filepath.Join(cloud.Folder, key+sandbox.ResultSuffix))
			require.NoError(t, err, "results are plain files too")
			assert.Equal(t, raw, stored)
			calls := cloud.Gateway.Ledger.Calls()
			require.Len(t, calls, 1)
			assert.Equal(t, gateway.OutcomeRecognized, calls[0].Outcome)
			assert.Equal(t, "url", calls[0].Source)
			assert.Equal(t, gateway.AuthSignature, calls[0].Auth)
			claim, err := cloud.Object(t.Context(), key+sandbox.ClaimSuffix)
			require.NoError(t, err)
			assert.Nil(t, claim, "the claim is released")
			mu.Lock()
			defer mu.Unlock()
			assert.NotEmpty(t, requests)
		})
	}
}

func TestAFileCopiedIntoTheFolderIsAnUpload(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	require.NoError(t, os.WriteFile(filepath.Join(cloud.Folder, "copied.jpg"), specimen(t, "scan-01.jpg"), 0o600))
	_, document, err := cloud.Await(t.Context(), "copied.jpg")
	require.NoError(t, err)
	assert.True(t, document.Recognized())
}

func TestOnlyImagesCallTheFunction(t *testing.T) {
	t.Parallel()
	delivered := make(chan string, 10)
	cloud := start(t, func(o *sandbox.Options) {
		o.Deliver = func(event ossfake.Event, _ func(ossfake.Event)) { delivered <- event.Key }
	})
	for _, key := range []string{"a.txt", "a.jpg.ocr.json", "a.jpg", "b.PNG", "jpg"} {
		require.NoError(t, cloud.Upload(t.Context(), key, []byte("x")))
	}
	close(delivered)
	var keys []string
	for key := range delivered {
		keys = append(keys, key)
	}
	assert.Equal(t, []string{"a.jpg", "b.PNG"}, keys)
}

// As it is deployed, the function's role may read everything, write documents and claims, and delete claims.
func TestTheFunctionMayDoWhatItsRoleMayAndNoMore(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	cloud.Keys.Add(ossfake.Credentials{AccessKeyID: "STS.role", AccessKeySecret: "secret", SecurityToken: "token"})
	client, err := aliyun.New(cloud.OSSEndpoint, "STS.role", "secret", aliyun.ForcePathStyle(true), aliyun.SecurityToken("token"),
		aliyun.AuthVersion(aliyun.AuthV4), aliyun.Region(sandbox.Region))
	require.NoError(t, err)
	bucket, err := client.Bucket(cloud.Bucket)
	require.NoError(t, err)
	require.NoError(t, cloud.Upload(t.Context(), "2026/a.txt", []byte("x")))
	for what, test := range map[string]struct {
		do      func() error
		allowed bool
	}{
		"reads what it likes": {func() error { _, err := bucket.GetObjectMeta("2026/a.txt"); return err }, true},
		"writes documents":    {func() error { return bucket.PutObject("2026/a.txt.ocr.json", strings.NewReader("{}")) }, true},
		"writes claims": {func() error {
			_, err := bucket.AppendObject("2026/b.jpg.ocr.claim", strings.NewReader("{}"), 0)
			return err
		}, true},
		"deletes claims":           {func() error { return bucket.DeleteObject("2026/c.jpg.ocr.claim") }, true},
		"writes no images":         {func() error { return bucket.PutObject("2026/a.jpg", strings.NewReader("x")) }, false},
		"deletes no images":        {func() error { return bucket.DeleteObject("2026/a.txt") }, false},
		"deletes no documents":     {func() error { return bucket.DeleteObject("2026/a.txt.ocr.json") }, false},
		"does not list the bucket": {func() error { _, err := bucket.ListObjectsV2(); return err }, false},
	} {
		t.Run(what, func(t *testing.T) {
			err := test.do()
			if test.allowed {
				assert.NoError(t, err)
				return
			}
			var answer aliyun.ServiceError
			require.ErrorAs(t, err, &answer)
			assert.Equal(t, "AccessDenied", answer.Code)
		})
	}
}

func TestADuplicatedEventIsPaidOnce(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) {
		o.Deliver = func(event ossfake.Event, invoke func(ossfake.Event)) {
			for range 8 {
				invoke(event)
			}
		}
	})
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", specimen(t, "scan-01.jpg")))
	_, _, err := cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	require.NoError(t, cloud.Runtime.Wait(t.Context()))
	assert.Equal(t, 1, cloud.Gateway.Ledger.Charged())
}

func TestAnEventThatIsGivenUpIsInTheFailureFolder(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) {
		o.Gateway.Intercept = func(gateway.Call) gateway.Fault { return gateway.Refuse(gateway.InternalError) }
		o.Async.MaxRetries = 1
		o.Env = []string{"OCR_MAX_ATTEMPTS=1"}
	})
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", specimen(t, "scan-01.jpg")))
	_, document, err := cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	assert.Equal(t, "failed", document.Status)
	assert.Equal(t, "Unavailable", document.Error.Code)
	assert.Equal(t, 2, len(cloud.Gateway.Ledger.Calls()), "one attempt of each invocation")
	files, err := filepath.Glob(filepath.Join(cloud.FailureDir, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	content, err := os.ReadFile(files[0])
	require.NoError(t, err)
	var destination fcfake.Destination
	require.NoError(t, json.Unmarshal(content, &destination))
	assert.Equal(t, 2, destination.RequestContext.ApproximateInvokeCount)
	assert.Equal(t, fcfake.ErrorUnhandled, destination.RequestContext.Condition)
	assert.Contains(t, destination.ResponsePayload, "Unavailable")

	assert.Equal(t, []fcfake.Destination{destination}, failureQueue(t, cloud))
}

// failureQueue returns the messages of the failure queue, and leaves them in it.
func failureQueue(t *testing.T, cloud *sandbox.Cloud) (destinations []fcfake.Destination) {
	t.Helper()
	info, err := sandboxinfo.Find(filepath.Dir(cloud.FailureDir))
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, info.MNS+"/queues/"+info.FailureQueue+"/messages?peekonly=true&numOfMessages=16", nil)
	require.NoError(t, err)
	request.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	mac := hmac.New(sha1.New, []byte(info.AccessKeySecret))
	io.WriteString(mac, "GET\n\n\n"+request.Header.Get("Date")+"\n"+request.URL.RequestURI()) //nolint:errcheck // a hash takes everything
	request.Header.Set("Authorization", "MNS "+info.AccessKeyID+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound { // MessageNotExist
		return nil
	}
	var messages struct {
		Message []struct{ MessageBody string }
	}
	require.NoError(t, xml.NewDecoder(response.Body).Decode(&messages))
	for _, message := range messages.Message {
		var destination fcfake.Destination
		require.NoError(t, json.Unmarshal([]byte(message.MessageBody), &destination))
		destinations = append(destinations, destination)
	}
	return destinations
}

func TestTheMarketCountsWhatWasCharged(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", specimen(t, "scan-01.jpg")))
	_, _, err := cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	parameters := map[string]*string{}
	for name, value := range map[string]string{
		"Action": "DescribeApiMetering", "Version": "2015-11-01", "Format": "JSON", "AccessKeyId": sandbox.AccessKeyID, "SignatureMethod": "HMAC-SHA1",
		"SignatureVersion": "1.0", "SignatureNonce": rand.Text(), "Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05Z"),
		"pageNum": "1", "productCode": sandbox.ProductCode,
	} {
		parameters[name] = &value
	}
	secret, method := sandbox.AccessKeySecret, http.MethodGet
	parameters["Signature"] = openapiutil.GetRPCSignature(parameters, &method, &secret)
	query := url.Values{}
	for name, value := range parameters {
		query.Set(name, *value)
	}
	response, err := http.Get(cloud.MarketEndpoint + "/?" + query.Encode())
	require.NoError(t, err)
	defer response.Body.Close()
	var out struct {
		Result []struct{ TotalQuota, TotalUsage int }
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&out))
	require.Len(t, out.Result, 1)
	assert.Equal(t, 1, out.Result[0].TotalUsage)
	assert.Equal(t, sandbox.Capacity-1, out.Result[0].TotalQuota)
}

func TestTheHTTPTriggerTakesAPicture(t *testing.T) {
	t.Parallel()
	for _, mode := range []fcfake.Mode{fcfake.ModeGo1, fcfake.ModeCustom} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			cloud := start(t, func(o *sandbox.Options) { o.Mode = mode })
			response, err := http.Post(cloud.TriggerURL+"/recognitions", "image/jpeg", bytes.NewReader(specimen(t, "scan-01.jpg")))
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, 200, response.StatusCode, string(body))
			var document sandbox.Document
			require.NoError(t, json.Unmarshal(body, &document))
			assert.Equal(t, "11010119040307001X", document.Card.IDNumber)
			assert.Equal(t, "data", cloud.Gateway.Ledger.Calls()[0].Source)
		})
	}
}

func TestTheStartSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { busy.Close() })
	_, port, err := net.SplitHostPort(busy.Addr().String())
	require.NoError(t, err)
	taken, err := strconv.Atoi(port)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	with := func(path string) string { // a folder with a file in the way
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), nil, 0o600))
		return dir
	}

	for name, test := range map[string]struct {
		options sandbox.Options
		target  error
		text    string
	}{
		"no folder":               {sandbox.Options{}, nil, "Options.Dir is missing"},
		"a file for a folder":     {sandbox.Options{Dir: file}, nil, "the folder cannot be written, choose another one"},
		"a file for the objects":  {sandbox.Options{Dir: with("oss"), Function: function, Reader: reader{}}, syscall.ENOTDIR, "choose another one"},
		"a file for the bucket":   {sandbox.Options{Dir: with("oss/cards"), Function: function, Reader: reader{}}, nil, "a file of that name has to go"},
		"a file for the failures": {sandbox.Options{Dir: with("failures"), Function: function, Reader: reader{}}, syscall.ENOTDIR, "choose another one"},
		"a busy port":             {sandbox.Options{Dir: t.TempDir(), Port: taken}, sandbox.ErrPortBusy, "127.0.0.1:" + port},
		"no engine":               {sandbox.Options{Dir: t.TempDir(), Function: function, EngineDir: t.TempDir()}, ocrengine.ErrNotInstalled, "make engine"},
		"no function":             {sandbox.Options{Dir: t.TempDir(), Function: file + "x", Reader: reader{}}, os.ErrNotExist, "function binary"},
		"a wrong configuration":   {sandbox.Options{Dir: t.TempDir(), Function: function, Reader: reader{}, Env: []string{"OCR_TIMEOUT=never"}}, nil, "OCR_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sandbox.Start(t.Context(), test.options)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.text)
			if test.target != nil {
				assert.ErrorIs(t, err, test.target)
			}
		})
	}
}

func TestASandboxThatCannotStartLeavesARunningOneAlone(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	dir := filepath.Dir(cloud.FailureDir)
	before, err := sandboxinfo.Find(dir)
	require.NoError(t, err)
	_, err = sandbox.Start(t.Context(), sandbox.Options{Dir: dir, Function: function, Reader: reader{}})
	require.ErrorIs(t, err, sandbox.ErrFolderBusy)
	assert.ErrorContains(t, err, cloud.ManagementURL)
	after, err := sandboxinfo.Find(dir)
	require.NoError(t, err, "the note of the one that runs stays")
	assert.Equal(t, before, after)
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", specimen(t, "scan-01.jpg")))
	_, document, err := cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	assert.True(t, document.Recognized())
}

// The whole way with the real engine: what is printed on a specimen is in its document.
func TestTheEngineReadsASpecimen(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) {
		o.Reader, o.Async.MaxRetries = nil, fcfake.NoRetries
		o.Env = []string{"OCR_TIMEOUT=45s"} // with the loading of the models, on a busy machine
	})
	require.NoError(t, cloud.Upload(t.Context(), "card.jpg", specimen(t, "scan-01.jpg")))
	raw, document, err := cloud.Await(t.Context(), "card.jpg")
	require.NoError(t, err)
	require.True(t, document.Recognized(), string(raw))
	assert.Equal(t, "11010119040307001X", document.Card.IDNumber)
	assert.Equal(t, "张三", document.Card.Name)
	assert.Equal(t, "男", document.Card.Sex)
	assert.Equal(t, "汉", document.Card.Ethnicity)
	assert.Equal(t, "1904-03-07", document.Card.BirthDate)
	assert.Equal(t, "北京市东城区样本胡同12号院3号楼4单元501室", document.Card.Address)
}

func TestFaultsAreOrderedAtTheManagementPort(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) { // so that the duplicate does not run out of retries meanwhile
		o.Async.MaxRetries, o.Async.Speedup = 8, 1
	})
	manage := func(method, path, body string) (answer string) {
		request, err := http.NewRequestWithContext(t.Context(), method, cloud.ManagementURL+path, bytes.NewReader([]byte(body)))
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Less(t, response.StatusCode, 300, string(content))
		return string(content)
	}
	manage("POST", "/faults", `{"endpoint":"gateway","keySuffix":"a.jpg","phase":"throttle"}`)
	manage("POST", "/faults", `{"endpoint":"oss","operation":"APPEND","keySuffix":"a.jpg.ocr.claim","phase":"after-charge"}`)
	manage("POST", "/events/duplicate", `{"enabled":true}`)
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", specimen(t, "scan-01.jpg")))
	_, document, err := cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	assert.True(t, document.Recognized())
	require.NoError(t, cloud.Runtime.Wait(t.Context()))

	var faults struct{ Faults []struct{ Struck int } }
	require.NoError(t, json.Unmarshal([]byte(manage("GET", "/faults", "")), &faults))
	require.Len(t, faults.Faults, 2)
	for _, fault := range faults.Faults {
		assert.Equal(t, 1, fault.Struck)
	}
	var ledger struct {
		Calls             []gateway.Call
		Accepted, Charged int
	}
	require.NoError(t, json.Unmarshal([]byte(manage("GET", "/ledger", "")), &ledger))
	assert.Len(t, ledger.Calls, 2)
	assert.Equal(t, 1, ledger.Charged, "paid once, though throttled and delivered twice")
	requests := manage("GET", "/requests?service=oss", "")
	assert.Contains(t, requests, `"operation": "APPEND"`)
	assert.Contains(t, requests, `"path": "/cards/a.jpg.ocr.json"`)

	assert.Contains(t, manage("POST", "/credentials/expire", ""), `"expired"`)
	assert.JSONEq(t, `{"expired":0}`, manage("POST", "/credentials/expire", ""), "they have ended")
	manage("PUT", "/versioning", `{"status":"Enabled"}`)
	assert.Contains(t, manage("PATCH", "/bucket", `{"storageClass":"IA"}`), `"versioning": "Enabled"`)
	manage("POST", "/events/duplicate", `{"enabled":false}`)
	require.NoError(t, cloud.Upload(t.Context(), "b.jpg", specimen(t, "scan-01.jpg")))
	_, document, err = cloud.Await(t.Context(), "b.jpg")
	require.NoError(t, err)
	assert.True(t, document.Recognized(), "later invocations have fresh credentials")
}
