package cli

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) quickStartCommand() *cobra.Command {
	qs := &cobra.Command{
		Use:     "quick_start",
		Aliases: []string{"quick-start"},
		Short:   "Write the tutorial projects",
		Example: "  handoff quick_start make",
	}
	qs.AddCommand(&cobra.Command{
		Use:   "make [FOLDER]",
		Short: "Write the tutorial projects into a folder",
		Long: `Write seven small projects that can be run: word count, commands and variables,
secrets, install, foreach, fork, failures. No file that is there is replaced.
The default folder is projects.`,
		Example: `  handoff quick_start make tutorial
  handoff run local -p tutorial/01_word_count -w ws`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "projects"
			if len(args) > 0 {
				dir = args[0]
			}
			res, err := c.app().QuickStart(cmd.Context(), dir)
			if err != nil {
				return err
			}
			return c.print(res, strings.Join(res.Projects, "\n"))
		},
	})
	return qs
}

func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return noArgs(cmd, args[1:])
	}
	return nil
}

func (c *cli) initCommand() *cobra.Command {
	var o app.InitOptions
	cmd := &cobra.Command{
		Use:   "init FOLDER",
		Short: "Make a new project",
		Long: `Make a new project folder with a project.yml, files/ and a .gitignore. Comments in
project.yml say what else may stand in it. On a terminal it asks for what the flags do not
say; elsewhere, and with -y, it takes the defaults.

Templates: singer (a tap, a target, a state), dbt (a build), script (a pipeline of shell
scripts, which runs as it is).`,
		Example: `  handoff init my_project
  handoff init my_project --template singer
  handoff init my_project --command 'tap: tap-rest-api --config files/tap.json' --command 'target: target-csv' \
    --install 'tap: pip install tap-rest-api' --install 'target: pip install target-csv'`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Dir = args[0]
			}
			if err := c.askProject(cmd.Context(), &o); err != nil {
				return err
			}
			res, err := c.app().Init(cmd.Context(), o)
			if err != nil {
				return err
			}
			if err := c.print(res, strings.Join(res.Files, "\n")); err != nil {
				return err
			}
			fmt.Fprintf(c.con, "next: handoff %s -p %s -w %s\n", nextVerb(o), o.Dir, workspaceFor(o.Dir))
			return nil
		},
	}
	cmd.Flags().StringVar(&o.Template, "template", "", "begin with this `template`: "+strings.Join(app.Templates(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("template", cobra.FixedCompletions(app.Templates(), cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&o.Description, "description", "", "what the project does")
	cmd.Flags().StringArrayVar(&o.Stages, "command", nil, "a stage of the pipeline, `[venv: ]command`; repeat it for the next stage")
	cmd.Flags().StringArrayVar(&o.Installs, "install", nil, "what \"workspace install\" runs, `[venv: ]command`; may be repeated")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "name the files that would be made, and make none")
	return cmd
}

// nextVerb is what to do first with a new project.
func nextVerb(o app.InitOptions) string {
	if len(o.Installs) > 0 || o.Template == "singer" || o.Template == "dbt" {
		return "workspace install"
	}
	return "run local"
}

// workspaceFor returns a workspace for a project folder: one beside it, or one inside where the folder has no name here.
func workspaceFor(dir string) string {
	dir = filepath.Clean(dir)
	if name := filepath.Base(dir); name == "." || name == ".." || name == "/" {
		return filepath.Join(dir, "workspace")
	}
	return dir + "_workspace"
}

// askProject fills what the flags left open: by asking, or by defaults where nobody can answer. Ctrl-C ends it, and the end
// of the input (Ctrl-D) the questions.
func (c *cli) askProject(ctx context.Context, o *app.InitOptions) error {
	ask := c.canAsk() && !c.flags.yes && !c.flags.no
	in := bufio.NewReader(c.In)
	question := func(text, def string) string {
		if !ask {
			return def
		}
		if def != "" {
			text += " [" + def + "]"
		}
		fmt.Fprintf(c.con, "%s: ", text)
		c.con.flush()
		answer, err := readLine(ctx, in)
		if err != nil {
			ask = false
			fmt.Fprintln(c.con)
		}
		return cmp.Or(answer, def)
	}
	if o.Dir == "" {
		o.Dir = question("Folder of the project", "")
		ask = ask && o.Dir != ""
	}
	if o.Description == "" {
		o.Description = question("What does it do", "A new pipeline")
	}
	if ask && o.Template == "" && len(o.Stages)+len(o.Installs) == 0 {
		o.Template = question("Template ("+strings.Join(app.Templates(), ", ")+"; empty: none)", "")
	}
	for ask && o.Template == "" && len(o.Stages) < 20 {
		stage := question(fmt.Sprintf("Command of stage %d (empty: no more)", len(o.Stages)+1), "")
		if stage == "" {
			break
		}
		o.Stages = append(o.Stages, stage)
	}
	if len(o.Stages) == 0 && o.Template == "" {
		o.Stages = []string{"printf 'hello\\nworld\\n'", "wc -l"}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case o.Dir == "":
		return &app.UsageError{Message: "no folder given", Hint: "write handoff init FOLDER"}
	}
	return nil
}
