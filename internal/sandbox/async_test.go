package sandbox_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/ctl/redrive"
	"fc-idcard-ocr/internal/sandbox"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/ossfake"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"
)

// The real binary, and a day in two seconds: one event fails too often, another one gets too old behind it.
func TestEventsReachTheFailureQueueByAttemptsAndByAge(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) {
		o.Async.Speedup, o.Async.MaxRetries = fcfake.MaxSpeedup/2, 1
		o.MaxInstances, o.Concurrency = 1, 1
		o.Env = []string{"OCR_MAX_ATTEMPTS=1"}
		o.Gateway.Intercept = func(call gateway.Call) gateway.Fault {
			if strings.HasSuffix(call.ImagePath, "slow.jpg") {
				return gateway.Fault{Latency: 3 * time.Second}
			}
			return gateway.Refuse(gateway.InternalError)
		}
	})
	require.NoError(t, cloud.Upload(t.Context(), "failing.jpg", specimen(t, "scan-01.jpg")))
	_, failing, err := cloud.Await(t.Context(), "failing.jpg")
	require.NoError(t, err)
	assert.Equal(t, "Unavailable", failing.Error.Code)
	require.NoError(t, cloud.Upload(t.Context(), "slow.jpg", specimen(t, "scan-01.jpg")))
	require.Eventually(t, func() bool { return cloud.Runtime.Instances()[0].Busy == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, cloud.Upload(t.Context(), "late.jpg", specimen(t, "scan-01.jpg")))
	_, _, err = cloud.Await(t.Context(), "late.jpg")
	require.ErrorIs(t, err, sandbox.ErrNoDocument)
	_, slow, err := cloud.Await(t.Context(), "slow.jpg")
	require.NoError(t, err)
	assert.True(t, slow.Recognized(), "an attempt under way has its whole time-out")

	got := map[string]fcfake.RequestContext{}
	for _, destination := range failureQueue(t, cloud) {
		var event struct {
			Events []struct {
				OSS struct{ Object struct{ Key string } }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(destination.RequestPayload), &event))
		end := destination.RequestContext
		end.RequestID, end.FunctionARN = "", ""
		got[event.Events[0].OSS.Object.Key] = end
	}
	assert.Equal(t, map[string]fcfake.RequestContext{
		"failing.jpg": {Condition: fcfake.ErrorUnhandled, ApproximateInvokeCount: 2},
		"late.jpg":    {Condition: "Expired"},
	}, got)
}

func TestARefusedDeliveryIsRepeatedUntilItReachesTheFunction(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) { o.Async.MaxRetries = fcfake.NoRetries })
	response, err := http.Post(cloud.ManagementURL+"/faults", "application/json", strings.NewReader(`{"endpoint":"function","phase":"throttle","times":5}`))
	require.NoError(t, err)
	response.Body.Close()
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", specimen(t, "scan-01.jpg")))
	_, document, err := cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	assert.True(t, document.Recognized())
}

// As ocrctl pause and resume do it.
func TestEventsOfAPausedFunctionAreThrottledUntilItIsResumed(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) { o.Async.MaxRetries = fcfake.NoRetries })
	client := functions(cloud)
	require.NoError(t, client.Reserve(t.Context(), 0))
	instances, _, err := client.ReservedConcurrency(t.Context())
	require.NoError(t, err)
	assert.Zero(t, instances)
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", specimen(t, "scan-01.jpg")))
	_, err = client.Invoke(t.Context(), []byte(`{}`))
	assert.ErrorContains(t, err, "status 429")
	response, err := http.Get(cloud.TriggerURL + "/healthz")
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusTooManyRequests, response.StatusCode)
	assert.Equal(t, 1, cloud.Runtime.Pending(), "the event waits")
	assert.Empty(t, cloud.Gateway.Ledger.Calls())

	require.NoError(t, client.Reserve(t.Context(), 2))
	_, document, err := cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	assert.True(t, document.Recognized())
	assert.Error(t, client.Reserve(t.Context(), -1))
}

// Five hours in half a second, and the way back from the failure queue.
func TestAnEventThatWasThrottledForFiveHoursIsRedriven(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) { o.Async.Speedup = 36_000 })
	client := functions(cloud)
	require.NoError(t, client.Reserve(t.Context(), 0))
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", specimen(t, "scan-01.jpg")))
	_, _, err := cloud.Await(t.Context(), "a.jpg")
	require.ErrorIs(t, err, sandbox.ErrNoDocument)
	queued := failureQueue(t, cloud)
	require.Len(t, queued, 1)
	assert.Equal(t, "FunctionResourceExhausted", queued[0].RequestContext.Condition)
	assert.Equal(t, 429, queued[0].ResponseContext.StatusCode)
	assert.Zero(t, queued[0].RequestContext.ApproximateInvokeCount)

	require.NoError(t, client.Reserve(t.Context(), 4))
	job := &redrive.Job{Invoker: client, Function: client.Function, Limiter: rate.NewLimiter(rate.Inf, 1), Queue: &redrive.Queue{
		Endpoint: cloud.MarketEndpoint, Name: sandbox.FailureQueue,
		Key: func(context.Context) (redrive.Key, error) {
			return redrive.Key{ID: sandbox.AccessKeyID, Secret: sandbox.AccessKeySecret}, nil
		},
	}}
	report, err := job.Run(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, report.Submitted)
	require.NoError(t, cloud.Runtime.Wait(t.Context()))
	_, document, err := cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	assert.True(t, document.Recognized())
	assert.Empty(t, failureQueue(t, cloud))
}

// functions is a client of the sandbox's Function Compute API.
func functions(cloud *sandbox.Cloud) *fcclient.Client {
	return &fcclient.Client{Endpoint: cloud.TriggerURL, Function: "idcard-ocr", Sleep: func(context.Context, time.Duration) error { return nil },
		Credentials: credentials.Static(credentials.Credentials{AccessKeyID: sandbox.AccessKeyID, AccessKeySecret: sandbox.AccessKeySecret})}
}

func TestTheAPITellsHowTheFunctionIsConfigured(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) {
		o.Timeout, o.MaxInstances, o.Concurrency = 90*time.Second, 3, 1
		o.Async = fcfake.AsyncConfig{MaxRetries: 5, MaxAge: time.Hour, Speedup: 60}
	})
	client := functions(cloud)
	function, err := client.Describe(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "go1", function.Runtime)
	assert.Equal(t, 90, function.Timeout)
	instances, _, err := client.ReservedConcurrency(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 3, instances)
	async, err := client.AsyncInvocation(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 5, *async.Retries)
	assert.EqualValues(t, 3600, *async.MaxAge, "as it is configured, not as it is compressed")
	info, err := sandboxinfo.Find(filepath.Dir(cloud.FailureDir))
	require.NoError(t, err)
	assert.EqualValues(t, 60, info.AsyncSpeedup)
}

func TestAwaitFailsWithHowThingsStandIfNothingHappens(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) {
		o.Deliver = func(ossfake.Event, func(ossfake.Event)) {} // all events are lost
	})
	cloud.SetQuietTime(200 * time.Millisecond)
	_, _, err := cloud.Await(t.Context(), "a.jpg")
	require.ErrorIs(t, err, sandbox.ErrStalled)
	assert.ErrorContains(t, err, "there is no image, and Function Compute has 0 events under way")
	require.NoError(t, cloud.Upload(t.Context(), "11010119040307001X.jpg", specimen(t, "scan-01.jpg")))
	_, _, err = cloud.Await(t.Context(), "11010119040307001X.jpg")
	require.ErrorIs(t, err, sandbox.ErrStalled)
	assert.ErrorContains(t, err, "the image is in the bucket")
	assert.NotContains(t, err.Error(), "19040307")

	require.NoError(t, os.RemoveAll(filepath.Dir(cloud.Folder)))
	require.Eventually(t, func() bool {
		_, _, err := cloud.Await(t.Context(), "a.jpg")
		return strings.Contains(err.Error(), "files copied into the folder are not noticed") && strings.Contains(err.Error(), "removed or renamed")
	}, 20*time.Second, time.Millisecond)
}

func TestAwaitHasPatienceAsLongAsSomethingHappens(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) {
		o.Deliver = func(event ossfake.Event, invoke func(ossfake.Event)) {
			if event.Key == "last.jpg" {
				invoke(event)
			}
		}
	})
	cloud.SetQuietTime(2 * time.Second)
	ended := make(chan error, 1)
	go func() {
		_, _, err := cloud.Await(t.Context(), "last.jpg")
		ended <- err
	}()
	began := time.Now()
	for time.Since(began) < 2200*time.Millisecond {
		require.NoError(t, cloud.Upload(t.Context(), "other.jpg", []byte("x")))
	}
	require.NoError(t, cloud.Upload(t.Context(), "last.jpg", specimen(t, "scan-01.jpg")))
	assert.NoError(t, <-ended)
}
