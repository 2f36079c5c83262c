package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/release"
)

func (c *cli) gcCommand() *cobra.Command {
	var o app.GCOptions
	var all bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove run records, artifacts and releases that are kept no longer",
		Long: `Remove from the bucket what runs and pushes of the task have left and the project does not
keep: records beyond keep: {runs: 10000}, records and archives of artifacts that are older
than keep: {days: 400}, archives beyond artifacts: {keep: 30}, releases beyond the last
keep: {releases: 20}. Runs and pushes do the same, once a day. What the next run goes on
from stays, however old it is, as do its record, the record of the run that is going on,
and those of the last day. States are not touched. It may be killed at any moment.

A release stays while it is current, a record or a job names it, or a task is tied to it.
One that may go is marked first, and removed by a gc or push a day later, unless somebody
has used it. Releases are those of all clients: with --client they are not touched.

With --all, and where there is no project, it works for all tasks that "handoff status"
shows, each with what its current release says: those of the resource group, or, where
none is named, all that the account has. What fails for one of them harms no other.`,
		Example: `  handoff gc -p my_project -s prod --dry-run -o text
  handoff gc -p my_project --all-clients
  handoff gc --all --dry-run -o text
  handoff gc -e resource_group=etl -s prod`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			if all || o.ProjectDir == "" {
				return c.gcAll(cmd.Context(), app.GCAllOptions{Target: o.Target, AllStages: !cmd.Flags().Changed("stage"), DryRun: o.DryRun})
			}
			res, err := c.app().GC(cmd.Context(), o)
			if err != nil {
				return err
			}
			return c.print(res, c.gcText(res))
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "list what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&all, "all", false, "of all tasks that \"handoff status\" shows")
	return cmd
}

func (c *cli) gcAll(ctx context.Context, o app.GCAllOptions) error {
	o.Ended = func(t app.GCTask) {
		if t.Error == "" {
			c.logger(c.con).Info(fmt.Sprintf("%s: %s", t.Place.Scope, gcSummary(t.GCResult)))
		}
	}
	res, err := c.app().GCAll(ctx, o)
	if err != nil {
		return err
	}
	for _, t := range res.Tasks {
		if t.Error != "" {
			c.printFault(t.Error, t.Hint)
		}
	}
	c.code = res.ExitCode
	return c.print(res, c.gcAllText(res))
}

// gcAllText has a line for each task, and what comes of all.
func (c *cli) gcAllText(res app.GCAllResult) string {
	t := c.table("TASK", "CLIENT", "-GROUP", "STAGE", ">RUNS", "->ARCHIVES", ">RELEASES", ">SIZE", "STATUS")
	var failed []string
	for _, one := range res.Tasks {
		if one.Error != "" {
			failed = append(failed, one.Place.Scope.String())
		}
		n := map[string]int{}
		for _, o := range one.Removed {
			n[o.Kind]++
		}
		at := one.Place
		t.add(at.Task, at.Client, at.ResourceGroup, at.Stage, fmt.Sprint(n["run"]), fmt.Sprint(n["archive"]), fmt.Sprint(n["release"]), app.Bytes(one.Bytes), one.Status)
	}
	if len(t.rows) == 0 {
		return "there are no tasks"
	}
	text := t.String() + fmt.Sprintf("%s %sremoved, %s", app.Count(res.Removed, "item"), would(res.Status), app.Bytes(res.Bytes))
	if len(failed) > 0 {
		text += "; failed: " + strings.Join(failed, ", ")
	}
	return text
}

func would(status string) string {
	if status == "planned" {
		return "would be "
	}
	return ""
}

func (c *cli) gcText(res app.GCResult) string {
	t := c.table("KIND", "NAME", "-TIME", ">SIZE")
	for _, o := range res.Removed {
		name := o.Name
		if o.Kind == "release" {
			name = release.Short(name)
		}
		t.add(o.Kind, cmp.Or(name, "of a push that was killed"), o.Time.UTC().Format("2006-01-02 15:04Z"), app.Bytes(o.Bytes))
	}
	text := gcSummary(res)
	if len(t.rows) > 0 {
		text = t.String() + text
	}
	return text
}

func gcSummary(res app.GCResult) string {
	text := fmt.Sprintf("%s %sremoved, %s; the records of %s stay", app.Count(len(res.Removed), "item"), would(res.Status), app.Bytes(res.Bytes), app.Count(res.Kept, "run"))
	n := 0
	for _, o := range res.Marked {
		if o.Kind == "release" {
			n++
		}
	}
	if n > 0 {
		text += fmt.Sprintf("; %s marked, to go a day later", app.Count(n, "release"))
	}
	return text
}
