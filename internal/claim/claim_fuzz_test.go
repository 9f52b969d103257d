package claim

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket/buckettest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever is in the claim's place: what is not a claim is not touched, who holds the claim keeps it, of two who come for the
// image at most one has it, and what it is told is within bounds.
func FuzzClaim(f *testing.F) {
	live := func(l *line) { l.LeaseEnd = time.Now().Add(time.Hour) }
	for _, lines := range [][][]byte{
		chain(auth, image, "x", nil, nil),
		chain(auth, image, "x", live, live),
		chain(auth, image, "x", live, func(l *line) { l.Generation, l.Nonce, l.Version = 3, "forced", v1 }),
		chain(auth, image, "x", live, func(l *line) { l.LeaseEnd = time.Time{}; l.Result = json.RawMessage(`{"status":"recognized"}`) }),
		chain(auth, image, "x", func(l *line) { l.PossibleExtraCharges, l.Nonce = -1, "a\r\nb" }, nil),
		chain(auth, image, "x", func(l *line) { l.LeaseEnd = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }),
		chain(NewKey("another"), image, "x", live, nil),
		chain(auth, "cards/b.jpg", "x", live),
		append(chain(auth, image, "x", live), chain(auth, image, "y", live, nil)...),
	} {
		body := join(lines...)
		f.Add(body, "r1", 0, "r2", 0)
		f.Add(body, "r1", 1, "r1", 2)
		f.Add(body[:len(body)-1], "", 0, "", 3)
		f.Add(append(body, body[:len(body)/2]...), "r2", 2, "r2", 3)
	}
	for _, words := range []string{"", "somebody's own", "{}", `{"owner":"x"}`, `{"owner":"x","leaseEnd":"0000-00-00T00:00:00Z"}` + "\n", "{\"owner\":\"x\",\"mac\":\"\"}\n{\"owner\":\"x\"}"} {
		f.Add([]byte(words), "r1", 0, "r1", 1)
	}
	f.Fuzz(func(t *testing.T, body []byte, request1 string, retry1 int, request2 string, retry2 int) {
		store := &buckettest.Memory{}
		_, err := store.Append(t.Context(), claimKey, 0, body)
		require.NoError(t, err)
		found := auth.parse(body, image, time.Now())
		one, err1 := acquireOn(t, store, retry(request1, retry1))
		switch {
		case found.last == nil && !found.ours:
			assert.ErrorIs(t, err1, ErrForeign)
		case err1 != nil:
			assert.ErrorIs(t, err1, ErrHeld)
			require.NotNil(t, found.last)
			assert.True(t, found.last.holds(line{RequestID: request1, RetryCount: retry1}, time.Now()))
		case found.last == nil:
			assert.True(t, one.Replaced)
			assert.False(t, one.Inherited())
		default:
			assert.True(t, one.Inherited())
			assert.Equal(t, found.last.PossibleExtraCharges, one.last.PossibleExtraCharges)
		}
		if err1 != nil {
			assert.Equal(t, string(body), string(store.Content(claimKey)), "not touched")
			return
		}
		call := one.Call(v1)
		assert.Regexp(t, nonceForm(), call.Nonce)
		assert.True(t, call.PossibleExtraCharges >= 0 && call.PossibleExtraCharges <= maxCount)

		two, err2 := acquireOn(t, store, retry(request2, retry2))
		if err2 != nil {
			assert.True(t, errors.Is(err2, ErrHeld), "%v", err2)
			return
		}
		later := request1 != "" && request1 == request2 && retry1 < retry2
		assert.True(t, later || retry1 < 0 || retry1 > maxCount, "the second is a later attempt of the first, or the first is unbelievable")
		_, err = two.NextGeneration(t.Context(), v1, Call{}, "")
		assert.NoError(t, err)
		_, err = one.NextGeneration(t.Context(), v1, Call{}, "")
		assert.ErrorIs(t, err, ErrHeld, "who lost the claim can send no new nonce")
	})
}
