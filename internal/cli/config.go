package cli

import (
	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/project"
)

func (c *cli) configCommand() *cobra.Command {
	config := &cobra.Command{
		Use:     "config",
		Short:   "Check project.yml, print its schema",
		Example: "  handoff config validate local -p my_project",
	}
	validate := &cobra.Command{
		Use:     "validate",
		Short:   "Check project.yml",
		Example: "  handoff config validate local -p my_project",
	}
	local := &cobra.Command{
		Use:   "local",
		Short: "Check the project.yml of a folder",
		Long: `Check project.yml: its keys and values, and every template in its commands. All
problems are shown at once, each with file, line and column. Exit 2 if there is one.
A declared secret without a value is a warning here, an error in "plan" and "run local".`,
		Example: `  handoff config validate local -p my_project
  handoff config validate local -p my_project -s prod -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.target()
			if err != nil {
				return err
			}
			res, err := c.app().Validate(cmd.Context(), t)
			if err != nil {
				return err
			}
			return c.print(res, res.Project+" is valid")
		},
	}
	validate.AddCommand(local)
	config.AddCommand(validate, c.schemaCommand())
	return config
}

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of project.yml, for editors",
		Long: `Print the JSON Schema of project.yml. Editors with a YAML language server use it
for completion and checks when the first line of project.yml is
  # yaml-language-server: $schema=project.schema.json`,
		Example: "  handoff config schema > project.schema.json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.deliver(project.Schema())
		},
	}
}
