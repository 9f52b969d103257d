package message

import (
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/leonelquinteros/gotext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

var update = flag.Bool("update", false, "write the texts of the code into the locales; new ones have to be translated then")

// The locales hold exactly the texts of the code. `go test ./internal/message -run Locales -update` adds and removes them.
func TestLocalesHoldEveryTextOfTheCode(t *testing.T) {
	texts := codeTexts(t)
	for _, name := range []string{"locales/en.po", "locales/zh.po"} {
		if *update {
			writeLocale(t, name, texts)
		}
		locale := readLocale(t, name)
		for text := range texts {
			assert.True(t, contains(locale, text), "%s lacks %q; run: go test ./internal/message -run Locales -update", name, text)
		}
		for text := range locale {
			assert.True(t, contains(texts, text), "%s has what no code uses: %q; run: go test ./internal/message -run Locales -update", name, text)
		}
	}
}

func TestLocalesTranslateEveryText(t *testing.T) {
	for english, chinese := range readLocale(t, "locales/zh.po") {
		assert.True(t, strings.ContainsFunc(chinese, func(r rune) bool { return unicode.Is(unicode.Han, r) }), "not translated: %q", english)
		assert.Equal(t, outerSpace(english), outerSpace(chinese), "blanks around %q", english)
		assert.Equal(t, verbs(english), verbs(chinese), "the arguments of %q", english)
	}
	for english, translation := range readLocale(t, "locales/en.po") {
		assert.Empty(t, translation, "the code has the English texts: %q", english)
	}
}

// What people type or look up stays as it is in every language.
func TestLocalesKeepCommandsFlagsAndVariables(t *testing.T) {
	names := regexp.MustCompile("`ocrctl [^`]*`|--[a-z][a-z-]+|\\b[A-Z]+_[A-Z_]+\\b|https?://[^ ,;)]+")
	for english, chinese := range readLocale(t, "locales/zh.po") {
		for _, name := range names.FindAllString(english, -1) {
			assert.Contains(t, chinese, name, "in the translation of %q", english)
		}
	}
}

func contains[V any](texts map[string]V, text string) bool { _, ok := texts[text]; return ok }

func outerSpace(s string) [2]string {
	trimmed := strings.TrimSpace(s)
	before, after, _ := strings.Cut(s, trimmed)
	return [2]string{before, after}
}

var verb = regexp.MustCompile(`%[-+#0]*[0-9]*(?:\.[0-9]+)?(?:\[([0-9]+)\])?([a-zA-Z%])`)

// verbs are the arguments that a format uses, each with its verb.
func verbs(format string) (used []string) {
	next := 1
	for _, v := range verb.FindAllStringSubmatch(format, -1) {
		if v[2] == "%" {
			continue
		}
		if v[1] != "" {
			next, _ = strconv.Atoi(v[1]) // digits
		}
		used = append(used, fmt.Sprintf("%d%s", next, v[2]))
		next++
	}
	slices.Sort(used)
	return used
}

func readLocale(t *testing.T, name string) map[string]string {
	po := gotext.NewPo()
	content, err := os.ReadFile(name)
	if !(*update && os.IsNotExist(err)) {
		require.NoError(t, err)
	}
	po.Parse(content)
	translations := map[string]string{}
	for id, translation := range po.GetDomain().GetTranslations() {
		if id != "" {
			translations[id] = translation.Trs[0]
		}
	}
	return translations
}

func writeLocale(t *testing.T, name string, texts map[string]files) {
	known := readLocale(t, name)
	po := gotext.NewPo()
	po.Parse(fmt.Appendf(nil, "msgid \"\"\nmsgstr \"\"\n\"Language: %s\\n\"\n\"MIME-Version: 1.0\\n\"\n\"Content-Type: text/plain; charset=UTF-8\\n\"\n\"Content-Transfer-Encoding: 8bit\\n\"\n",
		strings.TrimSuffix(filepath.Base(name), ".po")))
	for id, used := range texts {
		po.GetDomain().Set(id, known[id])
		po.GetDomain().SetRefs(id, slices.Sorted(maps.Keys(used)))
	}
	content, err := po.GetDomain().MarshalText()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, append(content, '\n'), 0o644))
}

const packagePath = "fc-idcard-ocr/internal/message"

// files are those that use a text.
type files map[string]bool

// codeTexts are all texts that the programs translate: constants of type Key, constant formats of this package's functions and of
// functions that pass a format on to them, and what cobra shows of commands and flags.
func codeTexts(t *testing.T) map[string]files {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax, Dir: root}, "./cmd/...", "./internal/...")
	require.NoError(t, err)
	e := extraction{
		texts:    map[string]files{},
		formats:  map[string]int{packagePath + ".Sprintf": 0, packagePath + ".Fprintf": 1, packagePath + ".Errorf": 0},
		problems: map[string]bool{},
	}
	for known := 0; known != len(e.formats); { // until no function is found any more that passes a format on
		known = len(e.formats)
		clear(e.texts)
		clear(e.problems)
		for _, p := range loaded {
			require.Empty(t, p.Errors)
			for _, file := range p.Syntax {
				e.pkg, e.file = p, filepath.ToSlash(strings.TrimPrefix(p.Fset.Position(file.Pos()).Filename, root+string(filepath.Separator)))
				e.walk(file, nil)
			}
		}
	}
	require.Empty(t, slices.Sorted(maps.Keys(e.problems)), "texts that are not constant cannot be translated")
	return e.texts
}

// extraction is the state of a pass over the code.
type extraction struct {
	texts    map[string]files
	formats  map[string]int // by a function's full name: which of its parameters is a format
	problems map[string]bool
	pkg      *packages.Package
	file     string
}

func (e extraction) walk(n ast.Node, function *ast.FuncDecl) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Body != nil && n != function {
				e.walk(n.Body, n)
			}
			return false
		case *ast.CallExpr:
			e.call(n, function)
		case *ast.CompositeLit:
			e.composite(n)
		case *ast.ValueSpec: // the name of a constant is an expression too
			for _, value := range n.Values {
				e.walk(value, function)
			}
			return false
		}
		if x, ok := n.(ast.Expr); ok && e.pkg.TypesInfo.Types[x].Type != nil && e.pkg.TypesInfo.Types[x].Type.String() == packagePath+".Key" {
			return !e.add(x)
		}
		return true
	})
}

// call takes the format of a call, or notes that the function it is in passes its own on.
func (e extraction) call(call *ast.CallExpr, function *ast.FuncDecl) {
	info := e.pkg.TypesInfo
	if info.Types[call.Fun].IsType() && info.Types[call.Fun].Type.String() == packagePath+".Key" && info.Types[call].Value == nil {
		e.problem(call)
		return
	}
	called, ok := calledFunction(info, call)
	if !ok {
		return
	}
	signature := called.Type().(*types.Signature)
	if called.Pkg() != nil && called.Pkg().Path() == "github.com/spf13/pflag" {
		for i := range signature.Params().Len() {
			if signature.Params().At(i).Name() == "usage" && !e.add(call.Args[i]) {
				e.problem(call)
			}
		}
		return
	}
	index, ok := e.formats[called.FullName()]
	if !ok || e.pkg.PkgPath == packagePath || e.add(call.Args[index]) {
		return
	}
	name, _ := call.Args[index].(*ast.Ident)
	if function == nil || name == nil {
		e.problem(call)
		return
	}
	own := info.Defs[function.Name].(*types.Func)
	for i := range own.Signature().Params().Len() {
		if own.Signature().Params().At(i) == info.Uses[name] {
			e.formats[own.FullName()] = i
			return
		}
	}
	e.problem(call)
}

func calledFunction(info *types.Info, call *ast.CallExpr) (*types.Func, bool) {
	var name *ast.Ident
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		name = f
	case *ast.SelectorExpr:
		name = f.Sel
	default:
		return nil, false
	}
	f, ok := info.Uses[name].(*types.Func)
	return f, ok
}

// composite takes what cobra shows of a command. Examples are commands, with words only in comments.
func (e extraction) composite(c *ast.CompositeLit) {
	kind := strings.TrimPrefix(e.pkg.TypesInfo.Types[c].Type.String(), "github.com/spf13/cobra.")
	for _, element := range c.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		name, ok := pair.Key.(*ast.Ident)
		if !ok {
			continue
		}
		switch kind + "." + name.Name {
		case "Command.Short", "Command.Long", "Group.Title":
			if !e.add(pair.Value) {
				e.problem(pair)
			}
		case "Command.Example":
			if value := e.pkg.TypesInfo.Types[pair.Value].Value; value != nil && strings.Contains(constant.StringVal(value), "#") {
				e.add(pair.Value)
			}
		}
	}
}

// add takes a text if it is constant.
func (e extraction) add(x ast.Expr) bool {
	value := e.pkg.TypesInfo.Types[x].Value
	if value == nil || value.Kind() != constant.String {
		return false
	}
	id := constant.StringVal(value)
	if !strings.ContainsFunc(verb.ReplaceAllString(id, ""), unicode.IsLetter) { // nothing to translate
		return true
	}
	if e.texts[id] == nil {
		e.texts[id] = files{}
	}
	e.texts[id][e.file] = true
	return true
}

func (e extraction) problem(n ast.Node) {
	e.problems[e.pkg.Fset.Position(n.Pos()).String()] = true
}
