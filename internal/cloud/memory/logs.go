package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Logs are the lines of one scope, in the order in which they were written.
type Logs struct {
	settle time.Duration // Options.Settle

	mu    sync.Mutex
	late  []cloud.Line // that have been written and
	due   []time.Time  // arrive then
	lines []cloud.Line
	gone  int                     // lines before them that are no more
	last  map[[2]string]time.Time // by job and run
}

var _ cloud.Logs = (*Logs)(nil)

// Append adds lines, as what collects the output of jobs.
func (l *Logs) Append(ctx context.Context, lines ...cloud.Line) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(lines...)
	return nil
}

// AppendLate is Append of lines that arrive only after half of the time in which lines do.
func (l *Logs) AppendLate(ctx context.Context, lines ...cloud.Line) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range lines {
		l.late, l.due = append(l.late, x), append(l.due, time.Now().Add(l.settle/2))
	}
	return nil
}

// arrive takes in what was late.
func (l *Logs) arrive() {
	n := 0
	for n < len(l.due) && !l.due[n].After(time.Now()) {
		n++
	}
	l.add(l.late[:n]...)
	l.late, l.due = l.late[n:], l.due[n:]
}

func (l *Logs) add(lines ...cloud.Line) {
	if l.last == nil {
		l.last = map[[2]string]time.Time{}
	}
	for _, x := range lines {
		x.Time = x.Time.UTC()
		if last := l.last[[2]string{x.JobID, x.RunID}]; x.Time.Before(last) {
			x.Time = last
		}
		l.last[[2]string{x.JobID, x.RunID}] = x.Time
		l.lines = append(l.lines, x)
	}
}

// clear forgets what was written, but not how much it was: a reader goes on behind it.
func (l *Logs) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone += len(l.lines)
	l.lines = nil
}

var errLeft = errors.New("the reader has left")

// Read implements cloud.Logs.
func (l *Logs) Read(ctx context.Context, q cloud.Query) iter.Seq2[cloud.Line, error] {
	return func(yield func(cloud.Line, error) bool) {
		seen, tail := 0, q.Tail
		look := func(ctx context.Context, _ bool) (bool, error) {
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			fresh := l.after(&seen, q)
			if tail > 0 {
				fresh, tail = fresh[max(len(fresh)-tail, 0):], 0
			}
			for _, x := range fresh {
				if ctx.Err() != nil {
					return false, context.Cause(ctx)
				}
				if !yield(x, nil) {
					return false, errLeft
				}
			}
			return len(fresh) > 0, nil
		}
		err := q.Check()
		if err == nil {
			err = cloud.Poll{Every: 2 * time.Millisecond, Settle: l.settle}.Read(ctx, q, look)
		}
		if err != nil && !errors.Is(err, errLeft) {
			yield(cloud.Line{}, fmt.Errorf("read logs: %w", err))
		}
	}
}

// after returns the lines that have come since *seen, by time.
func (l *Logs) after(seen *int, q cloud.Query) []cloud.Line {
	l.mu.Lock()
	l.arrive()
	fresh := slices.DeleteFunc(slices.Clone(l.lines[max(*seen-l.gone, 0):]), func(x cloud.Line) bool { return !q.Match(x) })
	*seen = l.gone + len(l.lines)
	l.mu.Unlock()
	slices.SortStableFunc(fresh, func(a, b cloud.Line) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.JobID, b.JobID), cmp.Compare(a.RunID, b.RunID))
	})
	return fresh
}
