// Command pack builds the function for Function Compute and packs it into the folder that its argument names, "dist" by
// default: the same input gives the same bytes. It fails if the package is larger than 4 MiB.
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const maxPackage = 4 << 20

func main() {
	dir := "dist"
	if len(os.Args) == 2 {
		dir = os.Args[1]
	}
	if err := run(dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// run writes fc-idcard-ocr.zip and its checksum into dir.
func run(dir string, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	version := gitVersion()
	binary := filepath.Join(dir, "main")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+version, "-o", binary, "fc-idcard-ocr")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the function: %w\n%s", err, output)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	packed, err := pack(content)
	if err != nil {
		return err
	}
	archive := filepath.Join(dir, "fc-idcard-ocr.zip")
	if err := os.WriteFile(archive, packed, 0o644); err != nil {
		return err
	}
	sum := fmt.Sprintf("%x  fc-idcard-ocr.zip\n", sha256.Sum256(packed))
	if err := os.WriteFile(archive+".sha256", []byte(sum), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s  version %s\nbinary %d bytes, package %d bytes (at most %d)\nsha256 %s", archive, version, len(content), len(packed), maxPackage, sum)
	if len(packed) > maxPackage {
		return errors.New("the package is too large")
	}
	return nil
}

// pack makes a zip of the one executable, with fixed times.
func pack(binary []byte) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	header := &zip.FileHeader{Name: "main", Method: zip.Deflate, Modified: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	entry, err := w.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := entry.Write(binary); err != nil {
		return nil, err
	}
	err = w.Close() // writes the directory, so it comes before Bytes
	return b.Bytes(), err
}

// gitVersion names the commit; a changed work tree is marked.
func gitVersion() string {
	output, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(output))
}
