package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/ledger"
)

func (c *cli) runsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "runs",
		Short:   "See what has run, and what is running",
		Example: "  handoff runs list -p my_project -s prod",
	}
	cmd.AddCommand(c.runsListCommand(), c.runsShowCommand(), c.runsFollowCommand(), c.runsRerunCommand())
	return cmd
}

func (c *cli) runsListCommand() *cobra.Command {
	q := app.RunsQuery{Limit: 50}
	var running bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the runs of the task, the newest first",
		Long: `List the runs of the task that went through the bucket ("handoff run", jobs), the
newest first. A run that is known to be gone is shown as died;
of one that is silent it is said for how long.

` + timesHelp,
		Example: `  handoff runs list -p my_project -s prod -o text
  handoff runs list -p my_project -s prod --limit 10 --outcome failed
  handoff runs list -e resource_group=etl task=quakes --since 24h`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			if running && q.Outcome != "" {
				return &app.UsageError{Message: "--running and --outcome contradict each other", Hint: "give one of them"}
			}
			if running {
				q.Outcome = ledger.Running
			}
			res, err := c.app().Runs(cmd.Context(), t, q)
			if err != nil {
				return err
			}
			return c.print(res, c.runsText(res))
		},
	}
	cmd.Flags().Var(count{&q.Limit}, "limit", "at most `N`; 0: all")
	cmd.Flags().BoolVar(&running, "running", false, "only those that are going on")
	cmd.Flags().StringVar(&q.Outcome, "outcome", "", "only those with this `outcome`: success, failed, running, died, ...")
	c.complete(cmd, "outcome", outcomes)
	cmd.Flags().Var(moment{&q.Since}, "since", "only those that started at this `time` or later")
	cmd.Flags().Var(moment{&q.Until}, "until", "only those that started before this `time`")
	return cmd
}

func (c *cli) runsText(r app.RunsList) string {
	t := c.list("=RUN", "OUTCOME", "-START", ">TIME", "TRIGGER", ">ROWS", "+REASON")
	t.style = c.outcomeIn(1)
	for _, run := range r.Runs {
		rows := ""
		if run.Rows != nil {
			rows = app.Rows(*run.Rows)
		}
		t.add(run.ID, words(run.Outcome), run.Start.UTC().Format("2006-01-02 15:04:05Z"), span(run.Seconds), string(run.Trigger), rows,
			firstLine(run.Reason))
	}
	return t.String()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (c *cli) runsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show [RUN]", ValidArgsFunction: first(c.completer(c.runIDs)),
		Short: "Show the record of a run",
		Long: `Show the record of a run; without a RUN that of the newest one. A part of its id is
enough: the beginning or the end, where only one of the newest 1,000 runs has it.`,
		Example: `  handoff runs show -p my_project -s prod
  handoff runs show 1a2b3c -p my_project -s prod -o json`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			run, err := c.app().RunShow(cmd.Context(), t, optional(args))
			if err != nil {
				return err
			}
			return c.print(run, c.recordText(run))
		},
	}
}

func optional(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (c *cli) runsFollowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "follow [RUN]", ValidArgsFunction: first(c.completer(c.runIDs)),
		Short: "Follow a run to its end, and exit as it does",
		Long: `Tell each step of a run on stderr until it has ended, then print its record and exit
with its exit code; without a RUN that of the newest one. Ctrl-C ends following, not the
run. For what the run prints see "cloud logs".`,
		Example: `  handoff runs follow -p my_project -s prod
  handoff runs follow 1a2b3c -p my_project -s prod -o text`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			run, err := c.app().RunFollow(cmd.Context(), t, optional(args), c.tellStep)
			if err != nil {
				return err
			}
			c.code = max(run.ExitCode, 0)
			return c.print(run, c.recordText(run))
		},
	}
}

func (c *cli) tellStep(s app.Step) {
	if c.flags.logFormat == "json" {
		text, _ := json.Marshal(s) // texts and a time
		fmt.Fprintln(c.con, string(text))
		return
	}
	text := fmt.Sprintf("%s %s %s", s.Time.UTC().Format("15:04:05"), c.outcome(words(s.Outcome)), s.Task)
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	fmt.Fprintln(c.con, text)
}
