package pipeline

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/handoff-run/handoff/internal/pipe"
	"github.com/handoff-run/handoff/internal/plan"
)

// maxDelay keeps the growth of delays within what a Duration holds.
const maxDelay = 24 * time.Hour

// tries runs a task until it succeeds or its tries are used up. A run that was stopped is not tried again.
func (e *Engine) tries(ctx context.Context, t *plan.Task, sc scope) (ending, int) {
	for try := 1; ; try++ {
		end := e.spooled(ctx, t, sc, try)
		if end.ok() || try > t.Retries.Max {
			return end, try
		}
		if ctx.Err() != nil {
			return stoppedBetween(ctx, end), try
		}
		wait := delay(t.Retries, try)
		res := end.Result
		e.emit(Event{Kind: TaskRetrying, Task: sc.path, Lines: sc.lines, Try: try, Wait: wait, Result: &res})
		if !sleep(ctx, wait) {
			return stoppedBetween(ctx, end), try
		}
	}
}

// delay is the time between the n-th try and the next.
func delay(r plan.Retries, n int) time.Duration {
	d := float64(r.Delay) * math.Pow(max(r.Backoff, 1), float64(n-1))
	return time.Duration(min(d, float64(maxDelay)))
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// spooled runs one try. What a task with retries pipes on is kept back until the try has succeeded:
// the next stage must never read the output of a failed one.
func (e *Engine) spooled(ctx context.Context, t *plan.Task, sc scope, try int) ending {
	if sc.out == nil || t.Retries.Max == 0 {
		return e.once(ctx, t, sc, try)
	}
	out := sc.out
	s, err := e.newSpool()
	if err != nil {
		return failure("%v", err)
	}
	defer s.close()
	sc.out = s.w
	end := e.once(ctx, t, sc, try)
	if !end.ok() {
		return end
	}
	return s.deliver(ctx, out, end)
}

// A spool is an unlinked file that keeps output until its turn comes.
type spool struct {
	w, r *os.File // two descriptions: writing must not move the place to read from
	sent int64    // bytes delivered
}

func (e *Engine) newSpool() (*spool, error) {
	w, name, err := e.createTemp()
	if err != nil {
		return nil, err
	}
	r, err := e.root.Open(name)
	_ = e.root.Remove(name)
	if err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("open spool file: %w", err)
	}
	return &spool{w: w, r: r}, nil
}

// deliver pipes on what the spool has, after which the work that filled it ends as end, unless nobody reads it.
func (s *spool) deliver(ctx context.Context, out *os.File, end ending) ending {
	size := sizeOf(s.r)
	if size > 0 && gone(out) {
		return ending{Result: Result{Outcome: Success}, broken: true}
	}
	n, err := pipe.Copy(ctx, out, s.r)
	s.sent = n
	switch {
	case ctx.Err() != nil:
		return ending{Result: byCause(context.Cause(ctx))}
	case err != nil:
		return failure("pipe on output: %v", err)
	case n < size && gone(out):
		return ending{Result: Result{Outcome: Success}, broken: true}
	}
	return end
}

func (s *spool) close() {
	_ = s.w.Close()
	_ = s.r.Close()
}
