package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"
)

// bucketInMemory is a Bucket whose clock the test sets.
type bucketInMemory struct {
	mu      sync.Mutex
	objects map[string]stored
	sorted  []string
	lists   atomic.Int64 // requests, of 1,000 objects each
	reads   atomic.Int64
}

type stored struct {
	body []byte
	at   time.Time
}

func (b *bucketInMemory) Name() string { return "cards" }

func (b *bucketInMemory) set(key, body string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = stored{[]byte(body), at}
	b.sorted = nil
}

func (b *bucketInMemory) List(_ context.Context, prefix, after string) iter.Seq2[ossclient.Object, error] {
	return func(yield func(ossclient.Object, error) bool) {
		b.mu.Lock()
		if b.sorted == nil {
			b.sorted = slices.Sorted(maps.Keys(b.objects))
		}
		keys := b.sorted
		b.mu.Unlock()
		first, _ := slices.BinarySearch(keys, max(prefix, after))
		for n, key := range keys[first:] {
			if n%1000 == 0 {
				b.lists.Add(1)
			}
			if !strings.HasPrefix(key, prefix) {
				return
			}
			b.mu.Lock()
			o := b.objects[key]
			b.mu.Unlock()
			if key != after && !yield(ossclient.Object{Key: key, ETag: fmt.Sprint(o.at.UnixNano(), len(o.body)), Size: int64(len(o.body)), LastModified: o.at}, nil) {
				return
			}
		}
	}
}

func (b *bucketInMemory) Read(_ context.Context, key string, _ int64) ([]byte, error) {
	b.reads.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[key]
	if !ok {
		return nil, &ossclient.Error{Status: http.StatusNotFound, Code: "NoSuchKey"}
	}
	return o.body, nil
}

func (b *bucketInMemory) Process(ctx context.Context, key, _ string, limit int64) ([]byte, error) {
	return b.Read(ctx, key, limit)
}

func (b *bucketInMemory) Put(_ context.Context, key string, body []byte, _ string) error {
	b.set(key, string(body), time.Now())
	return nil
}

func (b *bucketInMemory) Remove(_ context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
	b.sorted = nil
	return nil
}

var keys = result.Keys{ImageSuffixes: []string{".jpg"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}

// document is a stored document.
func document(change func(*result.Document)) string {
	d := result.Document{Status: result.Recognized, Card: &result.Card{Name: "卡纳丽", IDNumber: "11010519491231002X"}, OCR: result.OCR{Charged: true},
		Validation: &result.Validation{Valid: true, Verdict: result.Consistent}}
	d.Stamp("request", time.Date(2026, 11, 1, 8, 0, 1, 0, time.UTC))
	if change != nil {
		change(&d)
	}
	return string(d.Encode())
}

func failed(code result.Code, retryable bool) func(*result.Document) {
	return func(d *result.Document) {
		d.Card, d.Validation, d.OCR.Charged = nil, nil, false
		d.Fail(result.Errorf(code, retryable, "it failed"))
	}
}

var uploaded = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)

func serve(t *testing.T, config Config) (*httptest.Server, *Server) {
	t.Helper()
	config.Keys, config.Relist = keys, 20*time.Millisecond
	page, err := New(config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { page.Run(ctx); close(ran) }()
	server := httptest.NewServer(page)
	t.Cleanup(func() { cancel(); <-ran; server.Close() })
	return server, page
}

func call(t *testing.T, method, url, body string, into any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.Unmarshal(content, into), string(content))
	}
	return response.StatusCode
}

func TestEveryImageHasTheStateThatOneWouldGiveIt(t *testing.T) {
	t.Parallel()
	b := &bucketInMemory{objects: map[string]stored{}}
	written := uploaded.Add(time.Second)
	now := uploaded.Add(20 * time.Minute)
	image := func(key, document string, at time.Time) {
		b.set(key, "x", uploaded)
		if document != "" {
			b.set(key+".ocr.json", document, at)
		}
	}
	image("consistent.jpg", document(nil), written)
	image("contradictory.jpg", document(func(d *result.Document) { d.Validation = &result.Validation{Verdict: result.Contradictory} }), written)
	image("doubtful.jpg", document(func(d *result.Document) { d.Validation = &result.Validation{Verdict: result.Doubtful} }), written)
	image("before-verdicts.jpg", document(func(d *result.Document) { d.Validation = &result.Validation{} }), written)
	image("failed.jpg", document(failed(result.QuotaExhausted, false)), written)
	image("retrying.jpg", document(failed(result.Throttled, true)), written)
	image("given-up.jpg", document(func(d *result.Document) {
		failed(result.Throttled, true)(d)
		d.CompletedAt = uploaded.Add(-25 * time.Hour)
	}), written)
	image("outdated.jpg", document(nil), uploaded.Add(-time.Second))
	image("foreign.jpg", `{"a":1}`, written)
	image("waiting.jpg", "", time.Time{})
	image("working.jpg", "", time.Time{})
	b.set("working.jpg.ocr.claim", "{}", now.Add(-time.Minute))
	image("left.jpg", "", time.Time{})
	b.set("left.jpg.ocr.claim", "{}", uploaded)
	image("again.jpg", document(nil), written)
	b.set("again.jpg.ocr.claim", "{}", now.Add(-time.Minute))
	image("reviewed.jpg", document(func(d *result.Document) { d.Validation = &result.Validation{Verdict: result.Contradictory} }), written)
	b.set("reviewed.jpg.ocr.reviewed.json", "{}", written.Add(time.Minute))
	server, _ := serve(t, Config{Bucket: b, Price: .5, Now: func() time.Time { return now }})

	var page Page
	require.Eventually(t, func() bool {
		call(t, "POST", server.URL+"/api/images", `{"limit":50}`, &page)
		return page.Progress.Complete && page.Progress.Unread == 0
	}, 10*time.Second, 10*time.Millisecond)
	states := map[string]State{}
	for _, row := range page.Rows {
		states[row.Key] = row.State
	}
	assert.Equal(t, map[string]State{"consistent.jpg": StateConsistent, "contradictory.jpg": StateContradictory, "doubtful.jpg": StateDoubtful,
		"before-verdicts.jpg": StateContradictory, "failed.jpg": StateFailed, "retrying.jpg": StateRetrying, "given-up.jpg": StateFailed,
		"outdated.jpg": StateStale, "foreign.jpg": StateForeign, "waiting.jpg": StateWaiting, "working.jpg": StateWorking, "left.jpg": StateStale,
		"again.jpg": StateWorking, "reviewed.jpg": StateContradictory}, states)

	var numbers Numbers
	call(t, "GET", server.URL+"/api/numbers", "", &numbers)
	assert.Equal(t, 14, numbers.Images)
	assert.Equal(t, 1, numbers.Reviewed)
	assert.Equal(t, map[result.Code]int{result.QuotaExhausted: 1, result.Throttled: 2}, numbers.Codes)
	assert.InDelta(t, float64(numbers.Charged)*.5, numbers.Yuan, 0)
	assert.Equal(t, 1000., numbers.Delays.P50)

	var work struct{ Work []Work }
	call(t, "GET", server.URL+"/api/work", "", &work)
	causes := map[string]int{}
	for _, each := range work.Work {
		causes[each.Cause+" "+each.Action] += each.Images
		assert.NotEmpty(t, remedies[each.Cause], each.Cause)
		var shown Page
		call(t, "POST", server.URL+"/api/images", fmt.Sprintf(`{"limit":50,"filter":%q,"code":%q}`, each.State, each.Code), &shown)
		assert.GreaterOrEqual(t, shown.Total, each.Images, "the filter shows them")
	}
	assert.Equal(t, map[string]int{"contradictory review": 2, "doubtful review": 1, "QuotaExhausted force": 1, "Throttled retry": 1, "stale retry": 2, "waiting retry": 1, "foreign ": 1}, causes)
	for filter, total := range map[string]int{"": 14, "recognized": 5, "reviewed": 1, "attention": 9, "charged": numbers.Charged} {
		call(t, "POST", server.URL+"/api/images", fmt.Sprintf(`{"limit":1,"filter":%q}`, filter), &page)
		assert.Equal(t, total, page.Total, filter)
	}
}

func TestEveryCodeAndStateThatNeedsSomebodyHasARemedyInBothLanguages(t *testing.T) {
	t.Parallel()
	for _, code := range result.Codes {
		assert.NotEmpty(t, remedies[string(code)].EN, code)
		assert.NotEmpty(t, remedies[string(code)].ZH, code)
	}
	for cause, remedy := range remedies {
		assert.NotEqual(t, remedy.EN, remedy.ZH, cause)
	}
}

func TestAHundredThousandImagesArePagedWithoutSendingThemAll(t *testing.T) {
	t.Parallel()
	b := &bucketInMemory{objects: map[string]stored{}}
	text := document(nil)
	const images = 100_000
	for n := range images {
		key := fmt.Sprintf("2026/%06d.jpg", n)
		b.objects[key] = stored{[]byte("x"), uploaded.Add(time.Duration(n) * time.Second)}
		if n%10 == 0 {
			b.objects[key+".ocr.json"] = stored{[]byte(text), uploaded.Add(time.Duration(n+1) * time.Second)}
		}
	}
	b.objects["2026/050000.jpg.ocr.json"] = stored{[]byte(strings.ReplaceAll(text, "卡纳丽", "欧阳建国")), uploaded.Add(images * time.Second)}
	server, _ := serve(t, Config{Bucket: b})
	var page Page
	require.Eventually(t, func() bool {
		call(t, "POST", server.URL+"/api/images", `{"limit":1,"filter":"foreign"}`, &page)
		return page.Progress.Complete && page.Progress.Unread == 0
	}, 2*time.Minute, 200*time.Millisecond)
	call(t, "POST", server.URL+"/api/images", `{"limit":50}`, &page)
	assert.Equal(t, images, page.Total)
	assert.Equal(t, "2026/099999.jpg", page.Rows[0].Key)
	assert.LessOrEqual(t, b.lists.Load(), int64(11*images/10/1000+1), "one listing")
	assert.LessOrEqual(t, b.reads.Load(), int64(images/10+200), "each document is read once")

	began := time.Now()
	response, err := http.Post(server.URL+"/api/images", "application/json", strings.NewReader(`{"limit":50,"offset":50000,"sort":"key","up":true}`))
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	t.Logf("a page in the middle took %v and %d bytes", time.Since(began), len(body))
	assert.Less(t, len(body), 20_000)
	assert.Contains(t, string(body), "2026/050000.jpg")
	call(t, "POST", server.URL+"/api/images", `{"limit":50,"search":"欧阳"}`, &page)
	require.Len(t, page.Rows, 1)
	assert.Equal(t, "欧***", page.Rows[0].Name)
}

func TestAListingKeepsUpWithTheBucket(t *testing.T) {
	t.Parallel()
	b := &bucketInMemory{objects: map[string]stored{}}
	b.set("a.jpg", "x", uploaded)
	b.set("b.jpg", "x", uploaded)
	server, page := serve(t, Config{Bucket: b})
	_, cancel := page.hub.subscribe() // somebody looks
	defer cancel()
	shows := func(expected ...string) {
		t.Helper()
		require.Eventually(t, func() bool {
			var page Page
			call(t, "POST", server.URL+"/api/images", `{"limit":50,"sort":"key","up":true}`, &page)
			var got []string
			for _, row := range page.Rows {
				got = append(got, row.Key+" "+string(row.State))
			}
			return slices.Equal(got, expected)
		}, 10*time.Second, 10*time.Millisecond, expected)
	}
	shows("a.jpg waiting", "b.jpg waiting")
	b.set("a.jpg.ocr.json", document(nil), uploaded)
	require.NoError(t, b.Remove(t.Context(), "b.jpg"))
	shows("a.jpg consistent")
	b.set("a.jpg", "xx", uploaded.Add(time.Minute))
	shows("a.jpg stale")
}

func TestAReviewIsAboutTheDocumentThatWasSeen(t *testing.T) {
	t.Parallel()
	b := &bucketInMemory{objects: map[string]stored{}}
	b.set("a.jpg", "x", uploaded)
	b.set("a.jpg.ocr.json", document(nil), uploaded)
	server, page := serve(t, Config{Bucket: b, Reviewer: "li"})
	id := page.index.id("a.jpg")
	require.Eventually(t, func() bool { return call(t, "GET", server.URL+"/api/image?id="+id, "", nil) == http.StatusOK }, 10*time.Second, 10*time.Millisecond)
	review := func(at, number string) int {
		return call(t, "POST", server.URL+"/api/reviews", fmt.Sprintf(`{"id":%q,"completedAt":%q,"card":{"name":"卡纳丽","idNumber":%q}}`, id, at, number), nil)
	}
	assert.Equal(t, http.StatusConflict, review("2026-11-01T07:00:00Z", "11010519491231002X"), "another document")
	assert.Equal(t, http.StatusBadRequest, review("2026-11-01T08:00:01Z", ""))
	assert.NotContains(t, b.objects, "a.jpg.ocr.reviewed.json")
	assert.Equal(t, http.StatusCreated, review("2026-11-01T08:00:01Z", "１１０１０５ 194912310029"))
	stored, err := result.ParseReview(b.objects["a.jpg.ocr.reviewed.json"].body)
	require.NoError(t, err)
	assert.Equal(t, result.Corrected, stored.Decision)
	assert.Equal(t, "110105194912310029", stored.After.IDNumber, "in normal form")
	assert.Equal(t, result.Contradictory, stored.Validation.Verdict, "a correction is checked, too")
	var masked Detail
	call(t, "GET", server.URL+"/api/image?id="+id, "", &masked)
	assert.Equal(t, "110***********0029", masked.Review.After.IDNumber)
	require.True(t, masked.Reviewed)

	stored.Image.Key = "b.jpg"
	b.set("a.jpg.ocr.reviewed.json", string(stored.Encode()), time.Now())
	var foreign Detail
	call(t, "GET", server.URL+"/api/image?id="+id, "", &foreign)
	assert.False(t, foreign.Reviewed, "of another image")
}
