package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
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

// stateStore opens the states of the task and finds the pipeline that o means.
func (a *App) stateStore(ctx context.Context, o StateOptions) (*cloud.Cloud, *state.Store, string, error) {
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return nil, nil, "", err
	}
	s := &state.Store{Files: c.Files, Task: c.Scope.Task, Now: a.Now}
	if o.Name != "" {
		if strings.Contains(o.Name, "/") || cloud.CheckKey(o.Name) != nil {
			return nil, nil, "", &UsageError{Message: fmt.Sprintf("%q is no name of a pipeline", o.Name)}
		}
		return c, s, o.Name, nil
	}
	names, err := s.Names(ctx)
	if err != nil {
		return nil, nil, "", err
	}
	if len(names) == 0 && p != nil {
		names = stateful(p.Tasks)
	}
	switch len(names) {
	case 1:
		return c, s, names[0], nil
	case 0:
		return nil, nil, "", &UsageError{Message: "no pipeline of this task has a state", Hint: "write state: true beside its pipeline, or name the pipeline"}
	}
	return nil, nil, "", &UsageError{Message: "more than one pipeline has a state", Hint: "name one of: " + strings.Join(names, ", ")}
}

// StateShow answers the state from which the next run goes on.
func (a *App) StateShow(ctx context.Context, o StateOptions) (res StateResult, err error) {
	_, s, name, err := a.stateStore(ctx, o)
	if err != nil {
		return StateResult{}, err
	}
	v, err := s.Current(ctx, name)
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

// StateLog answers the versions of a state; limit 0 is all of them.
func (a *App) StateLog(ctx context.Context, o StateOptions, limit int) (res StateLog, err error) {
	_, s, name, err := a.stateStore(ctx, o)
	if err != nil {
		return StateLog{}, err
	}
	res = StateLog{Status: "success", Task: name, Versions: []state.Version{}}
	now, err := s.Current(ctx, name)
	if err != nil && !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrCorrupt) {
		return StateLog{}, err
	}
	res.Current = now.Seq
	list, err := s.Log(ctx, name, limit)
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
		return StateResult{}, &UsageError{Message: "the new state is no JSON object", Hint: `write an object: {"bookmarks": {}}`}
	}
	c, s, name, err := a.stateStore(ctx, o)
	if err != nil {
		return StateResult{}, err
	}
	return a.changeState(ctx, c, s, o.DryRun, state.Version{Task: name, By: state.BySet, State: text})
}

// StateRollback makes an earlier version the current one again; seq 0 is the one before the current one.
func (a *App) StateRollback(ctx context.Context, o StateOptions, seq int64) (res StateResult, err error) {
	c, s, name, err := a.stateStore(ctx, o)
	if err != nil {
		return StateResult{}, err
	}
	old, err := s.Before(ctx, name, seq)
	if err != nil {
		return StateResult{}, err
	}
	return a.changeState(ctx, c, s, o.DryRun, state.Version{Task: name, By: state.ByRollback, From: old.Seq, State: old.State})
}

// changeState commits v while no run goes on: that would overwrite it at its end.
func (a *App) changeState(ctx context.Context, c *cloud.Cloud, s *state.Store, dryRun bool, v state.Version) (StateResult, error) {
	res := StateResult{Status: "planned", State: &v}
	now, err := s.Current(ctx, v.Task)
	if err != nil && !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrCorrupt) {
		return StateResult{}, err
	}
	if err == nil {
		res.Before = &now
	}
	if dryRun {
		return res, nil
	}
	err = a.byHand(ctx, c, func(ctx context.Context, fence int64, id string) error {
		v.Fence, v.Run = fence, id
		done, err := s.Commit(ctx, v)
		res.Status, res.State = "success", &done
		return err
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
