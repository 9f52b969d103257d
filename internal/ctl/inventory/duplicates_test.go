package inventory

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/budget"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnlyImagesOfEqualBytesAreDuplicates(t *testing.T) {
	one, two := strings.Repeat("AB", 16), strings.Repeat("CD", 16)
	var d Duplicates
	for _, image := range []*ossclient.Object{
		{ETag: one, Size: 7}, {ETag: one, Size: 8}, {ETag: two, Size: 7}, {ETag: strings.Repeat("AB", 16) + "-2", Size: 7}, {ETag: strings.Repeat("AB", 16) + "-2", Size: 7},
		{ETag: one, Size: 0}, {ETag: one, Size: 0}, {Size: 7}, {Size: 7}, {ETag: strings.Repeat("-", 32), Size: 7}, {ETag: strings.Repeat("-", 32), Size: 7}, nil,
	} {
		images, groups := d.Add(image)
		assert.Zero(t, images+groups)
	}
	for i, want := range [][2]int64{{2, 1}, {3, 1}} {
		images, groups := d.Add(&ossclient.Object{ETag: one, Size: 7})
		assert.Equal(t, want, [2]int64{images, groups}, i)
	}
	images, groups := d.Add(&ossclient.Object{ETag: strings.ToLower(two), Size: 7})
	assert.Equal(t, [2]int64{5, 2}, [2]int64{images, groups})
	c, ok := ContentOf(&ossclient.Object{ETag: two, Size: 7})
	assert.True(t, ok)
	assert.True(t, d.Repeated(c))
	c, _ = ContentOf(&ossclient.Object{ETag: one, Size: 8})
	assert.False(t, d.Repeated(c))
}

func TestDuplicatesAreFoundInLittleMemory(t *testing.T) {
	const images = 200_000
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var d Duplicates
	for i := range images {
		d.Add(&ossclient.Object{ETag: fmt.Sprintf("%032X", i), Size: 1})
	}
	perImage := float64(heap()-before) / images
	runtime.KeepAlive(&d)
	t.Logf("%.0f bytes per image", perImage)
	assert.Less(t, perImage, 120.)
}

// listed is a bucket of these objects, all of whose documents are the same.
type listed struct {
	objects  []ossclient.Object
	document string
}

func (l listed) List(context.Context, string, string) iter.Seq2[ossclient.Object, error] {
	return func(yield func(ossclient.Object, error) bool) {
		for _, o := range l.objects {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (l listed) Read(context.Context, string, int64) ([]byte, error) { return []byte(l.document), nil }

func TestEqualImagesAndSecondCallsAreCounted(t *testing.T) {
	one := strings.Repeat("AB", 16)
	bucket := listed{document: encode(t, result.Document{Status: result.Unrecognized, OCR: result.OCR{Attempts: 2}}), objects: []ossclient.Object{
		{Key: budget.Key("2026-11-25", ".ocr.claim"), Size: 9},
		{Key: ".fc-idcard-ocr/sha256/0a.ocr.json", Size: 9}, {Key: "a.jpg", ETag: one, Size: 7}, {Key: "a.jpg.ocr.json", ETag: one, Size: 7}, {Key: "b.jpg", ETag: one, Size: 7}}}
	r, err := Count(t.Context(), bucket, Options{Keys: names, ClaimAge: time.Hour, Parallel: 1, Read: true}, noon, nil)
	require.NoError(t, err)
	assert.Equal(t, []int64{2, 2, 1, 1}, []int64{r.Images, r.EqualImages, r.EqualGroups, r.MoreCalls})
	assert.Zero(t, r.OrphanClaims, "the day's budget is no claim")
}
