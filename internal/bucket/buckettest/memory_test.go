package buckettest

import "testing"

func TestMemoryConforms(t *testing.T) { RunConformance(t, &Memory{}, false) }
