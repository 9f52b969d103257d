package message

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// FlagError says in plain words, in the language in use, what is wrong with the flags of a command.
func FlagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		return fmt.Errorf(Text("there is no flag %s%s"), name, DidYouMean("--", suggestFlags(c, unknown.GetSpecifiedName())))
	case errors.As(err, &invalid):
		return fmt.Errorf("--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), accepted(invalid.GetFlag().Value.Type(), invalid.Unwrap()))
	case errors.As(err, &missing):
		return fmt.Errorf(Text("--%s needs a value"), missing.GetFlag().Name)
	}
	return err
}

// accepted says which values a flag takes.
func accepted(kind string, err error) string {
	switch kind {
	case "float64":
		return Text("accepted is a number, such as 10 or 0.5")
	case "int", "int64":
		return Text("accepted is a whole number, such as 100")
	case "duration":
		return Text("accepted is a duration, such as 30s, 15m or 48h")
	case "bool":
		return Text("accepted are true and false")
	}
	return err.Error() // of the program's own types, which say it
}

// suggestFlags are the flags whose names are like a misspelt one. Cobra compares names of commands, so it is given some.
func suggestFlags(c *cobra.Command, name string) []string {
	all := &cobra.Command{SuggestionsMinimumDistance: 2}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			all.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	return all.SuggestionsFor(name)
}

// DidYouMean asks whether one of the names was meant, each with a prefix; it is empty without names.
func DidYouMean(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(Text("; did you mean %s?"), prefix+strings.Join(names, Text(" or ")+prefix))
}
