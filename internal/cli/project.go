package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/release"
)

func (c *cli) projectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "project",
		Short:   "Push a project to the cloud, delete it there",
		Example: "  handoff project push -p my_project",
	}
	cmd.AddCommand(c.projectPushCommand(), c.projectDeleteCommand())
	return cmd
}

func (c *cli) projectPushCommand() *cobra.Command {
	return c.pushCommand(pushWords{
		short: "Push project.yml, files/ and secrets",
		long: `Push the project: its secrets to the store of secrets, project.yml and files/ as one
release to the bucket of the resource group. The release becomes the current one at
the very end, as a whole: a run sees the old release or the new one. Only what the
bucket does not have is uploaded. The folder .secrets is never part of a release.

The project is checked first, as "plan" does: where no job of it could start, as for a
declared secret that is neither in .secrets nor at the provider, nothing is pushed.

See "handoff release list" for what was pushed, and "release rollback" for the way back.`,
		example: `  handoff project push -p my_project
  handoff project push -p my_project -s prod --dry-run`,
		parts:   release.All,
		secrets: true,
	})
}

// pushWords describe one of the push commands.
type pushWords struct {
	short, long, example string
	parts                release.Parts
	secrets              bool
}

func (c *cli) pushCommand(w pushWords) *cobra.Command {
	var o app.PushOptions
	cmd := &cobra.Command{
		Use: "push", Short: w.short, Long: w.long, Example: w.example, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			o.Parts, o.Secrets = w.parts, w.secrets
			if o.Target, err = c.target(); err != nil {
				return err
			}
			if len(c.many) > 0 {
				return c.pushMany(cmd.Context(), o)
			}
			if o.Secrets && !o.DryRun {
				if err := c.confirmSecrets(cmd, app.SecretsOptions{Target: o.Target}); err != nil {
					return err
				}
			}
			var done func()
			o.Progress, done = c.uploads()
			res, err := c.app().Push(cmd.Context(), o)
			done()
			if err != nil {
				return err
			}
			return c.print(res, c.pushText(res))
		},
	}
	takes(clientsAtOnce, cmd)
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would change, and change nothing")
	cmd.Flags().BoolVar(&o.Force, "force", false, "push also where something is wrong with the project, and upload also what the bucket seems to have: mends a bucket that has lost something")
	return cmd
}

// pushMany pushes for several clients: the secrets of each, and one release for all.
func (c *cli) pushMany(ctx context.Context, o app.PushOptions) error {
	if o.Secrets && !o.DryRun {
		if err := c.confirmOnTerminal(ctx, fmt.Sprintf("Push the secrets of %s?", strings.Join(c.many, ", "))); err != nil {
			return err
		}
	}
	var done func()
	o.Progress, done = c.uploads()
	list := c.app().Once().PushClients(ctx, o, c.many, c.tellClient)
	done()
	return c.printClients(list, false, func(client string) string {
		for _, r := range list {
			if res, ok := r.Result.(app.PushResult); ok && r.Client == client {
				return c.pushText(res)
			}
		}
		return ""
	})
}

// uploads returns what shows the progress of a push to a person, and what takes it away.
func (c *cli) uploads() (show func(release.Uploads), done func()) {
	say, done := c.meter()
	if say == nil {
		return nil, done
	}
	return func(u release.Uploads) {
		say(func() string {
			return fmt.Sprintf("uploaded %d of %s, %s of %s", u.Done, app.Count(u.Files, "file"), app.Bytes(u.DoneSize), app.Bytes(u.Size))
		})
	}, done
}

// meter returns what shows a line of progress to a person, in the place of the one before, and what takes it away. say is nil where
// nobody sees it.
func (c *cli) meter() (say func(text func() string), done func()) {
	if !c.showsProgress() {
		return nil, func() {}
	}
	var last time.Time
	shown := false
	say = func(text func() string) {
		if time.Since(last) < 100*time.Millisecond {
			return
		}
		last, shown = time.Now(), true
		fmt.Fprint(c.con, "\r\x1b[K"+text())
	}
	return say, func() {
		if shown {
			fmt.Fprint(c.con, "\r\x1b[K")
		}
	}
}

func (c *cli) pushText(r app.PushResult) string {
	var b strings.Builder
	for _, s := range r.Secrets {
		fmt.Fprintf(&b, "secret %s (%s): %s\n", s.Key, s.Level, s.Done)
	}
	b.WriteString(c.changesText(r.Changes))
	name := release.Short(r.Release)
	switch {
	case r.Release == "":
		b.WriteString("there is nothing to push")
	case r.Status == "planned" && !r.Changed:
		fmt.Fprintf(&b, "release %s is current: nothing to push", name)
	case r.Status == "planned":
		fmt.Fprintf(&b, "would push release %s: %s, %s", name, app.Count(r.Files, "file"), app.Bytes(r.Size))
	case !r.Changed:
		fmt.Fprintf(&b, "release %s is current already", name)
	default:
		fmt.Fprintf(&b, "release %s (number %d): %s, %s; uploaded %s, %s", name, r.Number,
			app.Count(r.Files, "file"), app.Bytes(r.Size), app.Count(r.UploadedFiles, "file"), app.Bytes(r.UploadedSize))
	}
	return b.String()
}

func (c *cli) changesText(changes []release.Difference) string {
	var b strings.Builder
	for _, d := range changes {
		sign, col := "~", yellow
		switch d.Change {
		case "added":
			sign, col = "+", green
		case "removed":
			sign, col = "-", red
		}
		fmt.Fprintf(&b, "%s %s\n", c.style(c.Out, col, sign), d.Path)
	}
	return b.String()
}

// deleteWords describe a command that deletes a part of a project.
type deleteWords struct {
	short, example, what string
	parts                release.Parts
}

func (c *cli) deletePartsCommand(w deleteWords) *cobra.Command {
	o := app.DeleteOptions{Parts: w.parts}
	cmd := &cobra.Command{
		Use: "delete", Short: w.short, Example: w.example, Args: noArgs,
		Long: w.short + `.

The release that is current stays in the bucket: "handoff release rollback" brings it
back. Asks first; -y answers.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			verbs, plan := c.twice(), o
			plan.DryRun = true
			res, err := verbs.DeleteParts(cmd.Context(), plan)
			if err == nil && !o.DryRun && res.Changed {
				question := fmt.Sprintf("Delete %s of %s?", w.what, placeText(res.Place))
				if err = c.confirm(cmd.Context(), question); err == nil {
					res, err = verbs.DeleteParts(cmd.Context(), o)
				}
			}
			if err != nil {
				return err
			}
			return c.print(res, c.pushText(res))
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would be deleted, and delete nothing")
	return takes(clientsShared, cmd)
}

// placeText names a task for a person.
func placeText(p app.Place) string {
	client := ""
	if p.Client != "" {
		client = "client " + p.Client + ", "
	}
	return fmt.Sprintf("task %s (%sresource group %s, env stage %s, %s)", p.Task, client, p.ResourceGroup, p.Stage, p.Provider)
}

func (c *cli) projectDeleteCommand() *cobra.Command {
	var o app.DeleteOptions
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Delete every release of the task, and its secrets",
		Long: `Delete every release of the task and the secrets on its level. There is no way back.
Secrets of the resource group, artifacts, state and run records stay.
Asks first; -y answers.`,
		Example: `  handoff project delete -p my_project -s dev --dry-run
  handoff project delete -e resource_group=etl task=quakes -y`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			verbs, plan := c.twice(), o
			plan.DryRun = true
			res, err := verbs.ProjectDelete(cmd.Context(), plan)
			if err == nil && !o.DryRun {
				question := fmt.Sprintf("Delete the project of %s?", placeText(res.Place))
				if err = c.confirm(cmd.Context(), question, projectDeleteText(res)); err == nil {
					res, err = verbs.ProjectDelete(cmd.Context(), o)
				}
			}
			if err != nil {
				return err
			}
			return c.print(res, projectDeleteText(res))
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would be deleted, and delete nothing")
	return cmd
}

func projectDeleteText(r app.ProjectDeleteResult) string {
	verb := "deleted"
	if r.Status == "planned" {
		verb = "would delete"
	}
	text := fmt.Sprintf("%s: the releases of %s", verb, app.Count(r.Pushes, "change"))
	if len(r.Secrets) > 0 {
		text += ", the secrets " + strings.Join(r.Secrets, ", ")
	}
	return text
}
