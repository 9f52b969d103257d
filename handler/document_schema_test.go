package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// publishedSchema is docs/result.schema.json.
func publishedSchema(t testing.TB) *jsonschema.Schema {
	text, err := os.ReadFile("../docs/result.schema.json")
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
	var seen []Code
	for name, c := range map[string]struct {
		plan  []string
		setup func(*world)
		want  Status
	}{
		"recognized":                {want: Recognized},
		"recognized without fields": {want: Recognized, setup: func(w *world) { w.Details = false }},
		"not recognised, free":      {plan: []string{"none"}, want: Unrecognized},
		"not recognised, paid":      {plan: []string{"paidnone"}, want: Unrecognized},
		"rejected":                  {plan: []string{"rejected"}, want: Unrecognized},
		"provider overloaded":       {plan: []string{"paidbusy"}, want: Failed},
		"throttled":                 {plan: []string{"throttled"}, want: Failed},
		"provider throttles":        {plan: []string{"busy"}, want: Failed},
		"gateway away":              {plan: []string{"503"}, want: Failed},
		"no connection":             {plan: []string{"never"}, want: Failed},
		"quota":                     {plan: []string{"quota"}, want: Failed},
		"wrong key":                 {plan: []string{"wrongkey"}, want: Failed},
		"clock":                     {plan: []string{"clock"}, want: Failed},
		"garbled":                   {plan: []string{"garbled"}, want: Failed},
		"time-out":                  {plan: []string{"lost"}, want: Failed},
		"answer lost":               {plan: []string{"swallowed"}, setup: func(w *world) { w.ParkLost, w.MaxAttempts = true, 2 }, want: Failed},
		"too large":                 {setup: func(w *world) { w.MaxImageBytes = 1 }, want: Failed},
		"empty object":              {setup: func(w *world) { w.upload("") }, want: Failed},
		"image not readable by us": {setup: func(w *world) {
			w.ImageSource = SourceData
			w.bucket.Fail = failOn("GET "+imageKey, bucket.ErrDenied)
		}, want: Failed},
		"no call possible": {setup: func(w *world) { w.OCR = notACall{} }, want: Failed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.plan...)
			w.MaxAttempts = 1
			if c.setup != nil {
				c.setup(w)
			}
			w.Invoke(t.Context(), first("request"), w.event()) // whether FC is told of a failure is not the point here
			d := w.document()
			require.NotNil(t, d)
			assert.Equal(t, c.want, d.Status)
			checkSchema(t, schema, w.bucket.Content(resultKey))
			if d.Error != nil {
				seen = append(seen, d.Error.Code)
			}
		})
	}
	for _, code := range []Code{NotRecognized, ImageRejected, Throttled, Unavailable, QuotaExhausted, Unauthorized, ClockSkew, BadAnswer, Timeout, AnswerLost, ImageTooLarge, ImageUnsupported, AccessDenied, Internal} {
		assert.Contains(t, seen, code, "no real document has this code")
	}
	for _, code := range allCodes { // also those that take a rarer way into a document
		d := &Document{Image: Image{Bucket: "cards", Key: imageKey, ETag: "E", Size: 1}}
		d.fail(failure(code, true, "x"))
		d.stamp("request")
		checkSchema(t, schema, d.encode())
	}
}

func failOn(request string, err error) func(op, key string) error {
	return func(op, key string) error {
		if op+" "+key == request {
			return err
		}
		return nil
	}
}

// The schema must refuse what no document is.
func TestPublishedSchemaRefusesOtherDocuments(t *testing.T) {
	schema := publishedSchema(t)
	w := newWorld(t)
	_, err := w.Invoke(t.Context(), first("request"), w.event())
	require.NoError(t, err)
	good := w.bucket.Content(resultKey)
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

// Every member has its title, and the codes of the schema are the codes of the program.
func TestPublishedSchemaIsComplete(t *testing.T) {
	text, err := os.ReadFile("../docs/result.schema.json")
	require.NoError(t, err)
	var root map[string]any
	require.NoError(t, json.Unmarshal(text, &root))
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		properties, _ := node["properties"].(map[string]any)
		for name, child := range properties {
			member := child.(map[string]any)
			assert.NotEmpty(t, member["title"], path+"/"+name)
			walk(path+"/"+name, member)
		}
	}
	walk("", root)
	code := root["properties"].(map[string]any)["error"].(map[string]any)["properties"].(map[string]any)["code"].(map[string]any)
	assert.Equal(t, asAny(allCodes), code["enum"])
	var members []string
	for _, line := range strings.Split(string((&Document{Card: &Card{}, Validation: &Validation{}, Error: &DocumentError{}, Raw: []byte("1")}).encode()), "\n") {
		if name, ok := strings.CutPrefix(line, `  "`); ok {
			members = append(members, name[:strings.Index(name, `"`)])
		}
	}
	for name := range root["properties"].(map[string]any) {
		assert.True(t, slices.Contains(members, name), name)
	}
	assert.Len(t, root["properties"], len(members))
}

// notACall is a Recognizer that refuses to make any call.
type notACall struct{}

func (notACall) Recognize(context.Context, ocrclient.Request) (*ocrclient.Answer, error) {
	return nil, ocrclient.ErrInvalid
}
