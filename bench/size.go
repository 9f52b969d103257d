package main

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// packageSize measures the deployed binary and its package, and which modules contribute to their size.
func (b *bench) packageSize(ctx context.Context, s *section) error {
	s.how = "The size of the deployed binary and of its compressed package; below, the size of the symbols by module (`go tool nm -size`, same build with symbols)."
	s.columns("", "fc-idcard-ocr", b.bareSDK.name, "ratio")
	size, packed, err := sizes(b.function.command[0])
	if err != nil {
		return err
	}
	baselineSize, baselinePacked, err := sizes(b.bareSDK.command[0])
	if err != nil {
		return err
	}
	line := func(what string, ours, baseline int) {
		ratio, _ := compare(float64(ours), float64(baseline), 0)
		s.row(what, kilobytes(ours), kilobytes(baseline), ratio)
	}
	line("package", packed, baselinePacked)
	line("binary", size, baselineSize)
	ours, err := b.symbols(ctx, "fc-idcard-ocr")
	if err != nil {
		return err
	}
	baseline, err := b.symbols(ctx, "fc-idcard-ocr/bench/baseline/bare")
	if err != nil {
		return err
	}
	groups := slices.SortedFunc(maps.Keys(ours), func(a, b string) int { return cmp.Compare(ours[b], ours[a]) })
	rest, restBaseline := 0, 0
	for _, group := range groups {
		if standard := !strings.Contains(group, ".") && group != ownModule; standard && ours[group] < 40_000 {
			rest, restBaseline = rest+ours[group], restBaseline+baseline[group]
			continue
		}
		s.row(group, kilobytes(ours[group]), kilobytes(baseline[group]), "")
	}
	s.row("smaller packages of the standard library", kilobytes(rest), kilobytes(restBaseline), "")
	listed, err := modules(ctx, b.function.command[0])
	if err != nil {
		return err
	}
	s.note("Modules (`go version -m`): %s.", strings.Join(listed, ", "))
	s.note("A test keeps these out: the libraries of ocrctl (cobra, progressbar, the second OSS SDK), of the sandbox (OCR engine, chromedp, fsnotify, x/image) and of the tests. " +
		"The binary contains the table of region codes in compressed form; the first card unpacks it.")
	return nil
}

const ownModule = "fc-idcard-ocr (this repository)"

func sizes(path string) (size, packed int, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return 0, 0, err
	}
	if _, err := w.Write(content); err != nil {
		return 0, 0, err
	}
	err = w.Close()
	return len(content), b.Len(), err
}

// symbols adds up the sizes of a program's symbols by module, and by package for the standard library.
func (b *bench) symbols(ctx context.Context, pkg string) (map[string]int, error) {
	path := filepath.Join(b.dir, "symbols")
	if err := goBuild(ctx, path, pkg, ""); err != nil {
		return nil, err
	}
	output, err := exec.CommandContext(ctx, "go", "tool", "nm", "-size", path).Output()
	if err != nil {
		return nil, err
	}
	bytes := map[string]int{}
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)                               // address, size, type, name
		if len(fields) < 4 || fields[2] == "B" || fields[2] == "b" { // zeros take no room in the file
			continue
		}
		size, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if strings.HasSuffix(fields[3], "fips140/drbg.memory") { // zeros, too
			continue
		}
		bytes[group(fields[3])] += size
	}
	return bytes, nil
}

// group is the module or package that a symbol belongs to.
func group(symbol string) string {
	switch {
	case strings.HasPrefix(symbol, "runtime.pclntab") || strings.HasPrefix(symbol, "runtime.findfunctab"):
		return "line tables of all packages"
	case strings.HasPrefix(symbol, "type:") || strings.HasPrefix(symbol, "go:") || strings.HasPrefix(symbol, "runtime.types") || strings.HasPrefix(symbol, "runtime.rodata"):
		return "types and constants of all packages"
	}
	symbol, _, _ = strings.Cut(symbol, "[") // type arguments name other packages
	slash := strings.LastIndexByte(symbol, '/')
	dot := strings.IndexByte(symbol[slash+1:], '.')
	if dot < 0 {
		return "linker and assembly"
	}
	path := strings.ReplaceAll(symbol[:slash+1+dot], "%2e", ".")
	parts := strings.Split(path, "/")
	switch {
	case parts[0] == "fc-idcard-ocr" || parts[0] == "main":
		return ownModule
	case parts[0] == "vendor":
		return "x/crypto, x/net and x/text inside the standard library"
	case strings.Contains(parts[0], "."):
		return strings.Join(parts[:min(3, len(parts))], "/")
	case parts[0] == "crypto" || parts[0] == "encoding" || parts[0] == "net":
		return strings.Join(parts[:min(2, len(parts))], "/")
	}
	return parts[0]
}

func modules(ctx context.Context, path string) (list []string, err error) {
	output, err := exec.CommandContext(ctx, "go", "version", "-m", path).Output()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(output)) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "dep" {
			list = append(list, fields[1]+" "+fields[2])
		}
	}
	return list, nil
}

func kilobytes(n int) string { return fmt.Sprintf("%.0f KB", float64(n)/1000) }
