package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// GCAllOptions says whose leftovers are meant.
type GCAllOptions struct {
	Target
	AllStages bool // as in StatusOptions
	DryRun    bool
	Ended     func(GCTask) // told of each task as it ends; calls do not overlap; may be nil
}

// GCTask is what was removed of one task, of one client.
type GCTask struct {
	GCResult        // its status is failed where it could not be done to the end
	Error    string `json:"error,omitempty"`
	Hint     string `json:"hint,omitempty"`

	code int
}

// GCAllResult is what was removed of all tasks.
type GCAllResult struct {
	Status   string   `json:"status"` // success; planned; failed where one of them has failed
	Tasks    []GCTask `json:"tasks"`  // in the order of their places
	Removed  int      `json:"removed"`
	Bytes    int64    `json:"bytes"`
	ExitCode int      `json:"exit_code"`
}

// GCAll is GC for the tasks that StatusAll tells of. What each of them keeps says its current release. One that fails harms no other.
func (a *App) GCAll(ctx context.Context, o GCAllOptions) (GCAllResult, error) {
	found, err := a.allScopes(ctx, StatusOptions{Target: o.Target, AllStages: o.AllStages})
	if err != nil {
		return GCAllResult{}, err
	}
	var scopes []cloud.Scope
	for _, s := range found {
		if o.Client == "" || o.Client == s.Client {
			scopes = append(scopes, s.Scope)
		}
	}
	slices.SortFunc(scopes, func(x, y cloud.Scope) int {
		return cmp.Or(strings.Compare(x.Stage, y.Stage), strings.Compare(x.ResourceGroup, y.ResourceGroup), strings.Compare(x.Task, y.Task), strings.Compare(x.Client, y.Client))
	})
	res := GCAllResult{Status: status(o.DryRun), Tasks: make([]GCTask, len(scopes))}
	order := make([]int, len(scopes))
	for i := range order {
		order[i] = i
	}
	var mu sync.Mutex
	err = cloud.Each(ctx, AtOnce, order, func(ctx context.Context, i int) error {
		// the releases are those of all clients of a task, which stand side by side
		first := i == 0 || release.PlaceOf(scopes[i-1]) != release.PlaceOf(scopes[i])
		one := a.gcTask(ctx, o, scopes[i], first)
		mu.Lock()
		defer mu.Unlock()
		res.Tasks[i] = one
		if o.Ended != nil {
			o.Ended(one)
		}
		return nil
	})
	for _, t := range res.Tasks {
		res.Removed += len(t.Removed)
		res.Bytes += t.Bytes
		if rank(t.code) > rank(res.ExitCode) {
			res.Status, res.ExitCode = "failed", t.code
		}
	}
	return res, err
}

// gcTask removes what one task keeps no longer.
func (a *App) gcTask(ctx context.Context, o GCAllOptions, s cloud.Scope, releases bool) GCTask {
	out := GCTask{GCResult: GCResult{Status: status(o.DryRun), Place: Place{Scope: s}, Removed: []Old{}}}
	t := o.Target.at(s)
	c, err := a.openCloud(ctx, t, nil)
	if err == nil {
		out.Place = placeOf(c)
		var p *project.Project
		if p, err = a.kept(ctx, c); err == nil {
			out.GCResult, err = a.sweep(ctx, c, p, o.DryRun)
			if releases {
				err = errors.Join(err, a.sweepReleases(ctx, t, c, p, o.DryRun, &out.GCResult))
			}
		}
	}
	if err != nil {
		out.Status, out.Error, out.Hint, out.code = "failed", fmt.Sprintf("%s: %v", s, err), HintOf(err), Code(err)
	}
	return out
}

// kept returns the project.yml of the current release, which says what is kept; an empty one where nothing was pushed.
func (a *App) kept(ctx context.Context, c *cloud.Cloud) (*project.Project, error) {
	store := release.Open(c)
	pushes, err := store.List(ctx)
	if err != nil || len(pushes) == 0 {
		return &project.Project{}, err
	}
	p, err := a.releasedProject(ctx, store, pushes[0].Release)
	if errors.Is(err, cloud.ErrNotFound) { // a release without project.yml
		return &project.Project{}, nil
	}
	return p, err
}
