package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/providers"
)

// mostInput is the size of the largest secret, or file of secrets, that is read, in bytes.
const mostInput = 1 << 20

func (c *cli) addLevel(cmd *cobra.Command, level *string) {
	cmd.Flags().StringVar(level, "level", string(cloud.LevelTask), "`level` of the keys: task, or group (\"resource group\")")
	_ = cmd.RegisterFlagCompletionFunc("level", cobra.FixedCompletions([]string{string(cloud.LevelTask), "group"}, cobra.ShellCompDirectiveNoFileComp))
}

// secretLevel lets "group" stand for the level of the resource group.
func secretLevel(said string) cloud.Level {
	if said == "group" {
		return cloud.LevelGroup
	}
	return cloud.Level(said)
}

// oneClient refuses several clients: what is typed, or read from stdin, is the secret of one.
func (c *cli) oneClient() error {
	if len(c.many) > 0 {
		return &app.UsageError{Message: "secrets are set for one client at a time", Hint: "name one: --client " + c.many[0]}
	}
	return nil
}

func (c *cli) secretsSetCommand() *cobra.Command {
	var o app.SecretsSetOptions
	var level string
	cmd := takes(clientsAtOnce, &cobra.Command{
		Use:   "set KEY",
		Short: "Set a secret in the cloud, or replace it",
		Long: `Set one secret in the cloud. Its value is never an argument, which others could see: on a
terminal it is asked for, twice and without showing it; else it is what comes on stdin,
without the line end at its end. A run that has begun keeps the value that it has.`,
		Example: `  handoff secrets set API_TOKEN -p my_project
  handoff secrets set API_TOKEN -p my_project --client acme -s prod < token.txt
  pass show warehouse | handoff secrets set DB_URL -p my_project --level group`,
		Args: oneKey, ValidArgsFunction: c.completer(c.secretKeys),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := c.oneClient(); err != nil {
				return err
			}
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			o.Key, o.Level = args[0], secretLevel(level)
			if err := cloud.CheckSecret(o.Level, o.Key); err != nil {
				return usage(err) // before it is asked for
			}
			if o.Value, err = c.readSecret(cmd.Context(), o.Key); err != nil {
				return err
			}
			res, err := c.app().SecretsSet(cmd.Context(), o)
			if err != nil {
				return err
			}
			return c.print(res, secretsText(res))
		},
	})
	c.addLevel(cmd, &level)
	return cmd
}

// oneKey wants one word, the key. What stands behind it may be the secret, and is not shown.
func oneKey(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return &app.UsageError{Message: "no key given", Hint: fmt.Sprintf("write %s KEY", cmd.CommandPath())}
	case len(args) > 1 || strings.Contains(args[0], "="):
		return &app.UsageError{
			Message: cmd.CommandPath() + " takes the key alone: other users of the machine can see the arguments of a command",
			Hint:    "it asks for the value, or reads it from stdin; if that was the real one, set a new one where it comes from",
		}
	}
	return nil
}

// readSecret asks for a secret on a terminal, twice, or reads all of stdin.
func (c *cli) readSecret(ctx context.Context, key string) (string, error) {
	if !isTerminal(c.In) {
		return c.readInput(ctx, "the value of "+key, c.In)
	}
	first, err := c.askHidden(ctx, fmt.Sprintf("Value of %s (it is not shown): ", key))
	if err != nil || first == "" {
		return "", err
	}
	again, err := c.askHidden(ctx, "Once more: ")
	if err == nil && again != first {
		err = &app.UsageError{Message: "the two values differ: nothing was set", Hint: "try again, or give the value on stdin"}
	}
	return first, err
}

// askHidden returns the line that is typed. The terminal shows it neither now nor, when ctx ends, is left in that mode.
func (c *cli) askHidden(ctx context.Context, question string) (string, error) {
	fd := int(c.In.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(c.con, question)
	c.con.flush()
	type typed struct {
		text []byte
		err  error
	}
	read := make(chan typed, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- typed{text, err}
	}()
	defer fmt.Fprintln(c.con)
	select {
	case t := <-read:
		if errors.Is(t.err, io.EOF) {
			t.err = &app.UsageError{Message: "no value was typed: nothing was set", Hint: "type it, or give it on stdin"}
		}
		return string(t.text), t.err
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), term.Restore(fd, before))
	}
}

// readInput returns all of a file, which what says in an error.
func (c *cli) readInput(ctx context.Context, what string, from io.Reader) (string, error) {
	type text struct {
		text []byte
		err  error
	}
	read := make(chan text, 1)
	go func() {
		all, err := io.ReadAll(io.LimitReader(from, mostInput+1))
		read <- text{all, err}
	}()
	select {
	case t := <-read:
		if t.err != nil {
			return "", fmt.Errorf("read %s: %w", what, t.err)
		}
		if len(t.text) > mostInput {
			return "", &app.UsageError{Message: fmt.Sprintf("%s is larger than %d MiB", what, mostInput>>20), Hint: "a secret is a password, a token, a key; put other files into files/"}
		}
		return string(t.text), nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (c *cli) secretsImportCommand() *cobra.Command {
	var o app.SecretsImportOptions
	var level string
	cmd := takes(clientsAtOnce, &cobra.Command{
		Use:   "import FILE [KEY...]",
		Short: "Set the secrets of a .env file in the cloud",
		Long: `Set the secrets of a .env file (- is stdin), or those with the keys given, in the cloud. It
has lines KEY=value, also with export in front; # begins a comment, at the beginning of a
line or after a blank. In 'single quotes' all stays as it is, in "double quotes" \n, \r, \t,
\", \\ and \$ mean what they do elsewhere; both may have several lines. ${NAME} and
$(command) are refused outside of single quotes: nothing is looked up or run. A line
without a value is left out, and of a key that is there twice the last line counts. The
file has to be UTF-8; line ends of Windows become those of Unix. What would change how
programs are found or start, or handoff itself (PATH, LD_PRELOAD, HANDOFF_HOME, ...), is
left out unless its key is given.

With one error in the file nothing is imported. It says of each key what became of it, and
shows no value. On a terminal it shows the names and asks first.`,
		Example: `  handoff secrets import .env -p my_project
  handoff secrets import .env API_TOKEN DB_URL -p my_project --client acme
  handoff secrets import .env -p my_project --level group --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &app.UsageError{Message: "no file given", Hint: "write handoff secrets import .env, or - for stdin"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := c.oneClient(); err != nil {
				return err
			}
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			o.Name, o.Keys, o.Level = args[0], args[1:], secretLevel(level)
			if o.Text, err = c.readFile(cmd.Context(), o.Name); err != nil {
				return err
			}
			res, err := c.importSecrets(cmd.Context(), o)
			if err != nil {
				return err
			}
			return c.print(res, secretsText(res))
		},
	})
	c.addLevel(cmd, &level)
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "name the secrets that would be set, and set none")
	return cmd
}

// readFile returns the content of a file, or of stdin for "-".
func (c *cli) readFile(ctx context.Context, name string) (string, error) {
	if name == "-" {
		return c.readInput(ctx, "stdin", c.In)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", &app.UsageError{Message: err.Error(), Hint: "name a .env file, or - for stdin"}
	}
	defer f.Close() //nolint:errcheck // read only
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		c.logger(c.con).Warn(fmt.Sprintf("%s can be read by other users of this machine: chmod 600 it, or delete it after the import", name))
	}
	return c.readInput(ctx, name, f)
}

// importSecrets asks a person, if there is one.
func (c *cli) importSecrets(ctx context.Context, o app.SecretsImportOptions) (app.SecretsResult, error) {
	verbs, plan := c.twice(), o
	plan.DryRun = true
	res, err := verbs.SecretsImport(ctx, plan)
	if err != nil || o.DryRun {
		return res, err
	}
	question := fmt.Sprintf("Set these secrets for %s?", placeText(res.Place))
	if err := c.confirmOnTerminal(ctx, question, strings.Split(secretsText(res), "\n")...); err != nil {
		return res, err
	}
	return verbs.SecretsImport(ctx, o)
}

func (c *cli) secretsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the secrets that the cloud has, without values",
		Long: `List the secrets that the cloud has for the task, or without a task those of its resource
group: key, level, client, when each was set, and whether a run gets it. Where a key is on
both levels, the run gets that of the task. What project.yml names and nobody has set is
said, too. No value is ever shown ("secrets print --show" does that).`,
		Example: `  handoff secrets list -p my_project -o text
  handoff secrets list -p my_project --all-clients -o text`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, (*app.App).SecretsList, c.secretListText),
	}
}

func (c *cli) secretListText(res app.SecretsListResult) string {
	t := c.table("=KEY", "LEVEL", "CLIENT", "-SET", "A RUN GETS")
	for _, s := range res.Secrets {
		gets := "it"
		if !s.Wins {
			gets = "that of the task"
		}
		t.add(s.Key, string(s.Level), s.Client, s.Set.UTC().Format("2006-01-02 15:04Z"), gets)
	}
	for _, key := range res.Missing {
		t.add(key, "", "", "not set", "")
	}
	if len(t.rows) == 0 {
		return ""
	}
	return t.String()
}

func (c *cli) secretsRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Replace the key with which the secrets of this machine are encrypted",
		Long: `Make a new key for the provider that keeps secrets on this machine, and encrypt all secrets
of its home with it, of every env stage, resource group, task and client. The values stay
as they are. Until all are encrypted anew the old key is kept, so it may be killed at any
moment, and said again. Jobs go on, and find their secrets at any time. Where somebody may have read
the key, rotating is not enough: he has read the secrets, too. Set new ones.`,
		Example: `  handoff secrets rotate
  HANDOFF_HOME=/srv/handoff handoff secrets rotate -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := providers.Find(c.flags.cloud.Provider)
			if err != nil {
				return usage(err)
			}
			r, err := p.RotateKey(cmd.Context(), c.setup())
			if err != nil {
				return cloudFailed(err)
			}
			res := struct {
				Status string `json:"status"`
				cloud.Rotation
			}{"success", r}
			return c.print(res, rotationText(r))
		},
	}
}

func rotationText(r cloud.Rotation) string {
	if r.Files == 0 {
		return "there are no secrets: nothing was done"
	}
	return fmt.Sprintf("%s encrypted anew, the key is in %s\nkeep a copy of it in a safe place; the old one reads older backups only",
		app.Count(r.Secrets, "secret"), r.Key)
}
