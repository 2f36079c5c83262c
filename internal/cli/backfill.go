package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) backfillCommand() *cobra.Command {
	o := app.BackfillOptions{Parallel: 1}
	cmd := &cobra.Command{
		Use:   "backfill",
		Short: "Run a task for times that have passed",
		Long: `Start a job for each time between --from and --to (both included) at which a schedule of
the task would have fired, or for each step of --every, as it would have run then:
$(date ...), {{ _yesterday }} and the like are those of that time, in the zone of the
schedule. Wait for them, and print a table.

A time for which a run has succeeded, of the schedule or of a backfill with the same -v
and -e, is not run again; one that has failed is. So a backfill that was interrupted
(Ctrl-C; its jobs go on) is said again, and does what is missing.

As a rule its runs begin without state and artifacts and leave both as they are: so they
may run in --parallel, and beside the schedule. Where project.yml says "backfill: use" of
a state or of the artifacts, each run goes on from the one before it: they run one by
one, and the first one that fails is the last.

` + exitCodes,
		Example: `  handoff backfill -p my_project -s prod --from 2026-11-01 --to 2026-11-20 --dry-run -o text
  handoff backfill -p my_project -s prod --from 2026-11-01 --to 2026-11-20 --schedule 1 --parallel 4
  handoff backfill -p my_project --from 2026-11-01T06:00 --to 2026-11-02 --every hour --timezone Europe/Paris -v region=eu`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			o.Target = t
			return c.backfill(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "the first `time`: 2026-11-01, or 2026-11-01T06:00, in the zone of the schedule")
	f.StringVar(&o.To, "to", "", "the last `time`; a day that is named belongs to it")
	f.StringVar(&o.Schedule, "schedule", "", "times, time zone and environment of the schedule with this target `id` (default: the only one)")
	f.StringVar(&o.Every, "every", "", "a `step` in the place of the times of the schedule: hour, day, week, month, from --from on, or a cron expression")
	f.StringVar(&o.Timezone, "timezone", "", "IANA name of the time `zone` (default: that of the schedule, else UTC)")
	f.Var(count{&o.Parallel}, "parallel", "at most `N` runs at a time (default: 1)")
	f.StringVar(&o.Release, "release", "", "run this `release`, not the current one: see \"release list\"")
	f.BoolVar(&o.Again, "again", false, "also run what has succeeded")
	f.BoolVar(&o.DryRun, "dry-run", false, "print which runs would be made, and make none")
	c.complete(cmd, "schedule", c.targetIDs)
	c.complete(cmd, "release", c.releases)
	_ = cmd.RegisterFlagCompletionFunc("every", cobra.FixedCompletions([]string{"hour", "day", "week", "month"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *cli) backfill(cmd *cobra.Command, o app.BackfillOptions) error {
	verbs := c.app()
	say := func(string) {}
	if c.showsProgress() && !o.DryRun {
		p := newProgress(c.con, c.Err, c.colors(c.Err))
		defer p.close()
		verbs.Log, say = c.logger(p), p.say
	}
	var done string
	o.Tell = func(run app.BackfillRun, ended, all int) {
		text := fmt.Sprintf("%s: %s after %v", run.At.Format(time.RFC3339), words(run.Outcome), took(run.Seconds))
		if run.Reason != "" {
			text += ": " + firstLine(run.Reason)
		}
		verbs.Log.Info(text)
		done = fmt.Sprintf("%d of %d done", ended, all)
		say(done)
	}
	o.Going = func(jobs []string) {
		note := done
		if len(jobs) > 0 { // else the next one is about to begin
			note = strings.TrimPrefix(fmt.Sprintf("%s, %d running", done, len(jobs)), ", ")
		}
		say(note)
		c.setEnding(backfillEnding(jobs))
	}
	res, err := verbs.Backfill(cmd.Context(), o)
	if err != nil && res.Status == "" {
		return err
	}
	c.code = res.ExitCode
	if printed := c.print(res, c.backfillText(res)); err == nil {
		err = printed
	}
	return err
}

// backfillEnding says what the first Ctrl-C does.
func backfillEnding(jobs []string) string {
	goesOn := "no job goes on"
	if len(jobs) > 0 {
		goesOn = app.Count(len(jobs), "job") + " goes on: " + strings.Join(jobs, ", ")
		if len(jobs) > 1 {
			goesOn = strings.Replace(goesOn, " goes on", " go on", 1)
		}
	}
	return goesOn + "; say the same again to do what is missing then"
}

func (c *cli) backfillText(r app.BackfillResult) string {
	t := c.outcomes("=SCHEDULED", "OUTCOME", ">TOOK", "=RUN", "+NOTE")
	for _, run := range r.Runs {
		note := firstLine(run.Reason)
		if run.Before {
			note = "was there before"
		}
		took := ""
		if run.RunID != "" && run.Outcome != "running" {
			took = span(run.Seconds)
		}
		t.add(run.At.Format("2006-01-02 15:04 -07:00"), words(run.Outcome), took, run.RunID, note)
	}
	var sums []string
	for _, part := range []struct {
		n    int
		what string
	}{{r.Made, "succeeded"}, {r.Before, "there before"}, {r.Failed, "failed"}, {r.Open, "open"}} {
		if part.n > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return t.String() + app.Count(len(r.Runs), "run") + ": " + strings.Join(sums, ", ")
}
