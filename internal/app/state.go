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
	Name   string   // of the pipeline; "": the only one that has a state
	Lines  []string // of the foreach loops around the pipeline, outermost first
	DryRun bool
}

// StateResult is the state of a pipeline.
type StateResult struct {
	Status string          `json:"status"`
	State  *state.Version  `json:"version"`          // nil: there is none yet, or one for each line
	Before *state.Version  `json:"before,omitempty"` // what was replaced
	Lines  []state.Version `json:"lines,omitempty"`  // those of all lines of a pipeline in a foreach, sorted by them
}

// LinesAfter returns the lines that can follow those that are given, outermost first.
func (r StateResult) LinesAfter(given []string) []string {
	var list []string
	for _, v := range r.Lines {
		if n := len(given); len(v.Lines) > n && slices.Equal(v.Lines[:n], given) && !slices.Contains(list, v.Lines[n]) {
			list = append(list, v.Lines[n])
		}
	}
	return list
}

// pipelineState is the state of one pipeline, and from what its task goes on.
type pipelineState struct {
	cloud   *cloud.Cloud
	commits *commit.Store
	task    string // name of the pipeline
	lines   []string
	now     commit.Commit
	damaged error // why now is not known: only what is made by hand may go on
	found   map[string]state.Ref
	loops   int // around the pipeline in the project; -1: that is not known
}

// name is that under which the state is kept.
func (s *pipelineState) name() string { return project.StateName(s.task, s.lines) }

// openState opens the states of the task and finds the pipeline that o means.
func (a *App) openState(ctx context.Context, o StateOptions) (*pipelineState, error) {
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return nil, err
	}
	s := &pipelineState{cloud: c, commits: a.commits(c), task: o.Name, lines: o.Lines, loops: -1}
	if o.Name != "" && (strings.Contains(o.Name, "/") || cloud.CheckKey(o.Name) != nil) {
		return nil, &UsageError{Message: fmt.Sprintf("%q is not a valid name of a pipeline", o.Name)}
	}
	if task, line := project.PipelineOf(o.Name); line {
		return nil, &UsageError{Message: fmt.Sprintf("%q is no pipeline: its state is that of one line", o.Name), Hint: fmt.Sprintf("name the pipeline and the line: %s --line ...", task)}
	}
	if slices.ContainsFunc(o.Lines, neverALine) {
		return nil, &UsageError{Message: "no foreach has the line " + quotedLines(o.Lines), Hint: "a line is not empty and has no space around it"}
	}
	s.now, s.damaged = s.commits.Read(ctx)
	if s.found = s.now.States; s.damaged != nil {
		if !errors.Is(s.damaged, cloud.ErrCorrupt) {
			return nil, s.damaged
		}
		if s.found, err = s.commits.States.Found(ctx); err != nil {
			return nil, err
		}
	}
	if s.task == "" {
		if s.task, err = s.only(p); err != nil {
			return nil, err
		}
	}
	if p != nil {
		project.Walk(p.Tasks, func(t project.Task, loops int) {
			if t.State.On && t.Name == s.task {
				s.loops = loops
			}
		})
	}
	if s.loops >= 0 && len(s.lines) > 0 && len(s.lines) != s.loops {
		return nil, &UsageError{Message: fmt.Sprintf("the pipeline %q is in %s, not in %d", s.task, Count(s.loops, "foreach loop"), len(s.lines)), Hint: "give --line once for each, the outermost first"}
	}
	return s, nil
}

// neverALine reports whether a foreach leaves out such a line, or changes it: a state that it got by hand would be that of nobody.
func neverALine(line string) bool {
	return line == "" || strings.TrimSpace(line) != line || strings.ContainsAny(line, "\n\x00")
}

// only returns the name of the only pipeline that has a state.
func (s *pipelineState) only(p *project.Project) (string, error) {
	has := map[string]bool{}
	for name := range s.found {
		task, _ := project.PipelineOf(name)
		has[task] = true
	}
	if len(has) == 0 && p != nil {
		project.Walk(p.Tasks, func(t project.Task, _ int) {
			if t.State.On {
				has[t.Name] = true
			}
		})
	}
	names := slices.Sorted(maps.Keys(has))
	switch len(names) {
	case 1:
		return names[0], nil
	case 0:
		return "", &UsageError{Message: "no pipeline of this task has a state", Hint: "write state: true beside its pipeline, or name the pipeline"}
	}
	return "", &UsageError{Message: "more than one pipeline has a state", Hint: "name one of: " + strings.Join(names, ", ")}
}

// ofLines returns the states of all lines of the pipeline, sorted by them; where it also has one without a line, that is the first.
func (s *pipelineState) ofLines(ctx context.Context) ([]state.Version, error) {
	var names []string
	for name := range s.found {
		if task, _ := project.PipelineOf(name); task == s.task {
			names = append(names, name)
		}
	}
	all := make([]state.Version, len(names))
	err := cloud.Each(ctx, s.cloud.Parallel, indexes(names), func(ctx context.Context, i int) (err error) {
		all[i], err = s.commits.States.At(ctx, names[i], s.found[names[i]].Seq)
		return err
	})
	slices.SortFunc(all, func(a, b state.Version) int { return slices.Compare(a.Lines, b.Lines) })
	return all, err
}

func indexes[T any](of []T) []int {
	out := make([]int, len(of))
	for i := range out {
		out[i] = i
	}
	return out
}

// hasLines reports whether there are states of lines of the pipeline.
func (s *pipelineState) hasLines() bool {
	for name := range s.found {
		if task, line := project.PipelineOf(name); line && task == s.task {
			return true
		}
	}
	return false
}

// one returns an error where s names no state that there is, although the pipeline has one for each line. anew: it may be the first
// one of its line.
func (s *pipelineState) one(ctx context.Context, anew bool) error {
	_, known := s.found[s.name()]
	if known || anew && len(s.lines) > 0 || !s.hasLines() && (s.loops < 1 || len(s.lines) > 0) {
		return nil
	}
	message := fmt.Sprintf("the pipeline %q has a state for each line", s.task)
	if len(s.lines) > 0 {
		message = fmt.Sprintf("the pipeline %q has no state for the line %s", s.task, quotedLines(s.lines))
	}
	all, err := s.ofLines(ctx)
	if err != nil {
		return err
	}
	return &UsageError{Message: message, Hint: hintOfLines(s.lines, all)}
}

// hintOfLines says which lines there are.
func hintOfLines(given []string, all []state.Version) string {
	const most = 10
	var lines, last []string
	for _, v := range all {
		if len(v.Lines) > 0 {
			lines, last = append(lines, quotedLines(v.Lines)), append(last, v.Lines[len(v.Lines)-1])
		}
	}
	if len(given) > 0 {
		if near := project.Suggest(given[len(given)-1], last); near != "" {
			return fmt.Sprintf("did you mean %q?", near)
		}
	}
	if len(lines) == 0 {
		return "name it: --line ..."
	}
	hint := "add --line with one of: " + strings.Join(lines[:min(len(lines), most)], "; ")
	if more := len(lines) - most; more > 0 {
		hint += fmt.Sprintf("; and %d more (`handoff state show`)", more)
	}
	return hint
}

// version is a new version, made by hand.
func (s *pipelineState) version(by state.By, text json.RawMessage) state.Version {
	v := state.Version{Task: s.task, By: by, State: text}
	if len(s.lines) > 0 {
		v.Name, v.Lines = s.name(), s.lines
	}
	return v
}

// current returns the version from which the next run goes on. cloud.ErrNotFound: there is none.
func (s *pipelineState) current(ctx context.Context) (state.Version, error) {
	if s.damaged != nil {
		return state.Version{}, s.damaged
	}
	return s.commits.State(ctx, s.now, s.name())
}

// StateShow returns the state from which the next run goes on, or those of all lines of a pipeline in a foreach.
func (a *App) StateShow(ctx context.Context, o StateOptions) (res StateResult, err error) {
	s, err := a.openState(ctx, o)
	if err != nil {
		return StateResult{}, err
	}
	if len(s.lines) == 0 && s.hasLines() && s.damaged == nil {
		all, err := s.ofLines(ctx)
		return StateResult{Status: "success", Lines: all}, err
	}
	if len(s.lines) > 0 {
		err = s.one(ctx, false)
	}
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
	Lines    []string        `json:"lines,omitempty"` // of the foreach loops around it
	Current  int64           `json:"current"`         // number of the version from which the next run goes on; 0: none
	Versions []state.Version `json:"versions"`
}

// StateLog returns the versions of a state; limit 0 is all of them.
func (a *App) StateLog(ctx context.Context, o StateOptions, limit int) (res StateLog, err error) {
	s, err := a.openState(ctx, o)
	if err != nil {
		return StateLog{}, err
	}
	if err := s.one(ctx, false); err != nil {
		return StateLog{}, err
	}
	res = StateLog{Status: "success", Task: s.task, Lines: s.lines, Current: s.now.States[s.name()].Seq, Versions: []state.Version{}}
	list, err := s.commits.States.Log(ctx, s.name(), res.Current, limit)
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
	if err := s.one(ctx, true); err != nil {
		return StateResult{}, err
	}
	return a.changeState(ctx, s, o.DryRun, commit.BySet, s.version(state.BySet, text))
}

// StateRollback makes an earlier version the current one again; seq 0 is the one before the current one.
func (a *App) StateRollback(ctx context.Context, o StateOptions, seq int64) (res StateResult, err error) {
	s, err := a.openState(ctx, o)
	if err != nil {
		return StateResult{}, err
	}
	if err := s.one(ctx, false); err != nil {
		return StateResult{}, err
	}
	old, err := s.commits.States.Before(ctx, s.name(), s.now.States[s.name()].Seq, seq)
	if err != nil {
		return StateResult{}, err
	}
	v := s.version(state.ByRollback, old.State)
	v.From = old.Seq
	return a.changeState(ctx, s, o.DryRun, commit.ByRollback, v)
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
		v.Lines = now.Lines // a secret in them is masked there
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
