package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/plan"
)

func (c *cli) runCommand() *cobra.Command {
	run := c.runReleaseCommand("run", "Run what was pushed: fetch it from the bucket, run it in the workspace")
	remote := &cobra.Command{
		Use:     "remote",
		Short:   "Run what was pushed",
		Example: "  handoff run remote config -e resource_group=etl task=quakes -w ws",
	}
	remote.AddCommand(c.runReleaseCommand("config", "Same as \"handoff run\""))
	run.AddCommand(c.runLocalCommand(), remote)
	return run
}

func (c *cli) runReleaseCommand(name, short string) *cobra.Command {
	var o app.RunReleaseOptions
	var dryRun, job bool
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Long: `Run a release that was pushed to the bucket, on this machine: fetch the project, its
secrets, the artifacts that the last good run has left and the states of its pipelines
into the workspace; run every task; with -a store the artifacts for the next run. What a
failed run leaves is stored apart. The record of the run is in the bucket while it goes on
(see "runs").

One run of a task goes on at a time; --overlap says what happens to another one. One that
is refused ends with the status "skipped" and exit code 4. The tasks of a project folder
are run by "run local".

With --job the environment says what to run: this is the command of a job, the same for
every cloud and whoever starts it (docs/jobs.md).

` + exitCodes,
		Example: `  handoff run -e resource_group=etl task=quakes -w ws -s prod -a
  handoff run -p my_project -w ws -s prod -a --overlap queue
  handoff run -p my_project -w ws -s prod --release 41`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if job {
				return &app.UsageError{Message: "--job comes first", Hint: "write handoff run --job"}
			}
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			o.Target, o.Push = t, c.flags.pushArtifacts
			if dryRun {
				return c.planRelease(cmd, o)
			}
			return c.watchRun(&o.RunOptions, func(verbs *app.App) (app.RunResult, error) {
				return verbs.RunRelease(cmd.Context(), o)
			})
		},
	}
	cmd.Flags().StringVar(&o.Release, "release", "", "run this `release`, not the current one: see \"release list\"")
	c.complete(cmd, "release", c.releases)
	cmd.Flags().StringVar((*string)(&o.Overlap), "overlap", "", "`policy` while another run of the task goes on: skip, queue, replace or allow (default: that of project.yml, else skip)")
	cmd.Flags().BoolVar(&job, "job", false, "run what the environment says, as a job does; it comes first, and only flags of the log may follow")
	cmd.Flags().BoolVar(&o.Force, "force", false, "remove or replace artifacts that only a run of a project folder (run local) in this workspace has made")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would run, and run nothing")
	return cmd
}

func (c *cli) planRelease(cmd *cobra.Command, o app.RunReleaseOptions) error {
	p, err := c.app().PlanRelease(cmd.Context(), o)
	if err != nil {
		return err
	}
	if c.flags.output != "text" {
		return c.print(p, "")
	}
	return c.print(p, c.planText(p))
}

func (c *cli) runLocalCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "local [flags]",
		Short: "Run a project on this machine",
		Long: `Run every task of the project on this machine, in the workspace. It needs no
credentials and makes no network call of its own, unless -a asks it to store the
artifacts in the bucket at the end.

The log goes to stderr, the result to stdout. In <workspace>/artifacts there are
  <task>_stdout.log   output of the last stage of the task, byte for byte
  <task>_stderr.log   errors of all its stages
  run.json            the record of the run, kept up to date while it goes on
  run.log             the log

` + exitCodes,
		Example: `  handoff run local -p my_project
  handoff run local -p my_project -w ws -s prod -v start_date=2026-01-01 end_date=2026-01-02
  handoff run local -p my_project -w ws -o json --log-format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dryRun {
				t, err := c.target()
				if err != nil {
					return err
				}
				return c.plan(cmd, t)
			}
			t, err := c.workTarget(cmd)
			if err != nil {
				return err
			}
			o := app.RunOptions{Target: t, Push: c.flags.pushArtifacts}
			return c.watchRun(&o, func(verbs *app.App) (app.RunResult, error) { return verbs.Run(cmd.Context(), o) })
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would run, as \"handoff plan\" does, and run nothing")
	return cmd
}

// watchRun runs with a person or a log watching, and prints how it ended. o is filled before run is called.
func (c *cli) watchRun(o *app.RunOptions, run func(*app.App) (app.RunResult, error)) error {
	res, err := c.watch(o, run)
	if err != nil && res.RunID == "" {
		return err
	}
	return cmp.Or(c.print(res, c.runText(res)), err)
}

// watch is watchRun without the result.
func (c *cli) watch(o *app.RunOptions, run func(*app.App) (app.RunResult, error)) (app.RunResult, error) {
	verbs := c.app()
	o.Stdin, o.Started = c.stdin(), c.setKillAll
	if c.showsProgress() {
		p := newProgress(c.con, c.Err, c.colors(c.Err))
		defer p.close()
		verbs.Log = c.logger(p)
		o.Events, o.Progress = p.event, 500*time.Millisecond
	}
	res, err := run(verbs)
	if err != nil && res.RunID == "" {
		return res, installFailed(err)
	}
	c.code = res.ExitCode
	return res, err
}

// showsProgress says that a person is watching lines of text.
func (c *cli) showsProgress() bool {
	return c.parent == nil && isTerminal(c.Err) && c.flags.logFormat == "text" && c.getenv("TERM") != "dumb" && c.getenv("NO_COLOR") == ""
}

// stdin is what first stages read. A terminal is left out: a process group in the background that reads it
// would be stopped by the kernel.
func (c *cli) stdin() *os.File {
	if isTerminal(c.In) {
		return nil
	}
	return c.In
}

func (c *cli) runText(r app.RunResult) string {
	var b strings.Builder
	for _, t := range r.Tasks {
		fmt.Fprintf(&b, "%s %s (%v%s)\n", c.outcome(fmt.Sprintf("%-11s", words(t.Status))), t.Name, took(t.Seconds), andRows(t.Rows))
	}
	fmt.Fprintf(&b, "run %s: %s after %v%s", r.RunID, c.outcome(words(r.Status)), took(r.Seconds), andRows(r.Rows))
	if r.Task != "" {
		fmt.Fprintf(&b, ": %s", r.Task)
	}
	if r.Reason != "" {
		fmt.Fprintf(&b, ": %s", r.Reason)
	}
	for _, l := range r.Tail {
		fmt.Fprintf(&b, "\n  | %s", l)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "\n%s %s", c.style(c.Out, yellow, "warning:"), w)
	}
	fmt.Fprintf(&b, "\nartifacts: %s", filepath.Join(c.workspace(), "artifacts")) // as it was typed
	return b.String()
}

// andRows says how many records something has moved, where that is known.
func andRows(n *int64) string {
	if n == nil {
		return ""
	}
	return ", " + app.Rows(*n)
}

// took rounds to what a person wants to know, as the log does.
func took(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

func words(outcome string) string { return strings.ReplaceAll(outcome, "_", " ") }

// outcome colours the word for how something ended.
func (c *cli) outcome(word string) string {
	switch strings.TrimSpace(word) {
	case "success":
		return c.style(c.Out, green, word)
	case "skipped", "terminated":
		return c.style(c.Out, yellow, word)
	case "planned", "unchanged", "running", "not started": // nothing has failed
		return word
	}
	return c.style(c.Out, red, word)
}

func (c *cli) planCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Print what would run, with every command resolved",
		Long: `Print what "run local" would run: every command with its variables filled in, the
values of secrets masked. In the body of a foreach the parts that need the line
stay as they are written. Nothing is changed. A secret that is not in .secrets, as it
may be at the provider alone, is a warning: a run on this machine would need it.`,
		Example: `  handoff plan -p my_project
  handoff plan -p my_project -s prod -v start_date=2026-01-01 -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.target()
			if err != nil {
				return err
			}
			return c.plan(cmd, t)
		},
	}
}

func (c *cli) plan(cmd *cobra.Command, t app.Target) error {
	return c.planAgain(cmd, app.PlanOptions{Target: t})
}

func (c *cli) planAgain(cmd *cobra.Command, o app.PlanOptions) error {
	p, err := c.app().Plan(cmd.Context(), o)
	if err != nil {
		return err
	}
	return c.print(p, c.planText(p))
}

// planText shows the tree with one line for each command.
func (c *cli) planText(p *plan.Plan) string {
	var b strings.Builder
	client := ""
	if p.Client != "" {
		client = "client " + p.Client + ", "
	}
	fmt.Fprintf(&b, "%s (%senv stage %s)\n", p.Project, client, p.EnvStage)
	c.planVars(&b, p.Vars)
	planTasks(&b, p.Tasks, "  ")
	return b.String()
}

// planVars has one line for each variable: its value, its type and who gives it.
func (c *cli) planVars(b *strings.Builder, vars []plan.Var) {
	if len(vars) == 0 {
		return
	}
	t := c.table("=VARIABLE", "VALUE", "TYPE", "FROM")
	t.width = max(t.width-gap, 0)
	for _, v := range vars {
		value, more, _ := strings.Cut(v.Value, "\n")
		if more != "" {
			value += " ..."
		}
		t.add(v.Key, value, v.Type, v.From)
	}
	fmt.Fprintf(b, "  %s\n", strings.ReplaceAll(strings.TrimRight(t.String(), "\n"), "\n", "\n  "))
}

func planTasks(b *strings.Builder, tasks []plan.Task, indent string) {
	for _, t := range tasks {
		note := ""
		if t.Skip {
			note = " (" + cmp.Or(t.Why, "not active") + ")"
		}
		fmt.Fprintf(b, "%s%s%s\n", indent, t.Name, note)
		planStages(b, t.Pipeline, indent+"  ", "| ")
		planStages(b, t.Commands, indent+"  ", "; ")
		planTasks(b, t.Tasks, indent+"  ")
	}
}

func planStages(b *strings.Builder, stages []plan.Stage, indent, sign string) {
	for i, s := range stages {
		lead := indent + sign
		if i == 0 {
			lead = indent + "  "
		}
		switch {
		case s.Command != nil:
			script := strings.TrimSpace(s.Command.Script)
			fmt.Fprintf(b, "%s%s\n", lead, strings.ReplaceAll(script, "\n", "\n"+indent+"    "))
		case s.Check != nil:
			fmt.Fprintf(b, "%s%s\n", lead, s.Name)
		case s.Foreach != nil:
			fmt.Fprintf(b, "%sforeach line, %d at a time\n", lead, s.Foreach.Concurrency)
			planTasks(b, s.Foreach.Tasks, indent+"    ")
		case s.Fork != nil:
			fmt.Fprintf(b, "%sfork\n", lead)
			planTasks(b, s.Fork, indent+"    ")
		case s.Null:
			fmt.Fprintf(b, "%snulldev\n", lead)
		}
	}
}
