package claim

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/bucket/buckettest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two holders of one claim send the same nonce, and the gateway accepts one of them.
func TestTheNonceIsThatOfVersionAndGenerationWhoeverHoldsTheClaim(t *testing.T) {
	v := Version{ETag: "E1", LastModified: moment, VersionID: "v1"}
	nonce := func(h Holder) string { return mustAcquire(t, &buckettest.Memory{}, h).Call(v).Nonce }
	assert.Equal(t, nonce(first("r1")), nonce(retry("r2", 3)))
	assert.Equal(t, "ed9f86fd-45a9-4994-b431-4c80f5d04a8f", deriveNonce(image, v, 0), "holders of two releases send the same nonce")

	seen := map[string]bool{}
	for _, image := range []string{"cards/a.jpg", "cards/b.jpg"} {
		for _, etag := range []string{"E1", "E2"} {
			for _, at := range []time.Time{moment, moment.Add(time.Second)} {
				for _, id := range []string{"", "v1"} {
					for generation := range 3 {
						nonce := deriveNonce(image, Version{etag, at, id}, generation)
						assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, nonce)
						assert.Regexp(t, nonceForm(), nonce)
						seen[nonce] = true
					}
				}
			}
		}
	}
	assert.Len(t, seen, 48)
}

func TestAGenerationMovesByAConfirmedLineOnly(t *testing.T) {
	store := &buckettest.Memory{}
	c := mustAcquire(t, store, first("r1"))
	require.Equal(t, deriveNonce(image, v1, 0), c.Call(v1).Nonce)
	call, err := c.NextGeneration(t.Context(), v1, Call{PossibleExtraCharges: 1, PaidAgain: true}, "")
	require.NoError(t, err)
	assert.Equal(t, deriveNonce(image, v1, secondCall), call.Nonce, "of no earlier holder's call after a free answer")
	assert.False(t, call.Indeterminate)
	assert.Equal(t, 1, call.PossibleExtraCharges)
	assert.True(t, call.PaidAgain)

	failing(store, "APPEND", bucket.ErrUnavailable, 1)
	_, err = c.NextGeneration(t.Context(), v1, call, "")
	require.ErrorIs(t, err, bucket.ErrUnavailable)
	assert.Equal(t, call.Nonce, c.Call(v1).Nonce, "not confirmed")
	next, err := c.NextGeneration(t.Context(), v1, call, "")
	require.NoError(t, err)
	assert.Equal(t, deriveNonce(image, v1, secondCall+1), next.Nonce)
}

// A line that nobody believes would hide a second call from the next holder, who would make it once more.
func TestAHolderWritesNoLineThatIsNotBelieved(t *testing.T) {
	store := &buckettest.Memory{}
	c := mustAcquire(t, store, first("r1"))
	call := Call{PossibleExtraCharges: maxCount + 1}
	c.last.Generation = maxCount - 1
	for range 3 {
		next, err := c.NextGeneration(t.Context(), v1, call, "")
		require.NoError(t, err)
		call = next
	}
	call.PaidAgain = true
	require.NoError(t, c.SaveAndRelease(t.Context(), v1, call, true, nil))
	found := mustAcquire(t, store, first("r2")).Call(v1)
	assert.Equal(t, deriveNonce(image, v1, maxCount), found.Nonce)
	assert.Equal(t, maxCount, found.PossibleExtraCharges)
	assert.True(t, found.PaidAgain)
}

func TestAForcedNonceIsSentInsteadAndRemembered(t *testing.T) {
	store := &buckettest.Memory{}
	c := mustAcquire(t, store, first("r1"))
	const forced = "00000000-0000-4000-8000-00000000000f"
	call, err := c.NextGeneration(t.Context(), v1, Call{}, forced)
	require.NoError(t, err)
	assert.Equal(t, forced, call.Nonce)

	next := mustAcquire(t, store, retry("r1", 1)) // after a crash
	assert.Equal(t, forced, next.Call(v1).Nonce)
	assert.True(t, next.Call(v1).Indeterminate)
	require.NoError(t, next.SaveAndRelease(t.Context(), v1, next.Call(v1), false, nil))
	next = mustAcquire(t, store, first("r2"))
	assert.Equal(t, forced, next.Call(v1).Nonce, "it may have been accepted, so it is sent again")

	assert.Equal(t, deriveNonce(image, Version{ETag: "E2"}, 0), next.Call(Version{ETag: "E2"}).Nonce, "of its version only")
	require.NoError(t, next.SaveAndRelease(t.Context(), v1, next.Call(v1), true, nil))
	next = mustAcquire(t, store, first("r3"))
	assert.Equal(t, deriveNonce(image, v1, 1), next.Call(v1).Nonce, "and not after its outcome is known")
}

func TestWhatIsSavedIsKnownToTheNextHolder(t *testing.T) {
	for name, test := range map[string]struct {
		generation int // before
		call       Call
		consumed   bool

		wantGeneration    int
		wantIndeterminate bool
		wantValidFor      time.Duration // after the next holder has it
	}{
		"not sent":                                 {call: Call{}, wantValidFor: nonceWindow},
		"outcome known":                            {call: Call{}, consumed: true, wantGeneration: secondCall, wantValidFor: nonceWindow},
		"outcome known, of a later generation":     {generation: 2, call: Call{}, consumed: true, wantGeneration: secondCall, wantValidFor: nonceWindow},
		"sent, indeterminate":                      {call: Call{Indeterminate: true}, wantIndeterminate: true, wantValidFor: nonceWindow - 3*time.Minute},
		"sent, indeterminate, of a later one":      {generation: 2, call: Call{Indeterminate: true}, wantGeneration: 2, wantIndeterminate: true, wantValidFor: nonceWindow - 3*time.Minute},
		"indeterminate and consumed is determined": {call: Call{Indeterminate: true}, consumed: true, wantGeneration: secondCall, wantValidFor: nonceWindow},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := Version{ETag: "E1", LastModified: time.Now().Add(-time.Hour).UTC()}
				other := Version{ETag: "E2", LastModified: v.LastModified}
				store := &buckettest.Memory{}
				c := mustAcquire(t, store, Holder{RequestID: "r1", LeaseEnd: time.Now().Add(time.Hour)})
				for range test.generation {
					_, err := c.NextGeneration(t.Context(), v, Call{}, "")
					require.NoError(t, err)
				}
				call := test.call
				call.since, call.PossibleExtraCharges, call.PaidAgain = time.Now(), 2, true
				time.Sleep(3 * time.Minute) // virtual
				result := json.RawMessage(`{"paid":true}`)
				require.NoError(t, c.SaveAndRelease(t.Context(), v, call, test.consumed, result))

				next := mustAcquire(t, store, first("r2"))
				assert.True(t, next.Inherited())
				call = next.Call(v)
				assert.Equal(t, deriveNonce(image, v, test.wantGeneration), call.Nonce)
				assert.Equal(t, test.wantIndeterminate, call.Indeterminate)
				assert.Equal(t, 2, call.PossibleExtraCharges)
				assert.True(t, call.PaidAgain)
				assert.True(t, call.Valid(time.Now().Add(test.wantValidFor-1)))
				assert.False(t, call.Valid(time.Now().Add(test.wantValidFor)))
				saved, version := next.Result()
				assert.JSONEq(t, string(result), string(saved))
				assert.True(t, v.Equal(version))

				call = next.Call(other)
				assert.Equal(t, deriveNonce(image, other, 0), call.Nonce)
				assert.False(t, call.Indeterminate, "the other version's call was never sent")
				assert.False(t, call.PaidAgain, "of its version only")
				assert.Equal(t, 2, call.PossibleExtraCharges, "of the image")

				_, err := next.NextGeneration(t.Context(), other, call, "")
				require.NoError(t, err)
				saved, _ = next.Result()
				assert.Nil(t, saved, "a result is of one version and generation only")
				assert.Equal(t, deriveNonce(image, other, 1), next.Call(other).Nonce)
			})
		})
	}
}

func TestSavingForAnotherVersionBeginsItsGenerations(t *testing.T) {
	store := &buckettest.Memory{}
	other := Version{ETag: "E2", LastModified: moment}
	c := mustAcquire(t, store, first("r1"))
	_, err := c.NextGeneration(t.Context(), v1, Call{}, "00000000-0000-4000-8000-00000000000f")
	require.NoError(t, err)
	_, err = c.NextGeneration(t.Context(), v1, Call{}, "")
	require.NoError(t, err)
	require.NoError(t, c.SaveAndRelease(t.Context(), other, c.Call(other), false, nil))
	next := mustAcquire(t, store, first("r2"))
	assert.Equal(t, deriveNonce(image, other, 0), next.Call(other).Nonce)
}

func TestAClaimIsReturnedAsItWasFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		v1 := Version{ETag: "E1", LastModified: time.Now().Add(-time.Hour).UTC()}
		c := mustAcquire(t, store, first("r1"))
		call, err := c.NextGeneration(t.Context(), v1, Call{PossibleExtraCharges: 1}, "")
		require.NoError(t, err)
		call = call.Sent(time.Now())
		call.Indeterminate = true
		require.NoError(t, c.SaveAndRelease(t.Context(), v1, call, false, json.RawMessage(`{"paid":true}`)))
		for range 3 {
			time.Sleep(time.Minute)
			looker := mustAcquire(t, store, first("r2"))
			require.NoError(t, looker.Return(t.Context()))
		}
		next := mustAcquire(t, store, first("r3"))
		saved, version := next.Result()
		assert.JSONEq(t, `{"paid":true}`, string(saved))
		assert.Equal(t, v1, version)
		got := next.Call(v1)
		assert.Equal(t, call.Nonce, got.Nonce)
		assert.True(t, got.Indeterminate)
		assert.Equal(t, 1, got.PossibleExtraCharges)
		assert.True(t, got.Valid(time.Now().Add(nonceWindow-3*time.Minute-1)))
		assert.False(t, got.Valid(time.Now().Add(nonceWindow-3*time.Minute)), "reading it does not renew the nonce")
	})
}

// A holder that stopped may have called for the version that it found. Nobody recorded which.
func TestACallOfAHolderThatStopped(t *testing.T) {
	const lease = time.Minute
	for name, test := range map[string]struct {
		recorded bool   // the holder recorded a generation of the old version
		etag     string // of the version that the next holder finds
		modified time.Duration

		generation    int
		indeterminate bool
	}{
		"of any version that was there, nothing recorded": {false, "E1", -time.Hour, 0, true},
		"of the recorded version":                         {true, "E1", -time.Hour, 1, true},
		"of another version that was there":               {true, "E2", 0, 0, true},
		"of a version from just after its end":            {true, "E2", lease + time.Minute, 0, true},
		"of a version from well after its end":            {true, "E2", lease + time.Minute + time.Second, 0, false},
		"nothing recorded, a version from well after it":  {false, "E2", lease + time.Minute + time.Second, 0, false},
		"the same bytes, uploaded well after it":          {true, "E1", lease + time.Minute + time.Second, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now().UTC()
				store := &buckettest.Memory{}
				dead := mustAcquire(t, store, Holder{RequestID: "r1", LeaseEnd: started.Add(lease)})
				if test.recorded {
					_, err := dead.NextGeneration(t.Context(), Version{ETag: "E1", LastModified: started.Add(-time.Hour)}, Call{}, "")
					require.NoError(t, err)
				}
				time.Sleep(5 * time.Minute) // virtual
				next := mustAcquire(t, store, first("r2"))
				v := Version{ETag: test.etag, LastModified: started.Add(test.modified)}
				call := next.Call(v)
				assert.Equal(t, deriveNonce(image, v, test.generation), call.Nonce)
				assert.Equal(t, test.indeterminate, call.Indeterminate)
				require.NoError(t, next.SaveAndRelease(t.Context(), v, call, false, nil))
				again := mustAcquire(t, store, first("r3")).Call(v)
				assert.Equal(t, call.Nonce, again.Nonce)
				assert.Equal(t, test.indeterminate, again.Indeterminate, "and the one after it knows it too")
			})
		})
	}
}

func TestANonceIsAsOldAsItCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		v := Version{ETag: "E1", LastModified: time.Now().Add(-time.Hour)}
		c := mustAcquire(t, store, first("r1"))
		call := c.Call(v)
		assert.True(t, call.Valid(time.Now().Add(nonceWindow-1)), "from the creation of the claim")
		assert.False(t, call.Valid(time.Now().Add(nonceWindow)))

		sent := time.Now().Add(10 * time.Minute)
		assert.True(t, call.Sent(sent).Valid(sent.Add(nonceWindow-1)), "one that was not sent is as old as its first sending")
		call.Indeterminate = true
		assert.False(t, call.Sent(sent).Valid(time.Now().Add(nonceWindow)), "one that may have been sent before is not made younger")

		assert.False(t, call.Used(sent).Valid(sent), "another holder's may have been sent at any time that the gateway remembers")

		young := Version{ETag: "E2", LastModified: time.Now().Add(5 * time.Minute)}
		assert.True(t, c.Call(young).Valid(young.LastModified.Add(nonceWindow-1)), "no call is older than its version")
		assert.False(t, c.Call(young).Valid(young.LastModified.Add(nonceWindow)))
	})
}
