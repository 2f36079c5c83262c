package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Jobs are those of one scope.
type Jobs struct{ room }

var _ cloud.Jobs = (*Jobs)(nil)

// job is one start. What is in it is guarded by the lock of the World.
type job struct {
	cloud.Job
	start cloud.Start
	world *World
	ask   context.CancelCauseFunc // asks the process to end
	gone  chan struct{}           // closed when it is killed
	why   *demand                 // nil: nobody wants it to end
	limit *time.Timer             // of the time that it has
}

// demand is why a job is made to end.
type demand struct {
	state  cloud.JobState
	reason string
	at     time.Time
	grace  time.Duration
	timer  *time.Timer // of the kill
}

// Process is a job from the inside. When the context of its run ends it is asked to end, as by SIGTERM.
type Process struct {
	cloud.Start // with what is registered for the task
	ID          string
	Gone        <-chan struct{} // closed when it is killed: nobody hears any more what it says or returns

	job  *job
	logs *Logs
}

const exitTimedOut = 124

// defaultGrace is between the request to end and the kill.
const defaultGrace = 30 * time.Second

// Run implements cloud.Jobs.
func (j *Jobs) Run(ctx context.Context, s cloud.Start) (cloud.Job, error) {
	job, err := j.launch(ctx, s)
	if err != nil {
		return cloud.Job{}, fmt.Errorf("run job of task %q: %w", j.scope.Task, err)
	}
	return job, nil
}

func (j *Jobs) launch(ctx context.Context, s cloud.Start) (cloud.Job, error) {
	leave, err := j.enter(ctx, true)
	if err != nil {
		return cloud.Job{}, err
	}
	defer leave()
	t := j.task()
	if t.spec == nil {
		return cloud.Job{}, unregistered(j.scope)
	}
	if s, err = s.Of(j.scope, *t.spec); err != nil {
		return cloud.Job{}, err
	}
	if i := slices.IndexFunc(t.jobs, func(old *job) bool { return old.start.Token == s.Token }); i >= 0 {
		return t.jobs[i].seen(), nil
	}
	j.count++
	next := &job{start: s, world: j.World, gone: make(chan struct{}), Job: cloud.Job{
		ID: fmt.Sprintf("job-%06d", j.count), RunID: s.RunID, Task: s.Scope.Task, Client: s.Scope.Client, Stage: s.Scope.Stage,
		Release: s.Release, Trigger: s.Trigger, ScheduleID: s.ScheduleID, ScheduledAt: s.ScheduledAt, State: cloud.JobStarting,
		Created: j.now(), CPU: t.spec.CPU, Memory: t.spec.Memory, Storage: t.spec.Storage,
	}}
	t.jobs = append(t.jobs, next)
	next.begin(t)
	return next.Job, nil
}

func unregistered(s cloud.Scope) error {
	return cloud.WithHint(fmt.Errorf("task %q is not registered: %w", s.Task, cloud.ErrNotFound), "register it with `handoff cloud task create`")
}

// begin starts what stands for the process of the job; the World is locked.
func (j *job) begin(t *task) {
	ctx, ask := context.WithCancelCause(context.Background()) // a job outlives who asked for it
	j.ask = ask
	j.State, j.Started = cloud.JobRunning, j.world.now()
	if d := t.spec.Timeout; d > 0 {
		j.limit = time.AfterFunc(d, func() { j.world.demand(j, cloud.JobFailed, "timed out after "+d.String(), defaultGrace) })
	}
	p := &Process{Start: j.start, ID: j.ID, Gone: j.gone, job: j, logs: t.logs}
	ended := make(chan cloud.LastWord, 1)
	j.world.running.Go(func() { ended <- j.world.run(ctx, p) })
	j.world.running.Go(func() {
		var word *cloud.LastWord
		select {
		case w := <-ended:
			word = &w
		case <-j.gone:
		}
		j.world.end(j, word)
	})
}

// end writes down how a job ended; without a last word it was killed.
func (w *World) end(j *job, word *cloud.LastWord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case word != nil && !j.killed():
		j.ExitCode = &word.Code
		j.State, j.Reason = word.State()
		if j.why != nil && j.State != cloud.JobSucceeded && !word.Skipped {
			j.State, j.Reason = j.why.state, j.why.reason
			if j.State == cloud.JobFailed {
				word.Code = exitTimedOut
			}
		}
	case j.why != nil:
		j.State, j.Reason = j.why.state, fmt.Sprintf("%s; killed, since it had not ended after %s", j.why.reason, j.why.grace)
	default:
		j.State, j.Reason = cloud.JobLost, "its process was killed"
	}
	j.Ended = w.now()
	j.ask(errors.New("the job has ended"))
	if j.limit != nil {
		j.limit.Stop()
	}
	if j.why != nil {
		j.why.timer.Stop()
	}
}

// demand asks a job to end, and kills it after the grace time. The first reason counts; the grace time may be changed.
func (w *World) demand(j *job, state cloud.JobState, reason string, grace time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case j.State.Ended():
	case j.why == nil:
		j.why = &demand{state: state, reason: reason, at: time.Now(), grace: cmp.Or(grace, defaultGrace)}
		j.why.timer = time.AfterFunc(j.why.grace, func() { w.kill(j) })
		j.ask(errors.New(reason))
	case grace > 0:
		j.why.grace = grace
		j.why.timer.Reset(max(grace-time.Since(j.why.at), 0))
	}
}

func (w *World) kill(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !j.killed() {
		close(j.gone)
	}
}

func (j *job) killed() bool {
	select {
	case <-j.gone:
		return true
	default:
		return false
	}
}

// Lose kills the process of a job, as when its machine is lost.
func (w *World) Lose(id string) {
	for _, j := range w.active() {
		if j.ID == id {
			w.kill(j)
		}
	}
}

func (w *World) active() []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*job
	for _, t := range w.tasks {
		for _, j := range t.jobs {
			if !j.State.Ended() {
				list = append(list, j)
			}
		}
	}
	return list
}

// seen is the job as others see it.
func (j *job) seen() cloud.Job {
	job := j.Job
	if j.why != nil && !job.State.Ended() {
		job.State, job.Reason = cloud.JobStopping, j.why.reason
	}
	return job
}

// Waits tells that the job waits for the end of another run.
func (p *Process) Waits(run string) { p.tell(cloud.JobQueued, "waits for the end of run "+run) }

// Begins tells that it waits no more.
func (p *Process) Begins() { p.tell(cloud.JobRunning, "") }

func (p *Process) tell(state cloud.JobState, reason string) {
	w := p.job.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if !p.job.State.Ended() {
		p.job.State, p.job.Reason, p.job.Started = state, reason, w.now()
	}
}

// Say writes a line into the log of the job.
func (p *Process) Say(text string) {
	select {
	case <-p.Gone:
	default:
		_ = p.logs.Append(context.Background(), cloud.Line{Time: p.job.world.Now(), JobID: p.ID, RunID: p.RunID, Text: text})
	}
}

// Status implements cloud.Jobs.
func (j *Jobs) Status(ctx context.Context, id string) (cloud.Job, error) {
	found, err := j.find(ctx, id)
	if err != nil {
		return cloud.Job{}, fmt.Errorf("status of job %q: %w", id, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return found.seen(), nil
}

func (j *Jobs) find(ctx context.Context, id string) (*job, error) {
	leave, err := j.enter(ctx, true)
	if err != nil {
		return nil, err
	}
	defer leave()
	jobs := j.task().jobs
	i := slices.IndexFunc(jobs, func(x *job) bool { return x.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("job: %w", cloud.ErrNotFound)
	}
	return jobs[i], nil
}

// List implements cloud.Jobs.
func (j *Jobs) List(ctx context.Context, q cloud.JobQuery) iter.Seq2[cloud.Job, error] {
	return func(yield func(cloud.Job, error) bool) {
		list, err := j.list(ctx, q)
		if err != nil {
			yield(cloud.Job{}, fmt.Errorf("list jobs: %w", err))
			return
		}
		for n, job := range list {
			if q.Limit > 0 && n == q.Limit || !yield(job, nil) {
				return
			}
		}
	}
}

func (j *Jobs) list(ctx context.Context, q cloud.JobQuery) ([]cloud.Job, error) {
	leave, err := j.enter(ctx, true)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []cloud.Job
	for _, x := range slices.Backward(j.task().jobs) {
		job := x.seen()
		if (q.RunID == "" || q.RunID == job.RunID) && !(q.Active && job.State.Ended()) && !job.Created.Before(q.Since) {
			list = append(list, job)
		}
	}
	return list, nil
}

// Stop implements cloud.Jobs. The grace time passes on the clock of the machine.
func (j *Jobs) Stop(ctx context.Context, id string, o cloud.StopOptions) (cloud.Job, error) {
	found, err := j.find(ctx, id)
	if err != nil {
		return cloud.Job{}, fmt.Errorf("stop job %q: %w", id, err)
	}
	j.demand(found, cloud.JobStopped, cmp.Or(o.Reason, "stopped on request"), o.Grace)
	return j.Status(ctx, id)
}
