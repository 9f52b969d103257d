package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	names = result.Keys{ImageSuffixes: []string{".jpg"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

// shelf is a bucket in memory that counts.
type shelf struct {
	mu      sync.Mutex
	objects map[string]ossclient.Object
	bodies  map[string][]byte
	refused map[string]error // of reading a key, or of "remove " and a key
	reads   int
	removed []string
	onRead  func(key string)
}

func newShelf() *shelf {
	return &shelf{objects: map[string]ossclient.Object{}, bodies: map[string][]byte{}}
}

func (s *shelf) put(key string, age time.Duration, body string) {
	s.objects[key] = ossclient.Object{Key: key, ETag: "E" + key, Size: max(int64(len(body)), 1), LastModified: noon.Add(-age)}
	s.bodies[key] = []byte(body)
}

func (s *shelf) document(key string, age time.Duration, status result.Status, e *result.Error) {
	text, _ := json.Marshal(result.Document{SchemaVersion: 1, Status: status, Error: e, CompletedAt: noon.Add(-age)})
	s.put(key+".ocr.json", age, string(text))
}

func (s *shelf) List(ctx context.Context, prefix, after string) iter.Seq2[ossclient.Object, error] {
	s.mu.Lock()
	keys := slices.Sorted(maps.Keys(s.objects))
	s.mu.Unlock()
	return func(yield func(ossclient.Object, error) bool) {
		for _, key := range keys {
			if ctx.Err() != nil {
				yield(ossclient.Object{}, ctx.Err())
				return
			}
			if strings.HasPrefix(key, prefix) && key > after {
				s.mu.Lock()
				o := s.objects[key]
				s.mu.Unlock()
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

func (s *shelf) Read(_ context.Context, key string, _ int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.onRead != nil {
		s.onRead(key)
	}
	if err := s.refused[key]; err != nil {
		return nil, err
	}
	body, ok := s.bodies[key]
	if !ok {
		return nil, &ossclient.Error{Status: 404, Code: "NoSuchKey"}
	}
	return body, nil
}

func (s *shelf) Remove(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refused["remove "+key]; err != nil {
		return err
	}
	delete(s.objects, key)
	delete(s.bodies, key)
	s.removed = append(s.removed, key)
	return nil
}

// invoker notes the keys of its events.
type invoker struct {
	mu   sync.Mutex
	keys []string
	call func(n int) error
}

func (f *invoker) InvokeAsync(_ context.Context, payload []byte) (string, error) {
	var event struct {
		Events []struct {
			OSS struct {
				Object struct{ Key string }
			}
		}
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.call != nil {
		if err := f.call(len(f.keys)); err != nil {
			return "", err
		}
	}
	f.keys = append(f.keys, event.Events[0].OSS.Object.Key)
	return "1-x", nil
}

func (f *invoker) sorted() []string { return slices.Sorted(slices.Values(f.keys)) }

func job(t *testing.T, s Bucket, f Invoker, path string, change ...func(*Options)) *Job {
	o := Options{Bucket: "cards", Region: "cn-hangzhou", Function: "f", Keys: names, ClaimAge: 10 * time.Minute, MaxImageBytes: 1000, Rate: 1e9, Parallel: 4}
	for _, c := range change {
		c(&o)
	}
	checkpoint, err := Open(path, o.Identity(""))
	require.NoError(t, err)
	return &Job{Options: o, Objects: s, Invoker: f, Checkpoint: checkpoint, Now: func() time.Time { return noon }}
}

func file(t *testing.T) string { return filepath.Join(t.TempDir(), "sub", "checkpoint.jsonl") }

func selection(t *testing.T, text string) Selection {
	s, err := ParseSelection(text)
	require.NoError(t, err)
	return s
}

func zoo() *shelf {
	s := newShelf()
	s.put("done.jpg", time.Hour, "x")
	s.document("done.jpg", time.Minute, result.Recognized, nil)
	s.put("missing.jpg", time.Hour, "x")
	s.put("outdated.jpg", time.Minute, "x")
	s.document("outdated.jpg", time.Hour, result.Recognized, nil)
	s.put("working.jpg", time.Hour, "x")
	s.put("working.jpg.ocr.claim", time.Minute, "x")
	s.put("abandoned.jpg", time.Hour, "x")
	s.put("abandoned.jpg.ocr.claim", time.Hour, "x")
	s.put("throttled.jpg", time.Hour, "x")
	s.document("throttled.jpg", time.Minute, result.Failed, &result.Error{Code: result.Throttled, Retryable: true})
	s.put("quota.jpg", time.Hour, "x")
	s.document("quota.jpg", time.Minute, result.Failed, &result.Error{Code: result.QuotaExhausted})
	s.put("nocard.jpg", time.Hour, "x")
	s.document("nocard.jpg", time.Minute, result.Unrecognized, &result.Error{Code: result.NotRecognized})
	s.put("foreign.jpg", time.Hour, "x")
	s.put("foreign.jpg.ocr.json", time.Minute, "not ours")
	s.put("huge.jpg", time.Hour, strings.Repeat("x", 1001))
	s.put("readme.txt", time.Hour, "x")
	s.put("gone.jpg.ocr.json", time.Hour, "{}")
	return s
}

func TestOnlyWhatHasNoResultIsSubmitted(t *testing.T) {
	s, f := zoo(), &invoker{}
	report, err := job(t, s, f, file(t)).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"abandoned.jpg", "huge.jpg", "missing.jpg", "outdated.jpg"}, f.sorted())
	assert.Equal(t, Counts{Images: 10, Submitted: map[Reason]int64{Missing: 2, Outdated: 1, Abandoned: 1}, Skipped: map[Skip]int64{Done: 5, InProgress: 1}, Charges: 3}, report.Counts)
	assert.Empty(t, report.Stopped)
	assert.Zero(t, s.reads, "without --retry-failed no document is read")
	assert.Empty(t, s.removed)
}

func TestFailuresAreTriedAgainOnlyIfSelected(t *testing.T) {
	for text, want := range map[string]struct{ submitted, removed []string }{
		"retryable":                {submitted: []string{"throttled.jpg"}},
		"all":                      {submitted: []string{"quota.jpg", "throttled.jpg"}, removed: []string{"quota.jpg.ocr.json"}},
		"NotRecognized":            {submitted: []string{"nocard.jpg"}, removed: []string{"nocard.jpg.ocr.json"}},
		"QuotaExhausted,Throttled": {submitted: []string{"quota.jpg", "throttled.jpg"}, removed: []string{"quota.jpg.ocr.json"}},
		"Timeout":                  {},
	} {
		s, f := zoo(), &invoker{}
		report, err := job(t, s, f, file(t), func(o *Options) { o.Retry = selection(t, text) }).Run(t.Context())
		require.NoError(t, err)
		again := slices.DeleteFunc(f.sorted(), func(key string) bool {
			return slices.Contains([]string{"abandoned.jpg", "huge.jpg", "missing.jpg", "outdated.jpg"}, key)
		})
		assert.ElementsMatch(t, want.submitted, again, text)
		assert.Equal(t, want.removed, s.removed, text)
		assert.EqualValues(t, 1, report.Skipped[Unreadable])
		assert.EqualValues(t, len(want.submitted), report.Submitted[Failed])
	}
	_, err := ParseSelection("Throttled,Nonsense")
	assert.ErrorContains(t, err, `"Nonsense"`)
	assert.ErrorContains(t, err, "QuotaExhausted")
}

func TestADocumentMadeAnewInTheMeantimeIsNotRemoved(t *testing.T) {
	s, f := newShelf(), &invoker{}
	s.put("quota.jpg", time.Hour, "x")
	s.document("quota.jpg", time.Minute, result.Failed, &result.Error{Code: result.QuotaExhausted})
	s.onRead = func(key string) {
		if s.reads == 2 {
			s.document("quota.jpg", time.Second, result.Recognized, nil)
		}
	}
	_, err := job(t, s, f, file(t), func(o *Options) { o.Retry = selection(t, "all") }).Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, s.removed)
	assert.Empty(t, f.keys)
}

func TestOneBadDocumentStopsNothingAndIsNamed(t *testing.T) {
	s, f := zoo(), &invoker{}
	s.put("archived.jpg", time.Hour, "x")
	s.document("archived.jpg", time.Minute, result.Failed, &result.Error{Code: result.Timeout})
	s.put("kept.jpg", time.Hour, "x")
	s.document("kept.jpg", time.Minute, result.Failed, &result.Error{Code: result.QuotaExhausted})
	s.refused = map[string]error{
		"archived.jpg.ocr.json":    &ossclient.Error{Status: 403, Code: "InvalidObjectState"},
		"remove kept.jpg.ocr.json": &ossclient.Error{Status: 409, Code: "FileImmutable"},
	}
	j := job(t, s, f, file(t), func(o *Options) { o.Retry, o.Parallel = selection(t, "all"), 1 })
	told := map[string]string{}
	j.Failed = func(key string, why Skip, cause string) { told[key] = string(why) + " " + cause }
	report, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"archived.jpg": "unreadable InvalidObjectState", "foreign.jpg": "unreadable NoDocument", "kept.jpg": "unremovable FileImmutable"}, told)
	assert.Equal(t, map[Skip]int64{Done: 2, InProgress: 1, Unreadable: 2, Unremovable: 1}, report.Skipped)
	assert.Equal(t, []string{"abandoned.jpg", "huge.jpg", "missing.jpg", "outdated.jpg", "quota.jpg", "throttled.jpg"}, f.sorted())
	assert.EqualValues(t, len(f.keys)-1, report.Charges, "what was not submitted after all counts for no limit, and huge.jpg is free")
}

func TestADocumentOfAnotherVersionIsSubmitted(t *testing.T) {
	s, f := newShelf(), &invoker{}
	for key, etag := range map[string]string{"same.jpg": "AB-2", "other.jpg": "CD-2"} {
		s.put(key, time.Hour, "x")
		o := s.objects[key]
		o.ETag = "AB-2"
		s.objects[key] = o
		text, _ := json.Marshal(result.Document{SchemaVersion: 1, Status: result.Recognized, Image: result.Image{ETag: etag}})
		s.put(key+".ocr.json", time.Minute, string(text))
	}
	report, err := job(t, s, f, file(t), func(o *Options) { o.Retry = selection(t, "stale") }).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"other.jpg"}, f.keys)
	assert.Equal(t, map[Reason]int64{Stale: 1}, report.Submitted)
	assert.Empty(t, s.removed, "the function pays for another version of the image anyway")
}

func TestADryRunTouchesNothing(t *testing.T) {
	s, path := zoo(), file(t)
	before := maps.Clone(s.objects)
	j := job(t, s, nil, path, func(o *Options) { o.DryRun, o.Retry = true, selection(t, "all") })
	report, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[Reason]int64{Missing: 2, Outdated: 1, Abandoned: 1, Failed: 2}, report.Submitted)
	assert.EqualValues(t, 5, report.Charges)
	assert.Equal(t, before, s.objects)
	assert.Empty(t, s.removed)
	assert.NoFileExists(t, path)
	assert.NoDirExists(t, filepath.Dir(path))
}

func TestSinceLeavesOldImagesOut(t *testing.T) {
	s, f := zoo(), &invoker{}
	report, err := job(t, s, f, file(t), func(o *Options) { o.Since = noon.Add(-2 * time.Minute) }).Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"outdated.jpg"}, f.keys)
	assert.EqualValues(t, 9, report.Skipped[OlderThanSince])
}

func many(n int) *shelf {
	s := newShelf()
	for i := range n {
		s.put(fmt.Sprintf("%05d.jpg", i), time.Hour, "x")
	}
	return s
}

func TestLimitsAreExactAndTheNextRunGoesOn(t *testing.T) {
	s, path := many(300), file(t)
	f := &invoker{}
	for run := range 3 {
		report, err := job(t, s, f, path, func(o *Options) { o.Limit, o.Parallel = 77, 16 }).Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, AtLimit, report.Stopped)
		assert.EqualValues(t, 77, report.Total())
		assert.EqualValues(t, 77*run, report.Earlier)
		assert.Len(t, f.keys, 77*(run+1))
	}
	report, err := job(t, s, f, path, func(o *Options) { o.Limit = 77 }).Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, report.Stopped)
	assert.Len(t, slices.Compact(f.sorted()), 300)
	assert.Len(t, f.keys, 300, "nothing twice")
	assert.NoFileExists(t, path, "a job that is done leaves nothing behind")
}

func TestTheBudgetIsOfAllRunsTogether(t *testing.T) {
	s, path := many(50), file(t)
	s.put("00000.jpg", time.Hour, strings.Repeat("x", 2000)) // costs nothing
	f := &invoker{}
	for range 3 {
		report, err := job(t, s, f, path, func(o *Options) { o.MaxCharge, o.Parallel = 20, 1 }).Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, AtChargeLimit, report.Stopped)
		assert.Len(t, f.keys, 21)
	}
	report, err := job(t, s, f, path, func(o *Options) { o.MaxCharge = 30 }).Run(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 20, report.EarlierCharges)
	assert.EqualValues(t, 10, report.Charges)
	assert.Len(t, f.keys, 31)
}

func TestAnInterruptionLosesAndRepeatsNothing(t *testing.T) {
	s, path := many(500), file(t)
	f := &invoker{}
	for run := 0; ; run++ {
		require.Less(t, run, 50)
		ctx, cancel := context.WithCancel(t.Context())
		began := len(f.keys)
		f.call = func(n int) error {
			if n == began+37 {
				cancel()
			}
			return nil
		}
		report, err := job(t, s, f, path, func(o *Options) { o.Parallel = 8 }).Run(ctx)
		cancel()
		require.NoError(t, err)
		if report.Stopped == "" {
			break
		}
		assert.Equal(t, Interrupted, report.Stopped)
	}
	assert.Len(t, f.keys, 500)
	assert.Len(t, slices.Compact(f.sorted()), 500)
}

// A kill is a process that never comes to Save: what the file holds is all there is.
func TestAKillRepeatsAtMostWhatWasUnderWay(t *testing.T) {
	const parallel = 8
	s, path := many(3000), file(t)
	f := &invoker{}
	kills := 0
	for done := false; !done; kills++ {
		require.Less(t, kills, 50)
		frozen := filepath.Join(t.TempDir(), "frozen")
		ctx, cancel := context.WithCancel(t.Context())
		began, killed := len(f.keys), false
		f.call = func(n int) error {
			if n == began+700 && !killed {
				killed = true
				text, err := os.ReadFile(path)
				if err == nil {
					require.NoError(t, os.WriteFile(frozen, text[:len(text)-3], 0o600)) // in the middle of a line
				}
				cancel()
			}
			if killed {
				return errors.New("dead")
			}
			return nil
		}
		report, _ := job(t, s, f, path, func(o *Options) { o.Parallel = parallel }).Run(ctx)
		cancel()
		done = !killed && report.Stopped == ""
		if killed {
			require.NoError(t, os.Rename(frozen, path))
		}
	}
	assert.Equal(t, 5, kills)
	assert.Len(t, slices.Compact(f.sorted()), 3000, "none is left out")
	assert.LessOrEqual(t, len(f.keys), 3000+(kills-1)*(parallel+1))
}

func TestNothingIsSubmittedThatCannotBeRemembered(t *testing.T) {
	f := &invoker{}
	path := file(t)
	require.NoError(t, os.WriteFile(filepath.Dir(path), nil, 0o600)) // a file where the folder should be
	j := &Job{Options: job(t, many(10), f, file(t)).Options, Objects: many(10), Invoker: f}
	j.Checkpoint = New(path, j.Identity(""))
	_, err := j.Run(t.Context())
	require.ErrorIs(t, err, ErrCheckpoint)
	assert.ErrorContains(t, err, "--checkpoint")
	assert.Equal(t, 1, strings.Count(err.Error(), "cannot be written"), "it is told once")
	assert.Empty(t, f.keys)
}

func TestADiskThatGetsFullStopsTheRunAndLosesNothing(t *testing.T) {
	const parallel = 4
	s, path := many(200), file(t)
	f := &invoker{}
	j := job(t, s, f, path, func(o *Options) { o.Parallel = parallel })
	f.call = func(n int) error {
		if n == 50 {
			// A full disk takes half a line, and then neither a line nor a new file.
			j.Checkpoint.mu.Lock()
			defer j.Checkpoint.mu.Unlock()
			_, err := j.Checkpoint.file.WriteString(`{"key":"ha`)
			require.NoError(t, errors.Join(err, j.Checkpoint.file.Close(), os.Mkdir(path+".new", 0o700)))
			require.NoError(t, os.WriteFile(filepath.Join(path+".new", "full"), nil, 0o600))
		}
		return nil
	}
	_, err := j.Run(t.Context())
	require.ErrorIs(t, err, ErrCheckpoint)
	// A worker takes no further image once a line failed, so each submits at most one more, whose own line fails.
	assert.LessOrEqual(t, len(f.keys), 51+parallel, "it stops at once")
	first := len(f.keys)

	require.NoError(t, os.RemoveAll(path+".new"))
	f.call = nil
	report, err := job(t, s, f, path).Run(t.Context())
	require.NoError(t, err, "the half line is no obstacle")
	assert.GreaterOrEqual(t, report.Earlier, int64(50-parallel), "what was remembered before stays")
	assert.Len(t, slices.Compact(f.sorted()), 200, "none is left out")
	assert.LessOrEqual(t, len(f.keys), 200+first-50+parallel)
	assert.NoFileExists(t, path)
}

func TestAFailureStopsTheRunAndIsTriedAgain(t *testing.T) {
	s, path := many(100), file(t)
	f := &invoker{call: func(n int) error {
		if n == 40 {
			return errors.New("403")
		}
		return nil
	}}
	_, err := job(t, s, f, path).Run(t.Context())
	assert.ErrorContains(t, err, "403")
	assert.Len(t, f.keys, 40)
	f.call = nil
	_, err = job(t, s, f, path).Run(t.Context())
	require.NoError(t, err)
	assert.Len(t, f.keys, 100)
	assert.Len(t, slices.Compact(f.sorted()), 100)
}

func TestTheRateIsKept(t *testing.T) {
	path := file(t)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := job(t, many(101), &invoker{}, path, func(o *Options) { o.Rate = 10 }).Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 10*time.Second, time.Since(start).Round(time.Second))
	})
}

func TestACheckpointOfAnotherJobIsRefused(t *testing.T) {
	path := file(t)
	s := many(10)
	_, err := job(t, s, &invoker{}, path, func(o *Options) { o.Limit = 3 }).Run(t.Context())
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds keys")
	_, err = Open(path, Options{Bucket: "other", Keys: names}.Identity(""))
	assert.ErrorContains(t, err, "another backfill")
	require.NoError(t, os.WriteFile(path, []byte("hello\n"), 0o600))
	_, err = Open(path, Options{Bucket: "cards"}.Identity(""))
	assert.ErrorContains(t, err, "no checkpoint")
	assert.NotEqual(t, Identity{Bucket: "a"}.FileName(), Identity{Bucket: "a", Prefix: "b"}.FileName())
}

// synthetic is a listing of any length that holds nothing.
type synthetic struct {
	images int
	gauge  func()
}

func (s synthetic) List(ctx context.Context, _, after string) iter.Seq2[ossclient.Object, error] {
	return func(yield func(ossclient.Object, error) bool) {
		for i := range s.images {
			if i%10_000 == 0 {
				s.gauge()
			}
			for _, suffix := range []string{"", ".ocr.json"}[:1+i%2] {
				key := fmt.Sprintf("2026/%09d.jpg%s", i, suffix)
				if key > after && !yield(ossclient.Object{Key: key, Size: 1, LastModified: noon}, ctx.Err()) {
					return
				}
			}
		}
		s.gauge()
	}
}

func (synthetic) Read(context.Context, string, int64) ([]byte, error) { return nil, nil }
func (synthetic) Remove(context.Context, string) error                { return nil }

type nowhere struct{}

func (nowhere) InvokeAsync(context.Context, []byte) (string, error) { return "", nil }

func TestMemoryDoesNotGrowWithTheBucket(t *testing.T) {
	peak := func(images int) (most uint64) {
		gauge := func() {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		report, err := job(t, synthetic{images, gauge}, nowhere{}, file(t)).Run(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, images, report.Images)
		return most
	}
	small := peak(1000)
	large := peak(40_000)
	assert.Less(t, large, small+2<<20, "bytes in use")
}
