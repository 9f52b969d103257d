package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/export"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"

	"github.com/spf13/cobra"
)

// statuses are those of documents.
var statuses = []result.Status{result.Recognized, result.Unrecognized, result.Failed}

// exportFlags are what the command line says.
type exportFlags struct {
	export.Options
	format, file, status string
	resume               bool
}

func newExport(s *settings) *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the result documents of a bucket as CSV, JSON lines or a table",
		Long: `Write the result documents of a bucket as CSV, JSON lines or a table, in the order of their keys, read side by side and in constant memory. Nothing is written to the bucket. Where a person has reviewed a document (ocrctl console), its card is the one of the review.

CSV is made for spreadsheets: UTF-8 with a byte order mark, CRLF, every document on one row, text in quotes. Text that Excel, LibreOffice or WPS would take for a formula gets an apostrophe in front, and text that they would take for a number, a date or a time, such as most ID numbers, a tab. Programs should read JSON lines, which hold the documents as they are; a document that names another key than the one beside which it lies gets a member listedKey.

CSV and JSON lines are not masked unless --mask is given; a table is, unless --no-mask is. With --file an export that broke off is completed by --resume: what is incomplete at its end is cut off first, and documents before that point are not read again. A table or a masked file is made again from the start, and kept as far as it is the same.

A document that cannot be read is named and left out; the exit code is then 1.`,
		Example: `  ocrctl export -b cards -r cn-hangzhou --prefix 2026/ --file cards.csv
  ocrctl export -b cards -r cn-hangzhou --format jsonl --status recognized | jq .card.idNumber
  ocrctl export --sandbox --format table`,
		Args: noArguments,
	}
	flags := c.Flags()
	s.listingFlags(c, &f.Prefix, &f.Parallel)
	flags.StringVarP(&f.format, "format", "F", "", "`format`: csv, jsonl or table (default csv, or jsonl with --output json)")
	completeWords(c, "format", []string{"csv", "jsonl", "table"})
	flags.StringVar(&f.file, "file", "", "`file` to write to, readable by its owner only (default standard output)")
	c.MarkFlagFilename("file", "csv", "jsonl", "txt") //nolint:errcheck // the flag is there
	flags.BoolVar(&f.resume, "resume", false, "complete the --file of an export that broke off")
	flags.StringVar(&f.status, "status", "", "only documents of this `status`: recognized, unrecognized or failed")
	completeWords(c, "status", []string{"recognized", "unrecognized", "failed"})
	flags.BoolVar(&f.Mask, "mask", false, "mask names, addresses and ID numbers")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if f.format == "" {
			f.format = "csv"
			if s.json() {
				f.format = "jsonl"
			}
		}
		f.Status = result.Status(f.status)
		switch {
		case !slices.Contains([]string{"csv", "jsonl", "table"}, f.format):
			return usageError{message.Errorf("--format %q: accepted are csv, jsonl and table", f.format)}
		case f.status != "" && !slices.Contains(statuses, f.Status):
			return usageError{message.Errorf("--status %q: accepted are recognized, unrecognized and failed", f.status)}
		case f.resume && f.file == "":
			return usageError{message.Errorf("--resume needs --file")}
		}
		return s.export(c.Context(), f)
	}
	return c
}

func (s *settings) export(ctx context.Context, f exportFlags) (err error) {
	s.parallel = f.Parallel
	conf, bucket, err := s.open()
	if err != nil {
		return err
	}
	f.Suffix = conf.ResultSuffix
	f.Mask = f.Mask || (f.format == "table" && !s.noMask)
	var out io.Writer = s.stdout
	headed, complete := false, false
	if f.file != "" {
		file, err := openExport(f)
		if err != nil {
			return err
		}
		defer func() {
			if closeErr := file.Close(complete); closeErr != nil {
				err = errors.Join(err, closeErr)
			}
		}()
		out, f.After, headed = file, file.After, file.Headed
	} else if isTerminal(s.stdout) && f.format == "csv" {
		out = display.Writer{To: s.stdout}
	}
	w := export.New(export.Format(f.format), out, headed)
	var progress bar
	if f.file != "" || !isTerminal(s.stdout) { // else the documents themselves are seen
		progress = s.progress("exporting documents", -1)
	}
	failed := troubles{s: s}
	f.Unreadable = failed.unread
	report, err := export.Run(ctx, bucket, f.Options, w, func(r export.Report) { progress.at(r.Written) })
	progress.end()
	if err != nil {
		if f.file != "" {
			s.note("The file is not complete; the same command with --resume completes it.")
		}
		return err
	}
	complete = true
	if f.file != "" && s.json() {
		err = s.print(report)
	} else {
		s.note("%d documents written", report.Written)
		if report.Reviewed > 0 {
			s.note("%d of them with the card as a person reviewed it (<image>%s)", report.Reviewed, result.ReviewSuffix)
		}
	}
	if err != nil {
		return err
	}
	return failed.err()
}

func openExport(f exportFlags) (*export.File, error) {
	if f.resume {
		file, err := export.Resume(f.file, export.Format(f.format), f.Mask)
		if err != nil {
			return nil, usageError{message.Errorf("--resume: %w", err)}
		}
		return file, nil
	}
	file, err := export.Create(f.file)
	if errors.Is(err, os.ErrExist) {
		return nil, usageError{message.Errorf("--file %s is there already; complete it with --resume, or name another", f.file)}
	}
	if err != nil {
		return nil, usageError{err}
	}
	return file, nil
}
