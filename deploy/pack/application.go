package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// application is the archive that `s init --uri` and the registry of Serverless Devs take: publish.yaml and version.md, which describe
// it, and under src what becomes the user's folder, the function's package among it.
const application = "fc-idcard-ocr-application.zip"

// applicationFiles are what src holds, by their place in the repository. `s init` fills in what ends in .stpl and drops that ending.
var applicationFiles = []struct{ source, name string }{
	{"deploy/application/readme.md", "readme.md"},
	{"deploy/application/env.stpl", ".env.stpl"},
	{".env.example", ".env.example"},
	{"LICENSE", "LICENSE"},
	{"s.yaml", "s.yaml"},
	{"s.custom.yaml", "s.custom.yaml"},
	{"template.yml", "template.yml"},
	{"deploy/base.yaml", "deploy/base.yaml"},
	{"deploy/pre-deploy.js", "deploy/pre-deploy.js"},
	{"deploy/same-account.js", "deploy/same-account.js"},
	{"deploy/ram-policy.json", "deploy/ram-policy.json"},
	{"deploy/deployer-policy.json", "deploy/deployer-policy.json"},
	{"deploy/uploader-policy.json", "deploy/uploader-policy.json"},
	{"deploy/eventbridge-trigger.yaml", "deploy/eventbridge-trigger.yaml"},
	{"deploy/lifecycle.xml", "deploy/lifecycle.xml"},
}

// applicationPackage packs the application around the function's package in dir.
func applicationPackage(dir, version string, notices []byte) ([]byte, error) {
	var entries []entry
	for _, name := range []string{"publish.yaml", "version.md"} {
		text, err := os.ReadFile(filepath.Join("deploy", "application", name))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name, 0o644, []byte(strings.ReplaceAll(string(text), "VERSION", registryVersion(version)))})
	}
	for _, file := range applicationFiles {
		content, err := os.ReadFile(filepath.FromSlash(file.source))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{"src/" + file.name, 0o644, content})
	}
	packed, err := os.ReadFile(filepath.Join(dir, function))
	if err != nil {
		return nil, fmt.Errorf("the function is packed first: %w", err)
	}
	return pack(append(entries, entry{"src/" + function, 0o644, packed}, entry{"src/" + noticesFile, 0o644, notices})...)
}

var release123 = regexp.MustCompile(`^v(\d+\.\d+\.\d+)$`)

// registryVersion is a version as the registry takes one, three numbers. What is no release is 0.0.0.
func registryVersion(version string) string {
	if found := release123.FindStringSubmatch(version); found != nil {
		return found[1]
	}
	return "0.0.0"
}
