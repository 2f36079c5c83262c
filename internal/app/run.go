package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/process"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
	"github.com/handoff-run/handoff/internal/stream"
	"github.com/handoff-run/handoff/internal/workspace"
)

// RunOptions says what to run and who watches.
type RunOptions struct {
	Target
	Stdin    *os.File             // of first stages; nil: /dev/null
	Events   func(pipeline.Event) // may be nil; called serially
	Progress time.Duration        // between progress events; 0: none
	Started  func(killAll func()) // told how to kill every process of the run at once; may be nil
	Push     bool                 // store the artifacts in the bucket at the end
	Again    *Again               // the run to start again; nil: none
}

// RunResult is how a run ended.
type RunResult struct {
	Status    string       `json:"status"` // success, failed, timed_out, interrupted
	RunID     string       `json:"run_id"`
	Reason    string       `json:"reason,omitempty"`
	Task      string       `json:"failed_task,omitempty"`
	Stage     string       `json:"failed_stage,omitempty"`
	Tail      []string     `json:"stderr_tail,omitempty"`
	Warnings  []string     `json:"warnings,omitempty"`
	Seconds   float64      `json:"seconds"`
	Rows      *int64       `json:"rows,omitempty"` // records that its tasks have moved; nil: nobody has counted
	Tasks     []TaskResult `json:"tasks"`
	Artifacts string       `json:"artifacts"`
	Record    string       `json:"record"`
	Pushed    string       `json:"pushed,omitempty"` // where in the bucket the artifacts are
	ExitCode  int          `json:"exit_code"`
}

// TaskResult is how a task at the top of the tree ended.
type TaskResult struct {
	Name       string         `json:"name"`
	Status     string         `json:"status"`
	Seconds    float64        `json:"seconds"`
	Rows       *int64         `json:"rows,omitempty"` // records; nil: nobody has counted
	Streams    ledger.Streams `json:"streams,omitempty"`
	Bottleneck string         `json:"bottleneck,omitempty"`
}

// Run runs the project in its workspace. The error is for a run that could not be started; a run that
// failed is a result.
func (a *App) Run(ctx context.Context, o RunOptions) (res RunResult, err error) {
	if err := o.takeOver(); err != nil {
		return RunResult{}, err
	}
	s, err := a.open(o.Target)
	if err != nil {
		return RunResult{}, err
	}
	defer s.hideSecrets(&err)
	if err := s.needWorkspace(); err != nil {
		return RunResult{}, err
	}
	s.input.Now = o.Again.time(s.input.Now)
	p, err := a.build(s)
	if err != nil {
		return RunResult{}, inProject(err)
	}
	left, err := o.Again.leaveOut(p)
	if err != nil {
		return RunResult{}, err
	}
	lock, err := a.lock(ctx, s)
	if err != nil {
		return RunResult{}, err
	}
	defer lock.Release()
	if err := a.render(ctx, s); err != nil {
		return RunResult{}, err
	}
	if err := a.checkInstalls(ctx, s); err != nil {
		return RunResult{}, err
	}
	at, err := a.newLocalRun(ctx, o, s, p)
	if err != nil {
		return RunResult{}, err
	}
	at.again, at.left = o.Again, left
	res, err = a.execute(ctx, o, s, p, lock, at)
	res.Pushed = at.pushed.Name
	return res, err
}

// hooks are what one kind of run does around its tasks.
type hooks interface {
	describe(*ledger.Run) // completes the record
	// started is called before the first task; an error ends the run.
	started(context.Context, *pipeline.Engine, *slog.Logger, *ledger.Recorder) error
	usual(task []string, stage string) stream.Before // see pipeline.Options
	stateful() pipeline.States
	// commit stores what the run has left, when all tasks have ended; an error makes the run fail. After final it is a success for
	// good: the next run goes on from it.
	commit(ctx context.Context, res pipeline.Result, code int) (final bool, err error)
	end(context.Context, ledger.Run) error // the record is finished; the error is as that of commit
}

// lock takes the workspace, and finishes the record of a run that died in it.
func (a *App) lock(ctx context.Context, s *session) (*workspace.Lock, error) {
	if err := s.ws.Init(); err != nil {
		return nil, inProject(err)
	}
	lock, err := a.lockIdle(ctx, s)
	if err != nil {
		return nil, err
	}
	run, _, err := ledger.MarkDied(s.record(), a.Now())
	switch {
	case err != nil:
		a.Log.Warn(fmt.Sprintf("the record of the run before this one cannot be read: %v", err))
	case run.Outcome == ledger.Died: // whether found so now, or by its guardian
		a.Log.Warn(fmt.Sprintf("run %s died: %s", run.ID, run.Reason))
	}
	return lock, nil
}

// cleanup is how long a run waits for the guardian of one that was killed.
const cleanup = 10 * time.Second

// lockIdle locks the workspace, which a run that was killed has until its last process is gone.
func (a *App) lockIdle(ctx context.Context, s *session) (*workspace.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, cleanup)
	defer cancel()
	for told := false; ; told = true {
		lock, err := s.ws.Lock(s.input.RunID)
		busy, ok := errors.AsType[*workspace.BusyError](err)
		switch {
		case !ok:
			return lock, err
		case !busy.Dead() || ctx.Err() != nil:
			return nil, &BusyError{cloud.WithHint(err, "wait until it has ended, or name another workspace with -w")}
		case !told:
			a.Log.Warn("the run before this one was killed: waiting for the end of its processes")
		}
		_ = cloud.Sleep(ctx, 50*time.Millisecond) // once it is too late, the next look says so
	}
}

func (s *session) record() string { return filepath.Join(s.ws.Artifacts(), ledger.FileName) }

func walkCommands(tasks []project.Task, visit func(*project.Command)) {
	for _, t := range tasks {
		if !t.Active {
			continue
		}
		walkCommands(t.Tasks, visit)
		for _, stages := range [][]project.Stage{t.Pipeline, t.Commands} {
			for _, st := range stages {
				if !st.Active {
					continue
				}
				if st.Command != nil {
					visit(st.Command)
				}
				walkCommands(st.Foreach, visit)
				walkCommands(st.Fork, visit)
			}
		}
	}
}

func (a *App) execute(ctx context.Context, o RunOptions, s *session, p *plan.Plan, lock *workspace.Lock, at hooks) (RunResult, error) {
	run := a.runRecord(s)
	at.describe(&run)
	rec, err := ledger.NewRecorder(s.record(), run, s.clean)
	if err != nil {
		return RunResult{}, err
	}
	log, closeLog, err := a.openRunLog(s)
	if err != nil {
		return RunResult{}, err
	}
	defer closeLog()
	told := outputCap{left: maxOutput}
	emit := func(e pipeline.Event) {
		rec.Event(e)
		if told.admits(log, e) {
			logEvent(log, e, s.clean)
		}
		if o.Events != nil {
			o.Events(e)
		}
	}
	engine := pipeline.New(pipeline.Options{
		Artifacts: s.ws.Artifacts(), Emit: emit, Mask: s.clean, Stdin: o.Stdin,
		Environ: a.Environ, Progress: o.Progress, Before: at.usual, States: at.stateful(),
		Supervisor: process.Options{
			Cookie: s.input.RunID, Guard: a.Guard, GuardArgs: []string{s.record()},
			GuardFiles: append(slices.Clone(a.Held), lock.File()),
		},
	})
	if o.Started != nil {
		o.Started(engine.KillAll)
	}
	log.Info(fmt.Sprintf("run %s of %s (%senv stage %s)", s.input.RunID, p.Project, ofClient(p.Client), p.EnvStage))
	err = at.started(ctx, engine, log, rec)
	var res pipeline.Result
	if err == nil {
		res, err = engine.Run(ctx, p)
	}
	if err != nil {
		run, ferr := rec.Finish(string(pipeline.Failed), err.Error(), 1)
		return RunResult{}, errors.Join(err, ferr, at.end(ctx, run))
	}
	out := a.finish(ctx, s, rec, res, at)
	if lostLease(ctx) != nil { // no task has told that
		res.Reason = ""
	}
	logEnd(log, out, res.Reason)
	return out, nil
}

// finish stores what the run has left, and says how it ended.
func (a *App) finish(ctx context.Context, s *session, rec *ledger.Recorder, res pipeline.Result, at hooks) RunResult {
	code := exitCode(ctx, res)
	if lost := lostLease(ctx); lost != nil {
		res.Outcome, res.Reason, code = pipeline.Failed, lost.Error(), ExitCloud
	}
	final, err := at.commit(ctx, res, code)
	if err != nil {
		res.Reason = strings.TrimPrefix(res.Reason+"; "+err.Error(), "; ")
		if code == 0 {
			res.Outcome, code = pipeline.Failed, ExitCloud
		}
	}
	run, err := rec.Finish(string(res.Outcome), res.Reason, code)
	out := s.result(run, res, code)
	noRecord := func(err error, code int) {
		switch {
		case err != nil && final:
			a.Log.Warn(fmt.Sprintf("the states and artifacts of the run are stored, but its record could not be finished: %v", err))
		case err != nil:
			out.failWithoutRecord(err, code)
		}
	}
	noRecord(err, 1)
	noRecord(at.end(ctx, run), ExitCloud)
	return out
}

// failWithoutRecord makes a failure of a run that cannot be looked up.
func (r *RunResult) failWithoutRecord(err error, code int) {
	if r.ExitCode == 0 {
		r.Status, r.ExitCode = string(pipeline.Failed), code
	}
	r.Reason = strings.TrimPrefix(r.Reason+"; the tasks ended, but "+err.Error(), "; ")
}

// ofClient names a client, if there is one, in front of other words.
func ofClient(name string) string {
	if name == "" {
		return ""
	}
	return "client " + name + ", "
}

func (a *App) runRecord(s *session) ledger.Run {
	hash, err := release.Hash(s.project.Dir)
	if err != nil {
		a.Log.Warn(fmt.Sprintf("the release of this run is not known: %v", err))
	}
	return ledger.Run{
		ID: s.input.RunID, Project: filepath.Base(s.project.Dir), ResourceGroup: s.project.Deploy.ResourceGroup,
		Task: s.project.Deploy.Task, Client: s.target.Client, EnvStage: s.target.EnvStage, Trigger: "manual", Release: hash,
		Version: a.Version, Host: a.Host, Pid: os.Getpid(), Start: a.Now().UTC(),
	}
}

func (s *session) result(run ledger.Run, res pipeline.Result, code int) RunResult {
	out := RunResult{
		Status: run.Outcome, RunID: run.ID, Reason: run.Reason, Stage: res.Stage, Tail: res.Tail, Warnings: run.Warnings,
		Seconds: seconds(run.End.Sub(run.Start)), Rows: run.Rows, Artifacts: s.ws.Artifacts(), Record: s.record(),
		ExitCode: code, Tasks: []TaskResult{},
	}
	if len(res.Task) > 0 {
		out.Task = res.Task[len(res.Task)-1]
	}
	for _, t := range run.Tasks {
		out.Tasks = append(out.Tasks, TaskResult{
			Name: t.Name, Status: t.Outcome, Seconds: seconds(t.End.Sub(t.Start)), Rows: t.Rows, Streams: t.Streams,
			Bottleneck: t.Slowest,
		})
	}
	return out
}

// seconds rounds to milliseconds; what has not ended took none.
func seconds(d time.Duration) float64 {
	return float64(max(d.Round(time.Millisecond), 0).Milliseconds()) / 1000
}
