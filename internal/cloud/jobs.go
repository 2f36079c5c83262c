package cloud

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Jobs starts the task of the scope in the background and knows what became of it. A job is one start; it outlives the
// process that asked for it. The task has been registered by Infra (KindTask).
type Jobs interface {
	// Run starts a job and returns when the provider has accepted it, without waiting for its end. A Token that was seen
	// before returns the job that it started, whatever has become of it: a caller that does not know whether its call
	// arrived asks again. ErrNotFound: the task is not registered. Overlap is for the job itself, which takes the lease of
	// the task in the bucket: one that may not run ends as JobSkipped.
	Run(ctx context.Context, s Start) (Job, error)

	// Status returns one job. ErrNotFound: there is none, or it is too long ago for the provider to know.
	Status(ctx context.Context, id string) (Job, error)

	// List yields the jobs of the task, those created last first.
	List(ctx context.Context, q JobQuery) iter.Seq2[Job, error]

	// Stop asks the job to end: SIGTERM, and SIGKILL after the grace time. It returns when the request is durable, with the
	// job as it then is. A job that has ended is no error and stays as it is.
	Stop(ctx context.Context, id string, o StopOptions) (Job, error)
}

// TaskSpec is what Infra registers for a task, and what its jobs get unless their Start says otherwise.
type TaskSpec struct {
	Release string            `json:"release"`           // hash of what runs; "" takes the release that is current at the start
	Image   string            `json:"image,omitempty"`   // container image; "" on platforms without containers
	CPU     int               `json:"cpu,omitempty"`     // 1/1024 of a core; 0: the provider's default
	Memory  int               `json:"memory,omitempty"`  // MiB; 0: the provider's default
	Storage int               `json:"storage,omitempty"` // GiB of workspace; 0: the provider's default
	Timeout time.Duration     `json:"timeout,omitempty"` // after which the job is stopped; 0: none
	Overlap Overlap           `json:"overlap,omitempty"`
	Env     map[string]string `json:"env,omitempty"` // no secrets: those come from Secrets, at the start of the job
}

// Overlap says what happens to a start while a job of the same task is active.
type Overlap string

// The overlap policies; "" is OverlapSkip.
const (
	OverlapSkip    Overlap = "skip"    // the new job does not run
	OverlapQueue   Overlap = "queue"   // it waits for the end of the active ones, in the order of the starts
	OverlapReplace Overlap = "replace" // the active ones are stopped, then it runs
	OverlapAllow   Overlap = "allow"   // both run; they share the state of the task at their own risk
)

// Trigger says why a job was started.
type Trigger string

// The triggers of a job; their text is that of the run record.
const (
	TriggerManual   Trigger = "manual"
	TriggerSchedule Trigger = "schedule"
	TriggerRetry    Trigger = "retry"
	TriggerBackfill Trigger = "backfill"
)

// JobState is where a job is in its life.
type JobState string

// The states of a job, in the order of its life. From JobSucceeded on it has ended.
const (
	JobQueued    JobState = "queued"    // accepted; waits for another job or for room
	JobStarting  JobState = "starting"  // its machine, container or workspace is being made
	JobRunning   JobState = "running"   //
	JobStopping  JobState = "stopping"  // asked to end, not ended yet
	JobSucceeded JobState = "succeeded" // exit code 0
	JobFailed    JobState = "failed"    // any other exit code or signal, or it could not start
	JobStopped   JobState = "stopped"   // ended because it was asked to
	JobSkipped   JobState = "skipped"   // did not run, by its overlap policy
	JobLost      JobState = "lost"      // vanished: nobody knows how it ended
)

// Ended reports whether the job will not change any more.
func (s JobState) Ended() bool {
	return slices.Contains([]JobState{JobSucceeded, JobFailed, JobStopped, JobSkipped, JobLost}, s)
}

// Job is one start and what became of it. Times are UTC.
type Job struct {
	ID          string    `json:"id,omitempty"` // the provider's
	RunID       string    `json:"run"`
	Task        string    `json:"task"`
	Client      string    `json:"client,omitempty"`
	Stage       string    `json:"env_stage"`
	Release     string    `json:"release,omitempty"`
	Trigger     Trigger   `json:"trigger"`
	ScheduleID  string    `json:"schedule,omitempty"`
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`
	State       JobState  `json:"state,omitempty"`
	Reason      string    `json:"reason,omitempty"` // why it is in this state, for a person; empty where only the record of its run says so
	Created     time.Time `json:"created,omitzero"`
	Started     time.Time `json:"started,omitzero"`
	Ended       time.Time `json:"ended,omitzero"`
	ExitCode    *int      `json:"exit_code,omitempty"` // once known; 128+n for signal n
	CPU         int       `json:"cpu,omitempty"`       // what it may use, as in TaskSpec
	Memory      int       `json:"memory,omitempty"`
	Storage     int       `json:"storage,omitempty"`
	Warnings    []string  `json:"warnings,omitempty"` // such as a limit that this machine cannot enforce
}

// ExitSkipped is the exit code of a job that did not run, by its overlap policy: all that a provider hears of it that sees nothing
// of a job but how its process ended.
const ExitSkipped = 4

// LastWord is how the run of a job ended, as its process knows it.
type LastWord struct {
	Skipped     bool // by its overlap policy
	Interrupted bool // by a signal
	Reason      string
	Code        int // exit code
}

// State returns what a job is that ended so by itself, and why.
func (w LastWord) State() (state JobState, reason string) {
	switch {
	case w.Code == 0:
		return JobSucceeded, ""
	case w.Skipped:
		state = JobSkipped
	case w.Interrupted:
		state = JobStopped
	default:
		state = JobFailed
	}
	return state, w.Reason
}

// JobQuery says which jobs to list; the zero JobQuery asks for all that the provider still knows.
type JobQuery struct {
	RunID  string    // id of the run; empty: any
	Active bool      // only those that have not ended
	Since  time.Time // only those created at or after it
	Limit  int       // at most so many; 0: no limit
}

// StopOptions says how to stop a job.
type StopOptions struct {
	Grace  time.Duration // between SIGTERM and SIGKILL; 0: the provider's default
	Reason string        // shown as Job.Reason
}

// NeedIdle returns an ErrConflict while a job of the task is active. Where jobs are ErrUnsupported there are none. A job may be
// started right after: who cannot have that asks while it holds what keeps new jobs out.
func NeedIdle(ctx context.Context, jobs Jobs) error {
	for job, err := range jobs.List(ctx, JobQuery{Active: true, Limit: 1}) {
		switch {
		case errors.Is(err, ErrUnsupported):
			return nil
		case err != nil:
			return err
		}
		return WithHint(fmt.Errorf("%w: job %s of task %q is %s", ErrConflict, job.ID, job.Task, job.State),
			"stop it with `handoff cloud job stop`, or wait for its end")
	}
	return nil
}

// Check returns an ErrInvalid for a policy that does not exist.
func (o Overlap) Check() error {
	if !slices.Contains([]Overlap{"", OverlapSkip, OverlapQueue, OverlapReplace, OverlapAllow}, o) {
		return WithHint(fmt.Errorf("overlap: %w policy %q", ErrInvalid, o), "use skip, queue, replace or allow")
	}
	return nil
}

// Check returns an ErrInvalid unless the spec can be right.
func (s TaskSpec) Check() error {
	if s.CPU < 0 || s.Memory < 0 || s.Storage < 0 || s.Timeout < 0 {
		return fmt.Errorf("task: %w: cpu, memory, storage and timeout cannot be negative", ErrInvalid)
	}
	return s.Overlap.Check()
}
