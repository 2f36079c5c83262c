package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/providers"
)

func (c *cli) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schedule",
		Short:   "Look at what schedules mean",
		Example: "  handoff schedule next -p my_project",
	}
	cmd.AddCommand(c.scheduleNextCommand())
	return cmd
}

func (c *cli) scheduleNextCommand() *cobra.Command {
	o := app.ScheduleNextOptions{Count: 5}
	cmd := &cobra.Command{
		Use:   "next",
		Short: "Print when schedules fire next",
		Long: `Print the next fires of the schedules of the project, or of one that you describe.
Nothing is stored and no cloud is asked.

-v cron=, timezone=, target_id=, from=, count= are understood, too.`,
		Example: `  handoff schedule next -p my_project --count 3
  handoff schedule next --cron '0 9 ? * 2#1 *' --timezone Europe/Paris --from 2026-01-30T12:00:00Z --count 3 -o json`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.ScheduleNextResult, error) {
			o.Target = t
			return verbs.ScheduleNext(ctx, o)
		}, nextText),
	}
	f := cmd.Flags()
	f.StringVar(&o.Cron, "cron", "", "these `times`: AWS (six fields), cron (five), rate(...), at(...)")
	f.StringVar(&o.Timezone, "timezone", "", "in this time `zone` (default: that of the schedule, else UTC)")
	f.StringArrayVar(&o.TargetIDs, "target-id", nil, "only the schedule of the project with this `id`; may be repeated")
	f.Var(moment{&o.From}, "from", "fires after this `time` (default: now)")
	f.Var(count{&o.Count}, "count", "so many (`N`)")
	c.complete(cmd, "target-id", c.targetIDs)
	return cmd
}

// nextText has one fire a line, in the zone of the schedule and, where that is another one, in UTC.
func nextText(res app.ScheduleNextResult) string {
	var b strings.Builder
	for _, s := range res.Schedules {
		for i, at := range s.Next {
			if utc := s.UTC[i]; utc != at {
				at += "  " + utc
			}
			late := ""
			if s.Jitter != "" {
				late = "  up to " + s.Jitter + " later"
			}
			fmt.Fprintln(&b, strings.TrimSpace(at+" "+s.TargetID+late))
		}
	}
	return b.String()
}

func (c *cli) cloudScheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schedule",
		Short:   "Let the task start at its times",
		Example: "  handoff cloud schedule create -p my_project",
	}
	cmd.AddCommand(c.scheduleCreateCommand(), c.scheduleListCommand(), c.schedulePauseCommand(false), c.schedulePauseCommand(true),
		c.scheduleTriggerCommand(), c.scheduleDeleteCommand())
	return cmd
}

func (c *cli) scheduleCreateCommand() *cobra.Command {
	var o app.ScheduleOptions
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Put the schedules of the project in place, or change them",
		Long: `Put the schedules of project.yml in place, or change those that are there. The task has
to be registered: "handoff cloud task create". With the provider ` + strings.Join(providers.ServedNames(), ", ") + ` a server fires
them: "handoff server".

  -e KEY=value              environment of the jobs
  -e vars='k=v k2=v2'       template variables of the runs; $(date ...) in it is evaluated
                            when the schedule fires, for the time of the fire

-v target_id=, cron=, timezone=, catchup=, overlap=, description=, as 0.4.x writes them,
are understood, too.`,
		Example: `  handoff cloud schedule create -p my_project -s prod
  handoff cloud schedule create -p my_project --prune
  handoff cloud schedule create -p my_project --target-id 2 --cron '30 6 ? * MON-FRI *' --timezone Europe/Paris
  handoff cloud schedule create -p my_project --target-id 1 --cron '0 1 * * *' -e vars='start=$(date -I -d yesterday)'`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.SchedulesResult, error) {
			o.Target = t
			o.Confirm = func(list []cloud.Schedule) error { return c.confirmSchedules(ctx, list) }
			return verbs.ScheduleCreate(ctx, o)
		}, c.schedulesText),
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.TargetIDs, "target-id", nil, "only the schedule with this `id`; may be repeated")
	f.StringVar(&o.Over.Cron, "cron", "", "other `times` than in project.yml; the schedule need not be there")
	f.StringVar(&o.Over.Timezone, "timezone", "", "another time `zone` than in project.yml")
	f.StringVar(&o.Over.Catchup, "catchup", "", "another `policy` for fires that were missed: none, last or all")
	f.StringVar(&o.Over.Overlap, "overlap", "", "another `policy` while a run of the task goes on: skip, queue, replace or allow")
	f.StringVar(&o.Over.Description, "description", "", "another `text` than in project.yml")
	c.complete(cmd, "target-id", c.targetIDs)
	_ = cmd.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions(overlaps, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("catchup", cobra.FixedCompletions([]string{"none", "last", "all"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would change, and change nothing")
	cmd.Flags().BoolVar(&o.Prune, "prune", false, "delete the schedules that are in place and not in project.yml")
	return cmd
}

func (c *cli) scheduleListCommand() *cobra.Command {
	var o app.ScheduleListOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the schedules of the task",
		Long: `Show the schedules of the task that are in place: when they start a job next, the last
one, why that has no job or how it failed, and since when they are late (freshness). One that is not in project.yml (undeclared) goes
on firing until it is deleted.

-v include_unpublished=true, scope=declared, as 0.4.x writes them, are understood, too.`,
		Example: `  handoff cloud schedule list -p my_project
  handoff cloud schedule list -p my_project --drafts -o json`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.SchedulesResult, error) {
			o.Target = t
			return verbs.ScheduleList(ctx, o)
		}, c.schedulesText),
	}
	cmd.Flags().BoolVar(&o.Drafts, "drafts", false, "also those of project.yml that are not in place (draft) or differ (edited)")
	cmd.Flags().BoolVar(&o.Declared, "declared", false, "only those that are in project.yml")
	return cmd
}

func (c *cli) schedulePauseCommand(resume bool) *cobra.Command {
	o := app.SchedulePauseOptions{Resume: resume}
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Let schedules not fire until they are resumed",
		Long: `Let the schedules that --target-id names not fire until they are resumed. Jobs that they
have started go on. "create" changes a paused schedule and leaves it paused.`,
		Example: `  handoff cloud schedule pause -p my_project --target-id 1
  handoff cloud schedule pause -p my_project -s prod --all`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.SchedulesResult, error) {
			o.Target = t
			return verbs.SchedulePause(ctx, o)
		}, c.schedulesText),
	}
	if resume {
		cmd.Use, cmd.Short = "resume", "Let schedules fire again that were paused"
		cmd.Long = `Let the schedules that --target-id names fire again. What has passed meanwhile does not
fire: "handoff backfill" makes up for it.`
		cmd.Example = strings.ReplaceAll(cmd.Example, " pause ", " resume ")
	}
	cmd.Flags().StringArrayVar(&o.TargetIDs, "target-id", nil, "`id` of a schedule; may be repeated")
	cmd.Flags().BoolVar(&o.All, "all", false, "all schedules of the task")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would change, and change nothing")
	c.complete(cmd, "target-id", c.placedIDs)
	return cmd
}

func (c *cli) scheduleTriggerCommand() *cobra.Command {
	var o app.CloudRunOptions
	var logs bool
	cmd := &cobra.Command{
		Use:   "trigger",
		Short: "Start the job of a schedule now",
		Long: `Start the job that a schedule would start, for now: its environment, its time zone, its
overlap policy, the release that is current. It need not be due, and may be paused.
Where the task has one schedule, it need not be named.

` + exitCodes,
		Example: `  handoff cloud schedule trigger -p my_project --target-id 1
  handoff cloud schedule trigger -p my_project --target-id 1 --wait --logs`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			o.Target, o.Trigger = t, true
			return c.cloudRun(cmd.Context(), o, logs)
		},
	}
	cmd.Flags().StringVar(&o.Fire, "target-id", "", "`id` of the schedule (default: the only one)")
	cmd.Flags().BoolVar(&o.Wait, "wait", false, "wait until the job has ended, and exit with its code")
	cmd.Flags().BoolVar(&logs, "logs", false, "show its log on stderr, as it comes; implies --wait")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the job that would be started, and start none")
	c.complete(cmd, "target-id", c.placedIDs)
	return cmd
}

func (c *cli) scheduleDeleteCommand() *cobra.Command {
	var o app.ScheduleOptions
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Delete schedules of the task",
		Long: `Delete the schedules that --target-id names. Jobs that they have started go on.
-v target_id=, as 0.4.x writes it, is understood, too.`,
		Example: `  handoff cloud schedule delete -p my_project --target-id 1
  handoff cloud schedule delete -p my_project --target-id 1 --target-id 2 -y`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.SchedulesResult, error) {
			o.Target = t
			o.Confirm = func(list []cloud.Schedule) error { return c.confirmSchedules(ctx, list) }
			return verbs.ScheduleDelete(ctx, o)
		}, c.schedulesText),
	}
	cmd.Flags().StringArrayVar(&o.TargetIDs, "target-id", nil, "`id` of a schedule; may be repeated")
	c.complete(cmd, "target-id", c.placedIDs)
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would be deleted, and delete nothing")
	return cmd
}

func (c *cli) confirmSchedules(ctx context.Context, list []cloud.Schedule) error {
	var lines []string
	for _, s := range list {
		lines = append(lines, fmt.Sprintf("schedule %s: %s %s", s.TargetID, s.Cron, s.Timezone))
	}
	return c.confirm(ctx, fmt.Sprintf("Delete %s?", app.Count(len(list), "schedule")), lines...)
}

func (c *cli) schedulesText(res app.SchedulesResult) string {
	t := c.list("ID", "STATUS", "CRON", "ZONE", "+TIMES")
	for _, s := range res.Schedules {
		status := s.Status
		if status == "undeclared" {
			status = "not in project.yml"
		}
		if res.Status == "planned" {
			status = "would be " + status
		}
		if s.Paused && s.Status != "paused" {
			status += ", paused"
		}
		var times []string
		for _, x := range []struct {
			what string
			at   time.Time
		}{{"next", s.Next}, {"last", s.Last}, {"late since", s.LateSince}} {
			if !x.at.IsZero() {
				times = append(times, x.what+" "+x.at.Format(time.RFC3339))
			}
		}
		t.add(s.TargetID, status, s.Cron, cmp.Or(s.Timezone, "UTC"), strings.Join(times, "  "))
		t.note(s.Note)
	}
	return t.String()
}
