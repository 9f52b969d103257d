// Command ocrctl is for the people who run the function: recognise local pictures, catch up a bucket, count and export its
// results, find out what is wrong. It never recognises a bucket itself (the function does), and shows people's data only if asked to.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"fc-idcard-ocr/internal/ctl/acsapi"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/interrupt"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK            = 0
	exitFailed        = 1   // something was not recognised, not done, or found wrong
	exitUsage         = 2   // a wrong flag or argument
	exitConfiguration = 3   // credentials, permissions, names or addresses
	exitStopped       = 4   // stopped at --limit or --max-charge
	exitInterrupted   = 130 // Ctrl-C
)

func main() {
	os.Exit(run(interrupt.Context(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// configurationError is something that has to be set up.
type configurationError struct{ error }

// exitError ends the program with a code; its text, if it has one, was not shown yet.
type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }

// run is the program.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	message.Use(message.FromEnvironment(os.Getenv))
	out, notes := &errWriter{to: stdout}, &terminal{to: stderr}
	root := newRoot(stdin, out, notes)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if out.err != nil && !errors.Is(err, out.err) {
		err = errors.Join(err, message.Errorf("the output is not complete: %w", out.err))
	}
	var usage usageError
	var configuration configurationError
	var exit exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		if text := strings.TrimSpace(err.Error()); text != "" { // also that the output is not complete
			fmt.Fprintln(notes, "ocrctl:", display.Lines(text))
		}
		return exit.code
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err())):
		fmt.Fprintln(notes, "ocrctl:", message.Text("interrupted"))
		return exitInterrupted
	}
	fmt.Fprintln(notes, "ocrctl:", display.Lines(err.Error()))
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(notes, message.Text("Run the command with -h to see what it accepts."))
		return exitUsage
	case errors.As(err, &configuration), ossclient.Configuration(err), acsapi.Configuration(err), errors.Is(err, credentials.ErrNotFound):
		fmt.Fprintln(notes, message.Text("Run `ocrctl doctor` to find out what has to be set up."))
		return exitConfiguration
	}
	return exitFailed
}

// more are commands that a build tag adds.
var more []func(*settings) *cobra.Command

// newRoot builds the tree of commands.
func newRoot(stdin io.Reader, stdout io.Writer, stderr *terminal) *cobra.Command {
	s := &settings{stdin: stdin, stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:   "ocrctl",
		Short: "Operate the ID-card recognition of a bucket",
		Long: `Operate the ID-card recognition of a bucket.

Each setting is taken from its flag, else from the environment variable in brackets, else from its default. The variables of the function itself (OCR_APP_KEY, OCR_APP_SECRET, OSS_PUBLIC_ENDPOINT, OSS_PUBLIC_CNAME, IMAGE_SUFFIXES, RESULT_SUFFIX, CLAIM_SUFFIX ...) mean the same here. Credentials of Alibaba Cloud are found as by the vendor's own tools: from ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, ~/.aliyun/config.json, ~/.alibabacloud/credentials or the machine's role.

Text on the terminal masks names, addresses and ID numbers unless --no-mask is given; --output json does not.

Exit codes: 0 done; 1 something failed, was not recognised or was found wrong; 2 wrong usage; 3 credentials, permissions, names or addresses are wrong; 4 stopped at --limit or --max-charge; 130 interrupted.`,
		Version: versionText(), SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: 2,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return s.check(c) },
	}
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate("{{.Version}}")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{message.FlagError(c, err)} })
	root.AddGroup(&cobra.Group{ID: "work", Title: "Commands:"})
	s.global(root)
	commands := []*cobra.Command{newRecognize(s), newStatus(s), newShow(s), newBackfill(s), newExport(s), newReport(s), newBudget(s), newReconcile(s), newConsole(s), newDoctor(s), newErase(s), newPause(s), newResume(s), newRedrive(s), newVerify(s), newCheck(s), newVersion(s)}
	for _, newCommand := range more {
		commands = append(commands, newCommand(s))
	}
	for _, command := range commands {
		command.GroupID = "work"
		if command.ValidArgsFunction == nil { // no arguments, or keys of the bucket: files of this folder are neither
			command.ValidArgsFunction = cobra.NoFileCompletions
		}
		check := command.Args
		command.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err}
			}
			return nil
		}
		root.AddCommand(command)
	}
	root.Args = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return nil
		case s.sandbox && strings.ContainsAny(args[0], "./\\"):
			return usageError{message.Errorf("unknown command %q; name the sandbox's folder with --sandbox-dir %s", args[0], args[0])}
		}
		return usageError{message.Errorf("unknown command %q%s", args[0], message.DidYouMean("", root.SuggestionsFor(args[0])))}
	}
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	message.Help(root)
	refuseUnknownNames(root)
	return root
}

// refuseUnknownNames has "help" and "completion" fail for a name that they do not know. Cobra shows the help instead, and reports
// success.
func refuseUnknownNames(root *cobra.Command) {
	for _, c := range root.Commands() {
		parent := map[string]*cobra.Command{"help": root, "completion": c}[c.Name()]
		if parent == nil {
			continue
		}
		c.Args, c.DisableFlagsInUseLine, c.SuggestionsMinimumDistance = cobra.ArbitraryArgs, true, 2
		show := c.Run
		c.Run, c.RunE = nil, func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				if found, _, err := parent.Find(args[:1]); err != nil || found == parent {
					return usageError{message.Errorf("unknown command %q%s", args[0], message.DidYouMean("", parent.SuggestionsFor(args[0])))}
				}
			}
			if show == nil {
				return c.Help()
			}
			show(c, args)
			return nil
		}
	}
}
