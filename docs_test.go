package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forDevelopers are the pages that need no Chinese edition.
var forDevelopers = []string{"docs/architecture.md", "docs/dependencies.md", "docs/performance.md", "docs/stability.md"}

const chinese = ".zh-CN.md"

// page is one Markdown document, taken apart.
type page struct {
	name     string
	headings []string   // such as "## Deploy"
	tables   [][]string // rows
	blocks   []string   // commands, without comments and output
	text     string     // without blocks
}

func readPage(t *testing.T, name string) page {
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	p := page{name: name}
	var block []string
	language, table := "", false
	for line := range strings.Lines(string(content)) {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```") && language == "":
			language, block = trimmed, nil
		case trimmed == "```":
			if language == "```sh" || language == "```console" {
				p.blocks = append(p.blocks, strings.Join(block, "\n"))
			}
			language = ""
		case language == "```console" && !strings.HasPrefix(trimmed, "$ "): // output
		case language != "":
			block = append(block, comment.ReplaceAllString(strings.TrimPrefix(trimmed, "$ "), ""))
		case strings.HasPrefix(line, "#"):
			p.headings = append(p.headings, trimmed)
		case strings.HasPrefix(trimmed, "|"):
			if !table {
				p.tables = append(p.tables, nil)
			}
			p.tables[len(p.tables)-1] = append(p.tables[len(p.tables)-1], trimmed)
		}
		if language == "" && trimmed != "```" {
			table = strings.HasPrefix(trimmed, "|")
			p.text += line
		}
	}
	require.Empty(t, language, "%s: a block has no end", name)
	return p
}

var comment = regexp.MustCompile(`(^|\s+)#.*$`)

// documents are the Markdown files for readers, by name.
func documents(t *testing.T) []string {
	names, err := filepath.Glob("*.md")
	require.NoError(t, err)
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	return append(names, pages...)
}

var (
	code     = regexp.MustCompile("`([A-Za-z]+)[` ]")
	variable = regexp.MustCompile(`\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\b`)
)

// names returns what a pattern finds that is in known; all of it, if known is nil.
func names(pattern *regexp.Regexp, text string, known []string) []string {
	found := map[string]bool{}
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		name := match[len(match)-1]
		if pattern == variable {
			name = match[0]
		}
		if known == nil || slices.Contains(known, name) {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func TestBothEditionsOfAPageSayTheSame(t *testing.T) {
	var codes []string
	for _, c := range result.Codes {
		codes = append(codes, string(c))
	}
	for _, name := range append([]string{"README.md"}, documents(t)...) {
		other := strings.TrimSuffix(name, ".md") + chinese
		if strings.HasSuffix(name, chinese) || name != "README.md" && filepath.Dir(name) == "." {
			continue
		}
		if _, err := os.Stat(other); err != nil && slices.Contains(forDevelopers, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			english, chinese := readPage(t, name), readPage(t, other)
			assert.Equal(t, levels(english.headings), levels(chinese.headings), "levels of headings")
			assert.Equal(t, shapes(english.tables), shapes(chinese.tables), "rows and columns of tables")
			assert.Equal(t, english.blocks, chinese.blocks, "commands")
			assert.Equal(t, names(code, english.text, codes), names(code, chinese.text, codes), "error codes")
			assert.Equal(t, names(variable, english.text, nil), names(variable, chinese.text, nil), "variables")
		})
	}
}

func levels(headings []string) (levels []string) {
	for _, heading := range headings {
		level, _, _ := strings.Cut(heading, " ")
		levels = append(levels, level)
	}
	return levels
}

func shapes(tables [][]string) (shapes [][2]int) {
	for _, table := range tables {
		shapes = append(shapes, [2]int{len(table), strings.Count(strings.ReplaceAll(table[0], `\|`, ""), "|") - 1})
	}
	return shapes
}

func TestConfigurationPagesListEveryVariableWithItsDefault(t *testing.T) {
	for _, name := range []string{"docs/configuration.md", "docs/configuration.zh-CN.md"} {
		rows := map[string]string{} // variable -> cell of its default
		for _, table := range readPage(t, name).tables {
			for _, row := range table {
				if cells := strings.Split(row, "|"); variable.MatchString(cells[1]) {
					rows[strings.Trim(cells[1], " `")] = strings.Trim(cells[2], " `")
				}
			}
		}
		for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
			variable := field.Tag.Get("env")
			require.Contains(t, rows, variable, name)
			if value, ok := field.Tag.Lookup("envDefault"); ok {
				assert.Equal(t, value, rows[variable], "%s: %s", name, variable)
			}
			delete(rows, variable)
		}
		assert.Empty(t, rows, "%s: no such variables", name)
	}
}

func TestOperationsExplainsEveryErrorCode(t *testing.T) {
	for _, name := range []string{"docs/operations.md", "docs/operations.zh-CN.md"} {
		explained := map[string]bool{}
		for _, table := range readPage(t, name).tables {
			if strings.Count(table[0], "|") == 5 {
				for _, row := range table {
					for _, match := range code.FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
						explained[match[1]] = true
					}
				}
			}
		}
		want := map[string]bool{}
		for _, c := range result.Codes {
			want[string(c)] = true
		}
		assert.Equal(t, want, explained, name)
	}
}

// howTheyRun says for each command in the documents which test runs it. An empty name stands for a command that needs an account,
// publishes, or runs the tests themselves.
var howTheyRun = []struct{ command, file, test string }{
	{`ocrctl (backfill|doctor|pause|redrive|resume|status)\b.*`, "cmd/ocrctl/runbook_test.go", "TestEachCommandOfTheRunbookRuns"},
	{`go build -o ocrctl \./cmd/ocrctl`, "cmd/ocrctl/process_test.go", ""},
	{`source <\(\./ocrctl completion bash\)`, "cmd/ocrctl/docs_test.go", "TestDocsHoldTheHelpTextsAsTheyArePrinted"},
	{`set -a; \. \./\.env; .*; set \+a; ocrctl check`, "deploy/serverlessdevs_test.go", "TestOcrctlChecksWhereThePackageCannotRun"},
	{`cp \.env\.example \.env`, "deploy/serverlessdevs_test.go", "TestServerlessDevsDeploysInFourStepsAndKeepsSecretsToItself"},
	{`s (deploy -y|secret add --key OCR_APP_SECRET --value [A-Z-]+( -f)?)`, "deploy/serverlessdevs_test.go", "TestServerlessDevsDeploysInFourStepsAndKeepsSecretsToItself"},
	{`s deploy -y -t s\.custom\.yaml`, "deploy/deploy_test.go", "TestServerlessDevsFiles"},
	{`s init --uri \./fc-idcard-ocr-application\.zip`, "deploy/serverlessdevs_test.go", "TestApplicationPackageDeploysAfterInit"},
	{`s remove( -t deploy/base\.yaml)?|s config add|npm install -g @serverless-devs/s( && s config add)?`, "", ""},
	{`ossutil (cp|cat|rm|lifecycle) .*|aliyun ros .*`, "", ""},
	{`(URL|M)=http://127\.0\.0\.1:\d+|cp testdata/\S+ \S+|curl -s .*`, "cmd/sandbox/docs_test.go", "TestExamplesOfTheManualsRun"},
	{`make run|go run \./cmd/sandbox --demo testdata/cards/scan-01\.jpg`, "cmd/sandbox/main_test.go", "TestServeShowsTheDemoAndWhatIsDroppedIn"},
	{`go run \./cmd/sandbox --async-speedup 3600`, "cmd/sandbox/main_test.go", "TestTheStartSaysHowFastEventsAreRetried"},
	{`go run \./deploy/pack`, "deploy/deploy_test.go", "TestPackageIsReproducible"},
	{`go run \./deploy/pack -release dist/release`, "deploy/pack/release_test.go", "TestReleaseIsReproducibleAndCarriesItsLicences"},
	{`make (test|release|bench)|go test .*|\(cd internal/sandbox/ocrengine/ocr && npm ci --ignore-scripts\)`, "", ""},
	{`go run \./internal/sandbox/ossfake/suites .*|git (tag|push|clone) .*`, "", ""},
}

func TestEveryCommandIsOneThatWasRun(t *testing.T) {
	for _, how := range howTheyRun {
		if how.test != "" {
			content, err := os.ReadFile(how.file)
			require.NoError(t, err)
			assert.True(t, strings.Contains(string(content), "func "+how.test+"("), "%s: no %s", how.file, how.test)
		}
	}
	for _, name := range documents(t) {
		for _, block := range readPage(t, name).blocks {
			for command := range strings.SplitSeq(strings.ReplaceAll(block, "\\\n", ""), "\n") {
				known := slices.ContainsFunc(howTheyRun, func(how struct{ command, file, test string }) bool {
					return regexp.MustCompile(`^(` + how.command + `)$`).MatchString(command)
				})
				assert.True(t, known || command == "", "%s: %s", name, command)
			}
		}
	}
}

var (
	goTest = regexp.MustCompile(`go test (\./[\w/]+)[^\n` + "`" + `]*? -(?:run|fuzz) '?([\w|]+)'?`)
	target = regexp.MustCompile("`make ([a-z]+)")
)

func TestTestsAndTargetsThatAreNamedExist(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	for _, name := range documents(t) {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, match := range target.FindAllStringSubmatch(string(content), -1) {
			assert.True(t, strings.Contains(string(makefile), "\n"+match[1]+":"), "%s: make %s", name, match[1])
		}
		for _, match := range goTest.FindAllStringSubmatch(string(content), -1) {
			files, err := filepath.Glob(match[1] + "/*_test.go")
			require.NoError(t, err)
			var text strings.Builder
			for _, file := range files {
				content, err := os.ReadFile(file)
				require.NoError(t, err)
				text.Write(content)
			}
			for part := range strings.SplitSeq(match[2], "|") {
				assert.True(t, regexp.MustCompile(`func (Test|Fuzz)?\w*`+part).MatchString(text.String()), "%s: %s runs nothing", name, match[0])
			}
		}
	}
}

var (
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	punctuation = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, name := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(readPage(t, name).text, -1) {
			to, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			file := name
			if to != "" {
				file = filepath.Join(filepath.Dir(name), to)
			}
			if _, err := os.Stat(file); !assert.NoError(t, err, "%s: %s", name, match[1]) || anchor == "" {
				continue
			}
			var anchors []string
			for _, heading := range readPage(t, file).headings {
				_, text, _ := strings.Cut(heading, " ")
				anchors = append(anchors, strings.ReplaceAll(punctuation.ReplaceAllString(strings.ToLower(text), ""), " ", "-"))
			}
			assert.Contains(t, anchors, anchor, "%s: %s", name, match[1])
		}
	}
}
