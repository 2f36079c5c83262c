package server

import (
	"fmt"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Key names one schedule among all scopes of a provider.
type Key struct {
	Scope    cloud.Scope
	TargetID string
}

// String returns Scope.String and the target id: "<env stage>/<resource group>/<task>/<target id>" without a client.
func (k Key) String() string { return k.Scope.String() + "/" + k.TargetID }

// Entry is a schedule as a scheduler sees it that serves every scope of a provider.
type Entry struct {
	Key      Key
	Schedule cloud.Schedule // with Since
	Gone     bool           // it has been deleted
	Err      error          // it cannot be read; nothing but Key is known then
	Fires    FireState
}

// FireOp says what happened to a fire.
type FireOp string

// The life of a fire: it is due, then one of the others; one that was started has ended or was skipped after that. What is due
// and nothing else is started by the next scheduler.
const (
	FireDue     FireOp = "due"     // decided: it will be started
	FireStarted FireOp = "started" // there is a job
	FireEnded   FireOp = "ended"   // that job has ended
	FireSkipped FireOp = "skipped" // that job did not run, by its overlap policy
	FireFailed  FireOp = "failed"  // no job could be started
	FireDropped FireOp = "dropped" // the schedule was deleted or changed before it was started
	FireMissed  FireOp = "missed"  // Count fires up to At are lost, by the catch-up policy
	FireReset   FireOp = "reset"   // the clock was wrong: only fires up to At are decided
)

// FireRecord is one line of the journal of a scheduler.
type FireRecord struct {
	Op     FireOp    `json:"op"`
	ID     string    `json:"id"` // Key.String
	At     time.Time `json:"at"` // the time for which it was due, UTC
	Late   bool      `json:"late,omitempty"`
	Job    string    `json:"job,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Count  int       `json:"count,omitempty"`
}

// PendingFire is a fire that is due and not started yet.
type PendingFire struct {
	At   time.Time `json:"at"`
	Late bool      `json:"late,omitempty"` // it is made up for
}

// FireState is what the journal says of one schedule.
type FireState struct {
	Through time.Time     `json:"through,omitzero"` // every fire up to it is decided
	Last    time.Time     `json:"last,omitzero"`    // the last one for which a job was started
	Job     string        `json:"job,omitempty"`    // that job, as long as it is not known to have ended
	Note    string        `json:"note,omitempty"`   // why no job was started for the last one; empty where one was
	Pending []PendingFire `json:"pending,omitempty"`
}

// Apply takes a line of the journal into account.
func (s *FireState) Apply(r FireRecord) {
	if r.At.After(s.Through) || r.Op == FireReset {
		s.Through = r.At
	}
	at := r.At.UTC().Format(time.RFC3339)
	switch r.Op {
	case FireDue:
		s.Pending = append(s.Pending, PendingFire{r.At, r.Late})
		return
	case FireReset:
		return
	case FireMissed:
		s.Note = fmt.Sprintf("%d missed, the last one that of %s: %s", r.Count, at, r.Reason)
		return
	case FireStarted:
		s.Note = ""
		if !r.At.Before(s.Last) {
			s.Last, s.Job = r.At, r.Job
		}
	case FireEnded, FireSkipped:
		if s.Job == r.Job { // else there is a later one
			s.Job = ""
		}
		return
	case FireFailed:
		s.Note = fmt.Sprintf("the one of %s failed: %s", at, r.Reason)
	}
	if i := slices.IndexFunc(s.Pending, func(p PendingFire) bool { return p.At.Equal(r.At) }); i == 0 {
		s.Pending = s.Pending[1:] // the usual case, and there may be thousands
	} else if i > 0 {
		s.Pending = slices.Delete(s.Pending, i, i+1)
	}
}

// Forget drops what is not later than t, the time at which the schedule was changed.
func (s *FireState) Forget(t time.Time) {
	if t.After(s.Through) {
		s.Through = t
	}
	s.Pending = slices.DeleteFunc(s.Pending, func(p PendingFire) bool { return !p.At.After(t) })
}
