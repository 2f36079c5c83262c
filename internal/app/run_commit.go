package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/commit"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/state"
	"github.com/handoff-run/handoff/internal/stream"
)

// describe implements hooks.
func (r *releaseRun) describe(run *ledger.Run) {
	scope := r.cloud.Scope
	run.Project, run.ResourceGroup, run.Task, run.Client, run.EnvStage = scope.Task, scope.ResourceGroup, scope.Task, scope.Client, scope.Stage
	run.Release, run.Fence = r.release, r.fence()
	run.JobID, run.ScheduleID, run.ScheduledAt = r.options.jobID, r.options.job.ScheduleID, r.options.job.ScheduledAt
	if r.options.job.Trigger != "" {
		run.Trigger = string(r.options.job.Trigger)
	}
	run.Again, run.Series, run.LeftOut = r.options.job.Again, r.options.job.Series, r.left
	start := r.options.job
	if r.options.jobID == "" {
		start = typed(r.session.target)
	}
	run.Asked = asked(start, r.session.input.Now, r.session.redactor.String)
	run.Asked.Push = r.options.Push
}

// usual implements hooks.
func (r *releaseRun) usual(task []string, stage string) stream.Before {
	return r.earlier.of(task, stage)
}

// started implements hooks.
func (r *releaseRun) started(ctx context.Context, e *pipeline.Engine, log *slog.Logger, rec *ledger.Recorder) (err error) {
	r.endWithLease(ctx, e)
	r.log = log
	if r.earlier, err = earlierInBucket(ctx, r.records, r.app, r.plan); err != nil {
		return err
	}
	r.mirror, err = r.records.Follow(ctx, rec, func(err error) {
		log.Warn(fmt.Sprintf("the record in the bucket cannot be kept up to date: %v", err))
	})
	if err == nil {
		r.states.follow(context.WithoutCancel(ctx), log, rec)
	}
	return err
}

// stateful implements hooks.
func (r *releaseRun) stateful() pipeline.States { return r.states }

// commit implements hooks.
func (r *releaseRun) commit(ctx context.Context, _ pipeline.Result, code int) (final bool, err error) {
	if r.options.ends != nil {
		r.options.ends()
	}
	ctx = r.storing(ctx)
	r.states.close(ctx)
	if r.apart && code == 0 {
		return false, nil
	}
	if code == 0 {
		if final, err = r.commitSuccess(ctx); err == nil {
			return final, nil
		}
	}
	return false, errors.Join(err, r.pushFailed(ctx))
}

// storing returns a context for what is stored at the end of the run. That the run was asked to end does not end it; that another
// run may have begun does: a call that hangs would keep the run from ever ending.
func (r *releaseRun) storing(ctx context.Context) context.Context {
	if r.lease == nil {
		return context.WithoutCancel(ctx)
	}
	return r.lease.Held()
}

// commitSuccess makes the states and the artifacts of the run what the next one goes on from.
func (r *releaseRun) commitSuccess(ctx context.Context) (final bool, err error) {
	if err := r.stillHeld(ctx); err != nil {
		return false, err
	}
	states, err := r.states.ended()
	if err != nil || len(states) == 0 && !r.options.Push {
		return false, err
	}
	ch := r.change(commit.ByRun)
	ch.States, ch.Also = states, r.mirror.Put
	if r.options.Push {
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

func (r *releaseRun) change(by commit.By) commit.Change {
	return commit.Change{By: by, Writer: r.session.input.RunID, Fence: r.fence()}
}

func (r *releaseRun) pushOptions() *artifact.PushOptions {
	return &artifact.PushOptions{
		Dir: r.session.ws.Artifacts(), RunID: r.session.input.RunID, Fence: r.fence(), Keep: keep(r.session.project), Skip: ofRun,
	}
}

// stillHeld returns an error if another run has taken over the task: what this one has made is not what the next one
// should go on from.
func (r *releaseRun) stillHeld(ctx context.Context) error {
	if r.lease == nil {
		return nil
	}
	return r.lease.Check(ctx)
}

// store implements keeper: it advances these states alone.
func (r *releaseRun) store(ctx context.Context, versions []state.Version) error {
	ch := r.change(commit.ByBody)
	if versions[0].Checkpoint {
		ch.By = commit.ByCheckpoint
	} else {
		ctx = r.storing(ctx)
	}
	ch.States, ch.After = versions, r.now.Load()
	done, err := r.commits.Commit(ctx, ch)
	if err != nil {
		r.unsure.Store(true)
		return err
	}
	r.now.Store(&done.Commit)
	r.unsure.Store(false)
	for _, v := range versions {
		if v.Checkpoint { // a further try goes on from it
			err = errors.Join(err, state.WriteFile(r.session.input.StateFile(v.Key()), v.State))
		}
	}
	return err
}

func (r *releaseRun) fence() int64 {
	if r.lease == nil {
		return 0
	}
	return r.lease.Fence()
}

// pushFailed stores the artifacts of a run that has failed, as the project wants it.
func (r *releaseRun) pushFailed(ctx context.Context) (err error) {
	policy := onFailure(r.session.project)
	if r.options.job.PushOnFail && policy == "discard" && r.session.project.Artifacts.OnFailure == "" {
		policy = "keep"
	}
	if r.apart && policy == "commit" {
		policy = "keep"
	}
	switch {
	case !r.options.Push || policy == "discard":
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
func (r *releaseRun) wordsOfRun() []string {
	if r.options.jobID != "" {
		return []string{ledger.FileName}
	}
	return []string{ledger.FileName, runLog}
}

// end implements hooks. The record may take as long on its way to the bucket as a sign of life may stay away.
func (r *releaseRun) end(ctx context.Context, run ledger.Run) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.app.Lease.Stop())
	defer cancel()
	r.states.close(ctx)
	r.ended = run
	if r.mirror == nil {
		return r.records.Put(ctx, run)
	}
	r.mirror.Close()
	var wg sync.WaitGroup // writes at the same time share their way to the disk
	defer wg.Wait()
	if r.pushed.Name != "" {
		for _, name := range r.wordsOfRun() {
			wg.Go(func() {
				if err := r.commits.Artifacts.AddFile(ctx, r.pushed.Archive, r.session.ws.Artifacts(), name); err != nil {
					r.log.Warn(err.Error())
				}
			})
		}
	}
	if err := r.records.Put(ctx, run); err != nil {
		return err
	}
	wg.Wait()
	if err := r.app.sweepDaily(ctx, r.cloud, r.session.project); err != nil {
		r.log.Warn(fmt.Sprintf("what is too old is not removed yet: %v", err))
	}
	return nil
}

// notStarted records a run that did not come to its first task: one that was refused because another one goes on is a result.
func (r *releaseRun) notStarted(ctx context.Context, why error) (RunResult, error) {
	outcome := string(pipeline.Failed)
	held, refused := errors.AsType[*lease.HeldError](why)
	if refused {
		outcome = ledger.Skipped
	}
	run := r.app.runRecord(r.session)
	r.describe(&run)
	var err error
	r.ended, err = r.app.recordUnstarted(ctx, r.records, run, outcome, why, r.session.clean)
	if !refused {
		return RunResult{}, errors.Join(why, err)
	}
	r.app.Log.Error(held.Error())
	return RunResult{
		Status: ledger.Skipped, RunID: r.session.input.RunID, Reason: held.Error(), ExitCode: ExitRefused,
		Tasks: []TaskResult{}, Artifacts: r.session.ws.Artifacts(), Record: r.session.record(),
	}, err
}

// recordUnstarted stores and returns the record of a run that ended before its first task.
func (a *App) recordUnstarted(ctx context.Context, to *ledger.Bucket, run ledger.Run, outcome string, why error, mask func(string) string) (ledger.Run, error) {
	if _, err := to.Key(run.ID); err != nil {
		return ledger.Run{}, nil // that is why it did not start
	}
	run.SchemaVersion, run.Outcome, run.Reason, run.ExitCode = ledger.SchemaVersion, outcome, mask(InShort(why)), Code(why)
	if in, stopped := errors.AsType[pipeline.Interrupt](context.Cause(ctx)); stopped {
		run.Outcome, run.ExitCode = string(pipeline.Interrupted), ExitSignal+int(in.Signal)
	}
	run.End, run.Updated, run.Tasks = a.Now().UTC(), a.Now().UTC(), []*ledger.Task{}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Lease.Stop())
	defer cancel()
	return run, to.Put(ctx, run)
}

// InShort is the text of err, on one line: of many mistakes in files the first one, of what is not there with the way out.
func InShort(err error) string {
	if hidden, ok := errors.AsType[*maskedError](err); ok {
		return hidden.mask(InShort(hidden.error))
	}
	all, ok := errors.AsType[project.Errors](err)
	if hint := cloud.Hint(err); hint != "" && errors.Is(err, cloud.ErrNotFound) {
		return fmt.Sprintf("%v (%s)", err, hint)
	}
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
	return commit.Open(c.Files, c.Scope.Prefix(), c.Parallel, a.Now)
}
