package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) artifactsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "artifacts",
		Short:   "Look after the artifacts that runs find and leave in the bucket",
		Example: "  handoff artifacts get -p my_project -w ws -s prod",
	}
	cmd.AddCommand(c.artifactsGetCommand(), c.artifactsPushCommand(), c.artifactsArchiveCommand(), c.artifactsRestoreCommand(),
		c.artifactsDeleteCommand(), c.artifactsListCommand())
	return cmd
}

func (c *cli) artifactsGetCommand() *cobra.Command {
	var run string
	cmd := &cobra.Command{
		Use:   "get",
		Short: "Copy the artifacts of the last good run, or of any run, into the workspace",
		Long: `Copy the artifacts that the next run would find into <workspace>/artifacts. Files of
the same name are replaced, others stay.

With --run it is what that run has left, with its record (run.json) and its log: also of
one that has failed, or is long over, as long as "artifacts list" has it. To look at it,
name a new folder with -w.`,
		Example: `  handoff artifacts get -p my_project -w ws -s prod
  handoff artifacts get -p my_project -s prod --run 1a2b3c -w /tmp/look`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.ArtifactsResult, error) {
			return verbs.ArtifactsGet(ctx, t, run)
		}, artifactsText),
	}
	cmd.Flags().StringVar(&run, "run", "", "what this `run` has left: its id, or the beginning or end of it")
	c.complete(cmd, "run", c.runIDs)
	return cmd
}

func (c *cli) artifactsRestoreCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "restore ID",
		Short: "Let the next run find the artifacts of an earlier one",
		Long: `Make an archive what the next run finds. ID is the name of an archive ("artifacts list"),
or the id of its run, or a part of that; it may be what a failed run has left. The archive
is copied, and what the next run would have found stays as an archive: restoring that
takes it back. States stay as they are ("state rollback"). Asks first; refused while a run
of the task is going on.`,
		Example: `  handoff artifacts restore 1a2b3c -p my_project -s prod
  handoff artifacts restore archives/2026-11-26T02:00:00.000000 -p my_project -s prod -y`,
		Args:              atMostOne,
		ValidArgsFunction: first(c.completer(c.runIDs)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &app.UsageError{Message: "the ID of what to restore is missing", Hint: "see `handoff artifacts list`"}
			}
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			verbs := c.twice()
			plan, err := verbs.ArtifactsRestore(cmd.Context(), t, args[0], true)
			if err != nil {
				return err
			}
			if dryRun {
				return c.print(plan, artifactsText(plan))
			}
			if err := c.confirm(cmd.Context(), fmt.Sprintf("Let the next run find %s?", artifactsText(plan))); err != nil {
				return err
			}
			res, err := verbs.ArtifactsRestore(cmd.Context(), t, args[0], false)
			if err != nil {
				return err
			}
			return c.print(res, artifactsText(res))
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}

func (c *cli) artifactsPushCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Store the artifacts of the workspace: the next run finds them",
		Long: `Store <workspace>/artifacts as an archive in the bucket. The next run finds it in
place of what the last good run has left, which stays as an archive. Refused while a
run of the task is going on.`,
		Example: `  handoff artifacts push -p my_project -w ws -s prod
  handoff artifacts push -p my_project -w ws -s prod --dry-run`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			verbs := c.twice()
			if !dryRun {
				plan, err := verbs.ArtifactsPush(cmd.Context(), t, true)
				if err != nil {
					return err
				}
				fmt.Fprintln(c.con, "storing", artifactsText(plan))
			}
			res, err := verbs.ArtifactsPush(cmd.Context(), t, dryRun)
			if err != nil {
				return err
			}
			return c.print(res, artifactsText(res))
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}

func (c *cli) artifactsArchiveCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Copy the artifacts that the next run finds into a new archive",
		Long: `Copy the artifacts that the next run would find to artifacts/archives/<time> in the
bucket. Beyond "artifacts: {keep: 30}" of project.yml the oldest archives are removed.`,
		Example: "  handoff artifacts archive -p my_project -s prod",
		Args:    noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.ArtifactsResult, error) {
			return verbs.ArtifactsArchive(ctx, t, dryRun)
		}, artifactsText),
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}

func (c *cli) artifactsDeleteCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Delete the artifacts that the next run would find",
		Long: `Delete the artifacts that the next run would find, so that it begins with none.
Archives stay. Asks first; refused while a run of the task is going on.`,
		Example: `  handoff artifacts delete -p my_project -s prod
  handoff artifacts delete -p my_project -s prod -y`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			verbs := c.twice()
			if !dryRun {
				plan, err := verbs.ArtifactsDelete(cmd.Context(), t, true)
				if err != nil {
					return err
				}
				if err := c.confirm(cmd.Context(), fmt.Sprintf("Delete %s of artifacts?", app.Count(plan.Files, "file"))); err != nil {
					return err
				}
			}
			res, err := verbs.ArtifactsDelete(cmd.Context(), t, dryRun)
			if err != nil {
				return err
			}
			return c.print(res, artifactsText(res))
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}

func (c *cli) artifactsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the archives, and what failed runs have left",
		Long: `List what is stored: what the next run finds ("last"), the archives of good runs and
what failed runs have left, the newest first.`,
		Example: "  handoff artifacts list -p my_project -s prod -o text",
		Args:    noArgs,
		RunE:    show(c, c.anyTarget, (*app.App).ArtifactsList, c.archivesText),
	}
}

func (c *cli) archivesText(r app.ArtifactsListResult) string {
	t := c.list("", "-TIME", "=NAME", "->FILES", ">SIZE", "=RUN")
	for _, a := range append(r.Archives, r.Failed...) {
		mark, run := " ", ""
		if r.Last != nil && r.Last.Name == a.Name {
			mark = "*"
		}
		if a.RunID != "" && !strings.HasSuffix(a.Name, a.RunID) {
			run = a.RunID
			if t.width == 0 {
				run = "run " + run // no title says it
			}
		}
		t.add(mark, a.Time.Format(time.RFC3339), a.Name, app.Count(a.Files, "file"), app.Bytes(a.Bytes), run)
	}
	return t.String()
}

func dryRunFlag(cmd *cobra.Command, dryRun *bool) {
	cmd.Flags().BoolVar(dryRun, "dry-run", false, "print what would change, and change nothing")
}

func artifactsText(r app.ArtifactsResult) string {
	return strings.TrimSpace(fmt.Sprintf("%s, %s %s", app.Count(r.Files, "file"), app.Bytes(r.Bytes), r.Name))
}
