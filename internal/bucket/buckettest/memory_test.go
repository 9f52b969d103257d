package buckettest

import "testing"

func TestMemoryConforms(t *testing.T) {
	t.Run("plain", func(t *testing.T) { RunConformance(t, &Memory{}, Versioning{}) })
	t.Run("versioned", func(t *testing.T) {
		RunConformance(t, &Memory{Versioned: true}, Versioning{Enabled: true, IDs: true})
	})
}
