package message

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Errors of the command line are read by people: they are made by Errorf and Error of this package.
func TestErrorsOfTheCommandLineCanBeTranslated(t *testing.T) {
	parsed := 0
	require.NoError(t, filepath.WalkDir("../ctl", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Base(filepath.Dir(path)) == "listtest" {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed++
		ast.Inspect(file, func(n ast.Node) bool {
			if f, ok := n.(*ast.SelectorExpr); ok {
				of, _ := f.X.(*ast.Ident)
				bare := of != nil && (of.Name == "errors" && f.Sel.Name == "New" || of.Name == "fmt" && f.Sel.Name == "Errorf")
				assert.False(t, bare, "%s: use package message", files.Position(n.Pos()))
			}
			return true
		})
		return nil
	}))
	assert.NotZero(t, parsed)
}
