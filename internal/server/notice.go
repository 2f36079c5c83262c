package server

import (
	"context"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Notice is what somebody may have to be told of: a fire for which there is no run, or a job that has ended otherwise than with
// success, which may have told so itself, or a task that may be late.
type Notice struct {
	Key    Key
	At     time.Time // for which it was due; of many that are missed the last one
	Reason string
	Job    cloud.Job // without an ID: there is none
	Late   bool      // none of that: the schedule has a freshness, and it is time to look whether its task is late
}

// lateEvery is how often a task is looked at that may be late.
const lateEvery = 10 * time.Minute

// lateness gives away the tasks that may be late, each once.
func (s *scheduler) lateness(ctx context.Context, now time.Time) {
	if s.Notice == nil || now.Sub(s.lately).Abs() < lateEvery {
		return
	}
	s.lately = now
	seen := map[cloud.Scope]bool{}
	for key, e := range s.entries {
		if e.Schedule.Freshness > 0 && e.Schedule.Enabled && !seen[key.Scope] {
			seen[key.Scope] = true
			s.notice(ctx, Notice{Key: key, At: now, Late: true})
		}
	}
}

// notices is how many are given away at a time.
const notices = 8

// notice gives n away, if somebody takes it. The scheduler does not wait for that.
func (s *scheduler) notice(ctx context.Context, n Notice) {
	if s.Notice == nil {
		return
	}
	s.followers.Go(func() {
		select {
		case s.telling <- struct{}{}:
			s.Notice(ctx, n)
			<-s.telling
		case <-ctx.Done(): // who looks next tells
		}
	})
}
