package handler

import (
	"slices"
	"sync"
)

// unwritten holds paid documents that OSS took neither beside the image nor into the claim, as when the invocation's
// credentials ended during the call. An invocation of the same process that takes the claim over finds the document by the
// nonce that was paid, and writes it with credentials of its own. Its zero value is empty.
type unwritten struct {
	mu      sync.Mutex
	entries []unwrittenEntry // the oldest first
}

type unwrittenEntry struct {
	nonce    string
	document *Document
}

// maxUnwritten bounds the memory; while OSS takes nothing, no image gets a claim, and so none is paid.
const maxUnwritten = 128

func (u *unwritten) put(nonce string, d *Document) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.entries = append(slices.DeleteFunc(u.entries, func(e unwrittenEntry) bool { return e.nonce == nonce }), unwrittenEntry{nonce, d})
	if len(u.entries) > maxUnwritten {
		u.entries = slices.Delete(u.entries, 0, 1)
	}
}

// take returns the document of the call with that nonce, nil if it is not here, and keeps it no longer: who takes it writes
// it, or puts it back.
func (u *unwritten) take(nonce string) (d *Document) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.entries = slices.DeleteFunc(u.entries, func(e unwrittenEntry) bool {
		if e.nonce == nonce {
			d = e.document
		}
		return e.nonce == nonce
	})
	return d
}
