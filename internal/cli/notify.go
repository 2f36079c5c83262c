package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/project"
)

func (c *cli) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "notify",
		Short:   "Try who is told how runs end",
		Example: "  handoff notify test -p my_project",
	}
	cmd.AddCommand(c.notifyTestCommand())
	return cmd
}

func (c *cli) notifyTestCommand() *cobra.Command {
	var o app.NotifyTestOptions
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a sample to each entry of notify",
		Long: `Send a sample to each entry of notify in project.yml, whatever it wants to be told of,
and tell what has become of it. Secrets are those of the project folder; without one, the
entries are those of the current release in the bucket, with the secrets that are there.
The exit code is 1 where one could not be told. docs/notifications.md describes messages.`,
		Example: `  handoff notify test -p my_project -s prod
  handoff notify test -p my_project --on recovery --client acme
  handoff notify test -p my_project --dry-run -o text`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			o.WorkspaceDir = ""
			res, err := c.app().NotifyTest(cmd.Context(), o)
			if err != nil {
				return err
			}
			c.code = res.ExitCode
			return c.print(res, c.toldText(res))
		},
	}
	cmd.Flags().StringVar(&o.On, "on", "failure", "the `event` of the sample: "+strings.Join(project.Notifications(), ", "))
	c.complete(cmd, "on", func(context.Context, *app.App) ([]string, error) { return project.Notifications(), nil })
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "show the messages, and send none")
	return cmd
}

func (c *cli) toldText(r app.NotifyTestResult) string {
	if r.Status == "planned" {
		var b strings.Builder
		for _, d := range r.Told {
			fmt.Fprintf(&b, "%s (%s):\n%s\n", d.Name, d.Way, d.Message)
		}
		return b.String()
	}
	t := c.table("NAME", "WAY", "RESULT", ">SECONDS", "+ERROR")
	for _, d := range r.Told {
		t.add(d.Name, d.Way, d.Done, fmt.Sprintf("%.1f", d.Seconds), d.Error)
	}
	t.style = func(_, col int, text string) string {
		switch {
		case col == 2 && strings.HasPrefix(text, "failed"):
			return c.style(c.Out, red, text)
		case col == 2:
			return c.style(c.Out, green, text)
		}
		return text
	}
	return t.String()
}
