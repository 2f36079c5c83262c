package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/commit"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/state"
)

// StateOptions names the state of one pipeline.
type StateOptions struct {
	Target
	Name   string // of the pipeline; "": the only one that has a state
	DryRun bool
}

// StateResult is the state of a pipeline.
type StateResult struct {
	Status string         `json:"status"`
	State  *state.Version `json:"version"`          // nil: there is none yet
	Before *state.Version `json:"before,omitempty"` // what was replaced
}

// pipelineState is the state of one pipeline, and from what its task goes on.
type pipelineState struct {
	cloud   *cloud.Cloud
	commits *commit.Store
	name    string
	now     commit.Commit
	damaged error // why now is not known: only what is made by hand may go on
}

// openState opens the states of the task and finds the pipeline that o means.
func (a *App) openState(ctx context.Context, o StateOptions) (*pipelineState, error) {
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return nil, err
	}
	s := &pipelineState{cloud: c, commits: a.commits(c), name: o.Name}
	if o.Name != "" && (strings.Contains(o.Name, "/") || cloud.CheckKey(o.Name) != nil) {
		return nil, &UsageError{Message: fmt.Sprintf("%q is not a valid name of a pipeline", o.Name)}
	}
	s.now, s.damaged = s.commits.Read(ctx)
	if s.damaged != nil && !errors.Is(s.damaged, cloud.ErrCorrupt) {
		return nil, s.damaged
	}
	if s.name == "" {
		s.name, err = s.only(ctx, p)
	}
	return s, err
}

// only returns the name of the only pipeline that has a state.
func (s *pipelineState) only(ctx context.Context, p *project.Project) (string, error) {
	names := s.now.Names()
	if s.damaged != nil {
		found, err := s.commits.States.Found(ctx)
		if err != nil {
			return "", err
		}
		names = slices.Sorted(maps.Keys(found))
	}
	if len(names) == 0 && p != nil {
		names = stateful(p.Tasks)
	}
	switch len(names) {
	case 1:
		return names[0], nil
	case 0:
		return "", &UsageError{Message: "no pipeline of this task has a state", Hint: "write state: true beside its pipeline, or name the pipeline"}
	}
	return "", &UsageError{Message: "more than one pipeline has a state", Hint: "name one of: " + strings.Join(names, ", ")}
}

// current returns the version from which the next run goes on. cloud.ErrNotFound: there is none.
func (s *pipelineState) current(ctx context.Context) (state.Version, error) {
	if s.damaged != nil {
		return state.Version{}, s.damaged
	}
	return s.commits.State(ctx, s.now, s.name)
}

// StateShow returns the state from which the next run goes on.
func (a *App) StateShow(ctx context.Context, o StateOptions) (res StateResult, err error) {
	s, err := a.openState(ctx, o)
	if err != nil {
		return StateResult{}, err
	}
	v, err := s.current(ctx)
	if errors.Is(err, cloud.ErrNotFound) {
		return StateResult{Status: "none"}, nil
	}
	if err != nil {
		return StateResult{}, err
	}
	return StateResult{Status: "success", State: &v}, nil
}

// StateLog is the versions of a state, the newest first.
type StateLog struct {
	Status   string          `json:"status"`
	Task     string          `json:"task"`
	Current  int64           `json:"current"` // number of the version from which the next run goes on; 0: none
	Versions []state.Version `json:"versions"`
}

// StateLog returns the versions of a state; limit 0 is all of them.
func (a *App) StateLog(ctx context.Context, o StateOptions, limit int) (res StateLog, err error) {
	s, err := a.openState(ctx, o)
	if err != nil {
		return StateLog{}, err
	}
	res = StateLog{Status: "success", Task: s.name, Current: s.now.States[s.name].Seq, Versions: []state.Version{}}
	list, err := s.commits.States.Log(ctx, s.name, res.Current, limit)
	res.Versions = append(res.Versions, list...)
	return res, err
}

// StateSet makes text the state from which the next run goes on.
func (a *App) StateSet(ctx context.Context, o StateOptions, text []byte) (res StateResult, err error) {
	if got, ok := state.Parse(text); ok {
		text = got
	} else if !json.Valid(text) {
		return StateResult{}, &UsageError{Message: "the new state is not JSON", Hint: `write an object: {"bookmarks": {}}`}
	} else {
		return StateResult{}, &UsageError{Message: "the new state is not a JSON object", Hint: `write an object: {"bookmarks": {}}`}
	}
	s, err := a.openState(ctx, o)
	if err != nil {
		return StateResult{}, err
	}
	return a.changeState(ctx, s, o.DryRun, commit.BySet, state.Version{Task: s.name, By: state.BySet, State: text})
}

// StateRollback makes an earlier version the current one again; seq 0 is the one before the current one.
func (a *App) StateRollback(ctx context.Context, o StateOptions, seq int64) (res StateResult, err error) {
	s, err := a.openState(ctx, o)
	if err != nil {
		return StateResult{}, err
	}
	old, err := s.commits.States.Before(ctx, s.name, s.now.States[s.name].Seq, seq)
	if err != nil {
		return StateResult{}, err
	}
	return a.changeState(ctx, s, o.DryRun, commit.ByRollback, state.Version{Task: s.name, By: state.ByRollback, From: old.Seq, State: old.State})
}

// changeState commits v while no run goes on: that would overwrite it at its end.
func (a *App) changeState(ctx context.Context, s *pipelineState, dryRun bool, by commit.By, v state.Version) (StateResult, error) {
	res := StateResult{Status: "planned", State: &v}
	now, err := s.current(ctx)
	if err != nil && !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrCorrupt) {
		return StateResult{}, err
	}
	if err == nil {
		res.Before = &now
	}
	if dryRun {
		return res, nil
	}
	err = a.byHand(ctx, s.cloud, func(ctx context.Context, fence int64, id string) error {
		done, err := s.commits.Commit(ctx, commit.Change{By: by, Writer: id, Fence: fence, States: []state.Version{v}})
		if err != nil {
			return err
		}
		tellCommitted(a.Log, done)
		res.Status, res.State = "success", &done.Versions[0]
		return nil
	})
	return res, err
}

// stateful names the pipelines of a project that have a state.
func stateful(tasks []project.Task) []string {
	var names []string
	for _, t := range tasks {
		if t.Active && t.State.On {
			names = append(names, t.Name)
		}
		names = append(names, stateful(t.Tasks)...)
	}
	return names
}
