package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// sbomTool makes bills of materials in CycloneDX 1.6. It is run at this version and never becomes a requirement of go.mod.
const sbomTool = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// noticesFile is the file with the licence texts of all that is in the binaries: MIT, BSD and Apache licences ask that copies
// of the software, binary ones too, carry them.
const noticesFile = "THIRD-PARTY-LICENSES.txt"

// release is what is published beside the function's package.
type release struct {
	dir       string
	version   string
	platforms []string // of ocrctl, such as linux/amd64
	sbom      bool
}

// run adds to dir what run of main.go has not made, and ends with SHA256SUMS over all files that are published.
func (r release) run(out io.Writer) error {
	license, err := os.ReadFile("LICENSE")
	if err != nil {
		return fmt.Errorf("not in the repository's folder: %w", err)
	}
	files := []string{filepath.Join(r.dir, "main")} // the binaries: the function, then ocrctl for each platform
	contents := [][]byte{nil}
	commit, date := gitCommit()
	symbols := fmt.Sprintf("-X main.version=%s -X main.commit=%s -X main.date=%s", r.version, commit, date)
	manual, err := r.manual(symbols)
	if err != nil {
		return err
	}
	for _, platform := range r.platforms {
		file := filepath.Join(r.dir, "build", strings.ReplaceAll(platform, "/", "-"), binaryName(platform))
		content, err := build("fc-idcard-ocr/cmd/ocrctl", platform, symbols, file)
		if err != nil {
			return err
		}
		files, contents = append(files, file), append(contents, content)
	}
	texts, err := licences(files)
	if err != nil {
		return err
	}
	bills := make([][]byte, len(files))
	if r.sbom {
		if bills, err = r.billsOfMaterials(files); err != nil {
			return err
		}
	}
	published := []string{function}
	publish := func(name string, content []byte) error {
		published = append(published, name)
		return os.WriteFile(filepath.Join(r.dir, name), content, 0o644)
	}
	if err := publish(noticesFile, texts); err != nil {
		return err
	}
	app, err := applicationPackage(r.dir, r.version, texts)
	if err != nil {
		return err
	}
	if err := publish(application, app); err != nil {
		return err
	}
	if r.sbom {
		if err := publish("fc-idcard-ocr.cdx.json", bills[0]); err != nil {
			return err
		}
	}
	for i, platform := range r.platforms {
		entries := []entry{{binaryName(platform), 0o755, contents[i+1]}, {"LICENSE", 0o644, license}, {noticesFile, 0o644, texts}}
		if !strings.HasPrefix(platform, "windows/") {
			entries = append(entries, manual...)
		}
		if r.sbom {
			entries = append(entries, entry{"ocrctl.cdx.json", 0o644, bills[i+1]})
		}
		packed, err := pack(entries...)
		if err != nil {
			return err
		}
		if err := publish("ocrctl-"+strings.ReplaceAll(platform, "/", "-")+".zip", packed); err != nil {
			return err
		}
	}
	var sums strings.Builder
	for _, name := range published {
		content, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), name)
	}
	fmt.Fprint(out, sums.String())
	return os.WriteFile(filepath.Join(r.dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// manual makes the manual pages of ocrctl.
func (r release) manual(symbols string) (pages []entry, err error) {
	dir := filepath.Join(r.dir, "build", "man")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	make := exec.Command("go", "run", "-tags", "man", "-ldflags", symbols, "./cmd/ocrctl", "man", dir)
	make.Env = append(os.Environ(), "LC_ALL=C") // English, whoever makes the release
	if output, err := make.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making the manual pages: %w\n%s", err, output)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		pages = append(pages, entry{"man/" + filepath.Base(file), 0o644, content})
	}
	return pages, nil
}

func binaryName(platform string) string {
	if strings.HasPrefix(platform, "windows/") {
		return "ocrctl.exe"
	}
	return "ocrctl"
}

// billsOfMaterials lists for each binary the modules and the standard library that its build information names. Time and
// serial number are left out, so that the same input gives the same bytes.
func (r release) billsOfMaterials(binaries []string) (bills [][]byte, err error) {
	bin, err := filepath.Abs(filepath.Join(r.dir, "build"))
	if err != nil {
		return nil, err
	}
	install := exec.Command("go", "install", "-trimpath", sbomTool) // a bill holds its tool's hash
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "CGO_ENABLED=0")
	if output, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("installing %s: %w\n%s", sbomTool, err, output)
	}
	for _, binary := range binaries {
		c := exec.Command(filepath.Join(bin, "cyclonedx-gomod"), "bin", "-json", "-std", "-licenses", "-noserial", "-notimestamp", "-version", r.version, binary)
		var stderr bytes.Buffer
		c.Stderr = &stderr // it warns of this module, which it cannot download, and of licences that it does not know by their text
		bill, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("making the bill of materials of %s: %w\n%s", binary, err, &stderr)
		}
		bills = append(bills, bill)
	}
	return bills, nil
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|notice|copying|patents)`)

// licences collects the licence texts of Go, of the data in this repository and of every module in the binaries, in the
// order of their names. A module without one is an error: nobody may pass it on.
func licences(binaries []string) ([]byte, error) {
	var b bytes.Buffer
	add := func(title string, files []string) error {
		if len(files) == 0 {
			return fmt.Errorf("%s has no licence", title)
		}
		fmt.Fprintf(&b, "%s\n%s\n", strings.Repeat("=", 100), title)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n--- %s\n\n%s\n", filepath.Base(file), bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r"), nil)))
		}
		b.WriteByte('\n')
		return nil
	}
	modules, err := modulesOf(binaries)
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	fmt.Fprint(&b, "The binaries of fc-idcard-ocr contain the following software of others.\n\n")
	err = errors.Join(
		add("The Go standard library, "+runtime.Version(), []string{filepath.Join(strings.TrimSpace(string(root)), "LICENSE")}),
		add("Tables of administrative regions", []string{filepath.Join("internal", "idnumber", "regions.LICENSE")}))
	for _, module := range modules {
		var files []string
		entries, readErr := os.ReadDir(module.dir)
		if readErr != nil {
			return nil, readErr
		}
		for _, entry := range entries {
			if !entry.IsDir() && licenceFile.MatchString(entry.Name()) {
				files = append(files, filepath.Join(module.dir, entry.Name()))
			}
		}
		err = errors.Join(err, add(module.name, files))
	}
	return b.Bytes(), err
}

type module struct{ name, dir string }

// modulesOf reads from the binaries themselves what was linked into them.
func modulesOf(binaries []string) ([]module, error) {
	wanted := map[string]bool{}
	for _, file := range binaries {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, dependency := range info.Deps {
			wanted[dependency.Path] = true
		}
	}
	output, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}\t{{.Dir}}", "all").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the modules: %w", err)
	}
	var modules []module
	for line := range strings.Lines(string(output)) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if path, _, _ := strings.Cut(name, " "); wanted[path] {
			modules = append(modules, module{name, dir})
		}
	}
	if len(modules) != len(wanted) {
		return nil, fmt.Errorf("%d modules are in the binaries and %d of them in go.mod", len(wanted), len(modules))
	}
	return modules, nil
}
