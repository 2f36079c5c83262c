package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) deployCommand() *cobra.Command {
	var o app.DeployOptions
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Put all in place that the project needs to run at its times",
		Long: `Look at what is in place, say what differs, and do it: the bucket, what the jobs of the
resource group share, the secrets, the release, the role, the task and the schedules. It is

  handoff cloud bucket create
  handoff cloud resources create
  handoff project push            secrets only where they differ
  handoff cloud role create
  handoff cloud task create
  handoff cloud schedule create

in one command. On a terminal it asks before it changes anything. What is done stays
done: after an error the same command goes on. With --all-clients there is one release,
and a role, a task and schedules for each client; what fails for one of them changes
nothing for the others.`,
		Example: `  handoff deploy -p my_project -s prod --dry-run -o text
  handoff deploy -p my_project -s prod --all-clients -y`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.deploy(cmd.Context(), o) },
	}
	takes(clientsAtOnce, cmd)
	f := cmd.Flags()
	f.BoolVar(&o.DryRun, "dry-run", false, "print what would change, and change nothing")
	f.BoolVar(&o.Prune, "prune", false, "delete the schedules that are in place and not in project.yml")
	f.BoolVar(&o.Force, "force", false, "push also where something is wrong with the project")
	return cmd
}

func (c *cli) deploy(ctx context.Context, o app.DeployOptions) (err error) {
	if o.Target, err = c.target(); err != nil {
		return err
	}
	o.Clients, o.AtOnce, o.Step = c.allMeant(), c.flags.atOnce, c.tellDeployed
	o.Confirm = func(planned app.DeployResult) error {
		return c.confirmOnTerminal(ctx, "Do this?", c.planLines(planned)...)
	}
	var done func()
	o.Progress, done = c.uploads()
	res, err := c.app().Deploy(ctx, o)
	done()
	return c.printDeploy(res, err, "all is in place")
}

func (c *cli) destroyCommand() *cobra.Command {
	var o app.DestroyOptions
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Take away what deploy has put in place",
		Long: `Delete the schedules, the task and the role, for each client that is named. Asks first;
-y answers. Artifacts, states, run records, releases and secrets stay, so that "deploy"
brings all of it back.

With --data the secrets of the task go, too, and, but with --client, the releases. With
--bucket also what the jobs of the resource group share and its bucket, which has to be
empty: --force deletes it with all that it holds.`,
		Example: `  handoff destroy -p my_project -s dev --dry-run -o text
  handoff destroy -p my_project -s prod --client acme -y`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			if o.Force && !o.Bucket {
				return &app.UsageError{Message: "--force is for a bucket that is not empty", Hint: "add --bucket, or leave out --force"}
			}
			if o.Bucket && !c.flags.allClients && (c.client != "" || len(c.many) > 0) {
				return &app.UsageError{Message: "the bucket is that of all clients, not only of those that are named", Hint: "leave out --bucket, or destroy for --all-clients"}
			}
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			o.Clients, o.AtOnce, o.Step = c.allMeant(), c.flags.atOnce, c.tellDeployed
			o.Confirm = func(planned app.DeployResult) error {
				return c.confirm(ctx, "Delete this?", c.planLines(planned)...)
			}
			res, err := c.app().Destroy(ctx, o)
			return c.printDeploy(res, err, "nothing is in place")
		},
	}
	takes(clientsAtOnce, cmd)
	f := cmd.Flags()
	f.BoolVar(&o.DryRun, "dry-run", false, "print what would be deleted, and delete nothing")
	f.BoolVar(&o.Data, "data", false, "delete also the secrets of the task and its releases")
	f.BoolVar(&o.Bucket, "bucket", false, "delete also what the resource group shares, and its empty bucket")
	f.BoolVar(&o.Force, "force", false, "with --bucket: delete the bucket with all that it holds")
	return cmd
}

// allMeant returns the clients for whom a command works: at least one, which may be nobody in particular.
func (c *cli) allMeant() []string {
	if len(c.many) > 0 {
		return c.many
	}
	return []string{c.client}
}

func (c *cli) tellDeployed(s app.DeployStep) {
	if s.Error == "" { // errors are explained at the end
		c.logger(c.con).Info(stepText(s))
	}
}

// planLines is what would be done, for a person who is asked.
func (c *cli) planLines(planned app.DeployResult) []string {
	return strings.Split(strings.TrimSpace(c.deployTable(planned)), "\n")
}

// printDeploy writes what was done, also where it ended with an error.
func (c *cli) printDeploy(res app.DeployResult, err error, unchanged string) error {
	var declined declinedError
	if err != nil && len(res.Steps) == 0 || errors.As(err, &declined) { // who declined has seen the plan
		return err
	}
	c.code = res.ExitCode
	c.explainSteps(res.Steps)
	return errors.Join(err, c.print(res, c.deployText(res, unchanged)))
}

// stepText is what a step has done, as a line.
func stepText(s app.DeployStep) string {
	text := s.Step
	if s.Client != "" {
		text = s.Client + ": " + text
	}
	if s.Error != "" {
		return text + ": " + s.Error
	}
	return text + ": " + strings.Join(s.Changes, ", ")
}

// explainSteps prints each error once, with the clients that have met it.
func (c *cli) explainSteps(steps []app.DeployStep) {
	var told []string
	for _, s := range steps {
		if s.Error == "" || slices.Contains(told, s.Error) {
			continue
		}
		told = append(told, s.Error)
		c.printFault(stepText(s), s.Hint)
	}
}

// deployTable has a line for each change.
func (c *cli) deployTable(res app.DeployResult) string {
	t := c.table("STEP", "CLIENT", "STATUS", "+WHAT")
	for _, s := range res.Steps {
		for _, change := range s.Changes {
			t.add(s.Step, s.Client, s.Status, change)
		}
		if s.Error != "" {
			t.add(s.Step, s.Client, s.Status, firstLine(s.Error))
		}
	}
	if len(t.rows) == 0 {
		return ""
	}
	return t.String()
}

// deployText is the table, what was left as it is, and what is left to do.
func (c *cli) deployText(res app.DeployResult, unchanged string) string {
	text := c.deployTable(res)
	if n := countSteps(res.Steps, app.DeployUnchanged); n > 0 && text != "" {
		text += fmt.Sprintf("%s unchanged\n", app.Count(n, "step"))
	}
	switch res.Status {
	case app.DeployUnchanged:
		text += "nothing to do: " + unchanged + "\n"
	case app.DeployFailed:
		text += "not complete: what is done stays done, and the same command goes on\n"
	}
	for _, what := range res.ToDo {
		text += "left to do: " + what + "\n"
	}
	return text
}

func countSteps(steps []app.DeployStep, status string) (n int) {
	for _, s := range steps {
		if s.Status == status {
			n++
		}
	}
	return n
}
