package handler

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refuseAfterTheCall makes OSS refuse whatever comes after the paid call, with an error of that kind.
func (w *world) refuseAfterTheCall(kind error) {
	called := func() bool { w.ocr.mu.Lock(); defer w.ocr.mu.Unlock(); return w.ocr.accepted > 0 }
	w.bucket.Fail = func(op, key string) error {
		if called() {
			return fmt.Errorf("memory: %w", kind)
		}
		return nil
	}
}

func TestPaidAnswerThatOSSTakesNowhereIsWrittenByTheNextInvocationOfTheProcess(t *testing.T) {
	for name, kind := range map[string]error{"credentials end during the call": bucket.ErrExpired, "storage down": bucket.ErrTransient, "no permission": bucket.ErrDenied} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				event := w.event()
				w.refuseAfterTheCall(kind)
				_, err := w.Invoke(t.Context(), first("r1"), event)
				require.Error(t, err)
				assert.True(t, AsError(err).Retryable)
				assert.Nil(t, w.document())
				_, err = w.Invoke(t.Context(), retry("r1", 1), event)
				require.Error(t, err, "and it waits as long as it must")

				w.bucket.Fail = nil
				_, err = w.Invoke(t.Context(), retry("r1", 2), event)
				require.NoError(t, err)
				assert.Equal(t, 1, w.ocr.accepted, "paid once")
				assert.Len(t, w.ocr.requests, 1, "and not even asked again")
				d := w.document()
				require.NotNil(t, d)
				assert.Equal(t, Recognized, d.Status)
				assert.Equal(t, "r1", d.RequestID)
				assert.Zero(t, d.OCR.PossibleExtraCharges)
				assert.Equal(t, 1, d.OCR.Attempts)
				assert.Nil(t, w.bucket.Content(claimKey))
				assert.Empty(t, w.unwritten.entries, "what is written is not kept in memory")
			})
		})
	}
}

func TestPaidAnswerInMemoryIsOfItsVersionAndItsProcessOnly(t *testing.T) {
	for name, test := range map[string]struct {
		replaced, otherProcess, park bool

		accepted, extra int
		status          Status
	}{
		"the image was replaced":   {replaced: true, accepted: 2, status: Recognized},
		"another process":          {otherProcess: true, accepted: 2, extra: 1, status: Recognized},
		"another process, parking": {otherProcess: true, park: true, accepted: 1, extra: 1, status: Failed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				event := w.event()
				w.refuseAfterTheCall(bucket.ErrExpired)
				_, err := w.Invoke(t.Context(), first("r1"), event)
				require.Error(t, err)
				w.bucket.Fail = nil
				if test.replaced {
					w.upload("version 2")
				}
				h := w.Handler
				if test.otherProcess {
					h = w.handler()
				}
				h.ParkLost = test.park
				time.Sleep(time.Minute) // the lease; virtual
				_, err = h.Invoke(t.Context(), first("r2"), w.event())
				require.NoError(t, err)
				assert.Equal(t, test.accepted, w.ocr.accepted)
				assert.Equal(t, test.status, w.document().Status)
				assert.Equal(t, test.extra, w.document().OCR.PossibleExtraCharges)
				assert.Equal(t, w.etag(), w.document().Image.ETag)
			})
		})
	}
}

func TestUnpaidOutcomesAreNotKeptInMemory(t *testing.T) {
	w := newWorld(t)
	w.MaxImageBytes = 1
	event := w.event()
	w.bucket.Fail = func(op, key string) error {
		if op == "PUT" || (op == "APPEND" && w.bucket.Content(claimKey) != nil) {
			return fmt.Errorf("memory: %w", bucket.ErrExpired)
		}
		return nil
	}
	_, err := w.Invoke(t.Context(), first("r1"), event)
	require.Error(t, err)
	assert.Empty(t, w.unwritten.entries)
}

func TestMemoryOfUnwrittenAnswersIsBounded(t *testing.T) {
	var u unwritten
	for i := range 2 * maxUnwritten {
		u.put(fmt.Sprint(i), &Document{Image: Image{Size: int64(i)}})
		u.put(fmt.Sprint(i), &Document{Image: Image{Size: int64(i)}})
	}
	assert.Len(t, u.entries, maxUnwritten)
	assert.Nil(t, u.take(fmt.Sprint(maxUnwritten-1)), "the oldest go")
	assert.EqualValues(t, maxUnwritten, u.take(fmt.Sprint(maxUnwritten)).Image.Size)
	assert.Nil(t, u.take(fmt.Sprint(maxUnwritten)))
}

// failOps makes OSS refuse those operations.
func (w *world) failOps(refuse func(op, key string) bool) {
	w.bucket.Fail = func(op, key string) error {
		if refuse(op, key) {
			return fmt.Errorf("memory: %w", bucket.ErrTransient)
		}
		return nil
	}
}

func TestWhatIsPaidOutlivesALookThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		refuse func(*world)                      // so that the first delivery leaves something behind
		left   func(*testing.T, *world)          // what that is
		next   func(*world) (deliverTo *Handler) // nil: the same process
	}{
		"a document in the claim": {
			refuse: func(w *world) { w.failOps(func(op, key string) bool { return op == "PUT" }) },
			left:   func(t *testing.T, w *world) { require.Contains(t, string(w.bucket.Content(claimKey)), `"document"`) },
		},
		"a document in memory": {
			refuse: func(w *world) { w.refuseAfterTheCall(bucket.ErrTransient) },
			left:   func(t *testing.T, w *world) { require.Len(t, w.unwritten.entries, 1) },
		},
		"a call of open fate, of which another process knows the nonce only; park never pays again": {
			refuse: func(w *world) { w.refuseAfterTheCall(bucket.ErrTransient) },
			next: func(w *world) *Handler {
				h := w.handler()
				h.ParkLost = true
				return h
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				event := w.event()
				test.refuse(w)
				_, err := w.Invoke(t.Context(), first("r1"), event)
				require.Error(t, err)
				if test.left != nil {
					test.left(t, w)
				}
				h := w.Handler
				if test.next != nil {
					h = test.next(w)
				}
				w.failOps(func(op, key string) bool { return op == "HEAD" && key == imageKey })
				_, err = h.Invoke(t.Context(), retry("r1", 1), event)
				require.Error(t, err)
				w.bucket.Fail = nil
				_, err = h.Invoke(t.Context(), retry("r1", 2), event)
				require.NoError(t, err)
				assert.Equal(t, 1, w.ocr.charged, "paid once")
			})
		})
	}
}

func TestForcedPaidDocumentIsWrittenByAnUnforcedDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		event := w.event()
		_, err := w.Invoke(t.Context(), first("r1"), event)
		require.NoError(t, err)
		image := namedImage{Image: Image{Bucket: "cards", Key: imageKey}}
		w.failOps(func(op, key string) bool { return op == "PUT" })
		o := w.object(t.Context(), first("r2"), image, true)
		require.True(t, o.retry())
		require.Contains(t, string(w.bucket.Content(claimKey)), `"document"`)
		w.bucket.Fail = nil
		_, err = w.Invoke(t.Context(), first("r3"), event) // a late duplicate
		require.NoError(t, err)
		assert.Equal(t, 2, w.ocr.charged, "one for the first, one for the forced")
		assert.Equal(t, "r3", w.document().RequestID, "the forced answer, which was paid, is written")
	})
}

func TestMemoryForgetsWhatTheClaimHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		event := w.event()
		w.refuseAfterTheCall(bucket.ErrTransient)
		_, err := w.Invoke(t.Context(), first("r1"), event)
		require.Error(t, err)
		w.failOps(func(op, key string) bool { return op == "PUT" })
		_, err = w.Invoke(t.Context(), retry("r1", 1), event)
		require.Error(t, err)
		require.Contains(t, string(w.bucket.Content(claimKey)), `"document"`)
		assert.Empty(t, w.unwritten.entries, "the claim holds it now")
		w.bucket.Fail = nil
		_, err = w.handler().Invoke(t.Context(), retry("r1", 2), event)
		require.NoError(t, err)
		assert.Empty(t, w.unwritten.entries, "and the document is written")
	})
}

func TestMemoryForgetsTheAnswerForAReplacedImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		event := w.event()
		w.refuseAfterTheCall(bucket.ErrTransient)
		_, err := w.Invoke(t.Context(), first("r1"), event)
		require.Error(t, err)
		w.bucket.Fail = nil
		w.upload("version 2")
		time.Sleep(time.Minute) // the lease; virtual
		_, err = w.Invoke(t.Context(), first("r2"), w.event())
		require.NoError(t, err)
		assert.Empty(t, w.unwritten.entries)
	})
}

func TestLookThatFailsReplacesNoDocument(t *testing.T) {
	for name, kind := range map[string]error{"transient": bucket.ErrTransient, "denied": bucket.ErrDenied} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				event := w.event()
				_, err := w.Invoke(t.Context(), first("r1"), event)
				require.NoError(t, err)
				w.bucket.Fail = func(op, key string) error {
					if op == "HEAD" && key == imageKey {
						return fmt.Errorf("memory: %w", kind)
					}
					return nil
				}
				w.Invoke(t.Context(), first("r2"), event) // a duplicate
				assert.Equal(t, Recognized, w.document().Status, "the paid document is still there")
				w.bucket.Fail = nil
				_, err = w.Invoke(t.Context(), first("r3"), event)
				require.NoError(t, err)
				assert.Equal(t, 1, w.ocr.charged)
			})
		})
	}
}
