package inventory

import (
	"context"
	"errors"
	"iter"
	"testing"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// object is a bucket of one object, or of one failure to read it.
type object struct {
	body string
	err  error
}

func (object) List(context.Context, string, string) iter.Seq2[ossclient.Object, error] { return nil }

func (o object) Read(_ context.Context, _ string, limit int64) ([]byte, error) {
	if limit != result.MaxBytes {
		return nil, errors.New("read without the limit")
	}
	return []byte(o.body), o.err
}

func TestOnlyDocumentsOfThisProgramAreRead(t *testing.T) {
	read := func(o object) (*result.Document, error) {
		return (&Reader{Bucket: o}).Read(t.Context(), "a.jpg.ocr.json")
	}
	d, err := read(object{body: `{"schemaVersion":1,"status":"recognized"}`})
	require.NoError(t, err)
	assert.Equal(t, result.Recognized, d.Status)

	for name, test := range map[string]struct {
		object
		cause string
	}{
		"no JSON":              {object{body: "<html>"}, NoDocument},
		"cut off":              {object{body: `{"schemaVersion":1,"stat`}, NoDocument},
		"empty":                {object{}, NoDocument},
		"of another kind":      {object{body: `{"status":"recognized"}`}, NoDocument},
		"of no known status":   {object{body: `{"schemaVersion":1,"status":"\u001b[2J"}`}, NoDocument},
		"of no known code":     {object{body: `{"schemaVersion":1,"status":"failed","error":{"code":"Canary"}}`}, UnknownCode},
		"far too large":        {object{err: &ossclient.Error{Op: "read an object", Code: "TooLarge"}}, NoDocument},
		"archived":             {object{err: &ossclient.Error{Status: 403, Code: "InvalidObjectState"}}, "InvalidObjectState"},
		"refused for no cause": {object{err: &ossclient.Error{Status: 400}}, InvalidObject},
		"a store that is down": {object{err: &ossclient.Error{Status: 503}}, "Unavailable"},
	} {
		_, err := read(test.object)
		var unreadable *UnreadableError
		require.ErrorAs(t, err, &unreadable, name)
		assert.Equal(t, test.cause, unreadable.Cause, name)
		assert.NotContains(t, err.Error(), "Canary")
	}
	gone := &ossclient.Error{Status: 404, Code: "NoSuchKey"}
	for _, ends := range []error{gone, context.Canceled, &ossclient.Error{Status: 403, Code: "SignatureDoesNotMatch"}, &ossclient.Error{Status: 404, Code: "NoSuchBucket"}} {
		_, err := read(object{err: ends})
		assert.ErrorIs(t, err, ends)
	}
}
