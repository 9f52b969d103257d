package handler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
)

// acceptedShapes is what an error about an unknown event says.
const acceptedShapes = `expected an OSS event {"events":[...]}, an EventBridge OSS event {"specversion":...,"data":{...}} or an array of them, or an HTTP trigger event {"version":"v1","requestContext":{...}}`

// objectRecord is one record of an OSS event; an EventBridge event has one as its data. More fields are sent than are
// listed here, and old events lack some.
type objectRecord struct {
	EventName string `json:"eventName"`
	Region    string `json:"region"`
	OSS       struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key  string `json:"key"` // not URL-encoded
			ETag string `json:"eTag"`
			Size int64  `json:"size"`
		} `json:"object"`
	} `json:"oss"`
}

// event is a decoded payload: HTTP, or images.
type event struct {
	http      *httpEvent
	images    []processor.Request
	skipped   int           // records that name no new image, and none that is gone
	recordErr *result.Error // records that cannot be understood; the others count
}

// decode understands a payload by its shape.
func (h *Handler) decode(payload []byte) (event, *result.Error) {
	payload = bytes.TrimSpace(bytes.TrimPrefix(payload, []byte("\xef\xbb\xbf")))
	if len(payload) > 0 && payload[0] == '[' {
		return h.cloudEvents(payload)
	}
	var probe struct {
		Version        string          `json:"version"`
		RequestContext json.RawMessage `json:"requestContext"`
		Events         json.RawMessage `json:"events"`
		SpecVersion    string          `json:"specversion"`
		Data           json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(payload, &probe); err != nil {
		return event{}, malformedEvent(err)
	}
	switch {
	case probe.Version == "v1" && bytes.HasPrefix(probe.RequestContext, []byte("{")):
		return event{http: decodeHTTP(payload)}, nil
	case bytes.HasPrefix(probe.Events, []byte("[")):
		var raw []json.RawMessage
		json.Unmarshal(probe.Events, &raw) // an array that has been read once already
		return h.records(raw), nil
	case probe.SpecVersion != "" && bytes.HasPrefix(probe.Data, []byte("{")):
		return h.records([]json.RawMessage{probe.Data}), nil
	}
	return event{}, result.Errorf(result.BadRequest, false, "the event has none of the known shapes; %s", acceptedShapes)
}

// cloudEvents understands a batch of EventBridge. Each event is decoded by itself: what is wrong with one does not matter to the
// others. A batch can also be an array of strings with the events' JSON, as EventBridge documents for Kafka.
func (h *Handler) cloudEvents(payload []byte) (event, *result.Error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(payload, &raw); err != nil {
		return event{}, malformedEvent(err)
	}
	for i, text := range raw {
		var e struct {
			Data json.RawMessage `json:"data"`
		}
		var quoted string
		if json.Unmarshal(text, &quoted) == nil {
			text = []byte(quoted)
		}
		if json.Unmarshal(text, &e) != nil {
			e.Data = nil
		}
		raw[i] = e.Data
	}
	return h.records(raw), nil
}

func malformedEvent(err error) *result.Error {
	what := "it is not JSON"
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field == "":
		what = "it is neither a JSON object nor an array"
	case errors.As(err, &wrongType):
		what = fmt.Sprintf("member %q has the wrong type", wrongType.Field)
	}
	return result.Errorf(result.BadRequest, false, "the event is not understood: %s; %s", what, acceptedShapes)
}

// records picks the images that count: each once, in order.
func (h *Handler) records(raw []json.RawMessage) (e event) {
	seen := make(map[string]int)
	for i, text := range raw {
		var r objectRecord
		if err := json.Unmarshal(text, &r); err != nil {
			e.recordErr = result.Errorf(result.BadRequest, false, "record %d of %d is not an OSS record; %s", i+1, len(raw), acceptedShapes)
			continue
		}
		name, key := r.OSS.Bucket.Name, r.OSS.Object.Key
		created := slices.Contains(result.CreateEvents, strings.TrimPrefix(r.EventName, "oss:"))
		removed := h.options.RemoveWithImage && slices.Contains(result.RemoveEvents, strings.TrimPrefix(r.EventName, "oss:"))
		image := processor.Request{Region: r.Region, Removed: removed, Image: result.Image{Bucket: name, Key: key, ETag: bucket.ETag(r.OSS.Object.ETag), Size: r.OSS.Object.Size}}
		at, known := seen[name+"/"+key]
		switch {
		case r.EventName == "" || name == "" || (created || removed) && key == "":
			e.recordErr = result.Errorf(result.BadRequest, false, "record %d of %d lacks eventName, oss.bucket.name or oss.object.key; %s", i+1, len(raw), acceptedShapes)
		case !created && !removed || !h.options.Keys.IsImage(key):
			e.skipped++
		case known:
			if e.skipped++; created && e.images[at].Removed { // what is there decides, and an image that is gone loses its document all the same
				e.images[at] = image
			}
		default:
			seen[name+"/"+key] = len(e.images)
			e.images = append(e.images, image)
		}
	}
	return e
}
