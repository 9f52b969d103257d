package claim

import (
	"bytes"
	"context"
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

// first is a first attempt with a minute of time.
func first(requestID string) Holder { return retry(requestID, 0) }

func retry(requestID string, count int) Holder {
	return Holder{RequestID: requestID, RetryCount: count, LeaseEnd: time.Now().Add(time.Minute)}
}

func acquireOn(t testing.TB, store Store, h Holder) (*Claim, error) {
	return Acquire(t.Context(), Object{Store: store, Key: claimKey, Image: image, Auth: auth}, h)
}

func mustAcquire(t testing.TB, store Store, h Holder) *Claim {
	t.Helper()
	c, err := acquireOn(t, store, h)
	require.NoError(t, err)
	return c
}

func kind(k error) error { return fmt.Errorf("memory: %w", k) }

// failing has the store fail the nth request of an operation, before it takes effect.
func failing(store *buckettest.Memory, op string, k error, nth ...int) {
	var n atomic.Int32
	store.Fail = func(got, _ string) error {
		if got != op {
			return nil
		}
		count := int(n.Add(1))
		for _, i := range nth {
			if i == count {
				return kind(k)
			}
		}
		return nil
	}
}

// losing has the store lose its next response to an operation. An adapter that repeats an append meets its own line.
func losing(store *buckettest.Memory, op string, k error) {
	lost := false
	store.After = func(got, _ string) error {
		if got == op && !lost {
			lost = true
			return kind(k)
		}
		return nil
	}
}

func count(store *buckettest.Memory, op string) (n int) {
	for _, r := range store.Requests() {
		if strings.HasPrefix(r, op+" ") {
			n++
		}
	}
	return n
}

func put(t testing.TB, store *buckettest.Memory, body []byte) {
	t.Helper()
	require.NoError(t, store.Delete(t.Context(), claimKey))
	_, err := store.Append(t.Context(), claimKey, 0, body)
	require.NoError(t, err)
}

// copied puts the claim where it is as another tool does: with PUT.
func copied(t testing.TB, store *buckettest.Memory) {
	t.Helper()
	body := store.Content(claimKey)
	require.NoError(t, store.Delete(t.Context(), claimKey))
	require.NoError(t, store.Put(t.Context(), claimKey, body, bucket.PutOptions{}))
}

var v1 = Version{ETag: "E1", LastModified: moment}

func TestAClaimHoldsUntilItIsReleased(t *testing.T) {
	store := &buckettest.Memory{}
	c := mustAcquire(t, store, first("r1"))
	assert.Equal(t, []string{"APPEND " + claimKey}, store.Requests(), "one request")
	assert.False(t, c.Inherited())
	assert.False(t, c.Replaced)
	_, err := acquireOn(t, store, first("r2"))
	require.ErrorIs(t, err, ErrHeld)
	require.NoError(t, c.Release(t.Context()))
	assert.Nil(t, store.Content(claimKey))
	mustAcquire(t, store, first("r2"))
}

func TestALaterAttemptOfTheSameRequestTakesOver(t *testing.T) {
	store := &buckettest.Memory{}
	dead := mustAcquire(t, store, retry("r1", 1))
	for _, h := range []Holder{retry("r1", 1), retry("r1", 0), retry("r2", 5)} {
		_, err := acquireOn(t, store, h)
		require.ErrorIs(t, err, ErrHeld)
	}
	next := mustAcquire(t, store, retry("r1", 2))
	assert.True(t, next.Inherited())
	_, err := dead.NextGeneration(t.Context(), v1, Call{}, "")
	assert.ErrorIs(t, err, ErrHeld)
}

func TestAHolderPastItsLeaseIsTakenOverAndStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		slow := mustAcquire(t, store, first("r1"))
		time.Sleep(time.Minute - time.Nanosecond) // virtual
		_, err := acquireOn(t, store, first("r2"))
		require.ErrorIs(t, err, ErrHeld)
		time.Sleep(time.Nanosecond)
		next := mustAcquire(t, store, first("r2"))
		before := string(store.Content(claimKey))
		assert.ErrorIs(t, slow.Release(t.Context()), ErrHeld)
		assert.ErrorIs(t, slow.Return(t.Context()), ErrHeld)
		assert.ErrorIs(t, slow.SaveAndRelease(t.Context(), v1, Call{}, true, nil), ErrHeld)
		_, err = slow.NextGeneration(t.Context(), v1, Call{}, "")
		assert.ErrorIs(t, err, ErrHeld)
		assert.Equal(t, before, string(store.Content(claimKey)))
		require.NoError(t, next.Release(t.Context()))
	})
}

// What a platform says is kept within what readers believe, on a clock that is a little behind, too.
func TestAHolderWithValuesOutOfBoundsHoldsItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		mustAcquire(t, store, Holder{RequestID: "r1", RetryCount: 1 << 40, LeaseEnd: time.Now().AddDate(100, 0, 0)})
		_, err := acquireOn(t, store, first("r2"))
		require.ErrorIs(t, err, ErrHeld)
		behind := auth.parse(store.Content(claimKey), image, time.Now().Add(-maxClock+time.Second))
		require.NotNil(t, behind.last)
		assert.False(t, behind.last.leaseOver(time.Now().Add(-maxClock)))
		time.Sleep(maxLease)
		mustAcquire(t, store, first("r3"))
	})
}

func TestOneOfManyTakersWins(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, store *buckettest.Memory){
		"nothing there": func(*testing.T, *buckettest.Memory) {},
		"lease over": func(t *testing.T, store *buckettest.Memory) {
			h := first("dead")
			h.LeaseEnd = time.Now().Add(-time.Second)
			mustAcquire(t, store, h)
		},
		"released": func(t *testing.T, store *buckettest.Memory) {
			require.NoError(t, mustAcquire(t, store, first("r0")).Return(t.Context()))
		},
		"another key's": func(t *testing.T, store *buckettest.Memory) {
			put(t, store, chain(NewKey("old"), image, "x", nil)[0])
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			prepare(t, store)
			var won, held atomic.Int32
			var group sync.WaitGroup
			for i := range 32 {
				group.Go(func() {
					switch _, err := acquireOn(t, store, first(fmt.Sprint(i))); {
					case err == nil:
						won.Add(1)
					default:
						assert.ErrorIs(t, err, ErrHeld)
						held.Add(1)
					}
				})
			}
			group.Wait()
			assert.EqualValues(t, 1, won.Load())
			assert.EqualValues(t, 31, held.Load())
		})
	}
}

func TestAResponseToAnAppendThatIsLostIsFoundByReadingBack(t *testing.T) {
	store := &buckettest.Memory{}
	lose := func() { losing(store, "APPEND", bucket.ErrPositionMismatch) }
	lose()
	c := mustAcquire(t, store, first("r1"))
	assert.False(t, c.Inherited(), "its nonce was never sent")
	lose()
	call, err := c.NextGeneration(t.Context(), v1, Call{}, "")
	require.NoError(t, err)
	call, err = c.NextGeneration(t.Context(), v1, call, "")
	require.NoError(t, err, "the length is known")
	lose()
	require.NoError(t, c.SaveAndRelease(t.Context(), v1, call, true, nil))
	lose()
	next := mustAcquire(t, store, first("r2"))
	assert.True(t, next.Inherited())
	assert.Equal(t, deriveNonce(image, v1, 3), next.Call(v1).Nonce)
	assert.Equal(t, 5, strings.Count(string(store.Content(claimKey)), "\n"), "no line twice")
}

func TestAnAppendIsNotBelievedWithoutProof(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*bucket.Appended)
		first  int // reads after the first line, which nobody else can have written if OSS took it
		reads  int
	}{
		"the CRC of the whole object is as expected": {func(*bucket.Appended) {}, 0, 0},
		"no CRC":      {func(a *bucket.Appended) { a.HasCRC = false }, 0, 1},
		"another CRC": {func(a *bucket.Appended) { a.CRC64++ }, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			c := mustAcquire(t, changed{store, test.change}, first("r1"))
			assert.Equal(t, test.first, count(store, "GET"))
			store.Requests()
			_, err := c.NextGeneration(t.Context(), v1, Call{}, "")
			require.NoError(t, err)
			assert.Equal(t, test.reads, count(store, "GET"), "read back")
			_, err = c.NextGeneration(t.Context(), v1, Call{}, "")
			require.NoError(t, err, "length and CRC are known")
			store.Fail = func(op, _ string) error {
				if op == "GET" {
					return kind(bucket.ErrUnavailable)
				}
				return nil
			}
			_, err = c.NextGeneration(t.Context(), v1, Call{}, "")
			if test.reads > 0 {
				assert.ErrorIs(t, err, bucket.ErrUnavailable)
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

// changed changes what a store says of its appends.
type changed struct {
	*buckettest.Memory
	change func(*bucket.Appended)
}

func (c changed) Append(ctx context.Context, key string, position int64, data []byte) (bucket.Appended, error) {
	a, err := c.Memory.Append(ctx, key, position, data)
	if err == nil {
		c.change(&a)
	}
	return a, err
}

// A claim that was deleted and made again with the same length takes a late append of the former holder. Position and length
// fit, and still it changes nothing, on either side.
func TestALateLineOfAFormerHolderChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at the same time, so that the lines have the same length
		for name, late := range map[string]func(*Claim) error{
			"next generation": func(c *Claim) error {
				_, err := c.NextGeneration(t.Context(), v1, Call{PossibleExtraCharges: 1}, "")
				return err
			},
			"save": func(c *Claim) error {
				return c.SaveAndRelease(t.Context(), v1, Call{since: time.Now()}, true, json.RawMessage(`{"old":true}`))
			},
			"return": func(c *Claim) error { return c.Return(t.Context()) },
		} {
			store := &buckettest.Memory{}
			former := mustAcquire(t, store, first("r1"))
			require.NoError(t, store.Delete(t.Context(), claimKey)) // a DELETE that came late
			holder := mustAcquire(t, store, first("r2"))
			require.Equal(t, former.length, holder.length)
			assert.ErrorIs(t, late(former), ErrHeld, name)
			require.Greater(t, int64(len(store.Content(claimKey))), holder.length, "it landed")

			_, err := acquireOn(t, store, first("r3"))
			assert.ErrorIs(t, err, ErrHeld, "the claim is still the holder's")
			call, err := holder.NextGeneration(t.Context(), v1, Call{}, "")
			require.NoError(t, err, "the holder passes over it")
			assert.Zero(t, call.PossibleExtraCharges)
			require.NoError(t, holder.Return(t.Context()))
			next := mustAcquire(t, store, first("r3"))
			saved, _ := next.Result()
			assert.Nil(t, saved)
			assert.Equal(t, deriveNonce(image, v1, 1), next.Call(v1).Nonce, "the holder's generation")
		}
	})
}

// Two takers read the same object; then it is deleted and made again with the same length.
func TestALateTakerOfAClaimThatIsAnotherByNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buckettest.Memory{}
		require.NoError(t, mustAcquire(t, store, first("r0")).Return(t.Context()))
		length := len(store.Content(claimKey))
		var holder *Claim
		store.After = func(op, _ string) error {
			if op == "GET" && holder == nil { // between the late taker's read and its append
				store.After = nil
				require.NoError(t, store.Delete(t.Context(), claimKey))
				holder = mustAcquire(t, store, first("r1"))
				require.NoError(t, holder.append(t.Context(), holder.next(State{Since: time.Now()})))
				body := append(store.Content(claimKey), []byte(strings.Repeat(" ", max(0, length-len(store.Content(claimKey)))))...)
				put(t, store, body)
				require.Len(t, body, length)
			}
			return nil
		}
		_, err := acquireOn(t, store, first("r2"))
		assert.ErrorIs(t, err, ErrHeld)
		_, err = holder.NextGeneration(t.Context(), v1, Call{}, "")
		assert.NoError(t, err)
	})
}

func TestLinesOfOthersInBetweenArePassedOver(t *testing.T) {
	store := &buckettest.Memory{}
	c := mustAcquire(t, store, first("r1"))
	for _, words := range []string{"hello\n", "a line without end", string(chain(NewKey("other"), image, "x", nil)[0])} {
		_, err := store.Append(t.Context(), claimKey, int64(len(store.Content(claimKey))), []byte(words))
		require.NoError(t, err)
		_, err = c.NextGeneration(t.Context(), v1, Call{}, "")
		require.NoError(t, err)
	}
	assert.Equal(t, deriveNonce(image, v1, 3), c.Call(v1).Nonce)
	require.NoError(t, c.Return(t.Context()))
	assert.Equal(t, deriveNonce(image, v1, 3), mustAcquire(t, store, first("r2")).Call(v1).Nonce, "the next holder finds the lines")
}

func TestAppendsThatMeetOthersEachTimeEnd(t *testing.T) {
	store := &buckettest.Memory{}
	c := mustAcquire(t, store, first("r1"))
	store.Requests()
	failing(store, "APPEND", bucket.ErrPositionMismatch, 1, 2, 3, 4, 5)
	_, err := c.NextGeneration(t.Context(), v1, Call{}, "")
	assert.ErrorIs(t, err, ErrHeld)
	assert.Equal(t, appendTries, count(store, "APPEND"))
}

func TestAClaimThatComesAndGoesIsTriedThreeTimes(t *testing.T) {
	for name, test := range map[string]struct {
		conflicts []int
		appends   int
		want      error
	}{"gone when it is read, once": {[]int{1}, 2, nil}, "each time": {[]int{1, 2, 3}, 3, ErrHeld}} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			failing(store, "APPEND", bucket.ErrPositionMismatch, test.conflicts...)
			_, err := acquireOn(t, store, first("r1"))
			assert.ErrorIs(t, err, test.want)
			assert.Equal(t, test.appends, count(store, "APPEND"))
		})
	}
}

func TestAClaimThatCannotBeReadIsNotHad(t *testing.T) {
	store := &buckettest.Memory{}
	mustAcquire(t, store, first("r1"))
	failing(store, "GET", bucket.ErrUnavailable, 1)
	_, err := acquireOn(t, store, first("r2"))
	assert.ErrorIs(t, err, bucket.ErrUnavailable)
}

func TestAClaimThatCannotBeWrittenIsNotHad(t *testing.T) {
	for _, k := range []error{bucket.ErrUnavailable, bucket.ErrAccessDenied, bucket.ErrInvalid, bucket.ErrClockSkew} {
		store := &buckettest.Memory{}
		failing(store, "APPEND", k, 1)
		_, err := acquireOn(t, store, first("r1"))
		assert.ErrorIs(t, err, k)
		assert.Len(t, store.Requests(), 1, "nothing more is asked")
	}
}

func TestATakeOverThatFailsIsNotHad(t *testing.T) {
	for name, test := range map[string]struct{ fails, want error }{
		"storage down":         {bucket.ErrUnavailable, bucket.ErrUnavailable},
		"no permission":        {bucket.ErrAccessDenied, bucket.ErrAccessDenied},
		"somebody was faster":  {bucket.ErrPositionMismatch, nil}, // seen to be nobody: once more
		"removed by somebody":  {bucket.ErrNotFound, nil},
		"not appendable, once": {bucket.ErrNotAppendable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			require.NoError(t, mustAcquire(t, store, first("r1")).Return(t.Context()))
			failing(store, "APPEND", test.fails, 2)
			_, err := acquireOn(t, store, first("r2"))
			assert.ErrorIs(t, err, test.want)
		})
	}
}

func TestALineThatIsNotConfirmedIsNotHeld(t *testing.T) {
	for name, test := range map[string]struct {
		reading error
		content []byte // in the claim's place
		want    error
	}{
		"reading back fails":    {reading: bucket.ErrUnavailable, want: bucket.ErrUnavailable},
		"no permission to read": {reading: bucket.ErrAccessDenied, want: bucket.ErrAccessDenied},
		"the claim is gone":     {reading: bucket.ErrNotFound, want: ErrHeld},
		"a shorter object":      {content: []byte("x"), want: ErrHeld},
		"a longer object":       {content: []byte(strings.Repeat("x", 5000)), want: ErrHeld},
		"somebody else's claim": {content: chain(auth, image, "x", nil)[0], want: ErrHeld},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			c := mustAcquire(t, store, first("r1"))
			if test.content != nil {
				put(t, store, test.content)
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
			before := c.last
			_, err := c.NextGeneration(t.Context(), v1, Call{}, "")
			assert.ErrorIs(t, err, test.want)
			assert.Equal(t, before, c.last)
		})
	}
}

// What is no claim of this program is somebody's, and stays as it is.
func TestAForeignObjectInTheClaimsPlaceIsRefusedAndLeftAlone(t *testing.T) {
	appendable := func(body string) func(*testing.T, *buckettest.Memory) {
		return func(t *testing.T, store *buckettest.Memory) { put(t, store, []byte(body)) }
	}
	written := func(body string) func(*testing.T, *buckettest.Memory) {
		return func(t *testing.T, store *buckettest.Memory) {
			require.NoError(t, store.Put(t.Context(), claimKey, []byte(body), bucket.PutOptions{ContentType: "text/plain"}))
		}
	}
	for name, prepare := range map[string]func(*testing.T, *buckettest.Memory){
		"empty":                  appendable(""),
		"words":                  appendable("hello"),
		"JSON":                   appendable("{}"),
		"not appendable":         written("mine"),
		"not appendable, empty":  written(""),
		"not appendable, JSON":   written(`{"name":"x"}`),
		"JSON without an owner":  appendable(`{"incarnation":"x","sequence":0,"requestId":"r"}`),
		"an owner that is empty": appendable(`{"owner":""}`),
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			prepare(t, store)
			before := store.Content(claimKey)
			store.Requests()
			_, err := acquireOn(t, store, first("r1"))
			assert.ErrorIs(t, err, ErrForeign)
			assert.Equal(t, before, store.Content(claimKey))
			assert.Zero(t, count(store, "DELETE"))
		})
	}
}

// Lines of this program's form that cannot be authenticated are of an earlier key or of somebody who knows the form. They hold
// nobody up, and nothing in them is believed.
func TestLinesThatCannotBeAuthenticatedLockNobodyOut(t *testing.T) {
	far := func(l *line) {
		l.LeaseEnd, l.Nonce, l.PossibleExtraCharges, l.Result = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "attacker", 7, json.RawMessage(`{"status":"recognized"}`)
		l.Version, l.Indeterminate, l.Generation = v1, true, 9
	}
	held := func(l *line) { l.LeaseEnd = time.Now().Add(time.Hour); l.Since = time.Now() }
	for name, body := range map[string][]byte{
		"of the key before it was rotated": join(chain(NewKey("before"), image, "x", held, nil)...),
		"somebody's, in the year 9999":     join(chain(Key(nil), image, "x", far, nil)...),
		"of another image":                 join(chain(auth, "cards/b.jpg", "x", held)...),
		"unsigned, without end":            []byte(`{"owner":"x"}`),
		"unsigned":                         []byte(`{"owner":"x","requestId":"other","leaseEnd":"9999-01-01T00:00:00Z","possibleExtraCharges":-1}` + "\n"),
	} {
		for _, appendable := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", appendable ", appendable), func(t *testing.T) {
				store := &buckettest.Memory{}
				put(t, store, body)
				if !appendable {
					copied(t, store)
				}
				c := mustAcquire(t, store, first("r1"))
				assert.True(t, c.Replaced)
				assert.Equal(t, appendable, strings.HasPrefix(string(store.Content(claimKey)), string(body)), "an appendable object goes on")
				saved, _ := c.Result()
				assert.Nil(t, saved)
				call := c.Call(v1)
				assert.Equal(t, deriveNonce(image, v1, 0), call.Nonce)
				assert.False(t, call.Indeterminate)
				assert.Zero(t, call.PossibleExtraCharges)

				_, err := acquireOn(t, store, first("r2"))
				require.ErrorIs(t, err, ErrHeld, "and from then on it is a claim")
				_, err = c.NextGeneration(t.Context(), v1, call, "")
				require.NoError(t, err)
				require.NoError(t, c.Release(t.Context()))
			})
		}
	}
}

func TestAChainBeginsAlsoWhereOthersAppend(t *testing.T) {
	store := &buckettest.Memory{}
	old := chain(NewKey("before"), image, "x", nil, nil)
	put(t, store, old[0])
	store.After = func(op, _ string) error {
		if op == "GET" { // the old instance, which still has the old key, appends in between
			store.After = nil
			_, err := store.Append(t.Context(), claimKey, int64(len(old[0])), old[1])
			require.NoError(t, err)
		}
		return nil
	}
	mustAcquire(t, store, first("r1"))
	_, err := acquireOn(t, store, first("r2"))
	assert.ErrorIs(t, err, ErrHeld)
}

// A tool that copies a bucket makes claims that nobody can append to.
func TestACopyOfAClaimIsReplacedWithWhatItSays(t *testing.T) {
	t.Run("held", func(t *testing.T) {
		store := &buckettest.Memory{}
		mustAcquire(t, store, first("r1"))
		copied(t, store)
		before := store.Content(claimKey)
		_, err := acquireOn(t, store, first("r2"))
		assert.ErrorIs(t, err, ErrHeld)
		assert.Equal(t, before, store.Content(claimKey))
		mustAcquire(t, store, retry("r1", 1))
	})
	t.Run("released", func(t *testing.T) {
		store := &buckettest.Memory{}
		c := mustAcquire(t, store, first("r1"))
		require.NoError(t, c.SaveAndRelease(t.Context(), v1, Call{since: time.Now(), PossibleExtraCharges: 1}, true, json.RawMessage(`{"paid":true}`)))
		copied(t, store)
		next := mustAcquire(t, store, first("r2"))
		assert.True(t, next.Replaced)
		saved, version := next.Result()
		assert.JSONEq(t, `{"paid":true}`, string(saved))
		assert.Equal(t, v1, version)
		assert.Equal(t, deriveNonce(image, v1, 1), next.Call(v1).Nonce)
		assert.Equal(t, 1, next.Call(v1).PossibleExtraCharges)
		_, err := acquireOn(t, store, first("r3"))
		assert.ErrorIs(t, err, ErrHeld)
	})
	t.Run("cannot be removed", func(t *testing.T) {
		store := &buckettest.Memory{}
		require.NoError(t, mustAcquire(t, store, first("r1")).Return(t.Context()))
		copied(t, store)
		before := store.Content(claimKey)
		failing(store, "DELETE", bucket.ErrAccessDenied, 1)
		_, err := acquireOn(t, store, first("r2"))
		assert.ErrorIs(t, err, bucket.ErrAccessDenied)
		assert.Equal(t, before, store.Content(claimKey))
	})
}

func TestADeleteIsNotRepeatedBlindly(t *testing.T) {
	for name, test := range map[string]struct {
		left    time.Duration // of the lease
		prepare func(t *testing.T, store *buckettest.Memory)
		want    error
		deletes int
		gone    bool
	}{
		"removed": {time.Minute, func(*testing.T, *buckettest.Memory) {}, nil, 1, true},
		"removed, and the response was lost": {time.Minute, func(t *testing.T, store *buckettest.Memory) {
			losing(store, "DELETE", bucket.ErrUnavailable)
		}, nil, 1, true},
		"not removed: still one's own, and there is time": {time.Minute, func(t *testing.T, store *buckettest.Memory) {
			failing(store, "DELETE", bucket.ErrUnavailable, 1)
		}, nil, 2, true},
		"never removed": {time.Minute, func(t *testing.T, store *buckettest.Memory) {
			failing(store, "DELETE", bucket.ErrUnavailable, 1, 2, 3, 4)
		}, bucket.ErrUnavailable, 3, false},
		"removed, and somebody else's by now": {time.Minute, func(t *testing.T, store *buckettest.Memory) {
			store.After = func(op, _ string) error {
				if op != "DELETE" {
					return nil
				}
				store.After = nil
				mustAcquire(t, store, first("r2"))
				return kind(bucket.ErrUnavailable)
			}
		}, ErrHeld, 1, false},
		"removed, and something else's by now": {time.Minute, func(t *testing.T, store *buckettest.Memory) {
			store.After = func(op, _ string) error {
				if op != "DELETE" {
					return nil
				}
				store.After = nil
				_, err := store.Append(t.Context(), claimKey, 0, []byte("hello"))
				require.NoError(t, err)
				return kind(bucket.ErrUnavailable)
			}
		}, ErrHeld, 1, false},
		"not removed, and the lease is nearly over": {releaseMargin - time.Millisecond, func(t *testing.T, store *buckettest.Memory) {
			failing(store, "DELETE", bucket.ErrUnavailable, 1)
		}, bucket.ErrUnavailable, 1, false},
		"not removed, and just enough time": {releaseMargin, func(t *testing.T, store *buckettest.Memory) {
			failing(store, "DELETE", bucket.ErrUnavailable, 1)
		}, nil, 2, true},
		"reading back fails": {time.Minute, func(t *testing.T, store *buckettest.Memory) {
			store.Fail = func(op, _ string) error {
				switch op {
				case "DELETE":
					return kind(bucket.ErrUnavailable)
				case "GET":
					return kind(bucket.ErrAccessDenied)
				}
				return nil
			}
		}, bucket.ErrAccessDenied, 1, false},
		"no permission": {time.Minute, func(t *testing.T, store *buckettest.Memory) {
			failing(store, "DELETE", bucket.ErrAccessDenied, 1)
		}, bucket.ErrAccessDenied, 1, false},
		"the lease is over": {0, func(*testing.T, *buckettest.Memory) {}, ErrHeld, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &buckettest.Memory{}
				c := mustAcquire(t, store, first("r1"))
				time.Sleep(time.Minute - test.left) // virtual
				store.Requests()
				test.prepare(t, store)
				assert.ErrorIs(t, c.Release(t.Context()), test.want)
				assert.Equal(t, test.deletes, count(store, "DELETE"))
				assert.Equal(t, test.gone, store.Content(claimKey) == nil)
			})
		})
	}
}

func TestTheNextHolderBeginsWithItsOwnLease(t *testing.T) {
	store := &buckettest.Memory{}
	c := mustAcquire(t, store, first("r1"))
	assert.WithinDuration(t, time.Now().Add(time.Minute), c.LeaseEnd(), time.Second)
	require.NoError(t, c.Return(t.Context()))
	h := retry("r2", 3)
	h.LeaseEnd = time.Now().Add(time.Hour)
	next := mustAcquire(t, store, h)
	assert.True(t, next.LeaseEnd().Equal(h.LeaseEnd))
	assert.Equal(t, "r2", next.last.RequestID)
	assert.Equal(t, 3, next.last.RetryCount)
	assert.NotEqual(t, c.last.Owner, next.last.Owner)
	assert.Equal(t, c.last.Incarnation, next.last.Incarnation, "the chain goes on")
}

func TestAClaimForgetsTheResultsOfAllItsLines(t *testing.T) {
	version := Version{ETag: "A", LastModified: time.Now().Truncate(time.Second)}
	result := json.RawMessage(`{"card":"canary-name"}`)
	for name, leave := range map[string]func(*testing.T, *buckettest.Memory){
		"in the last line": func(*testing.T, *buckettest.Memory) {},
		"in an earlier line": func(t *testing.T, store *buckettest.Memory) {
			c := mustAcquire(t, store, first("r2"))
			require.NoError(t, c.SaveAndRelease(t.Context(), version, c.Call(version), true, nil))
		},
		"in a torn line": func(t *testing.T, store *buckettest.Memory) {
			body := store.Content(claimKey)
			_, err := store.Append(t.Context(), claimKey, int64(len(body)), body[:len(body)-10])
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			require.NoError(t, mustAcquire(t, store, first("r1")).SaveAndRelease(t.Context(), version, Call{PossibleExtraCharges: 1}, true, result))
			leave(t, store)
			c := mustAcquire(t, store, first("r3"))
			before := c.Call(version)
			require.True(t, c.HoldsResults)
			c.ForgetResults()
			require.NoError(t, c.Return(t.Context()))
			assert.NotContains(t, string(store.Content(claimKey)), "canary-name")

			next := mustAcquire(t, store, first("r4"))
			assert.False(t, next.HoldsResults)
			after := next.Call(version)
			assert.Equal(t, before.Nonce, after.Nonce)
			assert.Equal(t, 1, after.PossibleExtraCharges)
		})
	}
}

func TestAClaimWithoutResultsStaysOneChain(t *testing.T) {
	store := &buckettest.Memory{}
	require.NoError(t, mustAcquire(t, store, first("r1")).Return(t.Context()))
	c := mustAcquire(t, store, first("r2"))
	assert.False(t, c.HoldsResults)
	c.ForgetResults()
	require.NoError(t, c.Return(t.Context()))
	assert.Zero(t, count(store, "DELETE"))
}

func TestAnObjectThatIsTooLargeToBeReadMayBeAClaim(t *testing.T) {
	for name, appendable := range map[string]bool{"appendable": true, "not appendable": false} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			mustAcquire(t, store, first("r1"))
			put(t, store, append(store.Content(claimKey), make([]byte, maxBytes)...))
			if !appendable {
				copied(t, store)
			}
			before := store.Content(claimKey)
			_, err := acquireOn(t, store, first("r2"))
			assert.ErrorIs(t, err, ErrTooLarge)
			assert.NotErrorIs(t, err, ErrForeign)
			assert.Equal(t, before, store.Content(claimKey))
		})
	}
}

// A result waits for as many deliveries as come, whatever its size and whatever they leave.
func TestAClaimKeepsAResultWithoutRepeatingItForEver(t *testing.T) {
	for name, body := range map[string]string{"small": `{"card":"x"}`, "large": `{"card":"` + strings.Repeat("x", 200_000) + `"}`} {
		t.Run(name, func(t *testing.T) {
			store := &buckettest.Memory{}
			saved := json.RawMessage(body)
			require.NoError(t, mustAcquire(t, store, first("r0")).SaveAndRelease(t.Context(), v1, Call{PossibleExtraCharges: 1}, true, saved))
			for i := range 14 {
				c := mustAcquire(t, store, first(fmt.Sprint("r", i+1)))
				result, version := c.Result()
				require.True(t, body == string(result))
				require.True(t, version.Equal(v1))
				require.True(t, c.HoldsResults)
				if i%2 == 0 {
					losing(store, "APPEND", bucket.ErrPositionMismatch) // the line is found by reading back
				}
				require.NoError(t, c.Return(t.Context()))
			}
			content := store.Content(claimKey)
			assert.Less(t, len(content), 2<<20)
			last := content[bytes.LastIndexByte(content[:len(content)-1], '\n')+1:]
			assert.Equal(t, name == "small", bytes.Contains(last, []byte(`"result":`)), "an earlier release knows no references")

			copied(t, store) // the state of the copy begins a chain of its own
			c := mustAcquire(t, store, first("r50"))
			result, _ := c.Result()
			require.True(t, body == string(result))
			require.NoError(t, c.Return(t.Context()))
			copied(t, store)
			require.NoError(t, mustAcquire(t, store, first("r50")).SaveAndRelease(t.Context(), v1, Call{}, true, nil))
			c = mustAcquire(t, store, retry("r50", 1))
			result, _ = c.Result()
			require.True(t, result == nil, "not that of the chain's first line")
			require.NoError(t, c.Return(t.Context()))
			other := json.RawMessage(`{"card":"another"}`)
			require.NoError(t, mustAcquire(t, store, first("r51")).SaveAndRelease(t.Context(), v1, Call{}, true, other))
			c = mustAcquire(t, store, first("r52"))
			result, _ = c.Result()
			assert.Equal(t, string(other), string(result), "the last one counts")
			require.NoError(t, c.SaveAndRelease(t.Context(), v1, Call{}, true, nil))
			result, _ = mustAcquire(t, store, first("r53")).Result()
			assert.Nil(t, result)
		})
	}
}

// A reference is followed to a result of the same version, whoever signed it.
func TestALineRefersToTheLastResultOfItsVersion(t *testing.T) {
	result := json.RawMessage(`{"card":"x"}`)
	save := func(l *line) { l.Version, l.Result, l.LeaseEnd = v1, result, time.Time{} }
	for name, test := range map[string]struct {
		change func(*line)
		found  bool
	}{
		"the line before":        {func(l *line) { l.ResultAt = 1 }, true},
		"none":                   {func(*line) {}, false},
		"another line":           {func(l *line) { l.ResultAt = 2 }, false},
		"a line without one":     {func(l *line) { l.ResultAt = -1 }, false},
		"one of another version": {func(l *line) { l.ResultAt, l.Version.ETag = 1, "E2" }, false},
	} {
		change := func(l *line) { l.Result = nil; test.change(l) }
		c := auth.parse(join(chain(auth, image, "ours", nil, save, change)...), image, moment)
		require.Equal(t, 2, c.last.Sequence, name)
		assert.Equal(t, test.found, c.last.Result != nil, name)
	}
}
