package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Look at the state of a pipeline, change it, go back",
		Long: `A pipeline with "state: true" goes on from where its last good run has ended. These
commands look after that state in the bucket. NAME is the name of the pipeline; where
only one has a state it can be left out. A pipeline in a foreach has one state for each
line: --line names it, and is repeated for a foreach in a foreach, the outermost first.`,
		Example: `  handoff state show -p my_project -s prod
  handoff state show load --line orders -p my_project -s prod`,
	}
	cmd.AddCommand(c.stateShowCommand(), c.stateLogCommand(), c.stateSetCommand(), c.stateRollbackCommand())
	return cmd
}

func (c *cli) stateOptions(args, lines []string) (app.StateOptions, error) {
	t, err := c.anyTarget()
	return app.StateOptions{Target: t, Name: optional(args), Lines: lines}, err
}

// lineFlag adds --line. nameOf returns the pipeline that the command line names so far.
func (c *cli) lineFlag(cmd *cobra.Command, lines *[]string, nameOf func(args []string) []string) {
	cmd.Flags().StringArrayVar(lines, "line", nil, "`line` of the foreach around the pipeline (repeatable, the outermost first)")
	_ = cmd.RegisterFlagCompletionFunc("line", func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		return c.completer(func(ctx context.Context, verbs *app.App) ([]string, error) {
			o, err := c.stateOptions(nameOf(args), nil)
			if err != nil {
				return nil, err
			}
			res, err := verbs.StateShow(ctx, o)
			return res.LinesAfter(*lines), err
		})(cmd, args, word)
	})
}

func asGiven(args []string) []string { return args }

func (c *cli) stateShowCommand() *cobra.Command {
	var lines []string
	cmd := &cobra.Command{
		Use: "show [NAME]", ValidArgsFunction: first(c.completer(c.states)),
		Short: "Show the state from which the next run goes on",
		Long: `Show the state from which the next run goes on. With -o text it is the state alone, on
one line, as a file for a tap. Of a pipeline in a foreach it is a list of the lines that
have a state, unless --line names one.`,
		Example: `  handoff state show -p my_project -s prod
  handoff state show load --line orders -p my_project -s prod
  handoff state show load -p my_project -s prod -o text > state.json`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := c.stateOptions(args, lines)
			if err != nil {
				return err
			}
			res, err := c.app().StateShow(cmd.Context(), o)
			if err != nil {
				return err
			}
			text := "{}"
			switch {
			case res.State != nil:
				text = string(res.State.State)
			case len(res.Lines) > 0:
				text = c.linesText(res)
			}
			return c.print(res, text)
		},
	}
	c.lineFlag(cmd, &lines, asGiven)
	return cmd
}

func (c *cli) linesText(r app.StateResult) string {
	t := c.table("=LINE", ">VERSION", "TIME", "=RUN")
	for _, v := range r.Lines {
		line := "-"
		if len(v.Lines) > 0 {
			line = plainLines(v.Lines)
		}
		t.add(line, strconv.FormatInt(v.Seq, 10), v.Time.UTC().Format(time.RFC3339), v.RunID)
	}
	return t.String()
}

// plainLines shows lines; what is no plain text is quoted.
func plainLines(lines []string) string {
	var out []string
	for _, l := range lines {
		if q := strconv.Quote(l); q != `"`+l+`"` {
			l = q
		}
		out = append(out, l)
	}
	return strings.Join(out, " / ")
}

// stateTitle names the state of r.
func stateTitle(r app.StateResult) string {
	v := r.State
	if len(v.Lines) == 0 {
		return v.Task
	}
	return v.Task + ", line " + plainLines(v.Lines)
}

func (c *cli) stateLogCommand() *cobra.Command {
	limit := 0
	var lines []string
	cmd := &cobra.Command{
		Use: "log [NAME]", ValidArgsFunction: first(c.completer(c.states)),
		Short: "List the states that were committed, the newest first",
		Long:  `List the states that runs and people have committed, the newest first; the last 100 are kept.`,
		Example: `  handoff state log -p my_project -s prod -o text
  handoff state log load --line orders -p my_project -s prod --limit 5`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := c.stateOptions(args, lines)
			if err != nil {
				return err
			}
			res, err := c.app().StateLog(cmd.Context(), o, limit)
			if err != nil {
				return err
			}
			return c.print(res, c.stateLogText(res))
		},
	}
	c.lineFlag(cmd, &lines, asGiven)
	cmd.Flags().IntVar(&limit, "limit", 0, "at most `N`; 0: all")
	return cmd
}

func (c *cli) stateLogText(r app.StateLog) string {
	t := c.list("", ">NO", "TIME", "BY", "=RUN", "+STATE")
	for _, v := range r.Versions {
		mark := " "
		if v.Seq == r.Current {
			mark = "*"
		}
		by := string(v.By)
		if v.From != 0 {
			by += " to " + strconv.FormatInt(v.From, 10)
		}
		if v.Checkpoint {
			by = "checkpoint"
		}
		t.add(mark, fmt.Sprint(v.Seq), v.Time.UTC().Format(time.RFC3339), by, v.RunID, string(v.State))
	}
	return t.String()
}

func (c *cli) stateSetCommand() *cobra.Command {
	var dryRun bool
	var name string
	var lines []string
	cmd := &cobra.Command{
		Use:   "set FILE",
		Short: "Replace the state from which the next run goes on",
		Long: `Replace the state by the JSON object in FILE, - for standard input. The state before
stays in the log. Asks first; refused while a run of the task is going on.`,
		Example: `  handoff state set state.json -p my_project -s prod
  echo '{"bookmarks": {}}' | handoff state set - --name load -p my_project -s prod -y
  echo '{}' | handoff state set - --name load --line orders -p my_project -s prod -y`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := c.stateText(cmd, args)
			if err != nil {
				return err
			}
			o, err := c.stateOptions([]string{name}, lines)
			if err != nil {
				return err
			}
			return c.changeState(cmd, o, dryRun, func(verbs *app.App, o app.StateOptions) (app.StateResult, error) {
				return verbs.StateSet(cmd.Context(), o, text)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`name` of the pipeline")
	c.complete(cmd, "name", c.states)
	c.lineFlag(cmd, &lines, func([]string) []string { return []string{name} })
	dryRunFlag(cmd, &dryRun)
	return cmd
}

// stateText reads the file that the command names.
func (c *cli) stateText(cmd *cobra.Command, args []string) ([]byte, error) {
	switch len(args) {
	case 0:
		return nil, &app.UsageError{Message: "no file given", Hint: "name a file with the new state, or - for standard input"}
	case 1:
	default:
		return nil, noArgs(cmd, args[1:])
	}
	if args[0] == "-" {
		text, err := io.ReadAll(c.In)
		if err != nil {
			return nil, fmt.Errorf("read the new state: %w", err)
		}
		return text, nil
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return nil, &app.UsageError{Message: fmt.Sprintf("read the new state: %v", err)}
	}
	return text, nil
}

func (c *cli) stateRollbackCommand() *cobra.Command {
	var dryRun bool
	var to int64
	var lines []string
	cmd := &cobra.Command{
		Use: "rollback [NAME]", ValidArgsFunction: first(c.completer(c.states)),
		Short: "Go back to an earlier state",
		Long: `Make an earlier state the one from which the next run goes on: the last one that is
different, or the version that --to names (see "state log"). It becomes a new version.
Asks first; refused while a run of the task is going on.`,
		Example: `  handoff state rollback -p my_project -s prod
  handoff state rollback load --to 12 -p my_project -s prod -y
  handoff state rollback load --line orders -p my_project -s prod`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if to < 0 {
				return &app.UsageError{Message: "--to takes the number of a version", Hint: "see `handoff state log`"}
			}
			o, err := c.stateOptions(args, lines)
			if err != nil {
				return err
			}
			return c.changeState(cmd, o, dryRun, func(verbs *app.App, o app.StateOptions) (app.StateResult, error) {
				return verbs.StateRollback(cmd.Context(), o, to)
			})
		},
	}
	cmd.Flags().Int64Var(&to, "to", 0, "`number` of the version")
	c.lineFlag(cmd, &lines, asGiven)
	dryRunFlag(cmd, &dryRun)
	return cmd
}

// changeState shows what a change would do, asks, and does it.
func (c *cli) changeState(cmd *cobra.Command, o app.StateOptions, dryRun bool, change func(*app.App, app.StateOptions) (app.StateResult, error)) error {
	verbs := c.twice()
	o.DryRun = true
	res, err := change(verbs, o)
	if err != nil {
		return err
	}
	if !dryRun {
		before := "none"
		if res.Before != nil {
			before = string(res.Before.State)
		}
		question := fmt.Sprintf("Replace the state of %q?", stateTitle(res))
		if err := c.confirm(cmd.Context(), question, "now: "+before, "then: "+string(res.State.State)); err != nil {
			return err
		}
		o.DryRun = false
		if res, err = change(verbs, o); err != nil {
			return err
		}
	}
	return c.print(res, fmt.Sprintf("%s: version %d: %s", stateTitle(res), res.State.Seq, res.State.State))
}
