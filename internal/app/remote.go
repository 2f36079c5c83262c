package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/state"
	"github.com/handoff-run/handoff/internal/workspace"
)

// RemoteOptions says what to run of what the bucket has.
type RemoteOptions struct {
	RunOptions
	Release string        // as release.Store.Resolve takes it; "": the current one
	Overlap cloud.Overlap // "": that of the project

	jobID string      // of the job that this is; "": it is none
	job   cloud.Start // of that job
	at    time.Time   // in its zone: what _today and the like are taken from; zero: now

	waits  func(run string) // see JobOptions
	begins func()
}

// remoteRun is a run of a release and what it does around its tasks.
type remoteRun struct {
	*states
	app     *App
	o       RemoteOptions
	f       *fetched
	jobID   string // "": this is no job
	job     cloud.Start
	ledger  *ledger.Bucket
	objects *artifact.Store
	history *state.Store
	lease   *lease.Lease // nil: overlap is allowed
	mirror  *ledger.Mirror
	pushed  artifact.Pushed
	shared  *os.File // locked while the run uses virtual environments that jobs share; nil: it uses none
}

// RunRemote runs a release of the bucket: it fetches release, secrets, artifacts and states into the workspace, runs, and
// stores what the next run needs. The error is for a run that could not be started; one that was refused because another
// one is going on is a result with the status "skipped".
func (a *App) RunRemote(ctx context.Context, o RemoteOptions) (res RunResult, err error) {
	if err := o.Overlap.Check(); err != nil {
		return RunResult{}, &UsageError{Message: err.Error(), Hint: cloud.Hint(err)}
	}
	f, err := a.openRelease(ctx, o.Target, o.Release)
	if err != nil {
		return RunResult{}, err
	}
	defer f.hideSecrets(&err)
	r := a.newRemoteRun(f, o)
	started := false
	defer func() {
		if err != nil && !started {
			err = errors.Join(err, r.neverStarted(ctx, string(pipeline.Failed), err))
		}
	}()
	p, err := r.plan()
	if err != nil {
		return RunResult{}, err
	}
	ctx, err = r.takeLease(ctx)
	if held, ok := errors.AsType[*lease.HeldError](err); ok {
		started = true
		return r.refused(ctx, held)
	}
	if err != nil {
		return RunResult{}, err
	}
	defer r.releaseLease(ctx)
	if o.begins != nil {
		o.begins()
	}
	lock, err := a.lock(ctx, f.session)
	if err != nil {
		return RunResult{}, err
	}
	defer lock.Release()
	defer func() { _ = r.shared.Close() }() // it may be nil
	if err := r.prepare(ctx, lock); err != nil {
		return RunResult{}, err
	}
	started = true
	res, err = a.execute(ctx, o.RunOptions, f.session, p, lock, r)
	res.Pushed = r.pushed.Name
	return res, err
}

// PlanRemote answers what RunRemote would run, with the values of secrets masked. The release is fetched into a temporary
// folder; nothing else is changed.
func (a *App) PlanRemote(ctx context.Context, o RemoteOptions) (res *plan.Plan, err error) {
	tmp, err := os.MkdirTemp("", "handoff-plan-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary workspace: %w", err)
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // only takes room
	shown := first(o.WorkspaceDir, "$WORKSPACE")
	o.WorkspaceDir = tmp
	f, err := a.openRelease(ctx, o.Target, o.Release)
	if err != nil {
		return nil, err
	}
	defer f.hideSecrets(&err)
	f.input.Workspace = shown
	f.input.Activate = func(venv string) []string { return a.activate(shown + "/" + venv) }
	p, err := a.build(f.session)
	if err != nil {
		return nil, inProject(err)
	}
	p.Project = f.cloud.Scope.Task
	return masked(p, f.redactor.String)
}

func (a *App) newRemoteRun(f *fetched, o RemoteOptions) *remoteRun {
	task := f.cloud.Scope.Task
	r := &remoteRun{
		app: a, o: o, f: f, jobID: o.jobID, job: o.job,
		ledger:  &ledger.Bucket{Files: f.cloud.Files, Task: task, Parallel: f.cloud.Parallel},
		objects: a.artifacts(f.cloud),
		history: &state.Store{Files: f.cloud.Files, Task: task, Now: a.Now},
	}
	if o.job.Run != "" {
		f.input.RunID = o.job.Run
	}
	if !o.at.IsZero() {
		f.input.Now = o.at
	}
	f.input.StateFile = func(task string) string { return filepath.Join(f.ws.States(), task+".json") }
	return r
}

func (r *remoteRun) plan() (*plan.Plan, error) {
	if _, err := r.ledger.Key(r.f.input.RunID); err != nil {
		return nil, err
	}
	p, err := r.app.build(r.f.session)
	if err != nil {
		return nil, inProject(err)
	}
	p.Project = r.f.cloud.Scope.Task
	r.states = newStates(p, r.f.ws.Artifacts())
	r.store = r.storeState
	return p, nil
}

// prepare brings into the workspace what the run works on.
func (r *remoteRun) prepare(ctx context.Context, lock *workspace.Lock) error {
	r.f.dropReleases()
	if err := r.fetchArtifacts(ctx); err != nil {
		return err
	}
	if err := r.fetchStates(ctx); err != nil {
		return err
	}
	if err := r.app.render(ctx, r.f.session); err != nil {
		return err
	}
	return r.installAll(ctx, lock)
}

// ofRun says which artifacts tell of one run and are nothing that a next one goes on from.
func ofRun(path string) bool {
	return path == ledger.FileName || path == runLog || strings.HasPrefix(path, "."+ledger.FileName) || strings.HasPrefix(path, ".spool-")
}

func (r *remoteRun) fetchArtifacts(ctx context.Context) error {
	o := artifact.FetchOptions{Dir: r.f.ws.Artifacts(), Exact: true, Skip: ofRun}
	got, found, err := r.objects.Fetch(ctx, o)
	if err != nil {
		return err
	}
	if found {
		r.app.Log.Info(fmt.Sprintf("artifacts of %s: %s, %s", got.Time.Format(time.RFC3339), Count(got.Files, "file"), Bytes(got.Bytes)))
		return nil
	}
	before, err := ledger.Read(r.f.record())
	if err == nil && before.Outcome != string(pipeline.Success) {
		r.app.Log.Info(fmt.Sprintf("the artifacts that run %s (%s) has left in the workspace are removed", before.ID, before.Outcome))
		return artifact.Clear(o)
	}
	return nil
}

func (r *remoteRun) fetchStates(ctx context.Context) error {
	for _, t := range r.tasks {
		v, err := r.history.Current(ctx, t.name)
		if err != nil && !errors.Is(err, cloud.ErrNotFound) {
			return err
		}
		if err := state.WriteFile(t.file, v.State); err != nil {
			return err
		}
	}
	return nil
}

// record implements edge.
func (r *remoteRun) record(run *ledger.Run) {
	scope := r.f.cloud.Scope
	run.Project, run.ResourceGroup, run.Task, run.EnvStage = scope.Task, scope.ResourceGroup, scope.Task, scope.Stage
	run.Release = r.f.release
	run.Job, run.Schedule, run.ScheduledAt = r.jobID, r.job.Schedule, r.job.ScheduledAt
	if r.job.Trigger != "" {
		run.Trigger = string(r.job.Trigger)
	}
}

// begin implements edge.
func (r *remoteRun) begin(ctx context.Context, log *slog.Logger, rec *ledger.Recorder) error {
	r.log = log
	var err error
	r.mirror, err = r.ledger.Follow(ctx, rec, func(err error) {
		log.Warn(fmt.Sprintf("the record in the bucket cannot be kept up to date: %v", err))
	})
	if err != nil {
		return err
	}
	r.follow(context.WithoutCancel(ctx))
	return nil
}

// commit implements edge.
func (r *remoteRun) commit(ctx context.Context, _ pipeline.Result, code int) error {
	ctx = context.WithoutCancel(ctx)
	r.close()
	var err error
	if code == 0 {
		if err = r.stillHeld(ctx); err == nil {
			err = r.states.commit(ctx)
		}
	}
	return errors.Join(err, r.push(ctx, code != 0 || err != nil))
}

// stillHeld answers an error if another run has taken over the task: what this one has made is not what the next one
// should go on from.
func (r *remoteRun) stillHeld(ctx context.Context) error {
	if r.lease == nil {
		return nil
	}
	return r.lease.Check(ctx)
}

func (r *remoteRun) storeState(ctx context.Context, task string, s json.RawMessage, checkpoint bool) error {
	_, err := r.history.Commit(ctx, state.Version{
		Task: task, Run: r.f.input.RunID, By: state.ByRun, Checkpoint: checkpoint, Fence: r.fence(), State: s,
	})
	return err
}

func (r *remoteRun) fence() int64 {
	if r.lease == nil {
		return 0
	}
	return r.lease.Fence()
}

// push stores the artifacts where that was asked for.
func (r *remoteRun) push(ctx context.Context, failed bool) error {
	if !r.o.Push {
		return nil
	}
	policy := onFailure(r.f.project)
	if r.job.PushOnFail && policy == "discard" && r.f.project.Artifacts.OnFailure == "" {
		policy = "keep"
	}
	if failed && policy == "discard" {
		return nil
	}
	pushed, err := r.objects.Push(ctx, artifact.PushOptions{
		Dir: r.f.ws.Artifacts(), Run: r.f.input.RunID, Fence: r.fence(), Keep: keep(r.f.project),
		Failed: failed && policy != "commit", Skip: ofRun,
	})
	if err != nil {
		return err
	}
	tellPushed(r.log, pushed)
	r.pushed = pushed
	return nil
}

// tellPushed says what was stored.
func tellPushed(log *slog.Logger, p artifact.Pushed) {
	for _, name := range p.Skipped {
		log.Warn(fmt.Sprintf("artifact %q is no file: it is not stored", name))
	}
	log.Info(fmt.Sprintf("artifacts stored: %s, %s, %s", p.Name, Count(p.Files, "file"), Bytes(p.Bytes)))
}

// onFailure says what becomes of the artifacts of a failed run.
func onFailure(p *project.Project) string {
	switch {
	case p.Artifacts.OnFailure != "":
		return p.Artifacts.OnFailure
	case p.Deploy.PushOnFail != nil && !*p.Deploy.PushOnFail:
		return "discard"
	}
	return "keep"
}

// end implements edge.
func (r *remoteRun) end(ctx context.Context, run ledger.Run) error {
	ctx = context.WithoutCancel(ctx)
	r.close()
	if r.mirror == nil {
		return r.ledger.Put(ctx, run)
	}
	r.mirror.Close()
	var wg sync.WaitGroup // writes at the same time share their way to the disk
	defer wg.Wait()
	if r.pushed.Name != "" {
		for _, name := range []string{ledger.FileName, runLog} {
			wg.Go(func() {
				if err := r.objects.AddFile(ctx, r.pushed.Archive, r.f.ws.Artifacts(), name); err != nil {
					r.log.Warn(err.Error())
				}
			})
		}
	}
	return r.ledger.Put(ctx, run)
}

// neverStarted records a run that did not come to its first task.
func (r *remoteRun) neverStarted(ctx context.Context, outcome string, why error) error {
	run := r.app.runRecord(r.f.session)
	r.record(&run)
	return r.app.recordUnstarted(ctx, r.ledger, run, outcome, why, r.f.clean)
}

// recordUnstarted stores the record of a run that ended before its first task.
func (a *App) recordUnstarted(ctx context.Context, to *ledger.Bucket, run ledger.Run, outcome string, why error, mask func(string) string) error {
	if _, err := to.Key(run.ID); err != nil {
		return nil // that is why it did not start
	}
	run.SchemaVersion, run.Outcome, run.Reason, run.ExitCode = ledger.SchemaVersion, outcome, mask(InShort(why)), Code(why)
	if in, stopped := errors.AsType[pipeline.Interrupt](context.Cause(ctx)); stopped {
		run.Outcome, run.ExitCode = string(pipeline.Interrupted), ExitSignal+int(in.Signal)
	}
	run.End, run.Updated, run.Tasks = a.Now().UTC(), a.Now().UTC(), []*ledger.Task{}
	return to.Put(context.WithoutCancel(ctx), run)
}

// InShort is the text of err; of many mistakes in files only the first one, on one line.
func InShort(err error) string {
	if hidden, ok := errors.AsType[*maskedError](err); ok {
		return hidden.mask(InShort(hidden.error))
	}
	all, ok := errors.AsType[project.Errors](err)
	if !ok || len(all) == 0 {
		return err.Error()
	}
	d := all[0]
	d.Source, d.Pos.File = "", filepath.Base(d.Pos.File)
	if len(all) == 1 {
		return d.String()
	}
	return fmt.Sprintf("%s; and %d more", d, len(all)-1)
}

// keep is how many archives the project wants.
func keep(p *project.Project) int {
	if p != nil && p.Artifacts.Keep > 0 {
		return p.Artifacts.Keep
	}
	return project.DefaultKeep
}

// artifacts answers the artifacts of the task of c's scope.
func (a *App) artifacts(c *cloud.Cloud) *artifact.Store {
	return &artifact.Store{Files: c.Files, Task: c.Scope.Task, Parallel: c.Parallel, Now: a.Now}
}
