package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// fire is one start that is due.
type fire struct {
	entry *entry // the scheduler's; a worker does not look into it
	Entry
	PendingFire
}

// String returns how the log names it.
func (f fire) String() string {
	return fmt.Sprintf("schedule %s, %s", f.Key, f.At.UTC().Format(time.RFC3339))
}

// outcome is what became of a fire.
type outcome struct {
	fire
	op  FireOp // "": another try is needed
	job string
	err error
}

func (o outcome) record() FireRecord {
	r := FireRecord{Op: o.op, ID: o.Key.String(), At: o.At, Late: o.Late, Job: o.job}
	if o.err != nil {
		r.Reason = o.err.Error()
	}
	return r
}

// work is the life of a worker.
func (s *scheduler) work(ctx context.Context) {
	for f := range s.todo {
		s.done <- s.start(ctx, f)
	}
}

// start starts the job of a fire.
func (s *scheduler) start(ctx context.Context, f fire) outcome {
	out := outcome{fire: f, op: FireStarted}
	request := f.request(s.Now())
	there, err := s.Store.Fire(ctx, f.Entry, func() error {
		job, err := s.Jobs(f.Key.Scope).Run(ctx, request)
		out.job = job.ID
		return err
	})
	switch {
	case !there && err == nil:
		out.op = FireDropped
	case err != nil:
		out.op, out.err = f.verdict(err), err
	}
	return out
}

// verdict says what an error of a start means.
func (f fire) verdict(err error) FireOp {
	for _, final := range []error{cloud.ErrInvalid, cloud.ErrNotFound, cloud.ErrUnsupported, cloud.ErrCorrupt} {
		if errors.Is(err, final) {
			return FireFailed
		}
	}
	return ""
}

// oneByOne reports whether the fire waits for the end of the job of the one before it: those that are made up for come in
// order.
func (f fire) oneByOne() bool { return inOrder(f.Schedule, f.PendingFire) }

func inOrder(s cloud.Schedule, p PendingFire) bool {
	return p.Late && s.Catchup == cloud.CatchupAll
}

// request is the start of the job of a fire.
func (f fire) request(now time.Time) cloud.Start {
	s := f.Schedule.Fire(f.Key.Scope, f.At)
	s.RunID = cloud.RunIDOf(now, s.Token)
	if f.oneByOne() { // else it could be skipped
		s.Overlap = cloud.OverlapQueue
	}
	return s
}

const (
	giveUp  = time.Hour   // after the first try
	slowest = time.Minute // between tries
)

// retried says when the next try of the first pending fire is; after an hour it has failed.
func (e *entry) retried(now time.Time) {
	if e.tries == 0 {
		e.first = now
	}
	e.tries++
	e.retry = now.Add(min(time.Second<<min(e.tries-1, 6), slowest))
}

// exhausted reports whether another try of out is one too many.
func (e *entry) exhausted(now time.Time, out outcome) bool {
	return out.op == "" && e.tries > 0 && now.Sub(e.first) > giveUp
}
