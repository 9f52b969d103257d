package handler

import (
	"encoding/json"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// logged returns the only line of the log with that message.
func logged(t *testing.T, w *world, message string) (line map[string]any) {
	t.Helper()
	for _, text := range strings.Split(strings.TrimSpace(w.log.String()), "\n") {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &entry))
		if entry["msg"] == message {
			require.Nil(t, line, "twice: %s", w.log.String())
			line = entry
		}
	}
	require.NotNil(t, line, "no %q in %s", message, w.log.String())
	return line
}

func TestLogLineOfAnImage(t *testing.T) {
	w := newWorld(t)
	event := w.event()
	w.bucket.Fail = func(op, key string) error {
		if op == "DELETE" {
			return kind(bucket.ErrDenied)
		}
		return nil
	}
	_, err := w.Invoke(t.Context(), retry("r1", 2), event)
	require.NoError(t, err)
	line := logged(t, w, "image done")
	assert.Equal(t, "INFO", line["level"])
	assert.EqualValues(t, 2, line["retryCount"])
	assert.Contains(t, line["claimLeft"], "access denied")
	assert.Equal(t, "cards", line["bucket"])
	assert.NotContains(t, line, "code")
	assert.NotContains(t, line, "reason")

	w = newWorld(t)
	_, err = w.Invoke(t.Context(), first("r1"), []byte("no event"))
	require.Error(t, err)
	line = logged(t, w, "event refused")
	assert.NotContains(t, line, "retryCount")
	assert.NotContains(t, line, "bucket")
	assert.NotContains(t, line, "key")
}

func TestImageThatBreaksOffIsDoneInTheLogToo(t *testing.T) {
	w := newWorld(t)
	event := w.event()
	w.bucket.Fail = func(op, key string) error {
		if op == "PUT" {
			panic("canary")
		}
		return nil
	}
	_, err := w.Invoke(t.Context(), first("r1"), event)
	require.Error(t, err)
	line := logged(t, w, "image done")
	assert.Equal(t, string(Internal), line["code"])
	assert.NotContains(t, w.log.String(), "canary\"")
	assert.Equal(t, ocrclient.Code("Internal"), AsError(err).Code)
}
