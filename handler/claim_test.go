package handler

import (
	"fmt"
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
		time.Sleep(time.Minute)
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
