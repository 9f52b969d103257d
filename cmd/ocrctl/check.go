package main

import (
	"fmt"
	"os"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
)

func newCheck(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration of a deployment before it is made",
		Long: `Check the configuration of a deployment before it is made: the variables of the function and those of s.yaml, as they are in the environment. It
reports all missing and wrong values at once, and prints no secret. The binary of the function does the same with -check; this command is for machines
on which that binary cannot run. It sends no request.`,
		Example: `  set -a; . ./.env; OCR_APP_SECRET=in-the-store-of-s; set +a; ocrctl check`,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := config.Check(os.Environ()); err != nil {
				return exitError{exitConfiguration, err.Error()}
			}
			_, err := fmt.Fprintln(s.stdout, message.Text("configuration ok"))
			return err
		},
	}
}
