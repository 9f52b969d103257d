package handler

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/bucket/buckettest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestJudge(t *testing.T) {
	now := time.Now()
	live, over := now.Add(time.Second), now.Add(-time.Second)
	own := record{Owner: "me", RequestID: "r1", RetryCount: 1, LeaseEnd: live}
	for name, test := range map[string]struct {
		found record
		want  verdict
	}{
		"my own line: its answer was lost":                  {record{Owner: "me", LeaseEnd: live}, mine},
		"somebody at work":                                  {record{Owner: "x", RequestID: "r2", LeaseEnd: live}, wait},
		"somebody whose lease is over":                      {record{Owner: "x", RequestID: "r2", LeaseEnd: over}, takeOver},
		"somebody whose lease ends now":                     {record{Owner: "x", RequestID: "r2", LeaseEnd: now}, takeOver},
		"left behind":                                       {record{Owner: "x", RequestID: "r2", LeaseEnd: resting}, takeOver},
		"an earlier attempt of this request is dead":        {record{Owner: "x", RequestID: "r1", RetryCount: 0, LeaseEnd: live}, takeOver},
		"the same attempt delivered twice":                  {record{Owner: "x", RequestID: "r1", RetryCount: 1, LeaseEnd: live}, wait},
		"a later attempt of this request":                   {record{Owner: "x", RequestID: "r1", RetryCount: 2, LeaseEnd: live}, wait},
		"no request ID is no identity":                      {record{Owner: "x", RetryCount: 0, LeaseEnd: live}, wait},
		"an earlier attempt of this request, lease is over": {record{Owner: "x", RequestID: "r1", RetryCount: 0, LeaseEnd: over}, takeOver},
	} {
		assert.Equal(t, test.want, judge(test.found, own, now), name)
	}
	assert.Equal(t, wait, judge(record{Owner: "x", LeaseEnd: live}, record{Owner: "me", RetryCount: 3}, now), "two requests without ID")
}

func acquireOn(t *testing.T, store Store, etag string, inv Invocation) (*claim, error) {
	return acquire(t.Context(), store, claimKey, "cards/"+imageKey, etag, inv)
}

func TestClaimHoldsUntilReleased(t *testing.T) {
	store := &buckettest.Memory{}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	_, err = acquireOn(t, store, "E1", first("r2"))
	require.ErrorIs(t, err, errBusy)
	require.NoError(t, c.release(t.Context()))
	assert.Nil(t, store.Content(claimKey))
	_, err = acquireOn(t, store, "E1", first("r2"))
	require.NoError(t, err)
}

func TestTakerInheritsNonceChargesAndResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		dead, err := acquireOn(t, store, "E1", first("r1"))
		require.NoError(t, err)
		require.NoError(t, dead.renew(t.Context(), "E2", 1))
		time.Sleep(time.Minute) // its lease; virtual time
		heir, err := acquireOn(t, store, "E9", first("r2"))
		require.NoError(t, err)
		assert.True(t, heir.inherited)
		assert.Equal(t, dead.last.Nonce, heir.last.Nonce)
		assert.Equal(t, "E2", heir.last.ETag, "what the nonce is about, not what the event says")
		assert.Equal(t, 1, heir.last.ExtraCharges)
		assert.NotEqual(t, dead.last.Owner, heir.last.Owner)
		assert.ErrorIs(t, dead.renew(t.Context(), "E2", 2), errBusy, "whoever lost the claim can write no nonce into it")
		require.NoError(t, heir.keep(t.Context(), &Document{Status: Recognized}, nil))
		third, err := acquireOn(t, store, "E2", first("r3"))
		require.NoError(t, err, "a claim left behind is free at once")
		require.NotNil(t, third.last.Document)
		require.NoError(t, third.renew(t.Context(), "E3", 0))
		assert.Nil(t, third.last.Document, "a result is of one version only")
	})
}

func TestOverdueOwnerDoesNotReleaseSomebodyElsesClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		slow, err := acquireOn(t, store, "E1", first("r1"))
		require.NoError(t, err)
		time.Sleep(time.Minute) // virtual
		_, err = acquireOn(t, store, "E1", first("r2"))
		require.NoError(t, err)
		assert.ErrorIs(t, slow.release(t.Context()), errBusy)
		assert.NotNil(t, store.Content(claimKey))
	})
}

func TestLostAnswersToAppendsAreRecognised(t *testing.T) {
	store := &buckettest.Memory{}
	var lost atomic.Int32
	// The adapter sends again and gets a conflict with its own line; here the conflict comes at once.
	store.After = func(op, key string) error {
		if op == "APPEND" && lost.Add(1)%2 == 1 {
			return fmt.Errorf("memory: %w", bucket.ErrPosition)
		}
		return nil
	}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err, "own line found on reading back")
	lost.Store(0)
	require.NoError(t, c.renew(t.Context(), "E1", 0))
	require.NoError(t, c.renew(t.Context(), "E1", 0))
	lost.Store(0)
	require.NoError(t, c.keep(t.Context(), nil, nil))
	lost.Store(0)
	heir, err := acquireOn(t, store, "E1", first("r2"))
	require.NoError(t, err, "take-over found on reading back")
	assert.True(t, heir.inherited)
}

func TestForeignObjectInTheClaimsPlaceIsNotTouched(t *testing.T) {
	for _, content := range []string{"", "hello", "{}", `{"owner":"x"}`, "{\"owner\":\"x\",\"leaseEnd\":\"2026-01-01T00:00:00Z\"}\ntorn"} {
		store := &buckettest.Memory{}
		_, err := store.Append(t.Context(), claimKey, 0, []byte(content))
		require.NoError(t, err)
		_, err = acquireOn(t, store, "E1", first("r1"))
		assert.ErrorIs(t, err, errForeignClaim, content)
		assert.Equal(t, content, string(store.Content(claimKey)))
	}
}

func TestOneOfManyTakersWins(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, store Store){
		"nothing there": func(*testing.T, Store) {},
		"lease over": func(t *testing.T, store Store) {
			inv := first("dead")
			inv.Deadline = time.Now().Add(-time.Second)
			_, err := acquireOn(t, store, "E1", inv)
			require.NoError(t, err)
		},
		"left behind": func(t *testing.T, store Store) {
			c, err := acquireOn(t, store, "E1", first("r0"))
			require.NoError(t, err)
			require.NoError(t, c.keep(t.Context(), nil, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			prepare(t, store)
			var won, busy atomic.Int32
			var group sync.WaitGroup
			for i := range 32 {
				group.Go(func() {
					switch _, err := acquireOn(t, store, "E1", first(fmt.Sprint(i))); {
					case err == nil:
						won.Add(1)
					default:
						assert.ErrorIs(t, err, errBusy)
						busy.Add(1)
					}
				})
			}
			group.Wait()
			assert.EqualValues(t, 1, won.Load())
			assert.EqualValues(t, 31, busy.Load())
		})
	}
}

func TestNoncesDifferByImageVersionOwnerAndCount(t *testing.T) {
	seen := map[string]bool{}
	for _, image := range []string{"cards/a.jpg", "cards/b.jpg"} {
		for _, etag := range []string{"E1", "E2"} {
			for _, owner := range []string{"o1", "o2"} {
				for n := range 3 {
					nonce := deriveNonce(image, etag, owner, n)
					assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, nonce)
					assert.Equal(t, nonce, deriveNonce(image, etag, owner, n))
					seen[nonce] = true
				}
			}
		}
	}
	assert.Len(t, seen, 24)
}

// Were it not so, the second delivery's nonce would count as used, and its image as paid and lost.
func TestEachClaimOnAVersionHasItsOwnNonce(t *testing.T) {
	store := &buckettest.Memory{}
	seen := map[string]bool{}
	for range 3 {
		c, err := acquireOn(t, store, "E1", first("r1"))
		require.NoError(t, err)
		seen[c.last.Nonce] = true
		require.NoError(t, c.renew(t.Context(), "E1", 0))
		seen[c.last.Nonce] = true
		require.NoError(t, c.release(t.Context()))
	}
	assert.Len(t, seen, 6)
}

func TestClaimThatComesAndGoesIsTriedThreeTimes(t *testing.T) {
	for name, test := range map[string]struct {
		conflicts, appends int
		want               error
	}{"gone when it is read, once": {1, 2, nil}, "each time": {3, 3, errBusy}} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			appends := 0
			store.Fail = func(op, key string) error {
				if op == "APPEND" {
					if appends++; appends <= test.conflicts {
						return kind(bucket.ErrPosition)
					}
				}
				return nil
			}
			c, err := acquireOn(t, store, "E1", first("r1"))
			assert.ErrorIs(t, err, test.want)
			assert.Equal(t, test.want == nil, c != nil)
			assert.Equal(t, test.appends, appends)
		})
	}
}

func TestClaimThatCannotBeReadIsNotHad(t *testing.T) {
	store := &buckettest.Memory{}
	_, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	store.Fail = func(op, key string) error {
		if op == "GET" {
			return kind(bucket.ErrTransient)
		}
		return nil
	}
	c, err := acquireOn(t, store, "E1", first("r2"))
	assert.ErrorIs(t, err, bucket.ErrTransient)
	assert.Nil(t, c)
}

func TestTakeOverThatFailsIsNotHad(t *testing.T) {
	for name, test := range map[string]struct{ fails, want error }{"storage down": {bucket.ErrTransient, bucket.ErrTransient}, "somebody was faster": {bucket.ErrPosition, errBusy}} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			inv := first("dead")
			inv.Deadline = time.Now().Add(-time.Second)
			_, err := acquireOn(t, store, "E1", inv)
			require.NoError(t, err)
			appends := 0
			store.Fail = func(op, key string) error {
				if op == "APPEND" {
					if appends++; appends == 2 {
						return kind(test.fails)
					}
				}
				return nil
			}
			c, err := acquireOn(t, store, "E1", first("r2"))
			assert.ErrorIs(t, err, test.want)
			assert.Nil(t, c)
		})
	}
}

func TestOwnClaimWhoseAnswerWasLostIsNotTakenOver(t *testing.T) {
	store := &buckettest.Memory{}
	store.After = func(op, key string) error {
		if op == "APPEND" {
			return kind(bucket.ErrPosition) // the adapter sent it twice
		}
		return nil
	}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	assert.False(t, c.inherited, "its nonce was never sent")
	assert.EqualValues(t, len(store.Content(claimKey)), c.length)
	assert.Equal(t, 1, strings.Count(string(store.Content(claimKey)), "\n"))
	store.After = nil
	require.NoError(t, c.renew(t.Context(), "E1", 0), "the length is right")
}

func TestLineWhoseFateIsUnknown(t *testing.T) {
	for name, test := range map[string]struct {
		reading error
		content string // in the claim's place
		want    error
	}{
		"reading back fails":    {reading: bucket.ErrTransient, want: bucket.ErrTransient},
		"no permission to read": {reading: bucket.ErrDenied, want: bucket.ErrDenied},
		"the claim is gone":     {reading: bucket.ErrNotFound, want: errBusy},
		"a shorter claim":       {content: "x", want: errBusy},
		"a longer claim":        {content: strings.Repeat("x", 5000), want: errBusy},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			c, err := acquireOn(t, store, "E1", first("r1"))
			require.NoError(t, err)
			if test.content != "" {
				require.NoError(t, store.Remove(t.Context(), claimKey))
				_, err = store.Append(t.Context(), claimKey, 0, []byte(test.content))
				require.NoError(t, err)
			}
			store.Fail = func(op, key string) error {
				switch {
				case op == "APPEND":
					return kind(bucket.ErrPosition)
				case op == "GET" && test.reading != nil:
					return kind(test.reading)
				}
				return nil
			}
			before := c.last
			assert.ErrorIs(t, c.renew(t.Context(), "E1", 0), test.want)
			assert.Equal(t, before, c.last, "what is not written is not held")
		})
	}
}

func TestNonceIsTrustedForFourteenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		c, err := acquireOn(t, store, "E1", first("r1"))
		require.NoError(t, err)
		time.Sleep(nonceWindow - time.Nanosecond)
		assert.True(t, c.remembered())
		time.Sleep(time.Nanosecond)
		assert.False(t, c.remembered())
		require.NoError(t, c.renew(t.Context(), "E1", 0))
		assert.True(t, c.remembered())
	})
}

func TestRenewedNonceIsNobodyElses(t *testing.T) {
	store := &buckettest.Memory{}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	require.NoError(t, c.keep(t.Context(), nil, nil))
	heir, err := acquireOn(t, store, "E1", first("r2"))
	require.NoError(t, err)
	require.True(t, heir.inherited)
	require.NoError(t, heir.renew(t.Context(), "E1", 0))
	assert.False(t, heir.inherited)
}

// Whatever somebody put into the claim's place, it is told what to do about it, and the picture is not blamed.
func TestObjectInTheClaimsPlaceIsBlamedAndNotThePicture(t *testing.T) {
	put := map[string]func(t *testing.T, store *buckettest.Memory){
		"not appendable": func(t *testing.T, store *buckettest.Memory) {
			require.NoError(t, store.Write(t.Context(), claimKey, "text/plain", nil, []byte("mine")))
		},
		"not appendable, empty": func(t *testing.T, store *buckettest.Memory) {
			require.NoError(t, store.Write(t.Context(), claimKey, "text/plain", nil, nil))
		},
		"too large": func(t *testing.T, store *buckettest.Memory) {
			_, err := store.Append(t.Context(), claimKey, 0, make([]byte, maxClaimBytes+1))
			require.NoError(t, err)
		},
	}
	for name, put := range put {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			put(t, w.bucket)
			before := w.bucket.Content(claimKey)
			_, err := w.Invoke(t.Context(), first("r1"), w.event())
			require.NoError(t, err)
			assert.Equal(t, Internal, w.document().Error.Code)
			assert.Contains(t, w.document().Error.Message, "CLAIM_SUFFIX")
			assert.Equal(t, before, w.bucket.Content(claimKey))
			assert.Empty(t, w.ocr.requests)
		})
	}
	t.Run("a key that OSS refuses is the key's fault", func(t *testing.T) {
		w := newWorld(t)
		event := w.event()
		w.bucket.Fail = func(op, key string) error {
			if op == "APPEND" {
				return kind(bucket.ErrInvalid)
			}
			return nil
		}
		_, err := w.Invoke(t.Context(), first("r1"), event)
		require.NoError(t, err)
		assert.Equal(t, ImageUnsupported, w.document().Error.Code)
	})
}

func TestRecordsOfAClaimAreWholeOrNone(t *testing.T) {
	const end = `"leaseEnd":"2026-01-01T00:00:00Z"`
	for body, ok := range map[string]bool{
		`{"owner":"x",` + end + `}`:                    true,
		"torn\n{\"owner\":\"x\"," + end + "}\n":        true,
		`{"owner":"x",` + end + `,"retryCount":"one"}`: false,
		`{"owner":"x",` + end + `,"document":[]}`:      false,
		`{` + end + `}`: false,
		`{"owner":"x"}`: false,
		`{"owner":"x","leaseEnd":"0001-01-01T00:00:00Z"}`:     false,
		"{\"owner\":\"x\"," + end + "}\n{\"owner\":\"y\"":     false,
		"{\"owner\":\"x\"," + end + "}\n\n \n":                true,
		`{"owner":"x",` + end + `} {"owner":"y",` + end + `}`: false,
		`{"owner":"x","leaseEnd":"not a time"}`:               false,
		`{"owner":"x",` + end + `,"nonce":{"a":1}}`:           false,
	} {
		_, got := lastRecord([]byte(body))
		assert.Equal(t, ok, got, body)
	}
	assert.Contains(t, string(record{ETag: "<&>"}.line()), "<&>", "a claim is read by people too")
}
