package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud/providers"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// lister returns what can be written in a place of the command line, each with a tab and a description where it has one.
type lister func(ctx context.Context, verbs *app.App) ([]string, error)

// completionTime is how long a person waits for a completion.
const completionTime = 3 * time.Second

// complete lets a shell complete the values of a flag.
func (c *cli) complete(cmd *cobra.Command, flag string, list lister) {
	_ = cmd.RegisterFlagCompletionFunc(flag, c.completer(list))
}

// completer offers what list returns. What goes wrong meanwhile is nothing for somebody who types.
func (c *cli) completer(list lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		verbs := c.app()
		verbs.Log = slog.New(slog.DiscardHandler)
		all, _ := list(ctx, verbs)
		var fit []string
		for _, choice := range all {
			if strings.HasPrefix(choice, word) {
				fit = append(fit, choice)
			}
		}
		return fit, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// plainUsages takes the backquotes around the names of values off the usages of flags: help reads them, a completion would show them.
func plainUsages(cmd *cobra.Command) {
	plain := func(f *pflag.Flag) { _, f.Usage = pflag.UnquoteUsage(f) }
	cmd.Flags().VisitAll(plain)
	cmd.PersistentFlags().VisitAll(plain)
	for _, child := range cmd.Commands() {
		plainUsages(child)
	}
}

// first completes only the first argument.
func first(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, word)
	}
}

// runIDs are the newest runs, by their ids and by the short ends of these.
func (c *cli) runIDs(ctx context.Context, verbs *app.App) ([]string, error) {
	t, err := c.anyTarget()
	if err != nil {
		return nil, err
	}
	res, err := verbs.Runs(ctx, t, app.RunsQuery{Limit: 30})
	var whole, ends []string
	for _, r := range res.Runs {
		note := "\t" + strings.TrimSpace(words(r.Outcome)+" "+r.Trigger)
		whole = append(whole, r.ID+note)
		if i := strings.LastIndexByte(r.ID, '-'); i >= 0 {
			ends = append(ends, r.ID[i+1:]+note)
		}
	}
	return append(whole, ends...), err
}

func (c *cli) jobIDs(ctx context.Context, verbs *app.App) ([]string, error) {
	t, err := c.anyTarget()
	if err != nil {
		return nil, err
	}
	res, err := verbs.JobStatus(ctx, app.JobsOptions{Target: t, Limit: 30})
	var list []string
	for _, j := range res.Jobs {
		list = append(list, j.ID+"\t"+string(j.State))
	}
	return list, err
}

func (c *cli) releases(ctx context.Context, verbs *app.App) ([]string, error) {
	t, err := c.anyTarget()
	if err != nil {
		return nil, err
	}
	res, err := verbs.ReleaseList(ctx, t)
	var list []string
	for _, p := range res.Releases {
		if p.Removed {
			continue
		}
		list = append(list, fmt.Sprintf("%d\t%s, %s", p.Number, release.Short(p.Release), p.Time.UTC().Format("2006-01-02 15:04Z")))
	}
	return list, err
}

// secretKeys are the secrets that the cloud has.
func (c *cli) secretKeys(ctx context.Context, verbs *app.App) ([]string, error) {
	t, err := c.anyTarget()
	if err != nil {
		return nil, err
	}
	res, err := verbs.SecretsPrint(ctx, app.SecretsOptions{Target: t})
	var list []string
	for _, s := range res.Secrets {
		list = append(list, s.Key+"\t"+string(s.Level))
	}
	return list, err
}

// targetIDs are the schedules of the project.
func (c *cli) targetIDs(context.Context, *app.App) ([]string, error) {
	p, err := c.projectHere()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, s := range p.Schedules {
		list = append(list, s.TargetID+"\t"+cmp.Or(s.Description, s.Cron))
	}
	return list, nil
}

func (c *cli) projectHere() (*project.Project, error) {
	t, err := c.anyTarget()
	if err != nil {
		return nil, err
	}
	p, _, err := project.Load(t.ProjectDir)
	if err == nil && len(c.flags.clients) > 0 {
		if own, ok := p.For(c.flags.clients[0], t.EnvStage); ok {
			return own, nil
		}
	}
	return p, err
}

// varChoices are the variables that the project declares, with each value where only a few may be.
func (c *cli) varChoices(context.Context, *app.App) ([]string, error) {
	p, err := c.projectHere()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, v := range p.Vars {
		about := "\t" + strings.TrimSpace(cmp.Or(v.Type, "text")+" "+v.Description)
		values := v.Enum
		if v.Type == "boolean" {
			values = []string{"true", "false"}
		}
		if len(values) == 0 {
			list = append(list, v.Key+"="+about)
		}
		for _, value := range values {
			list = append(list, v.Key+"="+value+about)
		}
	}
	return list, nil
}

// placedIDs are the schedules that are in place.
func (c *cli) placedIDs(ctx context.Context, verbs *app.App) ([]string, error) {
	t, err := c.anyTarget()
	if err != nil {
		return nil, err
	}
	res, err := verbs.ScheduleList(ctx, app.ScheduleListOptions{Target: t})
	var list []string
	for _, s := range res.Schedules {
		list = append(list, s.TargetID+"\t"+cmp.Or(s.Description, s.Cron))
	}
	return list, err
}

// states are the pipelines that have a state.
func (c *cli) states(context.Context, *app.App) ([]string, error) {
	p, err := c.projectHere()
	if err != nil {
		return nil, err
	}
	var list []string
	project.Walk(p.Tasks, func(t project.Task, _ int) {
		if t.State.On {
			list = append(list, t.Name)
		}
	})
	return list, nil
}

// stages are the env stages that have secrets of their own, and those that most projects have.
func (c *cli) stages(context.Context, *app.App) ([]string, error) {
	t, err := c.anyTarget()
	if err != nil {
		return nil, err
	}
	list := []string{"dev", "prod"}
	files, err := filepath.Glob(filepath.Join(cmp.Or(t.SecretsDir, filepath.Join(t.ProjectDir, ".secrets")), "*_secrets.yml"))
	for _, f := range files {
		list = append(list, strings.TrimSuffix(filepath.Base(f), "_secrets.yml"))
	}
	slices.Sort(list)
	return slices.Compact(list), err
}

// places are what -e chooses a task by.
func (c *cli) places(ctx context.Context, verbs *app.App) ([]string, error) {
	list := []string{"resource_group=", "task="}
	t, err := c.anyTarget()
	if err != nil {
		return list, err
	}
	tasks, err := verbs.Tasks(ctx, t)
	for _, name := range tasks {
		list = append(list, "task="+name)
	}
	return list, err
}

// platforms are those of the provider that is named, else all.
func (c *cli) platforms(context.Context, *app.App) ([]string, error) {
	if c.flags.cloud.Provider == "" {
		return providers.Platforms(), nil
	}
	p, err := providers.Find(c.flags.cloud.Provider)
	return p.Platforms, err
}

func (c *cli) providers(context.Context, *app.App) ([]string, error) {
	var list []string
	for _, p := range providers.Available() {
		list = append(list, p.Name+"\t"+p.About)
	}
	return list, nil
}

// outcomes are those that runs can have.
func outcomes(context.Context, *app.App) ([]string, error) { return app.Outcomes(), nil }
