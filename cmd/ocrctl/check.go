package main

import (
	"fmt"
	"os"

	"fc-idcard-ocr/internal/config"

	"github.com/spf13/cobra"
)

func newCheck(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration of a deployment before it is made",
		Long: `Check the configuration of a deployment before it is made: the variables of the function and those of s.yaml, as they are in the environment. Every
value that is missing or wrong is told at once, and no secret is. The function's own binary does the same with -check; this is for machines on which
it cannot run. Nothing is called.`,
		Example: `  set -a; . ./.env; OCR_APP_SECRET=in-the-store-of-s; set +a; ocrctl check`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := config.Check(os.Environ()); err != nil {
				return exitError{exitConfiguration, err.Error()}
			}
			_, err := fmt.Fprintln(s.stdout, "configuration ok")
			return err
		},
	}
}
