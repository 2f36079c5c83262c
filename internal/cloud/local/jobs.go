package local

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// JobOptions says how jobs are started.
type JobOptions struct {
	Command []string // argv of a job: a program that calls Enter
	Environ []string // "K=V" that it inherits
	Place   []string // "K=V" that tell it where it runs; they win over what the start of a job says
}

// Jobs runs the task of one scope as processes of this machine. Each job has a folder
// <home>/jobs/<env stage>/<group>/<task>/<id> (taskDir) with
//
//	job.json   the record
//	busy       locked while a process of the job is there
//	stop       who asked it to end, and why
//
// and, while it is there, a workspace in <task>/workspaces. Its process needs neither the program that started it nor a
// server. Whether it may run beside others is its own matter: it takes the lease of the task.
type Jobs struct {
	home    *Home
	scope   cloud.Scope
	dir     string // of the task
	options JobOptions
}

var _ cloud.Jobs = (*Jobs)(nil)

// Jobs returns the jobs of a scope.
func (h *Home) Jobs(s cloud.Scope, o JobOptions) *Jobs {
	return &Jobs{home: h, scope: s, dir: h.taskDir("jobs", s), options: o}
}

// Run implements cloud.Jobs. Where the starter of a job was killed before it had started the runner, the next call with
// the same Token does.
func (j *Jobs) Run(ctx context.Context, s cloud.Start) (cloud.Job, error) {
	job, err := j.run(ctx, s)
	if err != nil {
		return cloud.Job{}, fmt.Errorf("run job of task %q: %w", j.scope.Task, kind(err))
	}
	return job, nil
}

func (j *Jobs) run(ctx context.Context, s cloud.Start) (cloud.Job, error) {
	if err := j.enter(ctx); err != nil {
		return cloud.Job{}, err
	}
	task, _, err := j.home.task(j.scope)
	if err != nil {
		return cloud.Job{}, err
	}
	if s, err = s.Of(j.scope, task.Spec); err != nil {
		return cloud.Job{}, err
	}
	unlock, err := j.lock(ctx)
	if err != nil {
		return cloud.Job{}, err
	}
	defer unlock()
	return j.startOnce(s, task.Spec)
}

// enter checks a call.
func (j *Jobs) enter(ctx context.Context) error {
	switch {
	case j.scope.Task == "":
		return fmt.Errorf("%w scope: no task", cloud.ErrInvalid)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return nil
}

// startOnce makes the job, unless its token is known; the task is locked.
func (j *Jobs) startOnce(s cloud.Start, task cloud.TaskSpec) (cloud.Job, error) {
	ids, err := j.ids()
	if err != nil {
		return cloud.Job{}, err
	}
	mark := tokenMark(s.Token)
	known := slices.IndexFunc(ids, func(id string) bool { return strings.HasSuffix(id, mark) })
	if known >= 0 {
		r, err := j.read(ids[known])
		switch {
		case err == nil && r.Pid == 0 && !r.State.Ended() && !j.busy(r.ID):
			return j.start(r)
		case err == nil:
			return j.settle(r)
		case !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrCorrupt):
			return cloud.Job{}, err
		}
		// Its starter was killed before the record was whole, and nobody was told of it.
	}
	return j.start(j.newRecord(s, task, newJobID(ids, mark)))
}

// Status implements cloud.Jobs.
func (j *Jobs) Status(ctx context.Context, id string) (cloud.Job, error) {
	job, err := j.status(ctx, id)
	if err != nil {
		return cloud.Job{}, fmt.Errorf("status of job %q: %w", id, kind(err))
	}
	return job, nil
}

func (j *Jobs) status(ctx context.Context, id string) (cloud.Job, error) {
	if err := j.enter(ctx); err != nil {
		return cloud.Job{}, err
	}
	if !isJobID(id) {
		return cloud.Job{}, fmt.Errorf("job: %w", cloud.ErrNotFound)
	}
	r, err := j.read(id)
	if err != nil {
		return cloud.Job{}, err
	}
	return j.settle(r)
}

// List implements cloud.Jobs.
func (j *Jobs) List(ctx context.Context, q cloud.JobQuery) iter.Seq2[cloud.Job, error] {
	return func(yield func(cloud.Job, error) bool) {
		if err := j.list(ctx, q, yield); err != nil {
			yield(cloud.Job{}, fmt.Errorf("list jobs: %w", kind(err)))
		}
	}
}

func (j *Jobs) list(ctx context.Context, q cloud.JobQuery, yield func(cloud.Job, error) bool) error {
	if err := j.enter(ctx); err != nil {
		return err
	}
	ids, err := j.ids()
	if err != nil {
		return err
	}
	count := 0
	for _, id := range slices.Backward(ids) {
		job, err := j.status(ctx, id)
		switch {
		case errors.Is(err, cloud.ErrNotFound): // pruned meanwhile, or never whole
			continue
		case errors.Is(err, cloud.ErrCorrupt):
			job = j.damaged(id, err)
		case err != nil:
			return err
		}
		if !q.Since.IsZero() && job.Created.Before(q.Since) {
			return nil // ids rise with time
		}
		if q.RunID != "" && job.RunID != q.RunID || q.Active && job.State.Ended() {
			continue
		}
		if count++; !yield(job, nil) || count == q.Limit {
			return nil
		}
	}
	return nil
}

// damaged stands for a record that cannot be read: one must not hide the others.
func (j *Jobs) damaged(id string, err error) cloud.Job {
	created, _ := time.Parse(jobTime, id[:len(jobTime)])
	return cloud.Job{
		ID: id, Task: j.scope.Task, Client: j.scope.Client, Stage: j.scope.Stage, State: cloud.JobLost, Reason: err.Error(), Created: created,
	}
}

// Stop implements cloud.Jobs.
func (j *Jobs) Stop(ctx context.Context, id string, o cloud.StopOptions) (cloud.Job, error) {
	job, err := j.stop(ctx, id, o)
	if err != nil {
		return cloud.Job{}, fmt.Errorf("stop job %q: %w", id, kind(err))
	}
	return job, nil
}

func (j *Jobs) stop(ctx context.Context, id string, o cloud.StopOptions) (cloud.Job, error) {
	job, err := j.status(ctx, id)
	if err != nil || job.State.Ended() {
		return job, err
	}
	if o.Reason == "" {
		o.Reason = "stopped on request"
	}
	unlock, err := j.lock(ctx)
	if err != nil {
		return cloud.Job{}, err
	}
	defer unlock()
	if err := j.requestStop(id, o); err != nil {
		return cloud.Job{}, err
	}
	return j.status(ctx, id)
}
