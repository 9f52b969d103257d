package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dependencies are the tables of docs/dependencies.md: heading -> module or package -> licence.
func dependencies(t *testing.T) map[string]map[string]string {
	text, err := os.ReadFile("../docs/dependencies.md")
	require.NoError(t, err)
	row := regexp.MustCompile("^\\| `([^`]+)` .*\\| ([A-Za-z0-9.-]+) \\|(?: [\\d,]+ \\|)?$")
	tables, heading := map[string]map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if after, ok := strings.CutPrefix(line, "## "); ok {
			heading = after
		} else if found := row.FindStringSubmatch(line); found != nil {
			if tables[heading] == nil {
				tables[heading] = map[string]string{}
			}
			tables[heading][found[1]] = found[2]
		}
	}
	return tables
}

// list asks the go command, on all platforms that ocrctl is released for, and returns what it says, sorted, each once.
func list(t *testing.T, args ...string) []string {
	lines := map[string]bool{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		command := exec.Command("go", append([]string{"list"}, args...)...)
		command.Dir = ".."
		command.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		output, err := command.Output()
		require.NoError(t, err)
		for _, line := range strings.Fields(string(output)) {
			lines[line] = true
		}
	}
	return slices.Sorted(maps.Keys(lines))
}

// licences tell licence texts apart by words that only they have.
var licences = []struct{ id, words string }{
	{"Apache-2.0", "Apache License Version 2.0"},
	{"BSD-3-Clause", "Neither the name"},
	{"MIT", "Permission is hereby granted, free of charge"},
}

func TestDependenciesAreThoseOfTheTables(t *testing.T) {
	tables := dependencies(t)
	modules := func(command string) []string {
		return list(t, "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", command)
	}
	deployed := slices.Sorted(maps.Keys(tables["In the deployed binary"]))
	assert.Equal(t, modules("."), deployed, "linked into the function, and the table")
	tool := slices.DeleteFunc(modules("./cmd/ocrctl"), func(m string) bool { return slices.Contains(deployed, m) })
	assert.Equal(t, tool, slices.Sorted(maps.Keys(tables["Only in ocrctl"])), "linked into ocrctl, and the table")
	named := map[string]string{}
	for _, heading := range []string{"In the deployed binary", "Only in ocrctl", "Only in the sandbox and in tests"} {
		maps.Copy(named, tables[heading])
	}
	for _, module := range list(t, "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all") {
		assert.Contains(t, named, module, "a direct requirement of go.mod")
	}
	for module, licence := range named {
		dir := list(t, "-m", "-f", "{{.Dir}}", module)
		require.Len(t, dir, 1)
		files, err := filepath.Glob(filepath.Join(dir[0], "LICENSE*"))
		require.NoError(t, err)
		require.NotEmpty(t, files, module)
		text, err := os.ReadFile(files[0])
		require.NoError(t, err)
		words, found := strings.Join(strings.Fields(string(text)), " "), "unknown"
		for _, each := range licences {
			if strings.Contains(words, each.words) {
				found = each.id
				break
			}
		}
		assert.Equal(t, found, licence, module)
	}
}

// spdx is a licence by its identifier, where a package has a blank in it.
func spdx(license any) any {
	if license == "Apache 2.0" {
		return "Apache-2.0"
	}
	return license
}

func TestDependenciesFromNPMAreUnderKnownLicences(t *testing.T) {
	table := dependencies(t)["npm packages"]
	allowed := []string{"MIT", "ISC", "0BSD", "BSD-3-Clause", "Apache-2.0", "Apache2", "BlueOak-1.0.0", "CC0-1.0", "LGPL-3.0-or-later", "LGPL-3.0", "MPL-2.0"}
	var direct []string
	for _, folder := range []string{"../internal/sandbox/ocrengine/ocr", "../internal/sandbox/testdata/clients", "testdata/serverless-devs", "../internal/console/testdata/axe"} {
		text, err := os.ReadFile(filepath.Join(folder, "package-lock.json"))
		require.NoError(t, err)
		var lock struct {
			Packages map[string]struct {
				License      any // a text, or a list of them in old packages
				Dependencies map[string]string
			}
		}
		require.NoError(t, json.Unmarshal(text, &lock))
		for name := range lock.Packages[""].Dependencies {
			direct = append(direct, name)
			assert.Equal(t, spdx(lock.Packages["node_modules/"+name].License), table[name], name)
		}
		for name, p := range lock.Packages {
			encoded, err := json.Marshal(spdx(p.License))
			require.NoError(t, err)
			words := regexp.MustCompile(`[\w.-]+`).FindAllString(string(encoded), -1)
			words = slices.DeleteFunc(words, func(w string) bool { return w == "AND" || w == "OR" })
			assert.NotEmpty(t, words, name)
			for _, word := range words {
				assert.Contains(t, allowed, word, name)
			}
		}
	}
	assert.ElementsMatch(t, direct, slices.Collect(maps.Keys(table)))
}
