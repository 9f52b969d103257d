package message

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the most columns of a help text.
const helpWidth = 100

// The functions of cobra's templates are shared by all commands of a process.
func init() { cobra.AddTemplateFunc("flagTable", flagTable) }

// Help puts the help texts of a tree of commands, and those that cobra adds to it, into the language in use, and breaks their lines.
func Help(root *cobra.Command) {
	if root.HasSubCommands() {
		root.InitDefaultHelpCmd()
		root.InitDefaultCompletionCmd()
	}
	root.InitDefaultVersionFlag()
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	localize(root)
}

func localize(c *cobra.Command) {
	c.InitDefaultHelpFlag()
	describe := func(f *pflag.Flag) {
		switch f.Name {
		case "help":
			f.Usage = Text("show this help")
		case "version":
			f.Usage = Text("print the version")
		default:
			f.Usage = lookup(f.Usage)
		}
	}
	c.LocalNonPersistentFlags().VisitAll(describe)
	c.PersistentFlags().VisitAll(describe)
	switch c.Name() {
	case "help":
		c.Short = Text("Show the help of a command")
		c.Long = c.Short
	case "completion":
		c.Short = Text("Generate the completion script for a shell")
		c.Long = Text("Generate the completion script for a shell. The help of each command says how to use its script.")
		for _, shell := range c.Commands() {
			shell.Short = fmt.Sprintf(Text("Generate the completion script for %s"), shell.Name())
		}
	default:
		c.Short = lookup(c.Short)
	}
	c.Long, c.Example = paragraphs(lookup(c.Long)), lookup(c.Example)
	for _, group := range c.Groups() {
		group.Title = lookup(group.Title)
	}
	if c.Name() == "completion" { // the shells' own instructions are cobra's
		return
	}
	for _, sub := range c.Commands() {
		localize(sub)
	}
}

// usageTemplate is cobra's, with its words in the language in use and the flags as flagTable prints them.
func usageTemplate(cobras string) string {
	return strings.NewReplacer(
		".LocalFlags.FlagUsages", "flagTable .LocalFlags",
		".InheritedFlags.FlagUsages", "flagTable .InheritedFlags",
		"Usage:", Text("Usage:"),
		"Aliases:", Text("Aliases:"),
		"Examples:", Text("Examples:"),
		"Available Commands:", Text("Available Commands:"),
		"Additional Commands:", Text("Additional Commands:"),
		"Global Flags:", Text("Global Flags:"),
		"Flags:", Text("Flags:"),
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`, Text(`Use "{{.CommandPath}} [command] --help" for more information about a command.`),
	).Replace(cobras)
}

// flagLine is a line of pflag's table: the flag, its value, and what it is for.
var flagLine = regexp.MustCompile(`^( +(?:-\w, )?--[^ ]+ ?(.*?)) {3,}(.*)$`)

// defaultValue is how pflag ends a usage.
var defaultValue = regexp.MustCompile(`^(.*) \(default (.+)\)$`)

// flagTable is pflag's table of flags, whose columns and lines count the bytes of a text instead of its width.
func flagTable(flags *pflag.FlagSet) string {
	type row struct{ flag, usage string }
	var rows []row
	widest := 0
	for line := range strings.SplitSeq(strings.TrimRight(flags.FlagUsages(), "\n"), "\n") {
		parts := flagLine.FindStringSubmatch(line)
		if parts == nil { // a usage of several lines, or a flag without usage
			if len(rows) > 0 {
				rows[len(rows)-1].usage += " " + strings.TrimSpace(line)
			}
			continue
		}
		usage := strings.Replace(parts[3], "（"+parts[2]+"）", "", 1) // so a translation names the value, which stands before it
		if value := defaultValue.FindStringSubmatch(usage); value != nil {
			usage = fmt.Sprintf(Text("%s (default %s)"), value[1], value[2])
		}
		rows = append(rows, row{parts[1], usage})
		widest = max(widest, uniseg.StringWidth(parts[1]))
	}
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(r.flag + strings.Repeat(" ", widest-uniseg.StringWidth(r.flag)+3))
		b.WriteString(wrap(r.usage, widest+3) + "\n")
	}
	return b.String()
}

// paragraphs breaks the paragraphs of a text, which are separated by empty lines.
func paragraphs(text string) string {
	parts := strings.Split(text, "\n\n")
	for i, part := range parts {
		parts[i] = wrap(part, 0)
	}
	return strings.Join(parts, "\n\n")
}

// wrap breaks a text at helpWidth. Its lines begin at a column, and all but the first are indented to it.
func wrap(text string, column int) string {
	var b strings.Builder
	at, word, state := column, "", -1
	for rest := strings.Join(strings.Fields(text), " "); rest != ""; {
		var segment string
		segment, rest, _, state = uniseg.FirstLineSegmentInString(rest, state)
		word += segment
		if rest != "" && !breakable(word, rest) {
			continue
		}
		if at > column && at+uniseg.StringWidth(strings.TrimRight(word, " ")) > helpWidth {
			line := strings.TrimRight(b.String(), " ")
			b.Reset()
			b.WriteString(line + "\n" + strings.Repeat(" ", column))
			at = column
		}
		b.WriteString(word)
		at += uniseg.StringWidth(word)
		word = ""
	}
	return b.String()
}

// breakable reports whether a line may end between the two: at a blank, and beside a character of two columns. Unicode also allows
// it behind a hyphen or a slash, which would tear flags and paths apart.
func breakable(before, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	next, _ := utf8.DecodeRuneInString(after)
	return last == ' ' || uniseg.StringWidth(string(last)) == 2 || uniseg.StringWidth(string(next)) == 2
}
