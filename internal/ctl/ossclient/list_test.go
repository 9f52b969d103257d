package ossclient

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
	b, err := Open(Config{Bucket: "cards", Region: "cn-hangzhou", Endpoint: server.URL, Parallel: parallel,
		Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "s"})})
	require.NoError(t, err)
	return objects, server, b, connections
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

func TestPartsHoldEachKeyOnce(t *testing.T) {
	for name, layout := range map[string]struct {
		folders []string
		parts   int
	}{
		"few":                     {[]string{"a/"}, 1},
		"months below a year":     {[]string{"2026/01/", "2026/02/", "2026/03/", "2026/"}, 4},
		"months below years":      {[]string{"2025/11/", "2025/12/", "2026/01/", "2026/02/", ""}, 1 + 2*3},
		"a folder below a folder": {[]string{"x/y/z/1/", "x/y/z/2/"}, 3},
		"no folders":              {[]string{""}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			each := 1200
			if name == "few" {
				each = 10
			}
			var want []string
			for _, folder := range layout.folders {
				for i := range each {
					if folder == "" && len(layout.folders) > 1 && i > 20 || folder == "2026/" && i > 20 {
						break // a level that is listed in one page
					}
					key := fmt.Sprintf("%s%04d.jpg", folder, i)
					want = append(want, key)
				}
			}
			_, _, b, _ := serve(t, 16, want...)
			parts, err := b.Parts(t.Context(), "")
			require.NoError(t, err)
			assert.Len(t, parts, layout.parts)
			var got []string
			for _, p := range parts {
				if p.Objects != nil {
					for _, o := range p.Objects {
						got = append(got, o.Key)
					}
					continue
				}
				for o, err := range b.List(t.Context(), p.Prefix, "") {
					require.NoError(t, err)
					require.True(t, strings.HasPrefix(o.Key, p.Prefix))
					got = append(got, o.Key)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			assert.Equal(t, want, got)
		})
	}
}

func TestManySmallFoldersAreListedTogether(t *testing.T) {
	c, _, b, _ := serve(t, 16, numbered(1100, "%04d/a.jpg")...)
	parts, err := b.Parts(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, []Part{{}}, parts)
	assert.EqualValues(t, 2, c.Listings.Load())
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
	_, err := b.Parts(t.Context(), "")
	require.NoError(t, err, "one stream needs no parts, and no request")
}
