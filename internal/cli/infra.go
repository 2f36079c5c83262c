package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/providers"
)

// infraKind is what the commands of one kind say of themselves.
type infraKind struct {
	kind             cloud.Kind
	what, make, lose string
	force            bool // delete takes --force
}

func (c *cli) infraCommands() []*cobra.Command {
	return []*cobra.Command{
		c.infraCommand(infraKind{
			kind: cloud.KindRole, what: "the role of jobs",
			make: "It says what jobs may do at the provider.",
			lose: "Jobs that need it can no longer be started.",
		}),
		c.infraCommand(infraKind{
			kind: cloud.KindBucket, what: "the bucket of the resource group", force: true,
			make: "It holds releases, artifacts, state and run records of all tasks of the resource group.",
			lose: "A bucket that is not empty is deleted only with --force: what it holds is lost.",
		}),
		c.infraCommand(infraKind{
			kind: cloud.KindResources, what: "what the jobs of the resource group share",
			make: "Where the provider needs them: a network, a cluster, a store of logs.",
			lose: "Job records and logs of the resource group are lost. Its tasks have to be deleted first.",
		}),
		c.infraCommand(infraKind{
			kind: cloud.KindTask, what: "the task",
			make: "Jobs of it can then be started. They have the cpu, memory, storage, env and overlap of\ndeploy in project.yml, and run the release that is current when they start;\n--release ties them to one.",
			lose: "Jobs of it can no longer be started. Its releases, secrets and logs stay. Stop its jobs first.",
		}),
	}
}

// providerNotes is what providers say of a kind.
func providerNotes(k cloud.Kind) string {
	text := ""
	for _, p := range providers.List() {
		if note := p.Notes[k]; note != "" {
			text += fmt.Sprintf("\nWith the provider %s %s.", p.Name, note)
		}
	}
	return text
}

func (c *cli) infraCommand(k infraKind) *cobra.Command {
	k.make += providerNotes(k.kind)
	cmd := &cobra.Command{
		Use:     string(k.kind),
		Short:   "Make, change or delete " + k.what,
		Example: fmt.Sprintf("  handoff cloud %s create -p my_project", k.kind),
	}
	if k.kind == cloud.KindBucket || k.kind == cloud.KindResources {
		takes(clientsInTurn, cmd)
	}
	cmd.AddCommand(
		c.infraChange(k, "create", "Make "+k.what, k.make+"\nWhat is there already is changed where it differs.", app.InfraOptions{}),
		c.infraChange(k, "update", "Change "+k.what, "It has to be there already.\n"+k.make, app.InfraOptions{Update: true}),
		c.infraChange(k, "delete", "Delete "+k.what, k.lose+"\nAsks first; -y answers.", app.InfraOptions{Absent: true}),
		c.infraStatus(k),
	)
	return cmd
}

func (c *cli) infraChange(k infraKind, verb, short, long string, o app.InfraOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb, Short: short, Long: short + ".\n\n" + long, Args: noArgs,
		Example: fmt.Sprintf("  handoff cloud %s %s -p my_project\n  handoff cloud %s %s -p my_project -s prod --dry-run", k.kind, verb, k.kind, verb),
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.InfraResult, error) {
			o.Target, o.Kind, o.Step = t, k.kind, c.showStep
			o.Confirm = func(changes []cloud.Change) error { return c.confirmChanges(ctx, changes) }
			return verbs.Infra(ctx, o)
		}, infraText),
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would change, and change nothing")
	if verb != "delete" && k.kind == cloud.KindTask {
		cmd.Flags().StringVar(&o.Release, "release", "", "`release` that its jobs run (default: the one that is current when they start)")
		c.complete(cmd, "release", c.releases)
	}
	if verb == "delete" && k.force {
		cmd.Flags().BoolVar(&o.Force, "force", false, "delete it with all that it holds")
	}
	return cmd
}

func (c *cli) infraStatus(k infraKind) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show " + k.what, Args: noArgs,
		Example: fmt.Sprintf("  handoff cloud %s status -p my_project", k.kind),
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.InfraStatusResult, error) {
			return verbs.InfraStatus(ctx, t, k.kind)
		}, resourcesText),
	}
}

func resourcesText(res app.InfraStatusResult) string {
	var b strings.Builder
	for _, r := range res.Resources {
		fmt.Fprintf(&b, "%s %s: %s\n", r.Kind, r.Name, r.State)
	}
	return b.String()
}

// showStep says what is being changed.
func (c *cli) showStep(s cloud.Step) {
	if !s.Done {
		c.logger(c.con).Info(app.ChangeText(s.Change))
	}
}

// confirmChanges asks before something is deleted or replaced.
func (c *cli) confirmChanges(ctx context.Context, changes []cloud.Change) error {
	var lines []string
	question := "Go on?"
	for _, change := range changes {
		lines = append(lines, app.ChangeText(change))
		if len(changes) == 1 {
			question = fmt.Sprintf("%s %s %q?", change.Action, change.Kind, change.Name)
		}
	}
	return c.confirm(ctx, strings.ToUpper(question[:1])+question[1:], lines...)
}

func infraText(r app.InfraResult) string {
	if len(r.Changes) == 0 {
		return r.Message
	}
	var lines []string
	for _, change := range r.Changes {
		text := app.ChangeText(change)
		if r.Status == "planned" {
			text = "would " + text
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n")
}
