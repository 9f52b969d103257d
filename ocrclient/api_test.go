package ocrclient

import (
	"bytes"
	"flag"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/api.txt")

// The exported API is a promise: a change of it shows in testdata/api.txt, where it is seen in review and judged by
// docs/stability.md. `go test ./ocrclient -run API -update` writes the file.
func TestExportedAPIIsWhatWasPublished(t *testing.T) {
	const published = "testdata/api.txt"
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var declarations []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution) // without comments
		require.NoError(t, err)
		ast.FileExports(file)
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.GenDecl:
				if d.Tok == token.IMPORT {
					continue
				}
			case *ast.FuncDecl:
				if d.Recv != nil && !ast.IsExported(receiver(d.Recv.List[0].Type)) {
					continue
				}
				d.Body = nil
			}
			var text bytes.Buffer
			require.NoError(t, format.Node(&text, fset, declaration))
			declarations = append(declarations, text.String()+"\n")
		}
	}
	slices.Sort(declarations)
	made := strings.Join(declarations, "\n")
	if *update {
		require.NoError(t, os.WriteFile(published, []byte(made), 0o644))
	}
	want, err := os.ReadFile(published)
	require.NoError(t, err)
	assert.Equal(t, string(want), made, "run: go test ./ocrclient -run API -update, and see docs/stability.md")
}

// receiver returns the name of a method's type.
func receiver(of ast.Expr) string {
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	return of.(*ast.Ident).Name
}
