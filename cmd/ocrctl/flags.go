package main

import (
	"strconv"
	"strings"
	"time"

	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// number is a flag with bounds.
type number struct {
	to          *int
	least, most int
}

func (n number) String() string { return strconv.Itoa(*n.to) }
func (n number) Type() string   { return "number" }

// Set reads the flag.
func (n number) Set(text string) error {
	value, err := strconv.Atoi(text)
	if err != nil || value < n.least || value > n.most {
		return message.Errorf("accepted is a whole number from %d to %d", n.least, n.most)
	}
	*n.to = value
	return nil
}

// age is a flag for a duration of more than nothing.
type age struct{ to *time.Duration }

func (a age) String() string { return a.to.String() }
func (a age) Type() string   { return "age" }

// Set reads the flag.
func (a age) Set(text string) error {
	value, err := time.ParseDuration(text)
	if err != nil || value <= 0 {
		return message.Errorf("accepted is a duration of more than 0, such as 30s, 15m or 2h")
	}
	*a.to = value
	return nil
}

// claimAge is the default age from which a claim counts as left behind: longer than the function's time-out in any of the
// deployments here.
const claimAge = 15 * time.Minute

func claimAgeFlag(flags *pflag.FlagSet, to *time.Duration) {
	*to = claimAge
	flags.Var(age{to}, "claim-age", "`age` from which a claim counts as left behind; more than the function's time-out")
}

// sandboxFlag is --sandbox. It is a switch; a folder or URL after an equals sign is taken for that of --sandbox-dir.
type sandboxFlag struct{ s *settings }

func (f sandboxFlag) String() string { return strconv.FormatBool(f.s != nil && f.s.sandbox) }
func (f sandboxFlag) Type() string   { return "bool" }

// Set reads the flag.
func (f sandboxFlag) Set(text string) error {
	value, err := strconv.ParseBool(text)
	if err != nil {
		f.s.sandboxDir, value = text, true
	}
	f.s.sandbox = value
	return nil
}

// completeWords lets the shell complete a flag's value.
func completeWords(c *cobra.Command, flag string, words []string) {
	// An error would say that there is no such flag, or that it is completed already.
	c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) //nolint:errcheck // see above
}

// completeList is completeWords for several values separated by commas.
func completeList(c *cobra.Command, flag string, words []string) {
	c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) (list []cobra.Completion, _ cobra.ShellCompDirective) { //nolint:errcheck // as above
		done := typed[:strings.LastIndex(typed, ",")+1]
		for _, word := range words {
			list = append(list, done+word)
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

// noArguments refuses all arguments.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return message.Errorf("unexpected argument %q", args[0])
	}
	return nil
}
