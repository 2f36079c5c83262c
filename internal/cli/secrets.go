package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) secretsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "secrets",
		Short:   "Set secrets in the cloud, push them, list them, delete them there",
		Example: "  handoff secrets set API_TOKEN -p my_project -s prod",
		Long: `The secrets that runs in the cloud get, each under a key of its own on one of two levels:
"task" is for one task, and for one client of it; "resource group" is for all tasks of the
resource group and all of their clients. Of a key on both levels the one of the task wins.
A client never gets what is on the level of the task for another one, or for nobody in
particular. The env stage is part of the place: dev and prod share none. What was stored
last counts, whether by push, set or import. "handoff run local" reads .secrets alone.`,
	}
	cmd.AddCommand(
		c.secretsPushCommand(), c.secretsSetCommand(), c.secretsImportCommand(), c.secretsListCommand(), c.secretsPrintCommand(),
		c.secretsDeleteCommand(), takes(clientsShared, c.secretsRotateCommand()),
	)
	return cmd
}

func (c *cli) secretsPushCommand() *cobra.Command {
	var o app.SecretsOptions
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Push the secrets of .secrets",
		Long: `Push the secrets of .secrets/<env stage>_secrets.yml, or of .secrets/secrets.yml where
that is missing, each on its level: "task" or "resource group". Those with push: false
are left out. On a terminal it shows their names and asks first.`,
		Example: `  handoff secrets push -p my_project
  handoff secrets push -p my_project -s prod --secrets-dir /run/secrets -y`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Target, err = c.target(); err != nil {
				return err
			}
			if !o.DryRun {
				if err := c.confirmSecrets(cmd, o); err != nil {
					return err
				}
			}
			res, err := c.app().SecretsPush(cmd.Context(), o)
			if err != nil {
				return err
			}
			return c.print(res, secretsText(res))
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "name the secrets that would be pushed, and push none")
	return cmd
}

// confirmSecrets asks a person, if there is one, whether the secrets may be pushed.
func (c *cli) confirmSecrets(cmd *cobra.Command, o app.SecretsOptions) error {
	if c.flags.yes || !c.flags.no && !c.canAsk() {
		return nil
	}
	quiet := c.app()
	quiet.Log = slog.New(slog.DiscardHandler)
	o.DryRun = true
	res, err := quiet.SecretsPush(cmd.Context(), o)
	if err != nil || len(res.Secrets) == 0 {
		return nil // the push itself says what is wrong
	}
	question := fmt.Sprintf("Push these secrets for %s?", placeText(res.Place))
	return c.confirmOnTerminal(cmd.Context(), question, strings.Split(secretsText(res), "\n")...)
}

func secretsText(r app.SecretsResult) string {
	var lines []string
	for _, s := range r.Secrets {
		line := fmt.Sprintf("%s (%s): %s", s.Key, s.Level, s.Done)
		if s.Why != "" {
			line += ": " + s.Why
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (c *cli) secretsPrintCommand() *cobra.Command {
	var o app.SecretsOptions
	cmd := &cobra.Command{
		Use:   "print",
		Short: "List the secrets that the cloud has, by name",
		Long: `List the secrets that the cloud has for the task: its own and those of its resource
group. Where both have a key, the task gets its own. Values show with --show only.`,
		Example: `  handoff secrets print -p my_project
  handoff secrets print -e resource_group=etl task=quakes --show`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.SecretsPrintResult, error) {
			o.Target = t
			return verbs.SecretsPrint(ctx, o)
		}, printedText),
	}
	cmd.Flags().BoolVar(&o.Show, "show", false, "print the values too")
	return cmd
}

func printedText(res app.SecretsPrintResult) string {
	var b strings.Builder
	for _, s := range res.Secrets {
		fmt.Fprintf(&b, "%s (%s)", s.Key, s.Level)
		if s.Value != nil {
			fmt.Fprintf(&b, ": %s", *s.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (c *cli) secretsDeleteCommand() *cobra.Command {
	var o app.SecretsOptions
	var level string
	cmd := &cobra.Command{
		Use:   "delete [KEY...]",
		Short: "Delete secrets in the cloud",
		Long: `Delete secrets in the cloud: those with the keys given, or those that "secrets push"
would push. A key that is given has to exist. Asks first; -y answers.`,
		Example: `  handoff secrets delete -p my_project -s dev
  handoff secrets delete api_key -e resource_group=etl task=quakes -y`,
		Args: cobra.ArbitraryArgs, ValidArgsFunction: c.completer(c.secretKeys),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.Keys, o.Level = args, secretLevel(level)
			find := c.target
			if len(args) > 0 {
				find = c.anyTarget
			}
			if o.Target, err = find(); err != nil {
				return err
			}
			res, err := c.deleteSecrets(cmd, o)
			if err != nil {
				return err
			}
			return c.print(res, secretsText(res))
		},
	}
	c.addLevel(cmd, &level)
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "name the secrets that would be deleted, and delete none")
	return cmd
}

func (c *cli) deleteSecrets(cmd *cobra.Command, o app.SecretsOptions) (app.SecretsResult, error) {
	verbs, plan := c.twice(), o
	plan.DryRun = true
	res, err := verbs.SecretsDelete(cmd.Context(), plan)
	if err != nil || o.DryRun {
		return res, err
	}
	question := fmt.Sprintf("Delete these secrets of %s?", placeText(res.Place))
	if err := c.confirm(cmd.Context(), question, strings.Split(secretsText(res), "\n")...); err != nil {
		return res, err
	}
	return verbs.SecretsDelete(cmd.Context(), o)
}
