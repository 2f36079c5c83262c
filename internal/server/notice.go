package server

import (
	"context"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Notice is what somebody may have to be told of: a fire for which there is no run, or a job that has ended otherwise than with
// success, which may have told so itself.
type Notice struct {
	Key    Key
	At     time.Time // for which it was due; of many that are missed the last one
	Reason string
	Job    cloud.Job // without an ID: there is none
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
