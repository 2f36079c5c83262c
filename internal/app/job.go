package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/schedule"
)

// JobOptions says who watches a job from the inside.
type JobOptions struct {
	RunOptions                  // what to run does not count: the environment says it
	Waits      func(run string) // told which run the job waits for, once; may be nil
	Begins     func()           // told when nothing has to be waited for any more; may be nil
	Ends       func()           // told when all tasks have ended, before what they have left is stored; may be nil
}

// RunJob is a job from the inside: it runs what the environment of this process says, as cloud.Start has put it there.
// Where the task of the scope can be reached, the record of the run in its bucket tells how it ended, also where it could
// not start.
func (a *App) RunJob(ctx context.Context, o JobOptions) (RunResult, error) {
	start, err := cloud.StartFrom(a.env)
	if err != nil {
		return RunResult{}, &UsageError{Message: err.Error(), Hint: cloud.Hint(err)}
	}
	start.RunID = first(start.RunID, cloud.NewRunID(a.Now()))
	o.Push, o.Target = true, a.jobTarget(start.Scope)
	res, err := a.runJob(ctx, o, start)
	if err != nil {
		err = errors.Join(err, a.lastWord(ctx, o.Target, start, err))
	}
	return res, err
}

// jobTarget is what a job works on.
func (a *App) jobTarget(s cloud.Scope) Target {
	return Target{
		EnvStage: s.Stage, Client: s.Client, WorkspaceDir: JobWorkspace(a.env),
		Envs: []project.KeyValue{{Key: "resource_group", Value: s.ResourceGroup}, {Key: "task", Value: s.Task}},
		Cloud: CloudFlags{
			Provider: first(a.env(cloud.EnvProvider), a.env("HO_PROVIDER")),
			Platform: first(a.env(cloud.EnvPlatform), a.env("HO_PLATFORM")),
		},
	}
}

// JobWorkspace returns the folder of the workspace of a job, as its environment says.
func JobWorkspace(getenv func(string) string) string {
	return first(getenv(cloud.EnvWorkspace), "workspace")
}

func (a *App) runJob(ctx context.Context, o JobOptions, start cloud.Start) (RunResult, error) {
	at, err := a.jobTime(start)
	if err != nil {
		return RunResult{}, err
	}
	inside, vars, err := a.evaluated(start.Written, at)
	if err != nil {
		return RunResult{}, err
	}
	o.Vars = vars
	return inside.RunRelease(ctx, RunReleaseOptions{
		RunOptions: o.RunOptions, Release: start.Release, Overlap: start.Overlap,
		jobID: a.env(cloud.EnvJob), job: start, at: at, waits: o.Waits, begins: o.Begins, ends: o.Ends,
	})
}

// jobTime is the time of a job, in its zone: a run that is late, or made up for, works on the day for which it was due.
func (a *App) jobTime(start cloud.Start) (time.Time, error) {
	at := a.Now()
	if !start.ScheduledAt.IsZero() {
		at = start.ScheduledAt
	}
	zone := a.Now().Location()
	if start.Zone != "" || start.ScheduleID != "" { // that of a schedule is UTC where it says nothing
		var err error
		if zone, err = schedule.Zone(start.Zone); err != nil {
			return at, &UsageError{Message: fmt.Sprintf("%s: %v", cloud.EnvZone, err)}
		}
	}
	return at.In(zone), nil
}

// evaluated returns an App whose environment has what is written, with each $(date ...) in the place of what it stands for at
// the time at, and the template variables that it asks for.
func (a *App) evaluated(written map[string]string, at time.Time) (*App, []project.KeyValue, error) {
	b := *a
	b.Environ = slices.Clone(a.Environ)
	var vars []project.KeyValue
	for key, text := range written {
		var err *UsageError
		if key == cloud.EnvVars {
			vars, err = evaluateVars(text, at)
		} else {
			text, err = evaluate(key, text, at)
			b.Environ = slices.DeleteFunc(b.Environ, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
			b.Environ = append(b.Environ, key+"="+text)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return &b, vars, nil
}

// checkWritten refuses what no job could evaluate.
func checkWritten(written map[string]string) *UsageError {
	at := time.Unix(0, 0).UTC()
	for key, text := range written {
		var err *UsageError
		if key == cloud.EnvVars {
			_, err = evaluateVars(text, at)
		} else {
			_, err = evaluate(key, text, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func evaluate(key, text string, at time.Time) (string, *UsageError) {
	value, err := schedule.Eval(text, at, at.Location())
	if err != nil {
		return "", notEvaluated(key, err)
	}
	return value, nil
}

func evaluateVars(text string, at time.Time) ([]project.KeyValue, *UsageError) {
	words, err := schedule.Words(text, at, at.Location())
	if err != nil {
		return nil, notEvaluated(cloud.EnvVars, err)
	}
	vars, err := project.ParseVars(words, func(string) ([]byte, error) { return nil, errors.New("a job takes no file") })
	if err != nil {
		return nil, notEvaluated(cloud.EnvVars, err)
	}
	return vars, nil
}

func notEvaluated(key string, err error) *UsageError {
	return &UsageError{
		Message: fmt.Sprintf("%s: %v", key, err),
		Hint:    "docs/schedules.md says what $(date ...) may be; variables are written as in a shell: __VARS='key=value key2=\"a b\"'",
	}
}

// lastWord records why the run of a job could not start, unless it has its record already.
func (a *App) lastWord(ctx context.Context, t Target, start cloud.Start, why error) error {
	ctx = context.WithoutCancel(ctx)
	c, err := a.openCloud(ctx, t, nil)
	if err != nil {
		return nil // it is among the reasons
	}
	to := a.ledger(c, 0)
	if _, err := to.Get(ctx, start.RunID); !errors.Is(err, cloud.ErrNotFound) {
		return nil
	}
	run := ledger.Run{
		ID: start.RunID, Project: start.Scope.Task, ResourceGroup: start.Scope.ResourceGroup, Task: start.Scope.Task,
		Client: start.Scope.Client, EnvStage: start.Scope.Stage, Trigger: string(start.Trigger), JobID: a.env(cloud.EnvJob), ScheduleID: start.ScheduleID,
		ScheduledAt: start.ScheduledAt, Series: start.Series, Again: start.Again, Release: start.Release,
		Version: a.Version, Host: a.Host, Start: a.Now().UTC(),
	}
	var s session
	if at, err := a.jobTime(start); err == nil && a.cloudSecrets(ctx, &s, c) == nil { // else a secret could get into the record
		run.Asked = asked(start, at, s.redactor.String)
		run.Asked.Push = true
	}
	_, err = a.recordUnstarted(ctx, to, run, string(pipeline.Failed), why, func(text string) string { return text })
	return err
}
