package sandbox_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox"
)

func TestAPhonesHEICIsRecognisedOffline(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) { o.Reader = nil }) // with the real engine
	picture, err := os.ReadFile("ocrengine/testdata/scan-01.heic")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(cloud.Folder, "IMG_0001.HEIC"), picture, 0o600))
	_, document, err := cloud.Await(t.Context(), "IMG_0001.HEIC")
	require.NoError(t, err)
	assert.True(t, document.Recognized(), document.Error)
	assert.Equal(t, "11010119040307001X", document.Card.IDNumber)
}
