package processor

import (
	"slices"
	"sync"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/result"
)

// pendingResults holds paid documents that OSS took neither beside the image nor into the claim, as when the invocation's
// credentials ended during the call. An invocation of the same process that takes the claim over finds the document of the
// image's version, and writes it with credentials of its own. Its zero value is empty.
type pendingResults struct {
	mu      sync.Mutex
	entries []pendingResult // the oldest first
}

type pendingResult struct {
	document *result.Document
	beside   *bucket.Object // the document that was beside the image before the call; nil if there was none
}

// maxPending bounds the memory; while OSS takes nothing, no image gets a claim, and so none is paid.
const maxPending = 128

func (p *pendingResults) put(r pendingResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = append(slices.DeleteFunc(p.entries, func(e pendingResult) bool { return e.isOf(r.document.Image) }), r)
	if len(p.entries) > maxPending {
		p.entries = slices.Delete(p.entries, 0, 1)
	}
}

// take returns the result of that version of an image, with no document if it is not here, and removes it: the caller writes it
// or puts it back. What is here of another version goes too: it was replaced.
func (p *pendingResults) take(image result.Image) (r pendingResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = slices.DeleteFunc(p.entries, func(e pendingResult) bool {
		if !e.isOf(image) {
			return false
		}
		if of := e.document.Image; of.ETag == image.ETag && of.LastModified.Equal(image.LastModified) && of.VersionID == image.VersionID {
			r = e
		}
		return true
	})
	return r
}

func (r pendingResult) isOf(image result.Image) bool {
	return r.document.Image.Bucket == image.Bucket && r.document.Image.Key == image.Key
}
