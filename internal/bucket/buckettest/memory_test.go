package buckettest

import "testing"

func TestMemoryConforms(t *testing.T) {
	t.Run("plain", func(t *testing.T) { RunConformance(t, &Memory{}, false) })
	t.Run("versioned", func(t *testing.T) {
		RunConformance(t, &Memory{Versioned: true}, true)
	})
}
