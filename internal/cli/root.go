package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/project"
)

const exitCodes = `Exit codes:
  0    success
  1    a task or an install failed, or anything that has no code of its own
  2    wrong usage or an invalid project; nothing ran
  3    a cloud, store or container call failed
  4    refused, because another run of the task, or in the workspace, is going on
  124  the run took longer than its timeout
  130  interrupted by SIGINT (Ctrl-C); 143 by SIGTERM, 129 by SIGHUP, 131 by SIGQUIT`

// root is the whole tree of commands.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "handoff",
		Short: "Run data pipelines of Unix commands, described in one project.yml",
		Long: `handoff runs pipelines of Unix commands that are described in one project.yml:
taps and targets, dbt, scripts. It tells the truth about how they ended.

` + exitCodes,
		Example: `  handoff init my_project                 make a new project
  handoff quick_start make tutorial       write the tutorial projects
  handoff plan -p my_project              see what would run
  handoff workspace install -p my_project -w ws
  handoff run local -p my_project -w ws -v start_date=2026-01-01
  handoff project push -p my_project      put it where jobs and schedules find it
  handoff cloud run -p my_project --wait --logs`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.check(); err != nil {
				return err
			}
			c.flags.saidLevel = cmd.Flags().Changed("log-level")
			return c.translate(cmd)
		},
	}
	c.addFlags(root.PersistentFlags())
	root.SetGlobalNormalizationFunc(longNames)
	c.completeFlags(root)
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(writeUsage)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		c.runCommand(), c.planCommand(), c.configCommand(), c.filesCommand(), c.workspaceCommand(),
		takes(clientsShared, c.initCommand()), takes(clientsShared, c.quickStartCommand()), takes(clientsShared, c.versionCommand()), c.cloudCommand(),
		c.projectCommand(), c.containerCommand(), c.secretsCommand(), takes(clientsShared, c.releaseCommand()),
		c.scheduleCommand(), takes(clientsShared, c.serverCommand()),
		c.deployCommand(), c.destroyCommand(), c.artifactsCommand(), c.runsCommand(), c.gcCommand(), c.backfillCommand(), c.stateCommand(), c.clientsCommand(), c.notifyCommand(), c.statusCommand(),
	)
	root.Args = cobra.ArbitraryArgs
	version := root.Flags().Bool("version", false, "print the version") // cobra's own is a text/template, which costs 1.4 MiB
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *version {
			fmt.Fprintln(c.Out, "handoff "+Version)
			return nil
		}
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownCommand(cmd, args)
	}
	tidy(root)
	c.takeClients(root)
	return root
}

// tidy makes every command below cmd that only holds others an error on its own, and keeps the order of flags.
func tidy(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	for _, child := range cmd.Commands() {
		tidy(child)
		switch {
		case child.HasSubCommands() && child.RunE == nil:
			asGroup(child)
		case child.HasSubCommands(): // "files get" beside "files get local"
			child.Args = onlyCommands
		}
	}
}

// takeClients makes every command below cmd work for the clients that the flags name.
func (c *cli) takeClients(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		c.takeClients(child)
		if child.RunE != nil {
			child.RunE = c.forClients(child.RunE)
		}
	}
}

// onlyCommands refuses words that are no command.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args)
	}
	return nil
}

// asGroup makes a command that only holds others refuse to run: cobra would print help and exit 0, and a script
// that says `handoff run` would believe that something ran.
func asGroup(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args)
		}
		return &app.UsageError{
			Message: fmt.Sprintf("%q is not complete", cmd.CommandPath()),
			Hint:    suggestion("", children(cmd)),
		}
	}
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	return &app.UsageError{
		Message: fmt.Sprintf("there is no command %q", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "handoff ")),
		Hint:    suggestion(args[0], children(cmd)),
	}
}

func children(cmd *cobra.Command) []string {
	var names []string
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	return names
}

// flagError adds the nearest known flag to cobra's words.
func flagError(cmd *cobra.Command, err error) error {
	hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
	word := err.Error()
	if i := strings.LastIndex(word, "--"); i >= 0 && strings.HasPrefix(word, "unknown flag") {
		var known []string
		collect := func(f *pflag.Flag) { known = append(known, f.Name) }
		cmd.Flags().VisitAll(collect)
		cmd.InheritedFlags().VisitAll(collect)
		name := word[i+2:]
		if near := project.Suggest(name, known); near != "" {
			hint = fmt.Sprintf("did you mean --%s?", near)
		}
		if flag, _, _ := strings.Cut(spellings()[commandPath(cmd)][name], "="); flag != "" {
			hint = fmt.Sprintf("did you mean --%s?", flag)
		}
	}
	return &app.UsageError{Message: word, Hint: hint}
}

func suggestion(word string, known []string) string {
	if near := project.Suggest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	slices.Sort(known)
	return "there are: " + strings.Join(known, ", ")
}

// noArgs refuses words that a command does not take.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &app.UsageError{
			Message: fmt.Sprintf("%s does not take %q", cmd.CommandPath(), args[0]),
			Hint:    fmt.Sprintf("see %s --help", cmd.CommandPath()),
		}
	}
	return nil
}

// app returns the verbs, wired to this process.
func (c *cli) app() *app.App {
	host, _ := os.Hostname()
	venvs := ""
	if home, err := c.home(); err == nil {
		venvs = filepath.Join(home, "venvs")
	}
	images := ""
	if cache, err := os.UserCacheDir(); err == nil {
		images = filepath.Join(cache, "handoff", "images")
	}
	box := guardCommand()
	if box != nil {
		box[1] = boxWord
	}
	return &app.App{
		Venvs: venvs, Images: images, Box: box, Fill: []string{fillWord},
		Version: Version, Environ: c.environ, Now: time.Now, Host: host, Guard: guardCommand(), Held: c.held, Log: c.logger(c.con),
		OpenCloud: c.openCloud, Providers: projectProviders(),
	}
}

func guardCommand() []string {
	exe, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{exe, guardWord}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  handoff version -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.print(struct {
				Version string `json:"handoff_version"`
			}{Version}, Version)
		},
	}
}
