// Command pack builds the function for Function Compute and packs it into the folder that its argument names, "dist" by
// default. With -release it adds the rest of a release: ocrctl for each platform, licence texts, bills of materials and
// checksums. The same input gives the same bytes. It fails if the function's package is larger than 4 MiB.
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	maxPackage = 4 << 20
	function   = "fc-idcard-ocr.zip"
)

func main() {
	var r release
	all := flag.Bool("release", false, "make everything that a release publishes")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64", "what to build ocrctl for")
	flag.BoolVar(&r.sbom, "sbom", true, "make bills of materials, which fetches the tool that makes them")
	flag.Parse()
	r.dir, r.platforms = "dist", strings.Split(*platforms, ",")
	if flag.NArg() > 0 {
		r.dir = flag.Arg(0)
	}
	r.version = gitVersion()
	err := run(r.dir, r.version, os.Stdout)
	if err == nil && *all {
		err = r.run(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// run writes fc-idcard-ocr.zip and its checksum into dir.
func run(dir, version string, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	content, err := build("fc-idcard-ocr", "linux/amd64", "-X main.version="+version, filepath.Join(dir, "main"))
	if err != nil {
		return err
	}
	// Nothing but the executable: Function Compute unpacks this into /code.
	packed, err := pack(entry{"main", 0o755, content})
	if err != nil {
		return err
	}
	archive := filepath.Join(dir, function)
	if err := os.WriteFile(archive, packed, 0o644); err != nil {
		return err
	}
	sum := fmt.Sprintf("%x  %s\n", sha256.Sum256(packed), function)
	if err := os.WriteFile(archive+".sha256", []byte(sum), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s  version %s\nbinary %d bytes, package %d bytes (at most %d)\nsha256 %s", archive, version, len(content), len(packed), maxPackage, sum)
	if len(packed) > maxPackage {
		return errors.New("the package is too large")
	}
	return nil
}

// build compiles a command of this module into file, with the symbols that the linker is to set, and returns its bytes. They depend on source, toolchain, platform and
// symbols only: not on the folder, the machine's settings or the state of git.
func build(command, platform, symbols, file string) ([]byte, error) {
	system, architecture, _ := strings.Cut(platform, "/")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= "+symbols, "-o", file, command)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+architecture, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	if output, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s for %s: %w\n%s", command, platform, err, output)
	}
	return os.ReadFile(file)
}

// entry is one file of an archive.
type entry struct {
	name    string
	mode    os.FileMode
	content []byte
}

// pack makes a zip with fixed times.
func pack(entries ...entry) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		header.SetMode(e.mode)
		file, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := file.Write(e.content); err != nil {
			return nil, err
		}
	}
	err := w.Close() // writes the directory, so it comes before Bytes
	return b.Bytes(), err
}

// gitCommit names the commit and its time, in UTC.
func gitCommit() (commit, date string) {
	log := exec.Command("git", "log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%H %cd")
	log.Env = append(os.Environ(), "TZ=UTC")
	output, err := log.Output()
	if err != nil {
		return "unknown", "1970-01-01T00:00:00Z"
	}
	commit, date, _ = strings.Cut(strings.TrimSpace(string(output)), " ")
	return commit, date
}

// gitVersion names the commit; a changed work tree is marked.
func gitVersion() string {
	output, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(output))
}
