package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/schedule"
	"github.com/handoff-run/handoff/internal/secret"
	"github.com/handoff-run/handoff/internal/workspace"
)

// Again says that a run is started again: with the release, the time, the variables and the environment that it had. Those of the
// command line add to them. A nil Again is a new run.
type Again struct {
	Run        ledger.Run // as Earlier has returned it
	FailedOnly bool       // only its tasks that have not succeeded
}

// Earlier returns the record of the run to start again, which has ended: that of the workspace of t where id, or a part of it, is of
// its last `run local`, else one of the bucket.
func (a *App) Earlier(ctx context.Context, t Target, id string) (ledger.Run, error) {
	run, found, err := earlierHere(t, id)
	if err == nil && !found {
		run, err = a.RunShow(ctx, t, id)
	}
	switch {
	case err != nil:
		return ledger.Run{}, err
	case run.Outcome == ledger.Running:
		return ledger.Run{}, &BusyError{cloud.WithHint(fmt.Errorf("run %s is going on", run.ID), "wait for its end: `handoff runs follow "+run.ID+"`")}
	case run.Asked.At.IsZero():
		return ledger.Run{}, &UsageError{
			Message: fmt.Sprintf("the record of run %s does not say with which variables it was started", run.ID),
			Hint:    "an earlier handoff has made it, or it was no run yet; start a new one: handoff cloud run, handoff run",
		}
	}
	return run, nil
}

func earlierHere(t Target, id string) (run ledger.Run, found bool, err error) {
	if t.WorkspaceDir == "" || id == "" {
		return run, false, nil
	}
	ws, err := workspace.Open(t.ProjectDir, t.WorkspaceDir)
	if err != nil {
		return run, false, inProject(err)
	}
	run, err = ledger.Read(filepath.Join(ws.Artifacts(), ledger.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return run, false, nil
	}
	return run, err == nil && run.Local && (strings.HasPrefix(run.ID, id) || strings.HasSuffix(run.ID, id)), nil
}

// start is the start of the run, again.
func (g *Again) start() cloud.Start {
	was := g.Run.Asked
	s := cloud.Start{
		Trigger: cloud.TriggerRetry, Release: g.Run.Release, ScheduleID: g.Run.ScheduleID, ScheduledAt: was.At, Zone: was.Zone,
		Env: maps.Clone(was.Env), Written: maps.Clone(was.Written), Again: g.Run.ID, FailedOnly: g.FailedOnly, Series: g.Run.Series,
	}
	if s.Env == nil {
		s.Env = map[string]string{}
	}
	if s.Written == nil {
		s.Written = map[string]string{}
	}
	if _, vars := g.hidden(); len(vars) > 0 { // whoever starts it gives these anew
		all, _ := g.written()
		s.Written[cloud.EnvVars] = quoted(slices.DeleteFunc(all, masked))
	}
	return s
}

// written returns the variables of the start, for its time.
func (g *Again) written() ([]project.KeyValue, error) {
	was := g.Run.Asked
	zone, err := schedule.Zone(was.Zone)
	if err != nil {
		return nil, err
	}
	vars, usage := evaluateVars(was.Written[cloud.EnvVars], was.At.In(zone))
	if usage != nil {
		return nil, usage
	}
	return vars, nil
}

func masked(v project.KeyValue) bool { return strings.Contains(v.Value, secret.Mask) }

// hidden returns what the record does not keep, since there is a secret in it: keys of the environment, and, where it can be told
// which ones these are, variables.
func (g *Again) hidden() (keys, vars []string) {
	for _, key := range g.Run.Asked.Hidden {
		all, err := g.written()
		if key != cloud.EnvVars || err != nil || !slices.ContainsFunc(all, masked) {
			keys = append(keys, key)
			continue
		}
		for _, v := range all {
			if masked(v) {
				vars = append(vars, v.Key)
			}
		}
	}
	return keys, vars
}

// time returns the time of the run, in the zone of now; now for a new run.
func (g *Again) time(now time.Time) time.Time {
	if g == nil {
		return now
	}
	return g.Run.Asked.At.In(now.Location())
}

// check refuses values that the record does not have, since they are secret, unless the command line gives them; and failed tasks of a
// run that has none.
func (g *Again) check(t Target) error {
	switch {
	case g == nil:
		return nil
	case g.FailedOnly && g.Run.Outcome == string(pipeline.Success):
		return g.nothingFailed()
	}
	var lack, again []string
	keys, vars := g.hidden()
	for _, key := range keys {
		if t.env(key) == "" && !(key == cloud.EnvVars && t.env("vars") != "") {
			lack, again = append(lack, key), append(again, "-e "+key+"=...")
		}
	}
	for _, key := range vars {
		given := slices.ContainsFunc(t.Vars, func(v project.KeyValue) bool { return v.Key == key })
		if !given && t.env(cloud.EnvVars) == "" && t.env("vars") == "" {
			lack, again = append(lack, key), append(again, "-v "+key+"=...")
		}
	}
	if len(lack) == 0 {
		return nil
	}
	return &UsageError{
		Message: fmt.Sprintf("run %s was started with a secret in %s, which its record does not keep", g.Run.ID, strings.Join(lack, ", ")),
		Hint:    fmt.Sprintf("give it again: %s (and better make it a secret of the project, which a run finds by itself)", strings.Join(again, " ")),
	}
}

// takeOver makes o ask for what the run before it has asked for.
func (o *RunOptions) takeOver() error {
	if o.Again == nil {
		return nil
	}
	if err := o.Again.check(o.Target); err != nil {
		return err
	}
	was := o.Again.Run.Asked
	text := first(o.env(cloud.EnvVars), o.Again.start().Written[cloud.EnvVars])
	vars, err := evaluateVars(text, was.At)
	if err != nil {
		return err
	}
	var envs []project.KeyValue
	for _, key := range slices.Sorted(maps.Keys(was.Env)) {
		envs = append(envs, project.KeyValue{Key: key, Value: was.Env[key]})
	}
	o.Vars, o.Envs, o.Push = append(vars, o.Vars...), append(envs, o.Envs...), o.Push || was.Push
	return nil
}

// takeOver is that of RunOptions, with the release and the time of the run.
func (o *RunReleaseOptions) takeOver(now time.Time) error {
	if o.Again == nil {
		return nil
	}
	o.job, o.at, o.Release = o.Again.start(), o.Again.time(now), first(o.Release, o.Again.Run.Release)
	return o.RunOptions.takeOver()
}

// typed is the start of a run that a person has started here.
func typed(t Target) cloud.Start {
	s := cloud.Start{Env: map[string]string{}, Written: map[string]string{}}
	for _, e := range t.Envs {
		if !slices.Contains(ScopeKeys(), e.Key) && e.Key != cloud.EnvVars {
			s.Env[e.Key] = e.Value
		}
	}
	if words := quoted(t.Vars); words != "" {
		s.Written[cloud.EnvVars] = words
	}
	return s
}

// asked is what the record of a run keeps of its start.
func asked(s cloud.Start, at time.Time, mask func(string) string) ledger.Asked {
	out := ledger.Asked{At: at.UTC(), Zone: s.Zone}
	hide := func(env map[string]string) map[string]string {
		shown := map[string]string{}
		for key, value := range env {
			if shown[key] = mask(value); shown[key] != value {
				out.Hidden = append(out.Hidden, key)
			}
		}
		return shown
	}
	out.Env, out.Written = hide(s.Env), hide(s.Written)
	slices.Sort(out.Hidden)
	return out
}

// leaveOut takes the tasks out of a plan that have succeeded in the run, and returns which those are. A pipeline with a state is not
// left out: its state counts only when a whole run has succeeded, so the next run would load the same once more.
func (g *Again) leaveOut(p *plan.Plan) ([]string, error) {
	if g == nil || !g.FailedOnly {
		return nil, nil
	}
	done := map[string]bool{}
	for _, path := range g.Run.LeftOut {
		done[path] = true
	}
	succeeded(g.Run.Tasks, "", done)
	var left []string
	if mark(p.Tasks, "", done, &left, "succeeded in run "+g.Run.ID) == 0 {
		return nil, g.nothingFailed()
	}
	return left, nil
}

func (g *Again) nothingFailed() error {
	return &UsageError{Message: fmt.Sprintf("no task of run %s has failed", g.Run.ID), Hint: "start all of it again, without --failed-only"}
}

func succeeded(tasks []*ledger.Task, above string, done map[string]bool) {
	for _, t := range tasks {
		if t.Outcome == string(pipeline.Success) {
			done[above+t.Name] = true
		}
		succeeded(t.Tasks, above+t.Name+"/", done)
	}
}

// mark leaves out the leaves that are done, and returns how many stay.
func mark(tasks []plan.Task, above string, done map[string]bool, left *[]string, why string) (stay int) {
	for i := range tasks {
		t := &tasks[i]
		path := above + t.Name
		switch {
		case t.Skip:
		case t.Tasks != nil:
			stay += mark(t.Tasks, path+"/", done, left, why)
		case done[path] && !waitsForRun(*t):
			t.Skip, t.Why = true, why
			*left = append(*left, path)
		default:
			stay++
		}
	}
	return stay
}

// waitsForRun reports whether a pipeline has a state that is committed with the run, or one in it has.
func waitsForRun(t plan.Task) bool {
	return t.State != nil && !t.State.Body || slices.ContainsFunc(t.Pipeline, func(s plan.Stage) bool {
		return slices.ContainsFunc(s.Fork, waitsForRun) || s.Foreach != nil && slices.ContainsFunc(s.Foreach.Tasks, waitsForRun)
	}) || slices.ContainsFunc(t.Tasks, waitsForRun)
}

// leftBefore returns the archive of what the run has left of which only the failed tasks run: those that succeeded have made their
// artifacts there. What a later run has stored must not get lost by that.
func (r *releaseRun) leftBefore(ctx context.Context) (string, error) {
	x, err := r.commits.Artifacts.Index(ctx)
	if err != nil {
		return "", err
	}
	const hint = "start all of it again, without --failed-only"
	now := slices.IndexFunc(x.Archives, func(a artifact.Archive) bool { return a.Name == r.from.Artifacts })
	if now >= 0 && x.Archives[now].RunID == r.before.ID { // on_failure: commit
		return r.from.Artifacts, nil
	}
	at := slices.IndexFunc(x.Failed, func(a artifact.Archive) bool { return a.RunID == r.before.ID })
	if at < 0 {
		return "", &UsageError{Message: fmt.Sprintf("what the tasks of run %s that succeeded have left is not stored", r.before.ID), Hint: hint}
	}
	last, err := r.records.Get(ctx, r.from.RunID)
	later := err == nil && last.Fence > r.before.Fence && r.before.Fence > 0 // two clocks may differ, these do not
	if later || now >= 0 && x.Archives[now].Time.After(x.Failed[at].Time) {
		return "", &UsageError{
			Message: fmt.Sprintf("other artifacts were stored since run %s, which would get lost", r.before.ID), Hint: hint,
		}
	}
	return x.Failed[at].Name, nil
}
