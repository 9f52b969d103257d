package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/ctl/backfill"
	"fc-idcard-ocr/internal/result"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBackfillWithReusePaysOnceForEqualBytes(t *testing.T) {
	c := start(t)
	c.putMany(20) // of equal bytes
	c.put("other.jpg", "another picture")
	r := c.run("status")
	assert.Regexp(t, `20 +with the bytes of another image +in 1 groups`, r.stdout)
	r = c.run("backfill", "--all", "--reuse", "--dry-run")
	assert.Contains(t, r.stdout, "21 images seen, 2 to submit (missing 2); 19 skipped (equalBytes 19)")
	assert.Empty(t, c.keys())

	r = c.run("backfill", "--all", "--reuse", "--rate", "1000", "--output", "json")
	require.Equal(t, 0, r.code, r.stderr)
	var got struct {
		Charges int64
		Reused  backfill.Reused
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	assert.EqualValues(t, 2, got.Charges)
	assert.Equal(t, backfill.Reused{Written: 19}, got.Reused)
	assert.Len(t, c.keys(), 2)
	c.work.Wait()
	assert.Equal(t, 2, c.gateway.Ledger.Charged())

	schema, err := jsonschema.NewCompiler().Compile("../../docs/result.schema.json")
	require.NoError(t, err)
	r = c.run("export", "--format", "jsonl")
	require.Equal(t, 0, r.code, r.stderr)
	lines := bytes.Split(bytes.TrimSpace([]byte(r.stdout)), []byte("\n"))
	assert.Len(t, lines, 21)
	charged, reused := 0, 0
	for _, line := range lines {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(value))
		var d result.Document
		require.NoError(t, json.Unmarshal(line, &d))
		if d.OCR.Charged {
			charged++
		}
		if d.OCR.ReusedFrom != "" {
			reused++
			assert.Equal(t, "2026/0000.jpg", d.OCR.ReusedFrom)
			assert.Equal(t, card.IDNumber, d.Card.IDNumber)
		}
	}
	assert.Equal(t, [2]int{2, 19}, [2]int{charged, reused})

	// The function takes such a document for its own: another delivery pays nothing.
	event := `{"events":[{"eventName":"ObjectCreated:PutObject","region":"cn-hangzhou","oss":{"bucket":{"name":"cards"},"object":{"key":"2026/0007.jpg"}}}]}`
	_, err = c.InvokeAsync([]byte(event), fresh(event))
	require.NoError(t, err)
	c.work.Wait()
	assert.Equal(t, 2, c.gateway.Ledger.Charged())
}

func TestADocumentWrittenWithReuseHasTheFunctionsTagsEncryptionAndFields(t *testing.T) {
	c := start(t)
	for name, value := range map[string]string{"RESULT_TAGS": "team=cards", "RESULT_ENCRYPTION": "AES256", "RESULT_FIELDS": "name", "OCR_RAW": "false"} {
		t.Setenv(name, value)
	}
	c.putMany(2)
	var written http.Header
	spoil := func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/0001.jpg.ocr.json") {
			written = r.Header.Clone()
		}
		return w
	}
	c.spoil.Store(&spoil)
	r := c.run("backfill", "--all", "--reuse")
	require.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, "team=cards", written.Get("x-oss-tagging"))
	assert.Equal(t, "AES256", written.Get("x-oss-server-side-encryption"))
	body, _, err := c.bucket.Read(t.Context(), "2026/0001.jpg.ocr.json", bucket.ReadOptions{Limit: result.MaxBytes})
	require.NoError(t, err)
	d, err := result.Parse(body)
	require.NoError(t, err)
	assert.Equal(t, "2026/0000.jpg", d.OCR.ReusedFrom)
	assert.Equal(t, result.Card{Name: card.Name}, *d.Card)
	assert.Nil(t, d.Raw)
}

func TestReuseThatHasToWaitIsDoneByTheNextRun(t *testing.T) {
	c := start(t)
	c.putMany(3)
	c.idle = true
	r := c.run("backfill", "--all", "--reuse", "--reuse-wait", "0")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stdout, "2 images wait for the document of one with equal bytes")
	c.idle = false
	r = c.run("backfill", "--all", "--reuse")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "2 documents written from those of images with equal bytes, without a call")
	c.work.Wait()
	assert.Equal(t, 1, c.gateway.Ledger.Charged())
	assert.Equal(t, exitUsage, c.run("backfill", "--all", "--reuse", "--reuse-wait", "-1s").code)
}
