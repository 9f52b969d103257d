package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/bucket/buckettest"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pictures is a bucket with bytes. It is an Invoker, too: a function that recognises at once, unless it is idle.
type pictures struct {
	buckettest.Memory
	t    *testing.T
	idle bool
	keep result.Retention // of the command

	mu       sync.Mutex
	keys     map[string]bool
	invoked  []string
	document func(key string) result.Document // of an image that is recognised
}

func newPictures(t *testing.T) *pictures {
	return &pictures{t: t, keys: map[string]bool{}, document: func(string) result.Document {
		return result.Document{Status: result.Recognized, Card: &result.Card{Name: "张三"}, Validation: &result.Validation{}, Raw: json.RawMessage(`{"name":"张三"}`), RequestID: "1-x",
			OCR: result.OCR{RequestID: "res", Charged: true, ImageSource: "url", Details: true, Attempts: 2, PossibleExtraCharges: 1}}
	}}
}

func (p *pictures) Put(ctx context.Context, key string, body []byte, o bucket.PutOptions) error {
	err := p.Memory.Put(ctx, key, body, o)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[key] = true
	return err
}

func (p *pictures) put(key, bytes string) {
	require.NoError(p.t, p.Put(p.t.Context(), key, []byte(bytes), bucket.PutOptions{}))
}

// recognise writes the document of an image.
func (p *pictures) recognise(key string) {
	image, err := p.Head(p.t.Context(), key)
	require.NoError(p.t, err)
	d := p.document(key)
	d.Image = result.Image{Bucket: "cards", Key: key, ETag: image.ETag, Size: image.Size}
	d.Stamp(d.RequestID, time.Now())
	require.NoError(p.t, p.Put(p.t.Context(), key+".ocr.json", d.Encode(), bucket.PutOptions{Meta: d.Metadata()}))
}

func (p *pictures) read(key string) (d result.Document) {
	require.NoError(p.t, json.Unmarshal(p.Content(key+".ocr.json"), &d), key)
	return d
}

func (p *pictures) InvokeAsync(_ context.Context, payload []byte) (string, error) {
	var event struct {
		Events []struct {
			OSS struct{ Object struct{ Key string } }
		}
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return "", err
	}
	key := event.Events[0].OSS.Object.Key
	p.mu.Lock()
	p.invoked = append(p.invoked, key)
	p.mu.Unlock()
	if !p.idle {
		p.recognise(key)
	}
	return "1-x", nil
}

// listing is the bucket as it is listed.
type listing struct{ *pictures }

func (l listing) List(ctx context.Context, prefix, after string) iter.Seq2[ossclient.Object, error] {
	l.mu.Lock()
	keys := slices.Sorted(maps.Keys(l.keys))
	l.mu.Unlock()
	return func(yield func(ossclient.Object, error) bool) {
		for _, key := range keys {
			o, err := l.Head(ctx, key)
			if err == nil && strings.HasPrefix(key, prefix) && key > after && !yield(ossclient.Object{Key: key, ETag: o.ETag, Size: o.Size, LastModified: o.LastModified}, nil) {
				return
			}
		}
	}
}

func (l listing) Read(ctx context.Context, key string, limit int64) ([]byte, error) {
	body, _, err := l.Memory.Read(ctx, key, bucket.ReadOptions{Limit: limit})
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, &ossclient.Error{Status: 404, Code: "NoSuchKey"}
	}
	return body, err
}

func (l listing) Remove(ctx context.Context, key string) error { return l.Delete(ctx, key) }

// backfill runs a whole backfill with reuse.
func (p *pictures) backfill(wait time.Duration, between ...func()) (Report, Reused) {
	j := job(p.t, listing{p}, p, file(p.t), func(o *Options) { o.Reuse, o.Retention = true, p.keep })
	var err error
	j.Plan, err = PlanReuse(p.t.Context(), j)
	require.NoError(p.t, err)
	report, err := j.Run(p.t.Context())
	require.NoError(p.t, err)
	for _, f := range between {
		f()
	}
	reused, err := j.Plan.Finish(p.t.Context(), j, p, wait)
	require.NoError(p.t, err)
	return report, reused
}

func TestEqualImagesCostOneCall(t *testing.T) {
	p := newPictures(t)
	for _, key := range []string{"a.jpg", "b.jpg", "c.jpg", "other.jpg"} {
		p.put(key, "bytes of "+strings.Trim(key, "abc"))
	}
	report, reused := p.backfill(0)
	assert.Equal(t, []string{"a.jpg", "other.jpg"}, slices.Sorted(slices.Values(p.invoked)))
	assert.EqualValues(t, 2, report.Skipped[EqualBytes])
	assert.EqualValues(t, 2, report.Charges)
	assert.Equal(t, Reused{Written: 2}, reused)
	d, source := p.read("b.jpg"), p.read("a.jpg")
	image, err := p.Head(t.Context(), "b.jpg")
	require.NoError(t, err)
	assert.Equal(t, result.Image{Bucket: "cards", Key: "b.jpg", ETag: image.ETag, Size: image.Size, LastModified: image.LastModified}, d.Image)
	assert.Equal(t, result.OCR{RequestID: "res", Details: true, ReusedFrom: "a.jpg"}, d.OCR, "nothing was called or charged for it")
	assert.Equal(t, source.Card, d.Card)
	stored, err := p.Head(t.Context(), "b.jpg.ocr.json")
	require.NoError(t, err)
	etag, status := result.FromMetadata(stored.Meta)
	assert.Equal(t, image.ETag, etag)
	assert.Equal(t, result.Recognized, status)
	assert.Equal(t, result.ContentType, stored.ContentType)

	p.put("d.jpg", "bytes of .jpg") // a later copy costs no call at all
	p.invoked = nil
	_, reused = p.backfill(0)
	assert.Empty(t, p.invoked)
	assert.Equal(t, Reused{Written: 1}, reused)
	assert.Equal(t, "a.jpg", p.read("d.jpg").OCR.ReusedFrom)
}

// A document says with a field or the raw answer that it was read; without both, that it was not, or was not kept.
func TestADocumentThatIsWrittenKeepsWhatTheFunctionKeeps(t *testing.T) {
	for name, test := range map[string]struct {
		keep      result.Retention
		stored    result.Retention // of the documents of the function
		before    bool             // one of them is there before
		invoked   int
		want      Reused
		raw       bool
		ethnicity string
	}{
		"everything":                       {invoked: 1, want: Reused{Written: 1}, raw: true, ethnicity: "汉"},
		"less, of a document with more":    {keep: result.Retention{Fields: []string{"name"}}, before: true, want: Reused{Written: 1}},
		"less, of a call":                  {keep: result.Retention{Fields: []string{"name"}}, invoked: 1, want: Reused{Written: 1}},
		"more, of a document with less":    {stored: result.Retention{Fields: []string{"name"}}, before: true, invoked: 1},
		"the same, of a document and call": {keep: result.Retention{DropRaw: true}, stored: result.Retention{DropRaw: true}, invoked: 1, want: Reused{Written: 1}, ethnicity: "汉"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPictures(t)
			full := p.document
			p.document = func(key string) result.Document {
				d := full(key)
				d.Card.Ethnicity = "汉" // and no address could be read
				test.stored.Apply(&d)
				return d
			}
			p.put("a.jpg", "same")
			p.put("b.jpg", "same")
			if test.before {
				p.recognise("a.jpg")
			}
			p.keep = test.keep
			_, reused := p.backfill(0)
			assert.Len(t, p.invoked, test.invoked)
			require.Equal(t, test.want, reused)
			if reused.Written > 0 {
				d := p.read("b.jpg")
				assert.Equal(t, "张三", d.Card.Name)
				assert.Equal(t, test.ethnicity, d.Card.Ethnicity)
				assert.Equal(t, test.raw, d.Raw != nil)
			}
		})
	}
}

func TestAnAnswerIsReusedOnceItIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPictures(t)
		p.idle = true
		p.put("a.jpg", "same")
		p.put("b.jpg", "same")
		_, reused := p.backfill(5*time.Minute, func() {
			retryable := p.document
			p.document = func(string) result.Document {
				return result.Document{Status: result.Failed, Error: &result.Error{Code: result.Throttled, Message: "x", Retryable: true}}
			}
			p.recognise("a.jpg")
			p.document = retryable
			go func() {
				time.Sleep(3 * time.Minute)
				p.recognise("a.jpg")
			}()
		})
		assert.Equal(t, Reused{Written: 1}, reused)
		synctest.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPictures(t)
		p.idle = true
		p.put("a.jpg", "same")
		p.put("b.jpg", "same")
		began := time.Now()
		_, reused := p.backfill(5 * time.Minute)
		assert.Equal(t, Reused{Waiting: 1}, reused)
		assert.Equal(t, 5*time.Minute, time.Since(began))
	})
}

func TestOnlyWhatIsSureIsReused(t *testing.T) {
	two := func(t *testing.T) *pictures {
		p := newPictures(t)
		p.put("a.jpg", "same")
		p.put("b.jpg", "same")
		return p
	}
	fake := func(p *pictures, key string) { // an MD5 collision
		image, err := p.Head(t.Context(), "a.jpg")
		require.NoError(t, err)
		p.put(key, "eman")
		p.Change(key, func(o *bucket.Object) { o.ETag = image.ETag })
	}
	for name, test := range map[string]struct {
		before, between func(p *pictures)
		want            Reused
	}{
		"other bytes of the same MD5":    {before: func(p *pictures) { fake(p, "b.jpg") }, want: Reused{Different: 1}},
		"the image was replaced":         {between: func(p *pictures) { p.put("b.jpg", "new one") }, want: Reused{Changed: 1}},
		"the image was removed":          {between: func(p *pictures) { require.NoError(t, p.Delete(t.Context(), "b.jpg")) }, want: Reused{Changed: 1}},
		"the source was replaced":        {between: func(p *pictures) { p.put("a.jpg", "new one") }, want: Reused{Changed: 1}},
		"the image was recognised":       {between: func(p *pictures) { p.recognise("b.jpg") }, want: Reused{Present: 1}},
		"a document about another image": {between: func(p *pictures) { p.put("a.jpg", "new one"); p.recognise("a.jpg") }, want: Reused{Waiting: 1}},
		"the source failed for good": {before: func(p *pictures) {
			p.document = func(string) result.Document {
				return result.Document{Status: result.Failed, Error: &result.Error{Code: result.QuotaExhausted, Message: "x"}}
			}
		}, want: Reused{NoAnswer: 1}},
		"no ID card is an answer, too": {before: func(p *pictures) {
			p.document = func(string) result.Document {
				return result.Document{Status: result.Unrecognized, Error: &result.Error{Code: result.NotRecognized, Message: "x"}}
			}
		}, want: Reused{Written: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			p := two(t)
			if test.before != nil {
				test.before(p)
			}
			_, reused := p.backfill(0, func() {
				if test.between != nil {
					test.between(p)
				}
			})
			assert.Equal(t, test.want, reused)
			if test.want.Written+test.want.Present == 0 {
				assert.Nil(t, p.Content("b.jpg.ocr.json"))
			}
		})
	}
}

func TestAGroupWhoseImageFailedIsTriedWithAnother(t *testing.T) {
	p := newPictures(t)
	for _, key := range []string{"a.jpg", "b.jpg", "c.jpg"} {
		p.put(key, "same")
	}
	good := p.document
	p.document = func(string) result.Document {
		return result.Document{Status: result.Failed, Error: &result.Error{Code: result.QuotaExhausted, Message: "x"}}
	}
	p.backfill(0)
	p.document = good
	_, reused := p.backfill(0)
	assert.Equal(t, []string{"a.jpg", "b.jpg"}, p.invoked)
	assert.Equal(t, Reused{Written: 1}, reused)
	assert.Equal(t, "b.jpg", p.read("c.jpg").OCR.ReusedFrom)
}

func TestImagesWithClaimsOrTooLargeAreNotReused(t *testing.T) {
	p := newPictures(t)
	large := strings.Repeat("x", 1001)
	for key, bytes := range map[string]string{"a.jpg": "same", "b.jpg": "same", "b.jpg.ocr.claim": "line", "c.jpg": large, "d.jpg": large} {
		p.put(key, bytes)
	}
	p.Change("b.jpg.ocr.claim", func(o *bucket.Object) { o.LastModified = noon.Add(-time.Hour) })
	report, reused := p.backfill(0)
	assert.Equal(t, []string{"a.jpg", "b.jpg", "c.jpg", "d.jpg"}, slices.Sorted(slices.Values(p.invoked)), "its claim may tell of a paid call")
	assert.Zero(t, report.Skipped[EqualBytes])
	assert.Equal(t, Reused{}, reused)
}

func TestAStoreThatFailsEndsTheReuse(t *testing.T) {
	for _, op := range []string{"GET b.jpg", "HEAD b.jpg.ocr.json", "PUT b.jpg.ocr.json", "GET a.jpg.ocr.json"} {
		p := newPictures(t)
		p.put("a.jpg", "same")
		p.put("b.jpg", "same")
		j := job(t, listing{p}, p, file(t), func(o *Options) { o.Reuse = true })
		var err error
		j.Plan, err = PlanReuse(t.Context(), j)
		require.NoError(t, err)
		_, err = j.Run(t.Context())
		require.NoError(t, err)
		p.Fail = func(o, key string) error {
			if o+" "+key == op {
				return fmt.Errorf("memory: %w", bucket.ErrUnavailable)
			}
			return nil
		}
		_, err = j.Plan.Finish(t.Context(), j, p, time.Minute)
		assert.ErrorIs(t, err, bucket.ErrUnavailable, op)
	}
}

func TestACheckpointWithReuseIsOfAnotherJob(t *testing.T) {
	with, without := Options{Reuse: true}.Identity(""), Options{}.Identity("")
	assert.NotEqual(t, with.FileName(), without.FileName(), "the other run would not submit the images that were passed over")
	text, err := json.Marshal(without)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "reuse", "checkpoints of older versions stay valid")
}
