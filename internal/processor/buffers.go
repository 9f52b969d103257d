package processor

import (
	"sync"
	"weak"
)

// buffers keeps the memory of pictures that were read for the next ones. Without it an instance that works on one picture after
// the other holds, until the next garbage collection, several that it is done with. What is not in use is referred to weakly:
// an instance that reads no more pictures loses it with the next collection. (A sync.Pool keeps memory by processor, and a
// picture is seldom done on the one that it was begun on.)
type buffers struct {
	mu   sync.Mutex
	free []weak.Pointer[[]byte]
}

// get returns memory for size bytes.
func (b *buffers) get(size int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.free) > 0 {
		last := b.free[len(b.free)-1].Value()
		b.free = b.free[:len(b.free)-1]
		if last != nil && cap(*last) >= size { // what is too small is left to the garbage collection
			return (*last)[:size]
		}
	}
	return make([]byte, size)
}

// put takes memory back that nothing else refers to.
func (b *buffers) put(memory []byte) {
	if cap(memory) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, weak.Make(&memory))
}
