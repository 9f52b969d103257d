package processor

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPicturesFollowEachOtherInTheSameMemory(t *testing.T) {
	var b buffers
	first, second := b.get(1000), b.get(1000)
	assert.NotSame(t, &first[0], &second[0], "both are in use")
	b.put(first[:10])
	again := b.get(1000)
	assert.Same(t, &first[0], &again[0])
	b.put(again)
	large := b.get(1_000_000)
	assert.Len(t, large, 1_000_000, "what is too small is not used")
	b.put(large)
	small := b.get(10)
	assert.Same(t, &large[0], &small[0])
	assert.Len(t, small, 10)
	b.put(nil)
	assert.Len(t, b.get(5), 5)
}

func TestMemoryOfPicturesIsGivenBack(t *testing.T) {
	var b buffers
	freed := make(chan bool, 1)
	func() {
		memory := b.get(1 << 20)
		runtime.AddCleanup(&memory[0], func(int) { freed <- true }, 0)
		b.put(memory)
	}()
	runtime.GC()
	assert.True(t, <-freed)
	assert.Len(t, b.get(5), 5)
}
