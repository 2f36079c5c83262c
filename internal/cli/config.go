package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

func (c *cli) configCommand() *cobra.Command {
	config := &cobra.Command{
		Use:     "config",
		Short:   "Check project.yml, push it, print what was pushed",
		Example: "  handoff config validate local -p my_project",
	}
	validate := &cobra.Command{
		Use:     "validate",
		Short:   "Check project.yml",
		Example: "  handoff config validate local -p my_project",
	}
	local := &cobra.Command{
		Use:   "local [flags]",
		Short: "Check the project.yml of a folder",
		Long: `Check project.yml: its keys and values, and every template in its commands. All
problems are shown at once, each with file, line and column. Exit 2 if there is one.
A project that has clients is checked for each of them, or for those of --client.
A declared secret without a value is a warning here, an error in "plan" and "run local".`,
		Example: `  handoff config validate local -p my_project
  handoff config validate local -p my_project -s prod -o json`,
		Args: noArgs,
		RunE: show(c, c.target, (*app.App).Validate, validText),
	}
	validate.AddCommand(local)
	config.AddCommand(validate, c.configPushCommand(), takes(clientsShared, c.configPrintCommand()), c.configDeleteCommand(), takes(clientsShared, c.schemaCommand()))
	return config
}

func validText(r app.ValidateResult) string {
	text := r.Project + " is valid"
	const shown = 8
	switch n := len(r.Clients); {
	case n > shown:
		text += fmt.Sprintf(" for %d clients", n)
	case n > 0:
		text += " for " + strings.Join(r.Clients, ", ")
	}
	return text
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
			return c.deliver(project.Schema(projectProviders()...))
		},
	}
}

func (c *cli) configPushCommand() *cobra.Command {
	return c.pushCommand(pushWords{
		short: "Push project.yml as a new release",
		long: `Push project.yml. The new release has the files of the release that is current;
it becomes the current one at once, and the release before it can be brought back.`,
		example: "  handoff config push -p my_project -s prod",
		parts:   release.Parts{Config: true},
	})
}

func (c *cli) configPrintCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the project.yml that was pushed",
		Long: `Print the project.yml of the current release, as it was pushed; with -o json its
values as JSON.`,
		Example: `  handoff config print -p my_project
  handoff config print -e resource_group=etl task=quakes --release 12`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			text, err := c.app().ConfigText(cmd.Context(), t, name)
			if err != nil {
				return err
			}
			if c.flags.output == "json" {
				var v any
				if err := yaml.Unmarshal(text, &v); err != nil {
					return fmt.Errorf("read %s: %w", project.FileName, err)
				}
				return c.print(v, "")
			}
			return c.deliver(text)
		},
	}
	cmd.Flags().StringVar(&name, "release", "", "`release`: its number or its first digits (default: the current one)")
	c.complete(cmd, "release", c.releases)
	return cmd
}

func (c *cli) configDeleteCommand() *cobra.Command {
	return c.deletePartsCommand(deleteWords{
		short:   "Make a release without project.yml: runs from the bucket stop",
		example: "  handoff config delete -p my_project -s dev -y",
		what:    "project.yml",
		parts:   release.Parts{Config: true},
	})
}
