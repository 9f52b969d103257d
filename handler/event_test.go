package handler

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const eventFiles = "../testdata/events"

func readEvent(t testing.TB, name string) []byte {
	if filepath.Ext(name) == "" {
		name += ".json"
	}
	text, err := os.ReadFile(filepath.Join(eventFiles, name))
	require.NoError(t, err)
	return text
}

// what an event of testdata/events holds.
type decoded struct {
	images  []string // bucket/key
	skipped int
	problem string // of records, as the error says it before it says what was expected
	refused string // of the whole event, likewise
	http    bool
}

// The words of the errors.
const (
	notJSON      = "the event is not understood: it is not JSON"
	noObject     = "the event is not understood: it is neither a JSON object nor an array"
	unknownShape = "the event has none of the known shapes"
	lacks        = " lacks eventName, oss.bucket.name or oss.object.key"
)

// The shapes are those that Alibaba Cloud documents for each trigger
// (alibabacloud.com/help/en/functioncompute/fc/formats-of-event-for-different-triggers-1) and in the README files of
// github.com/aliyun/fc-runtime-go-sdk/events; nothing in them is of a real account.
var events = map[string]decoded{
	"native-put-object":            {images: []string{"cards/2026/a.jpg"}},
	"native-batch":                 {images: []string{"cards/2026/a.jpg", "cards/2026/b.JPG", "cards/2026/c.heic", "scans/2026/a.jpg"}, skipped: 4},
	"native-oss-prefix":            {images: []string{"cards/2026/a.jpg"}},
	"native-user-meta":             {images: []string{"cards/2026/a.jpg"}},
	"native-old":                   {images: []string{"cards/2026/a.jpg"}},
	"native-overwrite":             {images: []string{"cards/2026/a.jpg"}},
	"native-ignored-names":         {skipped: 9},
	"native-removed":               {skipped: 3},
	"native-empty":                 {},
	"native-awkward-keys":          {images: []string{"cards/100%/a+b c.jpg", "cards/2026%2Fa.jpg", "cards/身份证/张三 (1).jpg", "cards/../cards/a.jpg", "cards/2026//a.jpg", "cards/a\nb.jpg", `cards/<&>"'\.jpg`, "cards/😀.jpg", "cards/.jpg"}},
	"native-malformed-among-good":  {images: []string{"cards/2026/a.jpg", "cards/2026/b.jpg"}, problem: "record 4 of 5 is not an OSS record"},
	"native-record-without-key":    {problem: "record 1 of 1" + lacks},
	"native-record-without-bucket": {problem: "record 1 of 1" + lacks},
	"native-record-without-name":   {problem: "record 1 of 1" + lacks},

	"eventbridge-object":               {images: []string{"cards/2026/a.jpg"}},
	"eventbridge-array":                {images: []string{"cards/2026/a.jpg", "cards/2026/b.jpg"}},
	"eventbridge-strings":              {images: []string{"cards/2026/a.jpg", "cards/2026/b.jpg"}},
	"eventbridge-bucket-created":       {skipped: 1},
	"eventbridge-removed":              {skipped: 1},
	"eventbridge-malformed-among-good": {images: []string{"cards/2026/a.jpg", "cards/2026/b.jpg"}, problem: "record 4 of 5 is not an OSS record"},

	"http-get-without-body":        {http: true},
	"http-post-object":             {http: true},
	"http-post-object-base64":      {http: true},
	"http-post-picture":            {http: true},
	"http-post-picture-not-base64": {http: true},
	"http-post-picture-plain":      {http: true},
	"http-get-stored":              {http: true},
	"http-headers-of-wrong-type":   {http: true},
	"http-path-not-valid":          {http: true},

	// Triggers whose events name no image. All are refused: whoever connected one is told, and no image is lost in silence.
	"trigger-timer":                {refused: unknownShape},
	"trigger-log":                  {refused: unknownShape},
	"trigger-datahub":              {refused: unknownShape},
	"trigger-tablestore.cbor":      {refused: notJSON}, // CBOR, as Tablestore sends it
	"trigger-api-gateway":          {refused: unknownShape},
	"trigger-destination":          {refused: unknownShape}, // the function as another's destination
	"trigger-cdn":                  {problem: "record 1 of 1" + lacks},
	"trigger-mns-topic":            {refused: unknownShape},
	"trigger-mns-topic-stream.txt": {refused: notJSON}, // format STREAM: the bare message
	"trigger-mns-queue":            {problem: "record 1 of 1" + lacks},
	"trigger-rocketmq":             {problem: "record 1 of 1" + lacks},
	"trigger-rocketmq-array":       {problem: "record 2 of 2" + lacks},
	"trigger-kafka-strings":        {problem: "record 2 of 2" + lacks},

	"malformed-empty":                {refused: notJSON},
	"malformed-cut":                  {refused: notJSON},
	"malformed-array-cut":            {refused: notJSON},
	"malformed-null":                 {refused: unknownShape},
	"malformed-number":               {refused: noObject},
	"malformed-string":               {refused: noObject},
	"malformed-object":               {refused: unknownShape},
	"malformed-events-null":          {refused: unknownShape},
	"malformed-events-object":        {refused: unknownShape},
	"malformed-http-without-context": {refused: unknownShape},
	"malformed-http-v2":              {refused: unknownShape},
	"malformed-cloudevent-text-data": {refused: unknownShape},
	"malformed-s3":                   {refused: unknownShape},
}

func TestEventsAreUnderstoodByTheirShape(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(eventFiles, "*"))
	require.NoError(t, err)
	assert.Len(t, events, len(files), "each file of testdata/events has its entry")
	for name, want := range events {
		t.Run(name, func(t *testing.T) {
			e, refused := newFixture(t).handler().decode(readEvent(t, name))
			if want.refused != "" {
				require.NotNil(t, refused)
				assert.Equal(t, result.BadRequest, refused.Code)
				assert.False(t, refused.Retryable)
				assert.Equal(t, want.refused+"; "+acceptedShapes, refused.Message)
				assert.NotContains(t, refused.Message, "canary", "the error echoes the event")
				return
			}
			require.Nil(t, refused)
			var images []string
			for _, image := range e.images {
				images = append(images, image.Image.Bucket+"/"+image.Image.Key)
				assert.Equal(t, "cn-hangzhou", image.Region)
				assert.True(t, strings.HasPrefix(image.Image.ETag, "7D73E1052AF595535DE90994F4C3E6D5"))
				assert.EqualValues(t, 29203, image.Image.Size)
			}
			assert.Equal(t, want.images, images)
			assert.Equal(t, want.skipped, e.skipped)
			assert.Equal(t, want.http, e.http != nil)
			if want.problem == "" {
				assert.Nil(t, e.recordErr)
				return
			}
			require.NotNil(t, e.recordErr)
			assert.Equal(t, want.problem+"; "+acceptedShapes, e.recordErr.Message)
			assert.NotContains(t, e.recordErr.Message, "canary")
		})
	}
}

func TestRemovalsCountIfTheirDocumentsAreToGo(t *testing.T) {
	record := func(event, key string) string {
		return `{"eventName":"` + event + `","region":"cn-hangzhou","oss":{"bucket":{"name":"cards"},"object":{"key":"` + key + `"}}}`
	}
	payload := []byte(`{"events":[` + strings.Join([]string{record("ObjectRemoved:DeleteObject", "a.jpg"), record("oss:ObjectRemoved:DeleteObjects", "b.jpg"),
		record("ObjectRemoved:DeleteObject", "a.jpg.ocr.json"), record("ObjectRemoved:AbortMultipartUpload", "c.jpg"),
		record("ObjectCreated:PutObject", "b.jpg"), record("ObjectCreated:PutObject", "d.jpg"), record("ObjectRemoved:DeleteObject", "d.jpg")}, ",") + `]}`)
	f := newFixture(t)
	for _, on := range []bool{false, true} {
		h := f.handler()
		h.options.RemoveWithImage = on
		e, refused := h.decode(payload)
		require.Nil(t, refused)
		require.Nil(t, e.recordErr)
		removed := map[string]bool{}
		for _, image := range e.images {
			removed[image.Image.Key] = image.Removed
		}
		if on {
			assert.Equal(t, map[string]bool{"a.jpg": true, "b.jpg": false, "d.jpg": false}, removed)
			assert.Equal(t, 4, e.skipped)
		} else {
			assert.Equal(t, map[string]bool{"b.jpg": false, "d.jpg": false}, removed)
			assert.Equal(t, 5, e.skipped)
		}
	}
}

// What is wrong with one record is told to FC, after the others were recognised.
func TestMalformedRecordDoesNotStopTheOthers(t *testing.T) {
	for _, name := range []string{"native-malformed-among-good", "eventbridge-malformed-among-good"} {
		f := newFixture(t)
		f.OCR.OnCall = nil // it looks at the claim of one image
		require.NoError(t, f.Bucket.Put(t.Context(), "2026/b.jpg", []byte("b"), bucket.PutOptions{ContentType: "image/jpeg"}))
		_, err := f.handler().Invoke(t.Context(), ocrtest.First("r"), readEvent(t, name))
		require.Error(t, err)
		assert.Equal(t, result.BadRequest, result.AsError(err).Code)
		assert.NotNil(t, f.Bucket.Content(ocrtest.ResultKey), name)
		assert.NotNil(t, f.Bucket.Content("2026/b.jpg.ocr.json"), name)
		assert.Len(t, f.OCR.Requests(), 2)

		_, err = f.handler().Invoke(t.Context(), ocrtest.Retry("r", 1), readEvent(t, name))
		assert.Error(t, err)
		assert.Len(t, f.OCR.Requests(), 2, "the retry that FC makes of it pays nothing")
	}
}

func TestMalformedRecordIsToldByItsNumber(t *testing.T) {
	f := newFixture(t)
	event := strings.Replace(string(f.Event()), `{"events":[`, `{"events":[{"eventName":"ObjectCreated:PutObject"},`, 1)
	_, err := f.handler().Invoke(t.Context(), ocrtest.First("r1"), []byte(event))
	assert.Equal(t, result.BadRequest, result.AsError(err).Code)
	assert.ErrorContains(t, err, "record 1 of 2")
	assert.Equal(t, result.Recognized, f.Document().Status)
}

// A malformed event is an error that leaves the process alive and the log clean.
func TestMalformedEventsAreRefusedOneAfterTheOther(t *testing.T) {
	f := newFixture(t)
	for name, e := range events {
		if e.refused != "" || e.problem != "" && e.images == nil {
			_, err := f.handler().Invoke(t.Context(), ocrtest.First("r"), readEvent(t, name))
			assert.Equal(t, result.BadRequest, result.AsError(err).Code, name)
		}
	}
	assert.NotContains(t, f.Log.String(), "canary")
	assert.Empty(t, f.OCR.Requests())
	_, err := f.handler().Invoke(t.Context(), ocrtest.First("r"), append([]byte("\xef\xbb\xbf \n"), f.Event()...))
	require.NoError(t, err, "a good event after them, with a byte order mark")
	assert.Len(t, f.OCR.Requests(), 1)
}

// What is decoded, written as an event again, decodes to the same.
func TestEventsRoundTrip(t *testing.T) {
	f := newFixture(t)
	for name, e := range events {
		if e.refused != "" || e.http {
			continue
		}
		was, refused := f.handler().decode(readEvent(t, name))
		require.Nil(t, refused)
		for shape, encode := range map[string]func([]processor.Request) []byte{"native": encodeNative, "EventBridge": encodeCloudEvents} {
			again, refused := f.handler().decode(encode(was.images))
			require.Nil(t, refused)
			assert.Equal(t, was.images, again.images, name+" as "+shape)
			assert.Nil(t, again.recordErr)
		}
	}
}

func eventRecords(images []processor.Request) []objectRecord {
	list := []objectRecord{}
	for _, image := range images {
		r := objectRecord{EventName: "ObjectCreated:PutObject", Region: image.Region}
		r.OSS.Bucket.Name, r.OSS.Object.Key, r.OSS.Object.ETag, r.OSS.Object.Size = image.Image.Bucket, image.Image.Key, image.Image.ETag, image.Image.Size
		list = append(list, r)
	}
	return list
}

func encodeNative(images []processor.Request) []byte {
	text, _ := json.Marshal(map[string]any{"events": eventRecords(images)})
	return text
}

func encodeCloudEvents(images []processor.Request) []byte {
	list := []any{}
	for _, r := range eventRecords(images) {
		list = append(list, map[string]any{"specversion": "1.0", "type": "oss:ObjectCreated:PutObject", "data": r})
	}
	text, _ := json.Marshal(list)
	return text
}

func FuzzDecodeEvent(f *testing.F) {
	for name := range events {
		f.Add(readEvent(f, name))
	}
	h := newFixture(f).handler()
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, refused := h.decode(payload)
		if refused != nil {
			if e.http != nil || e.images != nil || refused.Code != result.BadRequest || !strings.Contains(refused.Message, acceptedShapes) {
				t.Fatalf("refused with %v and %+v", refused, e)
			}
			return
		}
		if !json.Valid(slices.Clone(bytesWithoutMark(payload))) {
			t.Fatal("took what is not JSON")
		}
		if e.recordErr != nil && len(e.recordErr.Message) > 500 {
			t.Fatalf("the error echoes the event: %s", e.recordErr.Message)
		}
		seen := map[string]bool{}
		for _, image := range e.images {
			id := image.Image.Bucket + "/" + image.Image.Key
			if image.Image.Bucket == "" || !h.options.Keys.IsImage(image.Image.Key) || seen[id] {
				t.Fatalf("not an image, or twice: %q", id)
			}
			seen[id] = true
		}
		again, refused := h.decode(encodeNative(e.images))
		if refused != nil || !slices.Equal(again.images, e.images) {
			t.Fatalf("%+v became %+v", e.images, again.images)
		}
	})
}

func bytesWithoutMark(b []byte) []byte { return []byte(strings.TrimPrefix(string(b), "\xef\xbb\xbf")) }
