package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/workspace"
)

func (c *cli) workspaceCommand() *cobra.Command {
	ws := &cobra.Command{
		Use:     "workspace",
		Short:   "Make a workspace, install what the commands need",
		Example: "  handoff workspace install -p my_project -w ws",
	}
	ws.AddCommand(c.workspaceInitCommand(), c.workspaceInstallCommand())
	return ws
}

func (c *cli) workspaceInitCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "init",
		Short:   "Make the folders of a workspace",
		Example: "  handoff workspace init -w ws",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := c.app().WorkspaceInit(cmd.Context(), app.Target{ProjectDir: c.flags.project, WorkspaceDir: c.flags.workspace})
			if err != nil {
				return err
			}
			return c.print(res, "workspace: "+c.flags.workspace)
		},
	}
}

func (c *cli) workspaceInstallCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Run the installs of the project into the workspace",
		Long: `Render files/, then run the "installs" of project.yml in order, each in its virtual
environment, which is made on demand (by uv when it is on the PATH, else by python3
-m venv). What has not changed since it was installed is not repeated: the command,
the content of the files that it names, the Python, the place. A virtual environment
that is not whole, or of which an install has changed, is made anew. The first failed
install ends the command with exit 1.`,
		Example: `  handoff workspace install -p my_project -w ws
  handoff workspace install -p my_project -w ws --force`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.workTarget(cmd)
			if err != nil {
				return err
			}
			verbs := c.app()
			res, err := verbs.WorkspaceInstall(cmd.Context(), app.InstallOptions{
				Target: t, Force: force, Output: func(line string) { verbs.Log.Info(line) }, Started: c.setKillAll,
			})
			if err != nil {
				if e, ok := errors.AsType[*workspace.InstallError](err); ok && verbs.Log.Enabled(cmd.Context(), slog.LevelInfo) {
					e.Tail = nil // it has been logged as it came
				}
				return installFailed(err)
			}
			return c.print(res, installText(res))
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "make every virtual environment anew, and install also what has not changed")
	return cmd
}

// installFailed gives an install that failed its exit code.
func installFailed(err error) error {
	if _, ok := errors.AsType[*workspace.InstallError](err); ok {
		return &codedError{error: err, code: app.ExitFailed}
	}
	return err
}

func installText(r workspace.InstallResult) string {
	var b strings.Builder
	for _, in := range r.Steps {
		fmt.Fprintf(&b, "%-9s %s: %s\n", in.Status, in.Venv, in.Command)
	}
	return b.String()
}
