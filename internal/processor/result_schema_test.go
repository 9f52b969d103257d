package processor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// publishedSchema is docs/result.schema.json.
func publishedSchema(t testing.TB) *jsonschema.Schema {
	text, err := os.ReadFile("../../docs/result.schema.json")
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("result.schema.json", document))
	schema, err := compiler.Compile("result.schema.json")
	require.NoError(t, err)
	return schema
}

func checkSchema(t testing.TB, schema *jsonschema.Schema, document []byte) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	require.NoError(t, err)
	assert.NoError(t, schema.Validate(value), "%s", document)
}

func TestDocumentsKeepToThePublishedSchema(t *testing.T) {
	schema := publishedSchema(t)
	var seen []result.Code
	for name, c := range map[string]struct {
		plan  []ocrtest.Outcome
		setup func(*ocrtest.Fixture)
		want  result.Status
	}{
		"recognized":                {want: result.Recognized},
		"recognized without fields": {want: result.Recognized, setup: func(f *ocrtest.Fixture) { f.Options.Details = false }},
		"not recognised, free":      {plan: []ocrtest.Outcome{ocrtest.NotRecognized}, want: result.Unrecognized},
		"not recognised, paid":      {plan: []ocrtest.Outcome{ocrtest.PaidNotRecognized}, want: result.Unrecognized},
		"rejected":                  {plan: []ocrtest.Outcome{ocrtest.Rejected}, want: result.Unrecognized},
		"provider overloaded":       {plan: []ocrtest.Outcome{ocrtest.PaidFailure}, want: result.Failed},
		"throttled":                 {plan: []ocrtest.Outcome{ocrtest.Throttled}, want: result.Failed},
		"provider throttles":        {plan: []ocrtest.Outcome{ocrtest.Busy}, want: result.Failed},
		"gateway away":              {plan: []ocrtest.Outcome{ocrtest.GatewayUnavailable}, want: result.Failed},
		"no connection":             {plan: []ocrtest.Outcome{ocrtest.NotSent}, want: result.Failed},
		"quota":                     {plan: []ocrtest.Outcome{ocrtest.QuotaExhausted}, want: result.Failed},
		"wrong key":                 {plan: []ocrtest.Outcome{ocrtest.WrongKey}, want: result.Failed},
		"clock":                     {plan: []ocrtest.Outcome{ocrtest.WrongClock}, want: result.Failed},
		"garbled":                   {plan: []ocrtest.Outcome{ocrtest.Garbled}, want: result.Failed},
		"time-out":                  {plan: []ocrtest.Outcome{ocrtest.LostBeforeAcceptance}, want: result.Failed},
		"answer lost":               {plan: []ocrtest.Outcome{ocrtest.LostAfterCharge}, setup: func(f *ocrtest.Fixture) { f.Options.OnLostAnswer, f.Options.MaxAttempts = config.Park, 2 }, want: result.Failed},
		"too large":                 {setup: func(f *ocrtest.Fixture) { f.Options.MaxImageBytes = 1 }, want: result.Failed},
		"empty object":              {setup: func(f *ocrtest.Fixture) { f.Upload("") }, want: result.Failed},
		"image not readable by us": {setup: func(f *ocrtest.Fixture) {
			f.Options.ImageSource = config.Data
			f.Fail(bucket.ErrAccessDenied, func(op, key string) bool { return op == "GET" && key == ocrtest.ImageKey })
		}, want: result.Failed},
		"no call possible": {setup: func(f *ocrtest.Fixture) { f.Options.OCR = notACall{} }, want: result.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t, c.plan...)
			f.Options.MaxAttempts = 1
			if c.setup != nil {
				c.setup(f)
			}
			f.Process(ocrtest.First("request")) // whether FC is told of a failure is not the point here
			d := f.Document()
			require.NotNil(t, d)
			assert.Equal(t, c.want, d.Status)
			checkSchema(t, schema, f.Bucket.Content(ocrtest.ResultKey))
			if d.Error != nil {
				seen = append(seen, d.Error.Code)
			}
		})
	}
	for _, code := range []result.Code{result.NotRecognized, result.ImageRejected, result.Throttled, result.Unavailable, result.QuotaExhausted, result.Unauthorized, result.ClockSkew, result.BadAnswer, result.Timeout, result.AnswerLost, result.ImageTooLarge, result.ImageUnsupported, result.AccessDenied, result.Internal} {
		assert.Contains(t, seen, code, "no real document has this code")
	}
	for _, code := range result.Codes { // also those that take a rarer way into a document
		d := &result.Document{Image: result.Image{Bucket: "cards", Key: ocrtest.ImageKey, ETag: "E", Size: 1}}
		d.Fail(result.Errorf(code, true, "x"))
		d.Stamp("request", time.Now())
		checkSchema(t, schema, d.Encode())
	}
}

// The schema must refuse what no document is.
func TestPublishedSchemaRefusesOtherDocuments(t *testing.T) {
	schema := publishedSchema(t)
	f := ocrtest.NewFixture(t)
	o := f.Process(ocrtest.First("request"))
	require.False(t, o.Retry(), o.Err)
	good := f.Bucket.Content(ocrtest.ResultKey)
	for name, change := range map[string]func(d map[string]any){
		"other version":        func(d map[string]any) { d["schemaVersion"] = 2 },
		"other status":         func(d map[string]any) { d["status"] = "done" },
		"other member":         func(d map[string]any) { d["cards"] = 1 },
		"other member of card": func(d map[string]any) { d["card"].(map[string]any)["nickname"] = "x" },
		"recognized, no card":  func(d map[string]any) { delete(d, "card") },
		"recognized, but error": func(d map[string]any) {
			d["error"] = map[string]any{"code": "Internal", "message": "x", "retryable": false}
		},
		"failed, but card": func(d map[string]any) {
			d["status"], d["error"] = "failed", map[string]any{"code": "Internal", "message": "x", "retryable": false}
		},
		"failed without error": func(d map[string]any) {
			d["status"] = "failed"
			delete(d, "card")
			delete(d, "validation")
		},
		"unrecognized for another reason": func(d map[string]any) {
			d["status"], d["error"] = "unrecognized", map[string]any{"code": "Internal", "message": "x", "retryable": false}
			delete(d, "card")
			delete(d, "validation")
		},
		"no time":          func(d map[string]any) { d["completedAt"] = "yesterday" },
		"negative size":    func(d map[string]any) { d["image"].(map[string]any)["size"] = -1 },
		"unknown source":   func(d map[string]any) { d["ocr"].(map[string]any)["imageSource"] = "auto" },
		"no possibleExtra": func(d map[string]any) { delete(d["ocr"].(map[string]any), "possibleExtraCharges") },
	} {
		var d map[string]any
		require.NoError(t, json.Unmarshal(good, &d))
		change(d)
		changed, err := json.Marshal(d)
		require.NoError(t, err)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(changed))
		require.NoError(t, err)
		assert.Error(t, schema.Validate(value), name)
	}
}

// notACall is an OCRClient that refuses to make any call.
type notACall struct{}

func (notACall) Recognize(context.Context, ocrclient.Request) (*ocrclient.Response, error) {
	return nil, ocrclient.ErrInvalid
}
