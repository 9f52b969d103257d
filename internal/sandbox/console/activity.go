package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	page "fc-idcard-ocr/internal/console"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/management"
)

// activity is what the sandbox recorded, as the console's page knows it.
type activity struct {
	config Config
	began  time.Time
}

// keyOfCall is the image that a call was about, empty if its picture came without a URL.
func (a *activity) keyOfCall(call gateway.Call) string {
	path, err := url.PathUnescape(call.ImagePath)
	if err != nil {
		return ""
	}
	return a.keyOf(path)
}

// keyOf is the key in a path of the bucket, empty if it is about something else.
func (a *activity) keyOf(path string) string {
	key, _ := strings.CutPrefix(path, "/"+a.config.Bucket+"/")
	if key == path {
		return ""
	}
	return key
}

// stepOfRequest returns the step and the image of a request to OSS.
func (a *activity) stepOfRequest(r management.Request) (page.Step, bool) {
	if r.Service != management.ServiceOSS {
		return page.Step{}, false
	}
	step := page.Step{ID: strconv.FormatInt(r.Time.UnixNano(), 36) + r.Operation, Time: r.Time, Service: r.Service, Operation: r.Operation, Caller: r.Caller,
		Status: r.Status, DurationMs: r.DurationMs}
	key := a.keyOf(r.Path)
	image, isClaim := strings.CutSuffix(key, a.config.Keys.ClaimSuffix)
	isResult := false
	if !isClaim {
		image, isResult = strings.CutSuffix(key, a.config.Keys.ResultSuffix)
	}
	step.Key = image
	switch {
	case r.Caller == management.CallerClient && r.Operation == "DELETE":
		step.Step = page.StepRemove
	case r.Caller == management.CallerClient:
		step.Step = page.StepUpload
		if isClaim || isResult || r.Operation != "PUT" && r.Operation != "POST" {
			return page.Step{}, false // somebody looks, as the console does
		}
	case r.Caller == management.CallerPresigned:
		step.Step = page.StepRecognize
	case isClaim && r.Operation == "DELETE":
		step.Step = page.StepRelease
	case isClaim:
		step.Step = page.StepClaim
	case isResult && r.Operation == "PUT":
		step.Step = page.StepWrite
	case r.Operation == "HEAD" || isResult:
		step.Step = page.StepInspect
	default:
		step.Step = page.StepRecognize // the function reads the picture itself
	}
	return step, a.config.Keys.IsImage(image)
}

// stepOfCall is a call of the OCR API, be it under way or ended.
func (a *activity) stepOfCall(call gateway.Call) page.Step {
	outcome := call.Outcome
	if call.Refusal != "" {
		outcome += ": " + call.Refusal
	}
	return page.Step{ID: "call" + strconv.FormatInt(call.Time.UnixNano(), 36), Key: a.keyOfCall(call), Step: page.StepRecognize, Time: call.Time,
		Service: management.ServiceGateway, Operation: "POST", Open: !call.Done, Outcome: outcome, Charged: call.Charged}
}

// History returns what is still recorded of an image. A call that sent the picture itself names no key; it is known by the answer that the
// document holds, as another image may have equal bytes.
func (a *activity) History(key, requestID string) page.History {
	history := page.History{Steps: []page.Step{}, Since: a.began}
	requests := a.config.Activity.Requests()
	functions := 0
	for _, request := range requests {
		if request.Caller == management.CallerFunction {
			if functions++; functions == 1 {
				history.Since = request.Time
			}
		}
		if step, ok := a.stepOfRequest(request); ok && step.Key == key && step.Step != page.StepRemove {
			history.Steps = append(history.Steps, step)
		}
	}
	if functions < management.RingSize { // nothing was forgotten
		history.Since = a.began
	}
	for _, call := range a.config.Ledger.Calls() {
		ofURL := call.ImagePath != "" && a.keyOfCall(call) == key
		ofAnswer := requestID != "" && call.ResultID == requestID && call.Source == "data"
		if ofURL || ofAnswer {
			history.Steps = append(history.Steps, a.stepOfCall(call))
		}
	}
	slices.SortStableFunc(history.Steps, func(x, y page.Step) int { return x.Time.Compare(y.Time) })
	return history
}

// Subscribe hands over the steps of all images as they happen.
func (a *activity) Subscribe() (steps <-chan page.Step, cancel func()) {
	notices, unsubscribe := a.config.Activity.Subscribe()
	channel, done := make(chan page.Step, 256), make(chan struct{})
	go func() {
		for {
			var notice management.Notice
			select {
			case notice = <-notices:
			case <-done:
				return
			}
			step, ok := page.Step{}, false
			if notice.Request != nil {
				step, ok = a.stepOfRequest(*notice.Request)
			} else if step = a.stepOfCall(*notice.Call); a.config.Keys.IsImage(step.Key) {
				ok = true
				step.DurationMs = float64(time.Since(step.Time).Microseconds()) / 1000
			}
			if !ok {
				continue
			}
			select {
			case channel <- step:
			case <-done:
				return
			}
		}
	}()
	return channel, func() { unsubscribe(); close(done) }
}

// GaveUp reports whether FC gave the image's last event up.
func (a *activity) GaveUp(key string) bool { return a.config.GaveUp(key) }

// CallTimes are the durations of the requests to the gateway.
func (a *activity) CallTimes() []time.Duration {
	var times []time.Duration
	for _, request := range a.config.Activity.Requests() {
		if request.Service == management.ServiceGateway && request.Status == http.StatusOK {
			times = append(times, time.Duration(request.DurationMs*float64(time.Millisecond)))
		}
	}
	return times
}

// Force asks the function's HTTP API, as it alone can pay again for a version that is done.
func (a *activity) Force(ctx context.Context, key string) error {
	body, _ := json.Marshal(map[string]any{"bucket": a.config.Bucket, "key": key, "force": true}) // strings and a bool
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.config.TriggerURL+"/recognitions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if a.config.AsyncTrigger {
		request.Header.Set("X-Fc-Invocation-Type", "Async")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body) //nolint:errcheck // the document tells how it went
	if response.StatusCode >= 500 || response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("the function's HTTP trigger answered with status %d", response.StatusCode)
	}
	return nil
}
