package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// follower is a job whose end the scheduler waits for.
type follower struct {
	key Key
	at  time.Time // for which it was due
	job string
	own bool // started by this scheduler
}

const (
	soonest = 500 * time.Millisecond // after the start of a job, until the first look at it
	latest  = 5 * time.Second        // between looks at one that goes on
)

// ending is a job that has ended.
type ending struct {
	follower
	cloud.Job
}

// follow waits for the end of a job, which may be that it was skipped.
func (s *scheduler) follow(ctx context.Context, f follower) {
	s.running[f.key]++
	s.followers.Go(func() {
		jobs := s.Jobs(f.key.Scope)
		for wait := soonest; ; wait = min(wait*3/2, latest) {
			if cloud.Sleep(ctx, wait) != nil {
				return
			}
			job, err := jobs.Status(ctx, f.job)
			if err != nil && !errors.Is(err, cloud.ErrNotFound) {
				continue // it may be better the next time
			}
			if err == nil && !job.State.Ended() {
				continue
			}
			select {
			case s.ends <- ending{f, job}:
			case <-ctx.Done():
			}
			return
		}
	})
}

// jobEnded notes that a job has ended.
func (s *scheduler) jobEnded(ctx context.Context, end ending) {
	r := FireRecord{Op: FireEnded, ID: end.key.String(), At: end.at, Job: end.follower.job}
	what := fmt.Sprintf("schedule %s, %s: job %s", end.key, end.at.UTC().Format(time.RFC3339), r.Job)
	switch end.State {
	case cloud.JobSkipped:
		r.Op, r.Reason = FireSkipped, end.Reason
		s.sum.Skipped++
		if end.own {
			s.sum.Started--
		}
		s.Log.Info(what + " skipped: " + end.Reason)
	case cloud.JobSucceeded:
		s.Log.Info(what + " succeeded")
	case cloud.JobStopped:
		s.Log.Warn(what + " stopped: " + end.Reason)
	case "":
		s.Log.Warn(what + " cannot be found any more")
	default:
		s.sum.JobsFailed++
		s.Log.Error(fmt.Sprintf("%s %s: %s", what, end.State, end.Reason))
	}
	if end.State != cloud.JobSucceeded && end.State != cloud.JobSkipped && end.Job.ID != "" {
		s.notice(ctx, Notice{Key: end.key, At: end.at, Reason: end.Reason, Job: end.Job})
	}
	if err := s.Store.Record(false, r); err != nil { // else the next scheduler looks again
		s.Log.Error(err.Error())
	}
	if s.running[end.key]--; s.running[end.key] == 0 {
		delete(s.running, end.key)
	}
	if e := s.entries[end.key]; e != nil {
		e.Fires.Apply(r)
		s.wait(e)
	}
}
