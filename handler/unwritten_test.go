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
	assert.Nil(t, u.of(fmt.Sprint(maxUnwritten-1)), "the oldest go")
	assert.EqualValues(t, maxUnwritten, u.of(fmt.Sprint(maxUnwritten)).Image.Size)
	u.forget(fmt.Sprint(maxUnwritten))
	assert.Nil(t, u.of(fmt.Sprint(maxUnwritten)))
}
