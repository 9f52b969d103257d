package handler

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"fc-idcard-ocr/internal/result"

	"golang.org/x/sync/semaphore"
)

const (
	// smallBody is what is read without asking the budget, so that no event waits for pictures.
	smallBody = 64 << 10
	// budgetWait is how long a body waits for others to be done.
	budgetWait = 10 * time.Second
)

// bodyBudget bounds the bytes of all request bodies in memory. FC kills an instance that outgrows its memory, and with it the
// answers of paid calls.
type bodyBudget struct {
	size int64 // bytes
	free *semaphore.Weighted
}

// newBodyBudget returns a budget of so many bytes; 0 bounds nothing.
func newBodyBudget(size int64) *bodyBudget {
	return &bodyBudget{size: size, free: semaphore.NewWeighted(size)}
}

// take waits for room for a body of up to most bytes, until deadline and no longer than budgetWait. release ends its use.
func (b *bodyBudget) take(ctx context.Context, deadline time.Time, most int64) (release func(), e *result.Error) {
	if b.size == 0 || most <= smallBody {
		return func() {}, nil
	}
	if latest := time.Now().Add(budgetWait); latest.Before(deadline) {
		deadline = latest
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	most = min(most, b.size) // what is larger than the budget comes alone
	if b.free.Acquire(ctx, most) != nil {
		return nil, result.Errorf(result.Throttled, true, "the memory of this instance is taken by other requests' bodies (%d bytes at most); send the request again later", b.size)
	}
	return func() { b.free.Release(most) }, nil
}

// readBody reads a body of up to limit bytes, or one byte more of a longer one. The memory is in the budget until release, which
// is never nil.
func (h *Handler) readBody(r *http.Request, limit int64) (body []byte, release func(), e *result.Error, err error) {
	read := func(most int64) error { // on, up to most bytes
		buffer := bytes.NewBuffer(append(make([]byte, 0, most+bytes.MinRead), body...)) // one allocation, none for the last read of nothing
		_, err := buffer.ReadFrom(io.LimitReader(r.Body, most-int64(len(body))))
		body = buffer.Bytes()
		return err
	}
	most, release := r.ContentLength, func() {}
	if most < 0 || most > limit { // not told, or not true for what is read: a small body shows itself by ending
		most = limit + 1
		if err := read(min(smallBody, most)); err != nil || len(body) < smallBody {
			return body, release, nil, err
		}
	}
	if release, e = h.bodies.take(r.Context(), invocation(r.Context()).Deadline, most); e != nil {
		return nil, func() {}, e, nil
	}
	err = read(most)
	return body, release, nil, err
}
