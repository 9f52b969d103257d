package ossclient

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/listtest"
	"fc-idcard-ocr/internal/ctl/parallel"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve opens a bucket of these keys on a server that counts.
func serve(t *testing.T, parallel int, keys ...string) (*listtest.Server, *httptest.Server, *Bucket, *atomic.Int64) {
	slices.Sort(keys)
	objects, connections := &listtest.Server{Keys: keys}, new(atomic.Int64)
	server := httptest.NewUnstartedServer(objects)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return objects, server, openAt(t, server, parallel), connections
}

func openAt(t *testing.T, server *httptest.Server, parallel int) *Bucket {
	b, err := Open(Config{Bucket: "cards", Region: "cn-hangzhou", Endpoint: server.URL, Parallel: parallel,
		Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "s"})})
	require.NoError(t, err)
	return b
}

func numbered(n int, format string) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf(format, i))
	}
	return keys
}

func TestConnectionsAreKeptForAllRequestsAtATime(t *testing.T) {
	const workers = 64
	_, _, b, connections := serve(t, workers, "a.jpg")
	numbers := func(yield func(int, error) bool) {
		for i := range 1500 {
			if !yield(i, nil) {
				return
			}
		}
	}
	for err := range parallel.Map(numbers, workers, func(int) error {
		_, err := b.Read(t.Context(), "a.jpg", 10)
		return err
	}) {
		require.NoError(t, err)
	}
	assert.LessOrEqual(t, connections.Load(), int64(workers+maxStreams))
}

func TestTheNextPageIsFetchedWhileOneIsWorkedOn(t *testing.T) {
	c, _, b, _ := serve(t, 1, numbered(3500, "%05d.jpg")...)
	seen := 0
	for _, err := range b.List(t.Context(), "", "") {
		require.NoError(t, err)
		if seen++; seen == 1 {
			require.Eventually(t, func() bool { return c.Listings.Load() == 2 }, 10*time.Second, time.Millisecond)
		}
	}
	assert.Equal(t, 3500, seen)
	assert.EqualValues(t, 4, c.Listings.Load(), "no request more than a plain listing")
}

// hostile makes keys of pieces that sort around the slash and are prefixes of each other, some of them in deep or empty folders.
func hostile(r *rand.Rand, n int) []string {
	pieces := []string{"a", "b", "/", "/", "-", "0", ".", " ", "//", "\x01", "~", "é", "身份", "+", "%2F", "a/b/c/d/", ".jpg", ".jpg.ocr.json"}
	keys := make(map[string]bool)
	for range n {
		key := []string{"", "", "x/", "x/y/", "x/y/z/1/", "x/y/z/2/"}[r.IntN(6)]
		for range 1 + r.IntN(6) {
			key += pieces[r.IntN(len(pieces))]
		}
		keys[key] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

func TestAParallelListingEqualsAPlainOne(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		keys := hostile(r, 1+r.IntN(600))
		store, _, b, _ := serve(t, []int{1, 2, 16}[r.IntN(3)], keys...)
		store.PageSize = 1 + r.IntN(80)
		for range 4 {
			prefix, after := keys[r.IntN(len(keys))], keys[r.IntN(len(keys))]
			prefix = prefix[:r.IntN(len(prefix)+1)*r.IntN(2)] // any prefix of a key, half of a character included, or none
			switch r.IntN(4) {
			case 0:
				after = ""
			case 1:
				after = after[:r.IntN(len(after)+1)]
			case 2:
				after += "/"
			}
			if !utf8.ValidString(prefix + after) { // no key of OSS is
				continue
			}
			want := []string{}
			for _, key := range keys {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			got := []string{}
			for o, err := range b.List(t.Context(), prefix, after) {
				require.NoError(t, err)
				got = append(got, o.Key)
			}
			require.True(t, slices.Equal(want, got), "seed %d, prefix %q, after %q: %q instead of %q", seed, prefix, after, got, want)
		}
	}
}

// counter refuses or spoils one page, and counts how many there are.
type counter struct {
	*listtest.Server
	spoil   int64 // the number of the page, from 1
	how     func(w http.ResponseWriter, whole []byte)
	pages   atomic.Int64 // without levels
	spoiled atomic.Bool
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("delimiter") || c.pages.Add(1) != c.spoil {
		c.Server.ServeHTTP(w, r)
		return
	}
	c.spoiled.Store(true)
	whole := httptest.NewRecorder()
	c.Server.ServeHTTP(whole, r)
	c.how(w, whole.Body.Bytes())
}

func TestAPageThatIsMissingIsNeverTheEnd(t *testing.T) {
	var keys []string
	for _, folder := range []string{"a/", "b/x/", "b/y/", "b/z", "c/"} {
		keys = append(keys, numbered(40, folder+"%03d.jpg")...)
	}
	slices.Sort(keys)
	for name, how := range map[string]func(w http.ResponseWriter, whole []byte){
		"refused":    func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusForbidden) },
		"empty":      func(http.ResponseWriter, []byte) {},
		"cut off":    func(w http.ResponseWriter, whole []byte) { w.Write(whole[:len(whole)/2]) },
		"of a proxy": func(w http.ResponseWriter, _ []byte) { io.WriteString(w, "<html><body>Please log in</body></html>") },
		"no token": func(w http.ResponseWriter, whole []byte) {
			before, _, _ := strings.Cut(string(whole), "<NextContinuationToken>")
			io.WriteString(w, strings.Replace(before, "<IsTruncated>false", "<IsTruncated>true", 1)+"</ListBucketResult>")
		},
	} {
		t.Run(name, func(t *testing.T) {
			for spoil := int64(1); ; spoil++ {
				store := &counter{Server: &listtest.Server{Keys: keys, PageSize: 10}, spoil: spoil, how: how}
				server := httptest.NewServer(store)
				defer server.Close()
				b := openAt(t, server, 16)
				var got []string
				var failures []error
				for o, err := range b.List(t.Context(), "", "") {
					if err != nil {
						failures = append(failures, err)
						continue
					}
					got = append(got, o.Key)
				}
				if !store.spoiled.Load() { // there are no more pages
					require.Greater(t, spoil, int64(20))
					require.Empty(t, failures)
					require.Equal(t, keys, got)
					return
				}
				require.Len(t, failures, 1, "page %d", spoil)
				var e *Error
				require.ErrorAs(t, failures[0], &e)
				require.LessOrEqual(t, len(got), len(keys))
				require.True(t, slices.Equal(keys[:len(got)], got))
			}
		})
	}
}

// layouts are ways to name objects, by number.
var layouts = map[string]func(i int) string{
	"numbers":             func(i int) string { return fmt.Sprintf("%07d.jpg", i) },
	"numbers, not padded": func(i int) string { return fmt.Sprintf("%d.jpg", i) },
	"hashes":              func(i int) string { return hash(i) + ".jpg" },
	"months":              func(i int) string { return fmt.Sprintf("2026/%02d/%07d.jpg", 1+i%12, i) },
	"days and hashes":     func(i int) string { return at(i).Format("2006/01/02/") + hash(i) + ".jpg" },
	"times":               func(i int) string { return at(i).Format("20060102-150405") + hash(i)[:4] + ".jpg" },
	"folders of people":   func(i int) string { return fmt.Sprintf("%s/IMG_%04d.jpg", []string{"alice", "bob", "张三"}[i%3], i) },
	"small folders":       func(i int) string { return fmt.Sprintf("customer-%d/%s.jpg", i%300, hash(i)) },
}

func hash(i int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	return hex.EncodeToString(sum[:16])
}

func at(i int) time.Time {
	return time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(i) * 7 * time.Minute)
}

func TestAListingIsConcurrentAndTakesFewMoreRequestsThanItHasPages(t *testing.T) {
	const objects, pages = 8000, 80
	for name, key := range layouts {
		t.Run(name, func(t *testing.T) {
			var keys []string
			for i := range objects {
				keys = append(keys, key(i))
			}
			slices.Sort(keys)
			store := &listtest.Server{Keys: keys, PageSize: objects / pages, Delay: 4 * time.Millisecond}
			var underWay, most atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if now := underWay.Add(1); now > most.Load() {
					most.Store(now)
				}
				defer underWay.Add(-1)
				store.ServeHTTP(w, r)
			}))
			defer server.Close()
			assert.Equal(t, keys, list(t, openAt(t, server, 16), "", ""))
			assert.GreaterOrEqual(t, most.Load(), int64(4), "requests at a time")
			assert.LessOrEqual(t, store.Listings.Load(), int64(pages*13/10))
		})
	}
}

func TestAListingOfOnePageIsOneRequest(t *testing.T) {
	store, _, b, _ := serve(t, 16, numbered(1000, "%05d.jpg")...)
	assert.Len(t, list(t, b, "", ""), 1000)
	assert.EqualValues(t, 1, store.Listings.Load())
}

func TestExtrapolatedKeysAreTextSomePagesAfterAPage(t *testing.T) {
	page := func(keys []string) (objects []Object) {
		for _, key := range keys {
			objects = append(objects, Object{Key: key})
		}
		return objects
	}
	for _, name := range []string{"numbers", "hashes", "months"} {
		var keys []string
		for i := range 40_000 {
			keys = append(keys, layouts[name](i))
		}
		slices.Sort(keys)
		border := extrapolate(page(keys[100:200]), partPages)
		at, _ := slices.BinarySearch(keys, border)
		assert.InDelta(t, 200+partPages*100, at, partPages*100/2, "%s: %q after %q", name, border, keys[199])
	}
	for seed := range uint64(500) {
		keys := hostile(rand.New(rand.NewPCG(seed, 9)), 50)
		border := extrapolate(page(keys), partPages)
		assert.True(t, utf8.ValidString(border), "%q after %q", border, keys)
	}
	assert.Empty(t, extrapolate(nil, partPages))
	assert.Empty(t, extrapolate(page([]string{"a"}), partPages))
	long := strings.Repeat("0", 1010)
	assert.Empty(t, extrapolate(page([]string{long + "0", long + "1"}), partPages), "no key is that long")
}

func TestPagesThatAreHeldAreBoundedAndFewForASlowLoop(t *testing.T) {
	var keys []string
	for folder := range 12 {
		keys = append(keys, numbered(300, fmt.Sprintf("%02d/", folder)+"%04d.jpg")...)
	}
	for name, slow := range map[string]bool{"fast": false, "slow": true} {
		t.Run(name, func(t *testing.T) {
			store, _, b, _ := serve(t, 16, keys...)
			store.PageSize = 5
			l := listing{bucket: b, ctx: t.Context(), answers: make(chan answer), parts: []*part{{}}, limit: 1}
			seen, most := 0, 0
			for p := l.next(); p != nil; p = l.next() {
				require.NoError(t, p.err)
				seen += len(p.objects)
				most = max(most, l.ahead)
				for slow && l.requests > 0 { // all that was requested comes before the loop goes on
					l.receive(<-l.answers)
				}
			}
			assert.Equal(t, len(keys), seen)
			if slow {
				assert.LessOrEqual(t, most, 8)
			} else {
				assert.Equal(t, maxAhead, l.limit)
				assert.LessOrEqual(t, most, maxAhead+2)
			}
		})
	}
}

func TestAListingThatIsLeftAtOnceHasMadeTwoRequests(t *testing.T) {
	store, server, b, _ := serve(t, 16, append(numbered(2500, "a/%05d.jpg"), numbered(2500, "b/%05d.jpg")...)...)
	for range b.List(t.Context(), "", "") {
		break
	}
	server.Close()
	assert.LessOrEqual(t, store.Listings.Load(), int64(2))
}

func TestAListingThatIsLeftOrFailsLeavesNothingBehind(t *testing.T) {
	c, server, b, _ := serve(t, 1, numbered(2500, "%05d.jpg")...)
	for range b.List(t.Context(), "", "") {
		break
	}
	before := c.Listings.Load()
	server.Close() // waits for the requests under way
	assert.LessOrEqual(t, before, int64(2))
	failures := 0
	for _, err := range b.List(t.Context(), "", "") {
		var e *Error
		require.True(t, errors.As(err, &e))
		failures++
	}
	assert.Equal(t, 1, failures)
}
