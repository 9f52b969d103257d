package billing_test

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/billing"
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documents is a bucket of documents, by image key. Claims have a nil document.
type documents map[string]*result.Document

func (d documents) List(_ context.Context, prefix, _ string) iter.Seq2[ossclient.Object, error] {
	return func(yield func(ossclient.Object, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(d)) {
			o := ossclient.Object{Key: key + ".ocr.json"}
			if d[key] == nil {
				o.Key = key + ".ocr.claim"
			} else {
				o.LastModified = d[key].CompletedAt
			}
			if strings.HasPrefix(key, prefix) && !yield(o, nil) {
				return
			}
		}
	}
}

func (d documents) Read(_ context.Context, key string, _ int64) ([]byte, error) {
	return json.Marshal(d[strings.TrimSuffix(key, ".ocr.json")])
}

// completed is a document that was completed at a time.
func completed(at time.Time, status result.Status, charged bool, extra int) *result.Document {
	return &result.Document{SchemaVersion: 1, Status: status, OCR: result.OCR{Charged: charged, PossibleExtraCharges: extra}, CompletedAt: at}
}

func china(t *testing.T, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text+"+08:00")
	require.NoError(t, err)
	return at.UTC()
}

var options = inventory.DocumentOptions{Suffix: ".ocr.json", Parallel: 2}

func TestAMonthBeginsAndEndsAtMidnightInChina(t *testing.T) {
	november, err := billing.ParseMonth("2026-11")
	require.NoError(t, err)
	for text, in := range map[string]bool{"2026-10-31T23:59:59": false, "2026-11-01T00:00:00": true, "2026-11-30T23:59:59": true, "2026-12-01T00:00:00": false} {
		assert.Equal(t, in, november.Contains(china(t, text)), text)
	}
	assert.Equal(t, "2026-11", november.String())
	for _, wrong := range []string{"", "2026-13", "2026-11-01", "November", "2026-1"} {
		_, err := billing.ParseMonth(wrong)
		assert.ErrorContains(t, err, "2026-11", "%q", wrong)
	}
}

func TestAMonthIsAddedUpByFolderOrDay(t *testing.T) {
	reused := completed(china(t, "2026-11-02T00:00:00"), result.Recognized, false, 0)
	reused.OCR.ReusedFrom = "north/a.jpg"
	bucket := documents{
		"north/a.jpg":      completed(china(t, "2026-11-01T00:00:00"), result.Recognized, true, 0),
		"north/x/b.jpg":    completed(china(t, "2026-11-01T23:59:59"), result.Unrecognized, false, 0),
		"north/claim.jpg":  nil,
		"south/c.jpg":      reused,
		"south/d.jpg":      completed(china(t, "2026-11-30T12:00:00"), result.Failed, false, 2),
		"top.jpg":          completed(china(t, "2026-11-30T12:00:01"), result.Recognized, true, 1),
		"north/before.jpg": completed(china(t, "2026-10-31T23:59:59"), result.Recognized, true, 0),
		"north/after.jpg":  completed(china(t, "2026-12-01T00:00:00"), result.Recognized, true, 0),
		"north/none.jpg":   {CompletedAt: china(t, "2026-11-05T00:00:00")},
	}
	november, err := billing.ParseMonth("2026-11")
	require.NoError(t, err)
	r, err := billing.Monthly(t.Context(), bucket, options, november, billing.ByFolder(""), nil)
	require.NoError(t, err)
	assert.Equal(t, []billing.Group{
		{Name: "", Totals: billing.Totals{Images: 1, Recognized: 1, Charged: 1, Extra: 1}},
		{Name: "north/", Totals: billing.Totals{Images: 2, Recognized: 1, Unrecognized: 1, Charged: 1}},
		{Name: "south/", Totals: billing.Totals{Images: 2, Recognized: 1, Failed: 1, Extra: 2, Reused: 1}},
	}, r.Groups)
	assert.Equal(t, billing.Totals{Images: 5, Recognized: 3, Unrecognized: 1, Failed: 1, Charged: 2, Extra: 3, Reused: 1}, r.Total)
	assert.EqualValues(t, 1, r.Unreadable)

	r, err = billing.Monthly(t.Context(), bucket, options, november, billing.ByDay, nil)
	require.NoError(t, err)
	var days []string
	for _, g := range r.Groups {
		days = append(days, g.Name)
	}
	assert.Equal(t, []string{"2026-11-01", "2026-11-02", "2026-11-30"}, days)
}

func TestTheFolderIsTheOneAfterThePrefix(t *testing.T) {
	for _, test := range []struct{ prefix, key, want string }{
		{"", "a/b/c.jpg", "a/"}, {"", "c.jpg", ""}, {"a/", "a/b/c.jpg", "a/b/"}, {"a/b", "a/bc/d.jpg", "a/bc/"}, {"a/", "a/c.jpg", ""}, {"a", "ab/c.jpg", "ab/"},
	} {
		assert.Equal(t, test.want, billing.ByFolder(test.prefix)(inventory.Stored{Key: test.key}), "%+v", test)
	}
}
