package cli

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud/providers"
	"github.com/handoff-run/handoff/internal/project"
)

// flags are the flags that every command takes, as 0.4.x has them.
type flags struct {
	project, workspace, stage string
	secrets                   string
	vars, envs                []string
	yes, no, debug            bool
	logLevel, logFormat       string
	output                    string
	cloud                     app.CloudFlags
	pushArtifacts             bool

	clients    []string
	allClients bool
	atOnce     int  // clients
	saidLevel  bool // of the log
}

func (c *cli) addFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVarP(&c.flags.project, "project-dir", "p", "", "project `folder` (the one with project.yml; default: this folder)")
	f.StringVarP(&c.flags.workspace, "workspace-dir", "w", "", "workspace `folder`, made on demand; it may lie in the project, and is no part of it (default of what runs the project folder: one in your cache folder)")
	f.StringVarP(&c.flags.stage, "stage", "s", "dev", "env `stage`: dev, prod, ...")
	f.StringSliceVar(&c.flags.clients, "client", nil, "for this `client` of the project, or for several: --client acme,globex")
	f.BoolVar(&c.flags.allClients, "all-clients", false, "for each client of the project, side by side")
	f.IntVar(&c.flags.atOnce, "clients-at-once", app.AtOnce, "for so many clients (`N`) at a time")
	f.StringVar(&c.flags.secrets, "secrets-dir", "", "`folder` of secrets.yml (default: .secrets in the project folder)")
	f.StringArrayVarP(&c.flags.vars, "vars", "v", nil, "template variables: -v `k=v` k2=v2 ..., or a file with one k=v per line")
	f.StringArrayVarP(&c.flags.envs, "envs", "e", nil, "environment variables of the commands: -e `K=v` K2=v2 ...")
	f.StringVarP(&c.flags.output, "output", "o", "", "`format` of the result on stdout: yaml, json or text (default: text on a terminal, else yaml)")
	f.StringVarP(&c.flags.logLevel, "log-level", "l", "info", "`level` of the log on stderr: debug, info, warning, error or critical")
	f.StringVar(&c.flags.logFormat, "log-format", "text", "`format` of the log on stderr: text or json")
	f.BoolVarP(&c.flags.debug, "debug", "d", false, "same as --log-level debug")
	f.BoolVarP(&c.flags.yes, "yes", "y", false, "answer every question with yes")
	f.BoolVarP(&c.flags.no, "no", "n", false, "answer every question with no")
	f.StringVar(&c.flags.cloud.Provider, "cloud-provider", "", providersHelp())
	f.StringVar(&c.flags.cloud.Platform, "cloud-platform", "", "`platform` of the provider on which jobs run")
	f.StringVar(&c.flags.cloud.Profile, "cloud-profile", "", "`profile` of the credentials of the provider")
	f.BoolVarP(&c.flags.pushArtifacts, "push-artifacts", "a", false, "push the artifacts to the bucket at the end of a run")
}

// providersHelp names the providers.
func providersHelp() string {
	var list []string
	for _, p := range providers.Available() {
		list = append(list, fmt.Sprintf("%s (%s)", p.Name, p.About))
	}
	return fmt.Sprintf("cloud `provider`: %s; default: that of project.yml, else %s", strings.Join(list, ", "), providers.Names()[0])
}

// longNames gives flags the other names that 0.4.x and the article have for them.
func longNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch name {
	case "project":
		name = "project-dir"
	case "workspace":
		name = "workspace-dir"
	}
	return pflag.NormalizedName(name)
}

// What the flags with a choice take.
var (
	outputs    = []string{"yaml", "json", "text"}
	logFormats = []string{"text", "json"}
	overlaps   = []string{"skip", "queue", "replace", "allow"}
	logLevels  = []string{"debug", "info", "warning", "error", "critical"} // those of 0.4.x
)

// completeFlags lets a shell complete the values of flags that take a choice or a folder.
func (c *cli) completeFlags(root *cobra.Command) {
	for flag, list := range map[string]lister{
		"stage": c.stages, "client": c.clientLists, "vars": c.varChoices, "envs": c.places, "cloud-provider": c.providers, "cloud-platform": c.platforms,
	} {
		c.complete(root, flag, list)
	}
	for flag, choice := range map[string][]string{"output": outputs, "log-format": logFormats, "log-level": logLevels} {
		_ = root.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choice, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = root.MarkPersistentFlagDirname("project-dir")
	_ = root.MarkPersistentFlagDirname("workspace-dir")
	_ = root.MarkPersistentFlagDirname("secrets-dir")
}

// splitLists rewrites `-v a=1 b=2` to `--vars=a=1 --vars=b=2`: a list ends at the next flag, or where the
// command begins if it has not been given yet.
func splitLists(args []string, root *cobra.Command) []string {
	var out []string
	command := false // seen
	for i := 0; i < len(args); i++ {
		name, value := listFlag(args[i])
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		if name == "" {
			out = append(out, args[i])
			if takesValue(args[i], root) && i+1 < len(args) {
				i++
				out = append(out, args[i])
			} else if !strings.HasPrefix(args[i], "-") {
				command = true
			}
			continue
		}
		empty := value == ""
		if !empty {
			out = append(out, name+"="+value)
		}
		for i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") && (command || empty || !isCommand(args[i+1], root)) {
			i++
			out = append(out, name+"="+args[i])
			empty = false
		}
		if empty {
			out = append(out, name) // cobra says that the value is missing
		}
	}
	return out
}

// listFlag returns the long name of a list flag in arg, and a value that is written into the same word.
func listFlag(arg string) (name, value string) {
	for short, long := range map[string]string{"-v": "--vars", "-e": "--envs"} {
		if arg == short || arg == long {
			return long, ""
		}
		if v, ok := strings.CutPrefix(arg, long+"="); ok {
			return long, v
		}
		if v, ok := strings.CutPrefix(arg, short); ok && !strings.HasPrefix(arg, "--") {
			return long, strings.TrimPrefix(v, "=")
		}
	}
	return "", ""
}

func takesValue(arg string, root *cobra.Command) bool {
	var f *pflag.Flag
	switch {
	case strings.Contains(arg, "="):
	case strings.HasPrefix(arg, "--"):
		f = root.PersistentFlags().Lookup(arg[2:])
	case strings.HasPrefix(arg, "-") && len(arg) == 2:
		f = root.PersistentFlags().ShorthandLookup(arg[1:])
	}
	return f != nil && f.NoOptDefVal == ""
}

func isCommand(word string, root *cobra.Command) bool {
	return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool {
		return c.Name() == word || slices.Contains(c.Aliases, word)
	})
}

// check refuses values that no command takes, and contradictions.
func (c *cli) check() error {
	f := &c.flags
	if f.output == "" {
		f.output = "yaml"
		if isTerminal(c.Out) {
			f.output = "text"
		}
	}
	if f.yes && f.no {
		return &app.UsageError{Message: "--yes and --no contradict each other", Hint: "give one of them"}
	}
	for _, choice := range []struct {
		flag, value string
		known       []string
	}{
		{"--output", f.output, outputs},
		{"--log-format", f.logFormat, logFormats},
		{"--log-level", strings.ToLower(f.logLevel), append(slices.Clone(logLevels), "warn")},
	} {
		if !slices.Contains(choice.known, choice.value) {
			return &app.UsageError{
				Message: fmt.Sprintf("%s does not know %q", choice.flag, choice.value),
				Hint:    "it takes " + strings.Join(choice.known, ", "),
			}
		}
	}
	if f.atOnce < 1 {
		return &app.UsageError{Message: "--clients-at-once is a number of at least 1", Hint: fmt.Sprintf("leave it out: %d at a time", app.AtOnce)}
	}
	if strings.ContainsAny(f.stage, "/\\ \t\n\x00") || f.stage == "" || strings.HasPrefix(f.stage, ".") {
		return &app.UsageError{Message: fmt.Sprintf("--stage %q is not a name", f.stage), Hint: "use letters, digits, - and _: -s prod"}
	}
	return nil
}

// target returns what the flags say of project, workspace and variables. The project is the one in this folder where
// none is given.
func (c *cli) target() (app.Target, error) {
	t, err := c.anyTarget()
	if err == nil && t.ProjectDir == "" {
		err = &app.UsageError{Message: "no project given, and there is no project.yml in this folder", Hint: "add -p FOLDER, or make a project with `handoff init FOLDER`"}
	}
	return t, err
}

// anyTarget is target for a command that can do without a project: ProjectDir is "" where there is none.
func (c *cli) anyTarget() (app.Target, error) {
	vars, err := parseList("-v", c.flags.vars)
	if err != nil {
		return app.Target{}, err
	}
	envs, err := parseList("-e", c.flags.envs)
	if err != nil {
		return app.Target{}, err
	}
	dir := c.flags.project
	if dir == "" {
		if _, err := os.Stat(project.FileName); err == nil {
			dir = "."
		}
	}
	if c.read != nil {
		vars, envs = c.read.vars, append(envs, c.read.envs...)
	}
	return app.Target{
		ProjectDir: dir, WorkspaceDir: c.workspace(), Client: c.client, SecretsDir: c.secretsDir(vars), EnvStage: c.flags.stage,
		Vars: vars, Envs: envs, Cloud: c.flags.cloud,
	}, nil
}

// workspace is the folder of the workspace. Each client has one of its own in it: what a run of one leaves, such as its state, no
// other one finds.
func (c *cli) workspace() string {
	if c.flags.workspace == "" || c.client == "" {
		return c.flags.workspace
	}
	return filepath.Join(c.flags.workspace, project.ClientsDir, c.client)
}

// workTarget is target for a command that works in a workspace. Where -w is not said, that is one in the cache folder of the user, the same
// for each call with this project folder and env stage.
func (c *cli) workTarget(cmd *cobra.Command) (app.Target, error) {
	t, err := c.target()
	if err != nil || cmd.Flags().Changed("workspace-dir") {
		return t, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return t, &app.UsageError{Message: fmt.Sprintf("no workspace folder given, and there is no cache folder to make one in: %v", err), Hint: "add -w FOLDER"}
	}
	dir, err := filepath.Abs(t.ProjectDir)
	if err != nil {
		return t, err
	}
	if whole, err := filepath.EvalSymlinks(dir); err == nil { // else the project folder is not there, which is said later
		dir = whole
	}
	name := fmt.Sprintf("%s-%.4x", filepath.Base(dir), sha256.Sum256([]byte(dir)))
	c.flags.workspace = filepath.Join(cache, "handoff", "workspaces", name, t.EnvStage)
	t.WorkspaceDir = c.workspace()
	return t, nil
}

// secretsDir is what --secrets-dir says, or, as 0.4.x has it, -v secrets_dir.
func (c *cli) secretsDir(vars []project.KeyValue) string {
	dir := c.flags.secrets
	for _, v := range vars {
		if v.Key == "secrets_dir" && c.flags.secrets == "" {
			dir = v.Value
		}
	}
	return dir
}

func parseList(flag string, words []string) ([]project.KeyValue, error) {
	list, err := project.ParseVars(words, os.ReadFile)
	if err != nil {
		return nil, &app.UsageError{Message: flag + ": " + err.Error(), Hint: "write " + flag + " key=value key2='value with blanks'"}
	}
	return list, nil
}
