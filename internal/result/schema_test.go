package result

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every member has its title, and the codes of the schema are the codes of the program.
func TestPublishedSchemaIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/result.schema.json")
	require.NoError(t, err)
	var root map[string]any
	require.NoError(t, json.Unmarshal(text, &root))
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		properties, _ := node["properties"].(map[string]any)
		for name, child := range properties {
			member := child.(map[string]any)
			assert.NotEmpty(t, member["title"], path+"/"+name)
			walk(path+"/"+name, member)
		}
	}
	walk("", root)
	code := root["properties"].(map[string]any)["error"].(map[string]any)["properties"].(map[string]any)["code"].(map[string]any)
	assert.Equal(t, fmt.Sprint(Codes), fmt.Sprint(code["enum"]))
	var members []string
	for _, line := range strings.Split(string((&Document{Card: &Card{}, Validation: &Validation{}, Error: &Error{}, Raw: []byte("1"), RawText: "x"}).Encode()), "\n") {
		if name, ok := strings.CutPrefix(line, `  "`); ok {
			members = append(members, name[:strings.Index(name, `"`)])
		}
	}
	for name := range root["properties"].(map[string]any) {
		assert.True(t, slices.Contains(members, name), name)
	}
	assert.Len(t, root["properties"], len(members))
}
