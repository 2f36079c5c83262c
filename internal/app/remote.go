package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/commit"
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
	Force   bool          // remove what a `run local` has left in the workspace

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
	commits *commit.Store
	from    commit.Commit // what the run goes on from
	lease   *lease.Lease  // nil: overlap is allowed
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
	o.engine = r.bound
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

// PlanRemote returns what RunRemote would run, with the values of secrets masked. The release is fetched into a temporary
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
	return forShow(p, f.redactor.String), nil
}

func (a *App) newRemoteRun(f *fetched, o RemoteOptions) *remoteRun {
	task := f.cloud.Scope.Task
	r := &remoteRun{
		app: a, o: o, f: f, jobID: o.jobID, job: o.job,
		ledger:  &ledger.Bucket{Files: f.cloud.Files, Task: task, Parallel: f.cloud.Parallel},
		commits: a.commits(f.cloud),
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
	r.checkpointed = r.storeCheckpoint
	return p, nil
}

// prepare brings into the workspace what the run works on.
func (r *remoteRun) prepare(ctx context.Context, lock *workspace.Lock) error {
	r.f.dropReleases()
	if err := r.claim(ctx); err != nil {
		return err
	}
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

// claim finds out from what to go on. A run that will store something keeps out those who had the lease before it, and
// finishes the record of the last run that has stored something, if that died before it could.
func (r *remoteRun) claim(ctx context.Context) (err error) {
	if len(r.tasks) > 0 || r.o.Push {
		r.from, err = r.commits.Claim(ctx, r.fence(), r.f.input.RunID)
	} else {
		r.from, err = r.commits.Read(ctx)
	}
	if err == nil && r.o.Push { // better now than when there is something to store
		_, err = r.commits.Artifacts.Index(ctx)
	}
	if err != nil || r.from.Run == "" {
		return err
	}
	switch done, err := r.ledger.MarkCommitted(ctx, r.from.Run, r.from.Ended); {
	case err != nil:
		r.app.Log.Warn(fmt.Sprintf("the record of the last good run cannot be finished: %v", err))
	case done:
		r.app.Log.Warn(fmt.Sprintf("run %s has stored what it left, but not the end of its record: that is done now", r.from.Run))
	}
	return nil
}

// ofRun says which artifacts tell of one run and are nothing that a next one goes on from.
func ofRun(path string) bool {
	return path == ledger.FileName || path == runLog || strings.HasPrefix(path, "."+ledger.FileName) || strings.HasPrefix(path, ".spool-")
}

func (r *remoteRun) fetchArtifacts(ctx context.Context) error {
	o := artifact.FetchOptions{Dir: r.f.ws.Artifacts(), Exact: true, Skip: ofRun}
	if err := r.maySweep(ctx, o); err != nil {
		return err
	}
	got, err := r.commits.Artifacts.Fetch(ctx, r.from.Artifacts, o)
	if err != nil {
		return err
	}
	if got.Name != "" {
		r.app.Log.Info(fmt.Sprintf("artifacts of %s: %s, %s", got.Time.Format(time.RFC3339), Count(got.Files, "file"), Bytes(got.Bytes)))
		r.tellSwept(got.Removed)
		return nil
	}
	before, err := ledger.Read(r.f.record())
	if err != nil || before.Outcome == string(pipeline.Success) {
		return nil
	}
	removed, err := artifact.Clear(o)
	r.app.Log.Info(fmt.Sprintf("the artifacts that run %s (%s) has left in the workspace are removed", before.ID, before.Outcome))
	r.tellSwept(removed)
	return err
}

func (r *remoteRun) tellSwept(files int) {
	if files > 0 {
		r.app.Log.Info(fmt.Sprintf("%s of the workspace that the bucket does not have: removed", Count(files, "artifact")))
	}
}

// maySweep refuses to remove what only a `run local` has made: nobody else has it.
func (r *remoteRun) maySweep(ctx context.Context, o artifact.FetchOptions) error {
	before, err := ledger.Read(r.f.record())
	if err != nil || !before.Local || r.o.Force { // no record: a new workspace
		return nil
	}
	n := 0
	if r.from.Artifacts != "" || before.Outcome != string(pipeline.Success) {
		if n, err = r.commits.Artifacts.Loses(ctx, r.from.Artifacts, o); err != nil {
			return err
		}
	}
	if n == 0 {
		return nil
	}
	return &UsageError{
		Message: fmt.Sprintf("the workspace %s has %s of `handoff run local` that the bucket does not have", r.f.ws.Dir(), Count(n, "artifact")),
		Hint:    "this run would remove or replace them: name another workspace with -w, store them with `handoff artifacts push`, or add --force",
	}
}

func (r *remoteRun) fetchStates(ctx context.Context) error {
	return cloud.Each(ctx, r.f.cloud.Parallel, slices.Collect(maps.Values(r.tasks)), func(ctx context.Context, t *taskState) error {
		v, err := r.commits.State(ctx, r.from, t.name)
		_, named := r.from.States[t.name]
		if err != nil && (named || !errors.Is(err, cloud.ErrNotFound)) { // a state that is lost is not one that has not begun
			return err
		}
		return state.WriteFile(t.file, v.State)
	})
}

// record implements edge.
func (r *remoteRun) record(run *ledger.Run) {
	scope := r.f.cloud.Scope
	run.Project, run.ResourceGroup, run.Task, run.EnvStage = scope.Task, scope.ResourceGroup, scope.Task, scope.Stage
	run.Release, run.Fence = r.f.release, r.fence()
	run.Job, run.Schedule, run.ScheduledAt = r.jobID, r.job.Schedule, r.job.ScheduledAt
	if r.job.Trigger != "" {
		run.Trigger = string(r.job.Trigger)
	}
}

// begin implements edge.
func (r *remoteRun) begin(ctx context.Context, log *slog.Logger, rec *ledger.Recorder) error {
	r.log, r.rec = log, rec
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
func (r *remoteRun) commit(ctx context.Context, _ pipeline.Result, code int) (final bool, err error) {
	ctx = context.WithoutCancel(ctx)
	r.close(ctx)
	if code == 0 {
		if final, err = r.commitSuccess(ctx); err == nil {
			return final, nil
		}
	}
	return false, errors.Join(err, r.pushFailed(ctx))
}

// commitSuccess makes the states and the artifacts of the run what the next one goes on from.
func (r *remoteRun) commitSuccess(ctx context.Context) (final bool, err error) {
	if err := r.stillHeld(ctx); err != nil {
		return false, err
	}
	states, err := r.ended()
	if err != nil || len(states) == 0 && !r.o.Push {
		return false, err
	}
	ch := r.change(commit.ByRun)
	ch.States, ch.Also = states, r.mirror.Put
	if r.o.Push {
		ch.Push = r.pushOptions()
	}
	done, err := r.commits.Commit(ctx, ch)
	if err != nil {
		return false, err
	}
	r.pushed = done.Pushed
	tellCommitted(r.log, done)
	return true, nil
}

func (r *remoteRun) change(by commit.By) commit.Change {
	return commit.Change{By: by, Writer: r.f.input.RunID, Fence: r.fence()}
}

func (r *remoteRun) pushOptions() *artifact.PushOptions {
	return &artifact.PushOptions{
		Dir: r.f.ws.Artifacts(), Run: r.f.input.RunID, Fence: r.fence(), Keep: keep(r.f.project), Skip: ofRun,
	}
}

// stillHeld returns an error if another run has taken over the task: what this one has made is not what the next one
// should go on from.
func (r *remoteRun) stillHeld(ctx context.Context) error {
	if r.lease == nil {
		return nil
	}
	return r.lease.Check(ctx)
}

// storeCheckpoint advances one state alone, and keeps everything else as it is.
func (r *remoteRun) storeCheckpoint(ctx context.Context, v state.Version) error {
	ch := r.change(commit.ByCheckpoint)
	ch.States = []state.Version{v}
	_, err := r.commits.Commit(ctx, ch)
	return err
}

func (r *remoteRun) fence() int64 {
	if r.lease == nil {
		return 0
	}
	return r.lease.Fence()
}

// pushFailed stores the artifacts of a run that has failed, as the project wants it.
func (r *remoteRun) pushFailed(ctx context.Context) (err error) {
	policy := onFailure(r.f.project)
	if r.job.PushOnFail && policy == "discard" && r.f.project.Artifacts.OnFailure == "" {
		policy = "keep"
	}
	switch {
	case !r.o.Push || policy == "discard":
		return nil
	case policy == "commit":
		ch := r.change(commit.ByFailed)
		ch.Push = r.pushOptions()
		done, err := r.commits.Commit(ctx, ch)
		if err == nil {
			r.pushed = done.Pushed
			tellCommitted(r.log, done)
		}
		return err
	}
	r.pushed, err = r.commits.PushApart(ctx, *r.pushOptions())
	if err == nil {
		tellPushed(r.log, r.pushed)
	}
	return err
}

// tellCommitted says what was stored.
func tellCommitted(log *slog.Logger, done commit.Done) {
	if done.Pushed.Name != "" {
		tellPushed(log, done.Pushed)
	}
	if done.Untidy != nil {
		log.Warn(fmt.Sprintf("all is stored, but what is older than it is not removed yet: %v", done.Untidy))
	}
}

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

// wordsOfRun are the files that tell of the run, for its archive. The log of a job is kept with the logs of the task.
func (r *remoteRun) wordsOfRun() []string {
	if r.jobID != "" {
		return []string{ledger.FileName}
	}
	return []string{ledger.FileName, runLog}
}

// end implements edge.
func (r *remoteRun) end(ctx context.Context, run ledger.Run) error {
	ctx = context.WithoutCancel(ctx)
	r.close(ctx)
	if r.mirror == nil {
		return r.ledger.Put(ctx, run)
	}
	r.mirror.Close()
	var wg sync.WaitGroup // writes at the same time share their way to the disk
	defer wg.Wait()
	if r.pushed.Name != "" {
		for _, name := range r.wordsOfRun() {
			wg.Go(func() {
				if err := r.commits.Artifacts.AddFile(ctx, r.pushed.Archive, r.f.ws.Artifacts(), name); err != nil {
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

// commits returns from what the next run of the task of c's scope goes on.
func (a *App) commits(c *cloud.Cloud) *commit.Store {
	return commit.Open(c.Files, c.Scope.Task, c.Parallel, a.Now)
}
