package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker. Without it, commit and date are those that the Go command noted, if it was in a checkout.
var (
	version = "dev"
	commit  string
	date    string // of the commit, ISO
)

// about is what a build says about itself.
type about struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Date     string `json:"date"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// build is the running one.
func build() about {
	commit, date := commit, date
	if info, ok := debug.ReadBuildInfo(); ok && commit == "" {
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				commit = setting.Value
			case "vcs.time":
				date = setting.Value
			}
		}
	}
	if commit == "" {
		commit = "unknown"
	}
	if date == "" {
		date = "unknown"
	}
	return about{version, commit, date, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
}

// versionText is what --version and the command version print.
func versionText() string {
	b := build()
	return fmt.Sprintf("ocrctl %s\ncommit %s\ndate   %s\n%s %s\n", b.Version, b.Commit, b.Date, b.Go, b.Platform)
}

func newVersion(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, commit and date", Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if s.json() {
				return s.print(build())
			}
			_, err := fmt.Fprint(s.stdout, versionText())
			return err
		},
	}
}
