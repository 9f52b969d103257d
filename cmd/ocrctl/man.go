//go:build man

package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Releases are made with `go run -tags man ./cmd/ocrctl man FOLDER`, so that what writes manual pages is in no binary.
func init() {
	more = append(more, func(*settings) *cobra.Command {
		return &cobra.Command{
			Use: "man FOLDER", Hidden: true, Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				made, err := time.Parse(time.RFC3339, date) // of the commit, so that the same source gives the same bytes
				if err != nil {
					return err
				}
				root := c.Root()
				root.DisableAutoGenTag = true
				return doc.GenManTree(root, &doc.GenManHeader{Title: "OCRCTL", Section: "1", Source: "fc-idcard-ocr " + version, Date: &made}, args[0])
			},
		}
	})
}
