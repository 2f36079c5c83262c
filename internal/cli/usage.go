package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeUsage writes how a command is called: its examples, its own flags, and in short those that every command has. The root explains
// them all. (What cobra writes repeats twenty flags below the two that one was looking for.)
func writeUsage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	fmt.Fprint(w, "Usage:\n")
	if cmd.Runnable() {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s [command]\n", cmd.CommandPath())
	}
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCommands:\n")
		for _, child := range cmd.Commands() {
			if child.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-*s %s\n", child.NamePadding(), child.Name(), child.Short)
			}
		}
	}
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s", cmd.LocalFlags().FlagUsages())
	}
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprint(w, "\nFlags of every command (handoff --help explains them):\n")
		shortFlags(w, cmd.InheritedFlags())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n\"%s [command] --help\" tells more about a command.\n", cmd.CommandPath())
	}
	return nil
}

// shortFlags writes flags one behind the other, in lines that fit a terminal.
func shortFlags(w io.Writer, flags *pflag.FlagSet) {
	line := " "
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		text := "--" + f.Name
		if f.Shorthand != "" {
			text = "-" + f.Shorthand + " " + text
		}
		if arg, _ := pflag.UnquoteUsage(f); arg != "" {
			text += " " + arg
		}
		if len(line)+len(text) > 76 {
			fmt.Fprintln(w, strings.TrimRight(line, ", ")+",")
			line = " "
		}
		line += " " + text + ","
	})
	fmt.Fprintln(w, strings.TrimRight(line, ", "))
}
