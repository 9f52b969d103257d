package claim

import (
	"encoding/json"
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

const (
	image    = "cards/2026/a.jpg"
	claimKey = "2026/a.jpg.ocr.claim"
)

// paid is a result that could not be written.
var paid = json.RawMessage(`{"status":"recognized"}`)

// first is a first attempt with a minute of time.
func first(requestID string) Holder { return retry(requestID, 0) }

func retry(requestID string, count int) Holder {
	return Holder{RequestID: requestID, RetryCount: count, LeaseEnd: time.Now().Add(time.Minute)}
}

func kind(k error) error { return fmt.Errorf("memory: %w", k) }

func TestCheckOwner(t *testing.T) {
	now := time.Now()
	live, over := now.Add(time.Second), now.Add(-time.Second)
	own := Record{Owner: "me", RequestID: "r1", RetryCount: 1, LeaseEnd: live}
	for name, test := range map[string]struct {
		found Record
		want  ownership
	}{
		"my own line: its answer was lost":                  {Record{Owner: "me", LeaseEnd: live}, heldBySelf},
		"somebody at work":                                  {Record{Owner: "x", RequestID: "r2", LeaseEnd: live}, heldByOther},
		"somebody whose lease is over":                      {Record{Owner: "x", RequestID: "r2", LeaseEnd: over}, free},
		"somebody whose lease ends now":                     {Record{Owner: "x", RequestID: "r2", LeaseEnd: now}, free},
		"left behind":                                       {Record{Owner: "x", RequestID: "r2", LeaseEnd: releasedLease}, free},
		"an earlier attempt of this request is dead":        {Record{Owner: "x", RequestID: "r1", RetryCount: 0, LeaseEnd: live}, free},
		"the same attempt delivered twice":                  {Record{Owner: "x", RequestID: "r1", RetryCount: 1, LeaseEnd: live}, heldByOther},
		"a later attempt of this request":                   {Record{Owner: "x", RequestID: "r1", RetryCount: 2, LeaseEnd: live}, heldByOther},
		"no request ID is no identity":                      {Record{Owner: "x", RetryCount: 0, LeaseEnd: live}, heldByOther},
		"an earlier attempt of this request, lease is over": {Record{Owner: "x", RequestID: "r1", RetryCount: 0, LeaseEnd: over}, free},
	} {
		assert.Equal(t, test.want, checkOwner(test.found, own, now), name)
	}
	assert.Equal(t, heldByOther, checkOwner(Record{Owner: "x", LeaseEnd: live}, Record{Owner: "me", RetryCount: 3}, now), "two requests without ID")
}

func acquireOn(t *testing.T, store Store, etag string, h Holder) (*Claim, error) {
	return Acquire(t.Context(), store, claimKey, image, etag, h)
}

func TestClaimHoldsUntilReleased(t *testing.T) {
	store := &buckettest.Memory{}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	_, err = acquireOn(t, store, "E1", first("r2"))
	require.ErrorIs(t, err, ErrHeld)
	require.NoError(t, c.Release(t.Context()))
	assert.Nil(t, store.Content(claimKey))
	_, err = acquireOn(t, store, "E1", first("r2"))
	require.NoError(t, err)
}

func TestTakerInheritsNonceChargesAndResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		dead, err := acquireOn(t, store, "E1", first("r1"))
		require.NoError(t, err)
		require.NoError(t, dead.RecordNonce(t.Context(), "E2", 1))
		time.Sleep(time.Minute) // its lease; virtual time
		heir, err := acquireOn(t, store, "E9", first("r2"))
		require.NoError(t, err)
		assert.True(t, heir.TakenOver)
		assert.Equal(t, dead.Last.Nonce, heir.Last.Nonce)
		assert.Equal(t, "E2", heir.Last.ETag, "what the nonce is about, not what the event says")
		assert.Equal(t, 1, heir.Last.PossibleExtraCharges)
		assert.NotEqual(t, dead.Last.Owner, heir.Last.Owner)
		assert.ErrorIs(t, dead.RecordNonce(t.Context(), "E2", 2), ErrHeld, "whoever lost the claim can write no nonce into it")
		require.NoError(t, heir.SaveResult(t.Context(), paid))
		third, err := acquireOn(t, store, "E2", first("r3"))
		require.NoError(t, err, "a claim left behind is free at once")
		require.NotNil(t, third.Last.Result)
		require.NoError(t, third.RecordNonce(t.Context(), "E3", 0))
		assert.Nil(t, third.Last.Result, "a result is of one version only")
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
		assert.ErrorIs(t, slow.Release(t.Context()), ErrHeld)
		assert.NotNil(t, store.Content(claimKey))
	})
}

func TestLostAnswersToAppendsAreRecognised(t *testing.T) {
	store := &buckettest.Memory{}
	var lost atomic.Int32
	// The adapter sends again and gets a conflict with its own line; here the conflict comes at once.
	store.After = func(op, key string) error {
		if op == "APPEND" && lost.Add(1)%2 == 1 {
			return fmt.Errorf("memory: %w", bucket.ErrPositionMismatch)
		}
		return nil
	}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err, "own line found on reading back")
	lost.Store(0)
	require.NoError(t, c.RecordNonce(t.Context(), "E1", 0))
	require.NoError(t, c.RecordNonce(t.Context(), "E1", 0))
	lost.Store(0)
	require.NoError(t, c.SaveResult(t.Context(), nil))
	lost.Store(0)
	heir, err := acquireOn(t, store, "E1", first("r2"))
	require.NoError(t, err, "take-over found on reading back")
	assert.True(t, heir.TakenOver)
}

func TestForeignObjectInTheClaimsPlaceIsNotTouched(t *testing.T) {
	for _, content := range []string{"", "hello", "{}", `{"owner":"x"}`, "{\"owner\":\"x\",\"leaseEnd\":\"2026-01-01T00:00:00Z\"}\ntorn"} {
		store := &buckettest.Memory{}
		_, err := store.Append(t.Context(), claimKey, 0, []byte(content))
		require.NoError(t, err)
		_, err = acquireOn(t, store, "E1", first("r1"))
		assert.ErrorIs(t, err, ErrForeign, content)
		assert.Equal(t, content, string(store.Content(claimKey)))
	}
}

func TestOneOfManyTakersWins(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, store Store){
		"nothing there": func(*testing.T, Store) {},
		"lease over": func(t *testing.T, store Store) {
			h := first("dead")
			h.LeaseEnd = time.Now().Add(-time.Second)
			_, err := acquireOn(t, store, "E1", h)
			require.NoError(t, err)
		},
		"left behind": func(t *testing.T, store Store) {
			c, err := acquireOn(t, store, "E1", first("r0"))
			require.NoError(t, err)
			require.NoError(t, c.SaveResult(t.Context(), nil))
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
						assert.ErrorIs(t, err, ErrHeld)
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
		seen[c.Last.Nonce] = true
		require.NoError(t, c.RecordNonce(t.Context(), "E1", 0))
		seen[c.Last.Nonce] = true
		require.NoError(t, c.Release(t.Context()))
	}
	assert.Len(t, seen, 6)
}

func TestClaimThatComesAndGoesIsTriedThreeTimes(t *testing.T) {
	for name, test := range map[string]struct {
		conflicts, appends int
		want               error
	}{"gone when it is read, once": {1, 2, nil}, "each time": {3, 3, ErrHeld}} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			appends := 0
			store.Fail = func(op, key string) error {
				if op == "APPEND" {
					if appends++; appends <= test.conflicts {
						return kind(bucket.ErrPositionMismatch)
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
			return kind(bucket.ErrUnavailable)
		}
		return nil
	}
	c, err := acquireOn(t, store, "E1", first("r2"))
	assert.ErrorIs(t, err, bucket.ErrUnavailable)
	assert.Nil(t, c)
}

func TestTakeOverThatFailsIsNotHad(t *testing.T) {
	for name, test := range map[string]struct{ fails, want error }{"storage down": {bucket.ErrUnavailable, bucket.ErrUnavailable}, "somebody was faster": {bucket.ErrPositionMismatch, ErrHeld}} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			h := first("dead")
			h.LeaseEnd = time.Now().Add(-time.Second)
			_, err := acquireOn(t, store, "E1", h)
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
			return kind(bucket.ErrPositionMismatch) // the adapter sent it twice
		}
		return nil
	}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	assert.False(t, c.TakenOver, "its nonce was never sent")
	assert.EqualValues(t, len(store.Content(claimKey)), c.length)
	assert.Equal(t, 1, strings.Count(string(store.Content(claimKey)), "\n"))
	store.After = nil
	require.NoError(t, c.RecordNonce(t.Context(), "E1", 0), "the length is right")
}

func TestLineWhoseFateIsUnknown(t *testing.T) {
	for name, test := range map[string]struct {
		reading error
		content string // in the claim's place
		want    error
	}{
		"reading back fails":    {reading: bucket.ErrUnavailable, want: bucket.ErrUnavailable},
		"no permission to read": {reading: bucket.ErrAccessDenied, want: bucket.ErrAccessDenied},
		"the claim is gone":     {reading: bucket.ErrNotFound, want: ErrHeld},
		"a shorter claim":       {content: "x", want: ErrHeld},
		"a longer claim":        {content: strings.Repeat("x", 5000), want: ErrHeld},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			c, err := acquireOn(t, store, "E1", first("r1"))
			require.NoError(t, err)
			if test.content != "" {
				require.NoError(t, store.Delete(t.Context(), claimKey))
				_, err = store.Append(t.Context(), claimKey, 0, []byte(test.content))
				require.NoError(t, err)
			}
			store.Fail = func(op, key string) error {
				switch {
				case op == "APPEND":
					return kind(bucket.ErrPositionMismatch)
				case op == "GET" && test.reading != nil:
					return kind(test.reading)
				}
				return nil
			}
			before := c.Last
			assert.ErrorIs(t, c.RecordNonce(t.Context(), "E1", 0), test.want)
			assert.Equal(t, before, c.Last, "what is not written is not held")
		})
	}
}

func TestNonceIsTrustedForFourteenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		c, err := acquireOn(t, store, "E1", first("r1"))
		require.NoError(t, err)
		time.Sleep(nonceWindow - time.Nanosecond)
		assert.True(t, c.NonceValid())
		time.Sleep(time.Nanosecond)
		assert.False(t, c.NonceValid())
		require.NoError(t, c.RecordNonce(t.Context(), "E1", 0))
		assert.True(t, c.NonceValid())
	})
}

func TestRenewedNonceIsNobodyElses(t *testing.T) {
	store := &buckettest.Memory{}
	c, err := acquireOn(t, store, "E1", first("r1"))
	require.NoError(t, err)
	require.NoError(t, c.SaveResult(t.Context(), nil))
	heir, err := acquireOn(t, store, "E1", first("r2"))
	require.NoError(t, err)
	require.True(t, heir.TakenOver)
	require.NoError(t, heir.RecordNonce(t.Context(), "E1", 0))
	assert.False(t, heir.TakenOver)
}

// Whatever somebody put into the claim's place stays as it is.
func TestObjectInTheClaimsPlaceIsForeign(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, store *buckettest.Memory){
		"not appendable": func(t *testing.T, store *buckettest.Memory) {
			require.NoError(t, store.Put(t.Context(), claimKey, "text/plain", nil, []byte("mine")))
		},
		"not appendable, empty": func(t *testing.T, store *buckettest.Memory) {
			require.NoError(t, store.Put(t.Context(), claimKey, "text/plain", nil, nil))
		},
		"too large": func(t *testing.T, store *buckettest.Memory) {
			_, err := store.Append(t.Context(), claimKey, 0, make([]byte, maxBytes+1))
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			put(t, store)
			before := store.Content(claimKey)
			_, err := acquireOn(t, store, "E1", first("r1"))
			assert.ErrorIs(t, err, ErrForeign)
			assert.Equal(t, before, store.Content(claimKey))
		})
	}
}

func TestKeyThatOSSRefusesIsNoForeignObject(t *testing.T) {
	store := &buckettest.Memory{}
	store.Fail = func(op, key string) error {
		if op == "APPEND" {
			return kind(bucket.ErrInvalid)
		}
		return nil
	}
	_, err := acquireOn(t, store, "E1", first("r1"))
	assert.ErrorIs(t, err, bucket.ErrInvalid)
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
	assert.Contains(t, string(Record{ETag: "<&>"}.line()), "<&>", "a claim is read by people too")
}
