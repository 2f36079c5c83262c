package cli

import (
	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) runsRerunCommand() *cobra.Command {
	var again app.Again
	var o app.CloudRunOptions
	var logs bool
	cmd := &cobra.Command{
		Use: "rerun RUN", ValidArgsFunction: first(c.completer(c.runIDs)),
		Short: "Start a run again, with the release, the time and the variables that it had",
		Long: `Start a run again: the same release, the same scheduled time (so $(date ...) and
{{ _yesterday }} are those of then), the same variables and environment; -v and -e add to
them. What was a job is started as a job. What "handoff run" has run runs here, in the
workspace (-w), and so does the last "run local" of the workspace, with the project folder
as it is now. A value in which there is a secret is not kept; it is asked for.

--failed-only leaves out the tasks that have succeeded in that run; they find what those
have left in the artifacts. A pipeline with a state runs in any case: its state counts
only when a whole run has succeeded. So do all lines of a foreach.

` + exitCodes,
		Example: `  handoff runs rerun 1a2b3c -p my_project -s prod --wait --logs
  handoff runs rerun 1a2b3c -p my_project -s prod --failed-only
  handoff runs rerun 1a2b3c -p my_project -s prod --release 42     # that has the mistake corrected`,
		Args: oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := c.anyTarget()
			if err == nil {
				again.Run, err = c.app().Earlier(cmd.Context(), t, args[0])
			}
			if err != nil {
				return err
			}
			o.Target, o.Again = t, &again
			return c.rerun(cmd, o, logs)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&again.FailedOnly, "failed-only", false, "only the tasks that have not succeeded")
	f.StringVar(&o.Release, "release", "", "run this `release`, not that of the run: see \"release list\"")
	f.BoolVar(&o.Wait, "wait", false, "wait until the job has ended, and exit with its code")
	f.BoolVar(&logs, "logs", false, "show its log on stderr, as it comes; implies --wait")
	f.BoolVar(&o.DryRun, "dry-run", false, "print what would be started, and start nothing")
	c.complete(cmd, "release", c.releases)
	return cmd
}

func oneRun(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &app.UsageError{Message: "no run named", Hint: "write handoff runs rerun RUN; see `handoff runs list`"}
	}
	return atMostOne(cmd, args)
}

// rerun starts the run as what it was.
func (c *cli) rerun(cmd *cobra.Command, o app.CloudRunOptions, logs bool) error {
	run := app.RunOptions{Target: o.Target, Again: o.Again, Push: c.flags.pushArtifacts}
	there := app.RunReleaseOptions{RunOptions: run, Release: o.Release}
	switch {
	case o.Again.Run.JobID != "":
		return c.cloudRun(cmd.Context(), o, logs)
	case o.Again.Run.Local && o.Release != "":
		return &app.UsageError{Message: "a run of a project folder runs what is in it: it takes no --release", Hint: "leave it out"}
	case o.Again.Run.Local && o.DryRun:
		return c.planAgain(cmd, app.PlanOptions{Target: o.Target, Again: o.Again})
	case o.Again.Run.Local:
		return c.watchRun(&run, func(verbs *app.App) (app.RunResult, error) { return verbs.Run(cmd.Context(), run) })
	case o.DryRun:
		return c.planRelease(cmd, there)
	}
	return c.watchRun(&there.RunOptions, func(verbs *app.App) (app.RunResult, error) { return verbs.RunRelease(cmd.Context(), there) })
}
