package inventory

import (
	"fmt"
	"testing"
	"time"

	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocumentsAreReadInOrderFromAGivenTimeOn(t *testing.T) {
	s := shelf{}
	s.put("a.jpg", time.Hour, "")
	s.put("a.jpg.ocr.json", time.Minute, encode(t, result.Document{Status: result.Recognized}))
	s.put("b.jpg.ocr.json", time.Minute, encode(t, result.Document{Status: result.Failed}))
	s.put("c.jpg.ocr.json", time.Minute, "[1]")
	s.put("deleted.jpg.ocr.json", time.Minute, "gone")
	s.put("old.jpg.ocr.json", 2*time.Hour, "broken")
	o := DocumentOptions{Suffix: ".ocr.json", Since: noon.Add(-time.Hour), Parallel: 4}
	got := map[string]result.Status{}
	for d, err := range Documents(t.Context(), s, o) {
		require.NoError(t, err)
		got[d.Key] = ""
		if d.Document != nil {
			got[d.Key] = d.Document.Status
		}
	}
	assert.Equal(t, map[string]result.Status{"a.jpg": result.Recognized, "b.jpg": result.Failed, "c.jpg": ""}, got)

	o.Since = time.Time{}
	unread := 0
	for d, err := range Documents(t.Context(), s, o) {
		require.NoError(t, err, "one document does not end the pass")
		if d.Document == nil {
			unread++
		}
	}
	assert.Equal(t, 2, unread)
	for i := range 2 * maxFailures {
		s.put(fmt.Sprintf("z%02d.jpg.ocr.json", i), 2*time.Hour, "broken")
	}
	var last error
	for _, err := range Documents(t.Context(), s, o) {
		last = err
	}
	assert.ErrorContains(t, last, "503", "an outage ends the pass")
}
