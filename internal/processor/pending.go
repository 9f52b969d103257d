package processor

import (
	"slices"
	"sync"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
)

// pendingResults holds paid documents that OSS took neither beside the image nor into the claim, as when the invocation's
// credentials ended during the call. An invocation of the same process that takes the claim over finds the document by the
// nonce that was paid, and writes it with credentials of its own. Its zero value is empty.
type pendingResults struct {
	mu      sync.Mutex
	entries []pendingResult // the oldest first
}

type pendingResult struct {
	nonce    string
	document *result.Document
	beside   *bucket.Object // the document that was beside the image before the call; nil if there was none
}

// maxPending bounds the memory; while OSS takes nothing, no image gets a claim, and so none is paid.
const maxPending = 128

func (p *pendingResults) put(r pendingResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = append(slices.DeleteFunc(p.entries, func(e pendingResult) bool { return e.nonce == r.nonce }), r)
	if len(p.entries) > maxPending {
		p.entries = slices.Delete(p.entries, 0, 1)
	}
}

// take returns the result of the call with that nonce, with no document if it is not here, and removes it: the caller writes it
// or puts it back. What else is here of the image goes too: it is of a version that was replaced, or the claim holds it by now.
func (p *pendingResults) take(nonce string, image result.Image) (r pendingResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = slices.DeleteFunc(p.entries, func(e pendingResult) bool {
		if e.nonce == nonce {
			r = e
		}
		return e.document.Image.Bucket == image.Bucket && e.document.Image.Key == image.Key
	})
	return r
}
