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
	d, err := ReadDocument(t.Context(), object{body: `{"schemaVersion":1,"status":"recognized"}`}, "a.jpg.ocr.json")
	require.NoError(t, err)
	assert.Equal(t, result.Recognized, d.Status)

	gone, down := &ossclient.Error{Status: 404, Code: "NoSuchKey"}, &ossclient.Error{Status: 503}
	for name, test := range map[string]struct {
		object
		want error
	}{
		"no JSON":              {object{body: "<html>"}, result.ErrForeign},
		"cut off":              {object{body: `{"schemaVersion":1,"stat`}, result.ErrForeign},
		"empty":                {object{}, result.ErrForeign},
		"of another kind":      {object{body: `{"status":"recognized"}`}, result.ErrForeign},
		"far too large":        {object{err: &ossclient.Error{Op: "read an object", Code: "TooLarge"}}, result.ErrForeign},
		"not there":            {object{err: gone}, gone},
		"an interruption":      {object{err: context.Canceled}, context.Canceled},
		"a store that is down": {object{err: down}, down},
	} {
		_, err := ReadDocument(t.Context(), test.object, "a.jpg.ocr.json")
		assert.ErrorIs(t, err, test.want, name)
	}
}
