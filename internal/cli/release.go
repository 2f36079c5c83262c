package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/release"
)

func (c *cli) releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "release",
		Short:   "See what was pushed, compare it, go back",
		Example: "  handoff release list -p my_project -s prod",
	}
	cmd.AddCommand(c.releaseListCommand(), c.releaseDiffCommand(), c.releaseRollbackCommand())
	return cmd
}

func (c *cli) releaseListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List what was made current, the last one first",
		Example: `  handoff release list -p my_project -s prod
  handoff release list -e resource_group=etl task=quakes -o text`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, (*app.App).ReleaseList, c.releaseListText),
	}
}

func (c *cli) releaseListText(r app.ReleaseListResult) string {
	t := c.list("", ">NO", "=RELEASE", "TIME", "ACTION", "BY", "->FILES", "->SIZE")
	for i, p := range r.Releases {
		mark := " "
		if i == 0 {
			mark = "*"
		}
		action := p.Action
		if p.Removed {
			action += " (removed)"
		}
		t.add(mark, fmt.Sprint(p.Number), release.Short(p.Release), p.Time.Format(time.RFC3339), action, p.By, app.Count(p.Files, "file"), app.Bytes(p.Size))
	}
	return t.String()
}

func (c *cli) releaseDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff [RELEASE [RELEASE]]", ValidArgsFunction: c.completer(c.releases),
		Short: "Compare two releases, or the current one with the project folder",
		Long: `Name the files that are different. Without a name it compares the current release
with the project folder: what "project push" would change. With one name it compares
that release with the current one. A name is a number of "release list" or the first
digits of the release (6 or more).`,
		Example: `  handoff release diff -p my_project -s prod
  handoff release diff 11 12 -p my_project -o text`,
		Args: atMostTwo,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			o := app.ReleaseDiffOptions{Target: t}
			if len(args) > 0 {
				o.From = args[0]
			}
			if len(args) > 1 {
				o.To = args[1]
			}
			res, err := c.app().ReleaseDiff(cmd.Context(), o)
			if err != nil {
				return err
			}
			text := "no difference"
			if len(res.Changes) > 0 {
				text = c.changesText(res.Changes)
			}
			return c.print(res, text)
		},
	}
}

func atMostTwo(cmd *cobra.Command, args []string) error {
	if len(args) > 2 {
		return noArgs(cmd, args[2:])
	}
	return nil
}

func (c *cli) releaseRollbackCommand() *cobra.Command {
	var o app.RollbackOptions
	cmd := &cobra.Command{
		Use: "rollback [RELEASE]", ValidArgsFunction: first(c.completer(c.releases)),
		Short: "Make an earlier release current again",
		Long: `Make an earlier release current again: the one before the current one, or the one that
is named, by its number in "release list" or by its first digits. Secrets stay as they
are; what runs goes on. Shows what changes and asks first; -y answers.`,
		Example: `  handoff release rollback -p my_project -s prod
  handoff release rollback 11 -p my_project -s prod -y`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			if len(args) > 0 {
				o.To = args[0]
			}
			res, err := c.rollback(cmd, o)
			if err != nil {
				return err
			}
			return c.print(res, c.rollbackText(res))
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would change, and change nothing")
	return cmd
}

func (c *cli) rollback(cmd *cobra.Command, o app.RollbackOptions) (app.RollbackResult, error) {
	verbs, plan := c.twice(), o
	plan.DryRun = true
	res, err := verbs.ReleaseRollback(cmd.Context(), plan)
	if err != nil || o.DryRun {
		return res, err
	}
	o.To = res.Release // what was shown
	question := fmt.Sprintf("Go back to release %s for %s?", release.Short(res.Release), placeText(res.Place))
	details := strings.Split(strings.TrimRight(c.changesText(res.Changes), "\n"), "\n")
	if err := c.confirm(cmd.Context(), question, details...); err != nil {
		return res, err
	}
	return verbs.ReleaseRollback(cmd.Context(), o)
}

func (c *cli) rollbackText(r app.RollbackResult) string {
	verb := "is current"
	if r.Status == "planned" {
		verb = "would be current"
	}
	return c.changesText(r.Changes) + fmt.Sprintf("release %s %s (was %s)", release.Short(r.Release), verb, release.Short(r.From))
}
