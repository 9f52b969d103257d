package claim

import (
	"errors"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket/buckettest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever is in the claim's place: of two who come for the image at most one has it, a living owner keeps it, and what
// is not a claim is not touched.
func FuzzClaim(f *testing.F) {
	now := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	live, over := now.Add(100*365*24*time.Hour), now.Add(-1000*time.Hour)
	for _, r := range []Record{
		{Owner: "x", RequestID: "r1", LeaseEnd: live, ETag: "E1", Nonce: "n", IssuedAt: now},
		{Owner: "x", RequestID: "r2", RetryCount: 1, LeaseEnd: live, ETag: "E1"},
		{Owner: "x", RequestID: "r3", LeaseEnd: over, PossibleExtraCharges: 1},
		{Owner: "x", LeaseEnd: releasedLease, Result: paid},
		{Owner: "", LeaseEnd: live}, {Owner: "x"},
	} {
		line := string(r.line())
		f.Add([]byte(line), "r1", 0, "r2", 0)
		f.Add([]byte(line+line), "r1", 1, "r1", 1)
		f.Add([]byte(line[:len(line)-1]), "", 0, "", 3)
		f.Add([]byte(line+line[:len(line)/2]), "r2", 2, "r2", 3)
	}
	f.Add([]byte(""), "", 0, "", 0)
	f.Add([]byte("somebody's own"), "r1", 0, "r1", 1)
	f.Add([]byte("{\"owner\":\"x\",\"leaseEnd\":\"0000-00-00T00:00:00Z\"}\n"), "r1", 0, "r2", 0)
	f.Fuzz(func(t *testing.T, body []byte, request1 string, retry1 int, request2 string, retry2 int) {
		store := &buckettest.Memory{}
		_, err := store.Append(t.Context(), claimKey, 0, body)
		require.NoError(t, err)
		found, ok := lastRecord(body)
		h1, h2 := retry(request1, retry1), retry(request2, retry2)
		one, err1 := Acquire(t.Context(), store, claimKey, image, "E1", h1)
		switch {
		case !ok:
			assert.ErrorIs(t, err1, ErrForeign)
		case err1 != nil:
			assert.ErrorIs(t, err1, ErrHeld)
			assert.True(t, time.Now().Before(found.LeaseEnd), "a dead owner's claim can be had")
		default:
			dead := !time.Now().Before(found.LeaseEnd) || (request1 != "" && found.RequestID == request1 && found.RetryCount < retry1)
			assert.True(t, dead, "a living owner keeps its claim")
			assert.Equal(t, found.Nonce, one.Last.Nonce, "the nonce is asked about")
			assert.Equal(t, found.PossibleExtraCharges, one.Last.PossibleExtraCharges)
			assert.True(t, one.TakenOver)
		}
		if err1 != nil {
			assert.Equal(t, string(body), string(store.Content(claimKey)), "not touched")
		}
		two, err2 := Acquire(t.Context(), store, claimKey, image, "E1", h2)
		if err1 != nil || err2 != nil {
			assert.False(t, err2 != nil && !errors.Is(err2, ErrHeld) && !errors.Is(err2, ErrForeign), "%v", err2)
			return
		}
		assert.True(t, request1 != "" && request1 == request2 && retry1 < retry2, "the second is a later attempt of the first, which is dead then")
		assert.NotEqual(t, one.Last.Owner, two.Last.Owner)
		assert.ErrorIs(t, one.RecordNonce(t.Context(), "E1", 0), ErrHeld, "who lost the claim can send no call")
		assert.NoError(t, two.RecordNonce(t.Context(), "E1", 0))
	})
}
