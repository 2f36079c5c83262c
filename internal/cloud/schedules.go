package cloud

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Schedules starts the task of the scope at the times that it was told.
type Schedules interface {
	// Put creates the schedule or replaces the one with the same TargetID. A time that has passed before the call does not
	// fire, whatever Catchup says; what fires starts by its Delay later. ErrInvalid: Cron or Timezone cannot be read. ErrUnsupported: the provider cannot keep
	// these times, zone or policy; the hint says which ones it can. ErrNotFound: the task is not registered.
	Put(ctx context.Context, s Schedule) error

	// List returns the schedules of the task, sorted by TargetID, those that are damaged as well. When they fire, and
	// have fired, is not for the provider to say.
	List(ctx context.Context) ([]Schedule, error)

	// Delete removes the schedules; jobs that they have started go on. A target that does not exist is no error.
	// Once it has returned, none of them fires any more, and a Put of the same TargetID works at once.
	Delete(ctx context.Context, targetIDs ...string) error
}

// Schedule is a set of times and what to start then.
type Schedule struct {
	TargetID    string            `json:"target_id"` // unique in the task
	Description string            `json:"description,omitempty"`
	Cron        string            `json:"cron"`                // as written: AWS's six fields, or five; see package schedule
	Timezone    string            `json:"timezone,omitempty"`  // IANA name; "" is UTC
	Env         map[string]string `json:"env,omitempty"`       // of the job, as written: $(date ...) is evaluated when it fires
	Enabled     bool              `json:"enabled"`             // false: kept, does not fire
	From        time.Time         `json:"from,omitzero"`       // the first time that may fire; zero: any
	Until       time.Time         `json:"until,omitzero"`      // the last one
	Jitter      time.Duration     `json:"jitter,omitempty"`    // see Delay
	Freshness   time.Duration     `json:"freshness,omitempty"` // see LateSince; 0: it is never late
	Overlap     Overlap           `json:"overlap,omitempty"`
	Catchup     Catchup           `json:"catchup,omitempty"`

	// What List alone says.
	Since  time.Time `json:"since,omitzero"`   // of the last Put that changed it, UTC; zero: the provider does not know
	Damage string    `json:"damage,omitempty"` // why it cannot be read; then nothing but TargetID is known
}

// Catchup says what happens to fires that were missed, because the scheduler did not run.
type Catchup string

// The catch-up policies; "" is CatchupNone.
const (
	CatchupNone Catchup = "none" // they are lost, and reported
	CatchupLast Catchup = "last" // the last one is made up for
	CatchupAll  Catchup = "all"  // each one is made up for, in order
)

// Check returns an ErrInvalid unless the schedule has a target id, a cron expression and known policies. Whether the
// expression and the zone can be read is for package schedule to say.
func (s Schedule) Check() error {
	if err := checkName("target_id", s.TargetID); err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	switch {
	case s.Cron == "":
		return fmt.Errorf("schedule %q: %w: no cron", s.TargetID, ErrInvalid)
	case !slices.Contains([]Catchup{"", CatchupNone, CatchupLast, CatchupAll}, s.Catchup):
		return WithHint(fmt.Errorf("schedule %q: %w catchup %q", s.TargetID, ErrInvalid, s.Catchup), "use none, last or all")
	}
	if err := s.Overlap.Check(); err != nil {
		return fmt.Errorf("schedule %q: %w", s.TargetID, err)
	}
	return s.checkWindow()
}

// maxJitter keeps the start of a fire near to its time.
const maxJitter = 24 * time.Hour

func (s Schedule) checkWindow() error {
	switch {
	case s.Jitter < 0 || s.Jitter > maxJitter:
		return WithHint(fmt.Errorf("schedule %q: %w jitter %v", s.TargetID, ErrInvalid, s.Jitter), "write a time span of up to a day, such as 15m")
	case s.Freshness < 0:
		return WithHint(fmt.Errorf("schedule %q: %w freshness %v", s.TargetID, ErrInvalid, s.Freshness), "write a time span such as 26h")
	case !s.From.IsZero() && !s.Until.IsZero() && s.Until.Before(s.From):
		return WithHint(fmt.Errorf("schedule %q: %w: until is before from", s.TargetID, ErrInvalid), "it would never fire")
	}
	return nil
}

// Delay is how much later than its time each fire starts its job: from nothing up to Jitter, always the same for a schedule of a scope,
// so that the schedules of many clients do not start all at once. The time for which the job is due stays as it is.
func (s Schedule) Delay(scope Scope) time.Duration {
	seconds := uint64(max(s.Jitter, 0) / time.Second)
	if seconds == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(scope.String() + "/" + s.TargetID))
	return time.Duration(binary.BigEndian.Uint64(sum[:])%seconds) * time.Second //nolint:gosec // seconds of a day
}

// LateSince returns since when what the schedule loads is too old at the time now, zero where it is not: its last run that has
// succeeded, which ended at success (zero: none has), is longer ago than Freshness. One that is new, or was changed, has as
// long from then; one that is paused, or over, is never late.
func (s Schedule) LateSince(success, now time.Time) time.Time {
	if s.Freshness <= 0 || !s.Enabled || !s.Until.IsZero() && now.After(s.Until.Add(s.Freshness)) {
		return time.Time{}
	}
	from := success
	for _, begin := range []time.Time{s.Since, s.From} {
		if begin.After(from) {
			from = begin
		}
	}
	late := from.Add(s.Freshness)
	if from.IsZero() || now.Before(late) || !s.Until.IsZero() && from.After(s.Until) {
		return time.Time{}
	}
	return late
}

// Same reports whether two schedules mean the same. What List alone says does not count.
func (s Schedule) Same(o Schedule) bool {
	return s.TargetID == o.TargetID && s.Description == o.Description && s.Cron == o.Cron &&
		cmp.Or(s.Timezone, "UTC") == cmp.Or(o.Timezone, "UTC") && s.Enabled == o.Enabled && maps.Equal(s.Env, o.Env) &&
		s.From.Equal(o.From) && s.Until.Equal(o.Until) && s.Jitter == o.Jitter && s.Freshness == o.Freshness &&
		s.Overlap == o.Overlap && cmp.Or(s.Catchup, CatchupNone) == cmp.Or(o.Catchup, CatchupNone)
}

// Fire returns the start of a job for a time at which the schedule fires, but for its RunID. What the environment says is evaluated
// in the job, for that time: a fire that is late, or tried twice, loads what it would have loaded then, and is one job.
func (s Schedule) Fire(scope Scope, at time.Time) Start {
	return Start{
		Scope: scope, Token: scope.String() + "/" + s.TargetID + "@" + at.UTC().Format(time.RFC3339), Trigger: TriggerSchedule,
		ScheduleID: s.TargetID, ScheduledAt: at, Zone: cmp.Or(s.Timezone, "UTC"), Overlap: s.Overlap, Written: s.Env,
	}
}

// Scheduler is a process of ours that fires schedules.
type Scheduler interface {
	// Running tells whether there is one, and since when: SchedulerStatus up to Since. That none is there is no error.
	Running(ctx context.Context) (SchedulerStatus, error)

	// Status tells all that is known of it. It reads every schedule.
	Status(ctx context.Context) (SchedulerStatus, error)

	// Unstarted tells, by target id, of the schedules of a scope that have last fired without a job: when, and why.
	Unstarted(ctx context.Context, s Scope) (map[string]string, error)
}

// SchedulerStatus tells of the scheduler of a provider.
type SchedulerStatus struct {
	Running   bool      `json:"running"`
	Serves    string    `json:"serves"`           // what it is for: the folder of the provider local
	Pid       int       `json:"pid,omitempty"`    // 0: unknown
	Since     time.Time `json:"since,omitzero"`   // it runs
	Schedules int       `json:"schedules"`        // that it has to fire
	Last      time.Time `json:"last,omitzero"`    // the last fire
	Next      time.Time `json:"next,omitzero"`    // the next fire
	Overdue   time.Time `json:"overdue,omitzero"` // the oldest fire that has been due for more than a moment and is not started yet
}
