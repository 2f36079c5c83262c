package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// sweptReleases is the key of the note of when the releases of a task were last looked at.
func sweptReleases(c *cloud.Cloud) string { return c.Scope.Task + "/releases/swept.json" }

// sweepReleases removes the releases that p does not keep and that nothing needs, and adds to res what has become of them.
func (a *App) sweepReleases(ctx context.Context, t Target, c *cloud.Cloud, p *project.Project, dryRun bool, res *GCResult) error {
	store, now := release.Open(c), a.Now()
	if pushes, err := store.List(ctx); err != nil || len(pushes) == 0 {
		return err
	}
	if !dryRun { // marks are compared by the clock of the bucket, whoever makes them
		_, at, err := a.noteSwept(ctx, c, sweptReleases(c), cloud.PutOptions{})
		if err != nil {
			return err
		}
		now = at
	}
	list, err := store.Sweep(ctx, release.SweepOptions{
		Newest: cmp.Or(p.Keep.Releases, project.DefaultKeepReleases), Now: now, DryRun: dryRun,
		Needed: func(ctx context.Context) (map[string]bool, error) { return a.releasesInUse(ctx, t, c) },
	})
	for _, x := range list {
		o := Old{Kind: "release", Name: x.Release, Time: x.Marked, Bytes: x.Bytes}
		if x.Release == "" {
			o.Kind = "part"
		}
		if x.Goes {
			res.add(o)
		} else {
			res.Marked = append(res.Marked, o)
		}
	}
	return err
}

// tidyReleases is sweepReleases after a push, once a day, where there may be too many. The push has taken place whatever comes of it.
func (a *App) tidyReleases(ctx context.Context, t Target, c *cloud.Cloud, p *project.Project) {
	pushes, err := release.Open(c).List(ctx)
	ids := map[string]bool{}
	for _, push := range pushes {
		ids[push.Release] = ids[push.Release] || !push.Removed
	}
	if err != nil || len(ids) <= cmp.Or(p.Keep.Releases, project.DefaultKeepReleases) {
		return
	}
	due, _, err := a.daily(ctx, c, sweptReleases(c))
	if err == nil && due {
		err = a.sweepReleases(ctx, t, c, p, false, &GCResult{})
	}
	if err != nil {
		a.Log.Warn(fmt.Sprintf("releases that are kept no longer stay for now: %v", err))
	}
}

// releasesInUse returns the releases of a task that the jobs of a client are tied to, that a job is about to run, or that a record
// names: it can be started again.
func (a *App) releasesInUse(ctx context.Context, t Target, c *cloud.Cloud) (map[string]bool, error) {
	ids := map[string]bool{}
	clients, err := a.clientsOf(ctx, t, c, ids)
	if err != nil {
		return nil, err
	}
	for _, client := range clients {
		s := c.Scope
		s.Client = client
		own, err := a.openCloud(ctx, t.at(s), nil)
		if err != nil {
			return nil, err
		}
		for job, err := range own.Jobs.List(ctx, cloud.JobQuery{Active: true}) {
			if errors.Is(err, cloud.ErrUnsupported) {
				break
			}
			if err != nil {
				return nil, err
			}
			ids[job.Release] = true
		}
		for run, err := range a.ledger(own, 0).Runs(ctx, a.Now(), ledger.Query{All: true}) {
			if err != nil {
				return nil, err
			}
			ids[run.Release] = true
		}
	}
	return ids, nil
}

// clientsOf returns for whom the task is registered, or has left something in the bucket; "" is nobody in particular. It adds the
// releases that the registered ones are tied to.
func (a *App) clientsOf(ctx context.Context, t Target, c *cloud.Cloud, tied map[string]bool) ([]string, error) {
	group := c.Scope
	group.Task, group.Client = "", ""
	shared, err := a.openCloud(ctx, t.at(group), nil)
	if err != nil {
		return nil, err
	}
	tasks, err := shared.Infra.Status(ctx, cloud.KindTask)
	if err != nil {
		return nil, err
	}
	clients := []string{""}
	for _, r := range tasks {
		if r.Name == c.Scope.Task {
			clients = append(clients, r.Client)
			tied[r.Detail["release"]] = true
		}
	}
	for o, err := range c.Files.List(ctx, cloud.ClientsFolder) {
		if err != nil {
			return nil, err
		}
		parts := strings.SplitN(o.Key, "/", 4) // .clients/acme/load/...
		if len(parts) == 4 && parts[2] == c.Scope.Task && parts[1] != clients[len(clients)-1] {
			clients = append(clients, parts[1])
		}
	}
	slices.Sort(clients)
	return slices.Compact(clients), nil
}
