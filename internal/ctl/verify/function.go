package verify

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/ctl/pause"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// suffix is that of an image for which there is a trigger.
func (r *run) suffix() string {
	for _, suffix := range r.Config.ImageSuffixes {
		if strings.EqualFold(suffix, ".jpg") {
			return ".jpg"
		}
	}
	if len(r.Config.ImageSuffixes) > 0 {
		return r.Config.ImageSuffixes[0]
	}
	return ".jpg"
}

// answer is what the function says of one image.
type answer struct {
	Images []struct {
		Status string `json:"status"`
		Code   string `json:"code"`
	} `json:"images"`
}

// status is empty if the function says nothing of the image.
func (a answer) status() string {
	if len(a.Images) != 1 {
		return ""
	}
	return a.Images[0].Status
}

// invoke has the function work on an object, and waits for its answer.
func (r *run) invoke(ctx context.Context, name string) (a answer, err error) {
	body, err := r.Function.Invoke(ctx, r.event(name))
	if err != nil {
		return a, err
	}
	if json.Unmarshal(body, &a) != nil {
		return a, message.Errorf("the function's answer is not understood: it is not this project's, or an old one")
	}
	return a, nil
}

// event is OSS's event about an object under the scratch prefix.
func (r *run) event(name string) []byte {
	event, _ := json.Marshal(map[string]any{"events": []any{map[string]any{"eventName": "ObjectCreated:PutObject", "eventSource": "acs:oss", "region": r.report.Setup.Region,
		"oss": map[string]any{"bucket": map[string]any{"name": r.Bucket.Name()}, "object": map[string]any{"key": r.scratch + name}}}}})
	return event
}

// deliveries uploads a picture, waits for its document, and delivers the event once more.
func (r *run) deliveries(ctx context.Context) {
	ids := []string{"delivery", "eventbridge-form", "duplicate-free"}
	bridge, ossTriggers := false, false
	if r.Function != nil {
		triggers, err := r.Function.Triggers(ctx)
		if err != nil {
			for _, id := range ids {
				r.skip(id, "%v", err)
			}
			return
		}
		for _, t := range triggers {
			bridge, ossTriggers = bridge || t.Type == "eventbridge", ossTriggers || t.Type == "oss"
		}
	}
	switch {
	case r.Function == nil:
		for _, id := range ids {
			r.skip(id, "no function was named")
		}
		return
	case !r.charge():
		r.tooDear(ids...)
		return
	}
	name := "upload" + r.suffix()
	key := r.scratch + name
	start := time.Now()
	if err := r.Store.Put(ctx, key, r.Picture, bucket.PutOptions{ContentType: "image/jpeg"}); err != nil {
		for _, id := range ids {
			r.skip(id, "the picture cannot be uploaded: %v", err)
		}
		return
	}
	d := r.awaitDocument(ctx, key)
	took := time.Since(start).Round(100 * time.Millisecond)
	if d != nil {
		r.report.Calls.Made += d.OCR.Attempts
		if d.OCR.Charged {
			r.report.Calls.Charged++
		}
	}
	switch {
	case d == nil:
		r.fails("delivery", "no final document within %s", r.Wait)
	case d.Status != result.Recognized:
		r.fails("delivery", "the document says %s (%s)", d.Status, codeOf(d))
	default:
		r.holds("delivery", "recognised %s after the upload", took)
	}
	switch {
	case !bridge:
		r.skip("eventbridge-form", "the function has no EventBridge trigger")
	case ossTriggers:
		r.skip("eventbridge-form", "the function has OSS triggers too: nobody knows which of them delivered")
	default:
		r.judge("eventbridge-form", d != nil, "the only triggers are EventBridge's")
	}
	if d == nil {
		r.skip("duplicate-free", "there is no document")
		return
	}
	again, err := r.invoke(ctx, name)
	if err != nil {
		r.skip("duplicate-free", "%v", err)
		return
	}
	r.judge("duplicate-free", again.status() == "unchanged", "the function says %q of an image that has its document", or(again.status(), message.Text("nothing")))
}

func codeOf(d *result.Document) string {
	if d.Error == nil {
		return message.Text("no code")
	}
	return string(d.Error.Code)
}

// awaitDocument waits for a final document.
func (r *run) awaitDocument(ctx context.Context, image string) *result.Document {
	ctx, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 3*time.Second) {
		body, _, err := r.Store.Read(ctx, image+r.Config.ResultSuffix, bucket.ReadOptions{Limit: result.MaxBytes})
		if err == nil {
			if d, err := result.Parse(body); err == nil && d.Final() {
				return d
			}
		}
		if pause.For(ctx, wait) != nil {
			return nil
		}
	}
}

// callerHeaders tries to pass for the platform: an event without records is handed to /invoke with a control path of its own.
// Whoever believes it answers with a report of no images.
func (r *run) callerHeaders(ctx context.Context) {
	const id = "caller-headers"
	if r.TriggerURL == "" {
		r.skip(id, "the address of the HTTP trigger was not named (--trigger-url)")
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.TriggerURL, "/")+"/invoke", strings.NewReader(`{"events":[]}`))
	if err != nil {
		r.skip(id, "--trigger-url is no URL")
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("x-fc-control-path", "/invoke")
	response, err := r.HTTP.Do(request)
	if err != nil {
		r.skip(id, "the HTTP trigger does not answer")
		return
	}
	defer response.Body.Close()
	var report struct {
		Images []json.RawMessage `json:"images"`
	}
	switch decoded := json.NewDecoder(http.MaxBytesReader(nil, response.Body, 64<<10)).Decode(&report); {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		r.skip(id, "the trigger asks for signed requests (status %d): strangers do not get that far", response.StatusCode)
	case response.StatusCode == http.StatusOK && decoded == nil && report.Images != nil:
		r.fails(id, "the function took a caller's request for an event")
	default:
		r.holds(id, "the request stayed one of the HTTP API (status %d)", response.StatusCode)
	}
}
