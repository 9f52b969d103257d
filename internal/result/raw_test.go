package result

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Otherwise the document would be no document to the next delivery, which would pay again.
func TestADocumentOfAnyAnswerCanBeReadAgain(t *testing.T) {
	const room = 1<<20 - 200
	for name, body := range map[string]string{
		"words of a card":         `{"ret_code":0,"idNo":"11010519491231002X","msg":"` + strings.Repeat("\x01", room) + `"}`,
		"words of a failure":      `{"showapi_res_code":-4,"showapi_fee_num":1,"showapi_res_error":"` + strings.Repeat("\x01", room) + `"}`,
		"a request ID":            `{"showapi_res_code":-4,"showapi_fee_num":1,"showapi_res_id":"` + strings.Repeat("\x01", room) + `"}`,
		"characters of 3 bytes":   `{"showapi_res_code":-4,"showapi_fee_num":1,"showapi_res_error":"` + strings.Repeat("错", room/3) + `"}`,
		"a name of quotes":        `{"ret_code":0,"idNo":"11010519491231002X","name":"` + strings.Repeat(`\"`, room/2) + `"}`,
		"a number of backslashes": `{"ret_code":0,"idNo":"` + strings.Repeat(`\\`, room/2) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			a, err := ocrclient.ParseResponse(200, []byte(body))
			require.NoError(t, err)
			d := &Document{}
			d.ApplyResponse(a, time.Now())
			d.Stamp("r1", time.Now())
			encoded := d.Encode()
			assert.LessOrEqual(t, len(encoded), MaxBytes)
			again, err := Parse(encoded)
			require.NoError(t, err)
			assert.True(t, again.Final())
			assert.Equal(t, d.OCR, again.OCR)
		})
	}
}

func TestHugeRawIsLeftOutAndTheCardIsNot(t *testing.T) {
	for name, test := range map[string]struct {
		extra string
		kept  bool
	}{
		"as usual":              {`"a"`, true},
		"deep enough":           {strings.Repeat("[", 50) + strings.Repeat("]", 50), true},
		"deep":                  {strings.Repeat("[", 9000) + strings.Repeat("]", 9000), false},
		"wide":                  {"[" + strings.Repeat("1,", 100_000) + "1]", false},
		"long":                  {`"` + strings.Repeat("x", maxRawBytes) + `"`, false},
		"brackets in a text":    {`"` + strings.Repeat("[", 9000) + `"`, true},
		"quoted quote in texts": {`"` + strings.Repeat(`\"[`, 9000) + `"`, true},
		"quoted backslash":      {`["\\",` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "]", false},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := ocrclient.ParseResponse(200, []byte(`{"showapi_res_code":0,"showapi_res_body":{"ret_code":0,"idNo":"11010519491231002X","extra":`+test.extra+`}}`))
			require.NoError(t, err)
			d := &Document{}
			d.ApplyResponse(a, time.Now())
			assert.Equal(t, Recognized, d.Status)
			assert.True(t, d.OCR.Charged)
			body := d.Encode()
			assert.Less(t, len(body), 2*maxRawBytes)
			assert.Equal(t, test.kept, d.Raw != nil)
			assert.Equal(t, test.kept, bytes.Contains(body, []byte(`"raw"`)))
		})
	}
}

func TestIndentedLengthIsNotBelowTheTruth(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `1`, `"a,b:[{\"\\"`, `{"a":[1,2,{"b":null}],"c":{"d":[]}}`, ` { "a" : [ 1 , 2 ] } `, strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		var b bytes.Buffer
		require.NoError(t, json.Indent(&b, []byte(text), "  ", "  "))
		assert.GreaterOrEqual(t, indentedLength([]byte(text)), b.Len(), text)
	}
}

func TestRawThatIsNoJSONCostsOnlyItself(t *testing.T) {
	d := &Document{Status: Recognized, Card: &Card{IDNumber: "1"}, Raw: json.RawMessage("{")}
	var back Document
	require.NoError(t, json.Unmarshal(d.Encode(), &back))
	assert.Equal(t, "1", back.Card.IDNumber)
	assert.Nil(t, back.Raw)
}
