package processor

import "sync"

// buffers keeps the memory of pictures that were read for the next ones. Without it an instance that works on one picture after
// the other holds, until the next garbage collection, several that it is done with.
type buffers struct{ pool sync.Pool }

// get returns memory for size bytes.
func (b *buffers) get(size int) []byte {
	if kept, ok := b.pool.Get().(*[]byte); ok && cap(*kept) >= size {
		return (*kept)[:size]
	}
	return make([]byte, size)
}

// put takes memory back that nothing else refers to.
func (b *buffers) put(memory []byte) {
	if cap(memory) > 0 {
		b.pool.Put(&memory)
	}
}
