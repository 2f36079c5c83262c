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
	"sync/atomic"
	"time"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/commit"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/state"
	"github.com/handoff-run/handoff/internal/workspace"
)

// RunReleaseOptions says what to run of what the bucket has.
type RunReleaseOptions struct {
	RunOptions
	Release string        // as release.Store.Resolve takes it; "": the current one
	Overlap cloud.Overlap // "": that of the project
	Force   bool          // remove what a `run local` has left in the workspace

	jobID string      // of the job that this is; "": it is none
	job   cloud.Start // of that job
	at    time.Time   // in its zone: what _today and the like are taken from; zero: now

	waits  func(runID string) // see JobOptions
	begins func()
	ends   func()
}

// releaseRun is a run of a release, and what was made for it so far.
type releaseRun struct {
	app     *App
	options RunReleaseOptions
	session *session // its project is the release
	cloud   *cloud.Cloud
	release string // id
	records *ledger.Bucket
	commits *commit.Store

	plan   *plan.Plan
	apart  bool       // it neither goes on from what others have left nor leaves anything to them
	left   []string   // tasks that it leaves out
	before ledger.Run // the run of which it runs only those
	states *states
	lease  *lease.Lease                  // nil: overlap is allowed
	lock   *workspace.Lock               // of the workspace
	venvs  *os.File                      // locked while the run uses virtual environments that jobs share; nil: it uses none
	from   commit.Commit                 // what the run goes on from
	now    atomic.Pointer[commit.Commit] // the same with the states that it has stored since; nil: none
	unsure atomic.Bool                   // of now: a commit has failed that may be made all the same
	mirror *ledger.Mirror                // of its record, in the bucket
	log    *slog.Logger                  // of the run
	pushed artifact.Pushed
	died   ledger.Run // the run before this one, where that was found dead
	ended  ledger.Run // the record of this one at its end

	earlier earlier // good runs
}

// RunRelease runs a release of the bucket: it fetches release, secrets, artifacts and states into the workspace, runs, and
// stores what the next run needs. The error is for a run that could not be started; one that was refused because another
// one is going on is a result with the status "skipped".
func (a *App) RunRelease(ctx context.Context, o RunReleaseOptions) (res RunResult, err error) {
	if err := o.Overlap.Check(); err != nil {
		return RunResult{}, &UsageError{Message: err.Error(), Hint: cloud.Hint(err)}
	}
	if err := o.takeOver(a.Now()); err != nil {
		return RunResult{}, err
	}
	f, err := a.openRelease(ctx, o.Target, o.Release)
	if err != nil {
		return RunResult{}, err
	}
	defer f.session.hideSecrets(&err)
	r := a.newReleaseRun(f, o)
	defer func() {
		r.close(ctx) // nobody waits for what is told now
		r.tell(ctx, &res)
	}()
	if ctx, err = r.prepare(ctx); err != nil {
		return r.notStarted(ctx, err)
	}
	res, err = a.execute(ctx, o.RunOptions, r.session, r.plan, r.lock, r)
	res.Pushed = r.pushed.Name
	return res, err
}

// PlanRelease returns what RunRelease would run, with the values of secrets masked. The release is fetched into a temporary
// folder; nothing else is changed.
func (a *App) PlanRelease(ctx context.Context, o RunReleaseOptions) (res *plan.Plan, err error) {
	tmp, err := os.MkdirTemp("", "handoff-plan-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary workspace: %w", err)
	}
	defer os.RemoveAll(tmp) // only takes room
	if err := o.takeOver(a.Now()); err != nil {
		return nil, err
	}
	shown := first(o.WorkspaceDir, anyWorkspace)
	o.WorkspaceDir = tmp
	f, err := a.openRelease(ctx, o.Target, o.Release)
	if err != nil {
		return nil, err
	}
	s := f.session
	defer s.hideSecrets(&err)
	s.input.Workspace = shown
	s.input.Activate = func(venv string) []string { return a.activate(shown + "/" + venv) }
	s.input.Now = o.Again.time(s.input.Now)
	p, err := a.build(s)
	if err != nil {
		return nil, inProject(err)
	}
	if _, err := o.Again.leaveOut(p); err != nil {
		return nil, err
	}
	p.Project = f.cloud.Scope.Task
	return forShow(p, s.redactor.String), nil
}

func (a *App) newReleaseRun(f *fetched, o RunReleaseOptions) *releaseRun {
	r := &releaseRun{
		app: a, options: o, session: f.session, cloud: f.cloud, release: f.id,
		records: a.ledger(f.cloud, 0),
		commits: a.commits(f.cloud),
	}
	if o.job.RunID != "" {
		r.session.input.RunID = o.job.RunID
	}
	if !o.at.IsZero() {
		r.session.input.Now = o.at
	}
	r.session.input.StateFile = func(name string) string { return filepath.Join(r.session.ws.States(), name+".json") }
	return r
}

// prepare takes every step before the first task. The returned context ends when the run has to.
func (r *releaseRun) prepare(ctx context.Context) (context.Context, error) {
	if err := r.makePlan(ctx); err != nil {
		return ctx, err
	}
	ctx, err := r.takeLease(ctx)
	if err != nil {
		return ctx, err
	}
	for _, step := range []func(context.Context) error{
		r.begin, r.lockWorkspace, r.claim, r.fetchArtifacts, r.fetchStates, r.renderFiles, r.installAll,
	} {
		if err := step(ctx); err != nil {
			return ctx, err
		}
	}
	return ctx, nil
}

// close gives back what the steps have taken, the last first.
func (r *releaseRun) close(ctx context.Context) {
	_ = r.venvs.Close() // it may be nil
	if err := r.lock.Release(); err != nil {
		r.app.Log.Warn(err.Error())
	}
	r.releaseLease(ctx)
}

func (r *releaseRun) makePlan(ctx context.Context) error {
	if _, err := r.records.Key(r.session.input.RunID); err != nil {
		return err
	}
	p, err := r.app.build(r.session)
	if err != nil {
		return inProject(err)
	}
	p.Project = r.cloud.Scope.Task
	if r.options.job.FailedOnly {
		if r.before, err = r.app.readRun(ctx, r.cloud, r.records, r.options.job.Again); err == nil {
			r.left, err = (&Again{Run: r.before, FailedOnly: true}).leaveOut(p)
		}
		if err != nil {
			return err
		}
	}
	r.plan, r.states = p, newStates(p, r.session.ws.Artifacts(), r, r.session.redactor.String, r.options.job.Series != "")
	r.apart = apart(r.options.job, r.session.project)
	return nil
}

// begin tells that the run waits for no other one any more.
func (r *releaseRun) begin(context.Context) error {
	if r.options.begins != nil {
		r.options.begins()
	}
	return nil
}

func (r *releaseRun) lockWorkspace(ctx context.Context) (err error) {
	if r.lock, err = r.app.lock(ctx, r.session); err == nil {
		r.session.dropReleases()
	}
	return err
}

func (r *releaseRun) renderFiles(ctx context.Context) error { return r.app.render(ctx, r.session) }

// claim finds out from what to go on. A run that will store something keeps out those who had the lease before it, and
// finishes the record of the last run that has stored something, if that died before it could.
func (r *releaseRun) claim(ctx context.Context) (err error) {
	if r.apart {
		return nil
	}
	if r.states.any || r.options.Push {
		r.from, err = r.commits.Claim(ctx, r.fence(), r.session.input.RunID)
	} else {
		r.from, err = r.commits.Read(ctx)
	}
	if err == nil && r.options.Push { // better now than when there is something to store
		_, err = r.commits.Artifacts.Index(ctx)
	}
	if err != nil || r.from.RunID == "" {
		return err
	}
	switch done, err := r.records.MarkCommitted(ctx, r.from.RunID, r.from.Ended); {
	case err != nil:
		r.app.Log.Warn(fmt.Sprintf("the record of the last good run cannot be finished: %v", err))
	case done:
		r.app.Log.Warn(fmt.Sprintf("run %s has stored what it left, but not the end of its record: that is done now", r.from.RunID))
	}
	return nil
}

// ofRun says which artifacts tell of one run and are nothing that a next one goes on from.
func ofRun(path string) bool {
	return path == ledger.FileName || path == runLog || strings.HasPrefix(path, "."+ledger.FileName) || strings.HasPrefix(path, ".spool-")
}

func (r *releaseRun) fetchArtifacts(ctx context.Context) error {
	o := artifact.FetchOptions{Dir: r.session.ws.Artifacts(), Exact: true, Skip: ofRun}
	if err := r.maySweep(ctx, o); err != nil {
		return err
	}
	name := r.from.Artifacts
	if r.options.job.FailedOnly {
		var err error
		if name, err = r.leftBefore(ctx); err != nil {
			return err
		}
	}
	got, err := r.commits.Artifacts.Fetch(ctx, name, o)
	if err != nil {
		return err
	}
	if got.Name != "" {
		r.app.Log.Info(fmt.Sprintf("artifacts of %s: %s, %s", got.Time.Format(time.RFC3339), Count(got.Files, "file"), Bytes(got.Bytes)))
		r.tellSwept(got.Removed)
		return nil
	}
	before, err := ledger.Read(r.session.record())
	if err != nil || before.Outcome == string(pipeline.Success) && before.Series == "" && !r.apart {
		return nil
	}
	removed, err := artifact.Clear(o)
	r.app.Log.Info(fmt.Sprintf("removing the artifacts that run %s (%s) left in the workspace", before.ID, before.Outcome))
	r.tellSwept(removed)
	return err
}

func (r *releaseRun) tellSwept(files int) {
	if files > 0 {
		r.app.Log.Info(fmt.Sprintf("removed %s that the bucket does not have from the workspace", Count(files, "artifact")))
	}
}

// maySweep refuses to remove what only a `run local` has made: nobody else has it.
func (r *releaseRun) maySweep(ctx context.Context, o artifact.FetchOptions) error {
	before, err := ledger.Read(r.session.record())
	if err != nil || !before.Local || r.options.Force { // no record: a new workspace
		return nil
	}
	n := 0
	if r.from.Artifacts != "" || before.Outcome != string(pipeline.Success) || r.apart {
		if n, err = r.commits.Artifacts.Loses(ctx, r.from.Artifacts, o); err != nil {
			return err
		}
	}
	if n == 0 {
		return nil
	}
	return &UsageError{
		Message: fmt.Sprintf("the workspace %s has %s of `handoff run local` that the bucket does not have", r.session.ws.Dir(), Count(n, "artifact")),
		Hint:    "this run would remove or replace them: name another workspace with -w, store them with `handoff artifacts push`, or add --force",
	}
}

func (r *releaseRun) fetchStates(ctx context.Context) error {
	return cloud.Each(ctx, r.cloud.Parallel, slices.Collect(maps.Values(r.states.tasks)), r.prepareState)
}

// prepareState implements keeper.
func (r *releaseRun) prepareState(ctx context.Context, t *taskState) error {
	if t.apart {
		return state.WriteFile(t.file, nil)
	}
	from, err := r.latest(ctx)
	if err != nil {
		return err
	}
	v, err := r.commits.State(ctx, from, t.name)
	_, named := from.States[t.name]
	if err != nil && (named || !errors.Is(err, cloud.ErrNotFound)) { // a state that is lost is not one that has not begun
		return err
	}
	return state.WriteFile(t.file, v.State)
}

// latest returns from what a pipeline of the run goes on now.
func (r *releaseRun) latest(ctx context.Context) (commit.Commit, error) {
	if r.unsure.Load() {
		return r.commits.Read(ctx)
	}
	if now := r.now.Load(); now != nil {
		return *now, nil
	}
	return r.from, nil
}
