package cli

import (
	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/release"
)

func (c *cli) filesCommand() *cobra.Command {
	files := &cobra.Command{
		Use:     "files",
		Short:   "Render the files of a project, push them",
		Example: "  handoff files get local -p my_project -w ws",
	}
	push := c.pushCommand(pushWords{
		short: "Push files/ as a new release",
		long: `Push files/. The new release has the project.yml of the release that is current; it
becomes the current one at once, and the release before it can be brought back.
Only what the bucket does not have is uploaded.`,
		example: "  handoff files push -p my_project -s prod",
		parts:   release.Parts{Files: true},
	})
	remove := c.deletePartsCommand(deleteWords{
		short:   "Make a release without files",
		example: "  handoff files delete -p my_project -s dev -y",
		what:    "files/",
		parts:   release.Parts{Files: true},
	})
	files.AddCommand(c.filesGetCommand(), push, remove)
	return files
}

func (c *cli) filesGetCommand() *cobra.Command {
	get := &cobra.Command{
		Use:   "get",
		Short: "Render the files of the current release into the workspace",
		Long: `Fetch the current release from the bucket and render its files into
<workspace>/files, with the secrets of the cloud. "files get local" takes the files
of the project folder.`,
		Example: `  handoff files get -p my_project -w ws
  handoff files get -e resource_group=etl task=quakes -w ws`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			res, err := c.app().FilesGet(cmd.Context(), t)
			if err != nil {
				return err
			}
			return c.print(res, "files: "+res.Files)
		},
	}
	local := &cobra.Command{
		Use:     "local [flags]",
		Short:   "Render files/ of the project folder into <workspace>/files",
		Example: "  handoff files get local -p my_project -w ws -v name=value",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.workTarget(cmd)
			if err != nil {
				return err
			}
			res, err := c.app().FilesGetLocal(cmd.Context(), t)
			if err != nil {
				return err
			}
			return c.print(res, "files: "+res.Files)
		},
	}
	get.AddCommand(local)
	return get
}
