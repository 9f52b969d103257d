package inventory

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/listtest"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var names = result.Keys{ImageSuffixes: []string{".jpg", ".png"}, ResultSuffix: ".ocr.json", ClaimSuffix: ".ocr.claim"}

func objects(keys ...string) iter.Seq2[ossclient.Object, error] {
	return func(yield func(ossclient.Object, error) bool) {
		for _, key := range keys {
			if !yield(ossclient.Object{Key: key}, nil) {
				return
			}
		}
	}
}

func describe(t *testing.T, seq iter.Seq2[Entry, error]) map[string]string {
	found := make(map[string]string)
	for e, err := range seq {
		require.NoError(t, err)
		what := ""
		for letter, o := range map[string]*ossclient.Object{"i": e.Image, "d": e.Document, "c": e.Claim} {
			if o != nil {
				what += letter
			}
		}
		what = strings.Join(slices.Sorted(slices.Values(strings.Split(what, ""))), "")
		if _, again := found[e.Key]; again && strings.Contains(what, "i") {
			t.Fatalf("%q came twice", e.Key)
		}
		found[e.Key] += what
	}
	return found
}

func TestNeighboursArePairedWhateverSortsBetweenThem(t *testing.T) {
	keys := []string{
		"a.jpg", "a.jpg-2.jpg", "a.jpg-2.jpg.ocr.json", "a.jpg.bak", "a.jpg.jpg", "a.jpg.jpg.ocr.json", "a.jpg.ocr.claim", "a.jpg.ocr.json", "a.jpg.png",
		"b.JPG", "b.JPG.ocr.json", "c.png", "gone.jpg.ocr.json", "late.png.ocr.claim", "notes.txt", "z.jpg",
	}
	require.True(t, slices.IsSorted(keys))
	assert.Equal(t, map[string]string{
		"a.jpg": "cdi", "a.jpg-2.jpg": "di", "a.jpg.jpg": "di", "a.jpg.png": "i", "b.JPG": "di", "c.png": "i",
		"gone.jpg": "d", "late.png": "c", "z.jpg": "i",
	}, describe(t, Pair(names, objects(keys...))))
}

// naive pairs with everything in memory.
func naive(keys []string) map[string]string {
	all := make(map[string]bool)
	for _, key := range keys {
		all[key] = true
	}
	found := make(map[string]string)
	for _, key := range keys {
		if names.IsImage(key) {
			for _, each := range []struct{ suffix, letter string }{{names.ClaimSuffix, "c"}, {names.ResultSuffix, "d"}} {
				if all[key+each.suffix] {
					found[key] += each.letter
				}
			}
			found[key] += "i"
		}
	}
	for _, key := range keys { // what is left over, in the order in which a listing tells it: claims first
		if image, ok := strings.CutSuffix(key, names.ClaimSuffix); ok && !(all[image] && names.IsImage(image)) {
			found[image] += "c"
		} else if image, ok := strings.CutSuffix(key, names.ResultSuffix); ok && !(all[image] && names.IsImage(image)) {
			found[image] += "d"
		}
	}
	return found
}

// hostile makes keys of pieces that are prefixes of each other and sort around the suffixes.
func hostile(r *rand.Rand, n int) []string {
	pieces := []string{"a", "b", ".jpg", ".JPG", ".png", ".ocr.json", ".ocr.claim", ".ocr", "-", "/", " ", ".", "0", "é", "身份", "\x01", "~", ".json"}
	keys := make(map[string]bool)
	for range n {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		keys[b.String()] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

func TestPairingEqualsAPairingInMemory(t *testing.T) {
	for seed := range uint64(300) {
		keys := hostile(rand.New(rand.NewPCG(seed, 1)), 400)
		require.Equal(t, naive(keys), describe(t, Pair(names, objects(keys...))), "seed %d", seed)
	}
}

func FuzzPairing(f *testing.F) {
	f.Add("a.jpg\na.jpg.ocr.json\na.jpg.jpg")
	f.Fuzz(func(t *testing.T, text string) {
		keys := make(map[string]bool)
		for key := range strings.SplitSeq(text, "\n") {
			if key != "" {
				keys[key] = true
			}
		}
		sorted := slices.Sorted(maps.Keys(keys))
		assert.Equal(t, naive(sorted), describe(t, Pair(names, objects(sorted...))))
	})
}

func TestAPassGoesOnFromItsPositionAsIfItHadNotStopped(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 100 {
		keys := hostile(r, 300)
		cut := r.IntN(len(keys))
		first := Pairer{Keys: names}
		var got []Entry
		for _, key := range keys[:cut] {
			done, err := first.Add(ossclient.Object{Key: key})
			require.NoError(t, err)
			got = append(got, done...)
		}
		second := Pairer{Keys: names, Position: first.Snapshot()}
		for _, key := range keys[cut:] {
			done, err := second.Add(ossclient.Object{Key: key})
			require.NoError(t, err)
			got = append(got, done...)
		}
		got = append(got, second.End()...)
		var whole []Entry
		for e, err := range Pair(names, objects(keys...)) {
			require.NoError(t, err)
			whole = append(whole, e)
		}
		require.Equal(t, whole, got)
	}
}

func TestPairsOfAParallelListingAreThoseOfAPlainOneFromAnyPosition(t *testing.T) {
	show := func(entries []Entry) (text []string) {
		for _, e := range entries {
			text = append(text, fmt.Sprintf("%q %t %t %t", e.Key, e.Image != nil, e.Document != nil, e.Claim != nil))
		}
		return text
	}
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 5))
		keys := hostile(r, 400)
		server := httptest.NewServer(&listtest.Server{Keys: keys, PageSize: 5 + r.IntN(60)})
		b, err := ossclient.Open(ossclient.Config{Bucket: "cards", Region: "cn-hangzhou", Endpoint: server.URL, Parallel: 16,
			Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "s"})})
		require.NoError(t, err)
		var want []Entry
		for e, err := range Pair(names, objects(keys...)) {
			require.NoError(t, err)
			want = append(want, e)
		}
		p, got := Pairer{Keys: names}, []Entry(nil)
		for stopped := true; stopped; { // a pass that stops here and there, and goes on with another listing
			stopped = false
			for o, err := range b.List(t.Context(), "", p.Position.After) {
				require.NoError(t, err)
				done, err := p.Add(o)
				require.NoError(t, err)
				got = append(got, done...)
				if r.IntN(100) == 0 {
					stopped = true
					break
				}
			}
			p = Pairer{Keys: names, Position: p.Snapshot()}
		}
		got = append(got, p.End()...)
		require.Equal(t, show(want), show(got), "seed %d", seed)
		server.Close()
	}
}

func TestNoKeyCanKeepManyImagesOpen(t *testing.T) {
	p := Pairer{Keys: names}
	key := strings.Repeat(".jpg", 255) // 1,020 bytes
	for end := 4; end <= len(key); end += 4 {
		_, err := p.Add(ossclient.Object{Key: key[:end]})
		require.NoError(t, err)
	}
	assert.Len(t, p.Position.Pending, 255)
	for i := range 10_000 {
		_, err := p.Add(ossclient.Object{Key: fmt.Sprintf(".jpg/%06d.jpg", i)})
		require.NoError(t, err)
	}
	assert.Len(t, p.Position.Pending, 2)
}

func TestAListingOutOfOrderIsRefused(t *testing.T) {
	for _, keys := range [][]string{{"b.jpg", "a.jpg"}, {"a.jpg", "a.jpg"}} {
		var failed error
		for _, err := range Pair(names, objects(keys...)) {
			failed = err
		}
		assert.ErrorContains(t, failed, "order")
	}
	broken := errors.New("broken")
	var failed error
	for _, err := range Pair(names, func(yield func(ossclient.Object, error) bool) { yield(ossclient.Object{}, broken) }) {
		failed = err
	}
	assert.ErrorIs(t, failed, broken)
}

func TestADocumentIsCurrentUnlessItIsOlderThanItsImage(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *ossclient.Object { return &ossclient.Object{LastModified: noon.Add(d)} }
	assert.True(t, Entry{Image: at(0), Document: at(time.Second)}.UpToDate())
	assert.True(t, Entry{Image: at(0), Document: at(0)}.UpToDate(), "listings tell whole seconds")
	assert.False(t, Entry{Image: at(time.Second), Document: at(0)}.UpToDate())
	assert.False(t, Entry{Image: at(0)}.UpToDate())
	assert.False(t, Entry{Document: at(0)}.UpToDate())
}
