package cloud

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Logs gives what the jobs of one scope wrote, by job and run. How the lines get there is the platform's: it collects what jobs
// write to their standard output.
type Logs interface {
	// Read yields the lines that q asks for, ordered by time, lines of one job and run always in the order in which they
	// were written. Every line is yielded once, however many share a time. No lines is no error.
	//
	// Lines may arrive late: at once in a folder, within seconds at CloudWatch, within a minute at Cloud Logging. So who follows
	// gets them in the order in which they arrive, and the end of a job is not yet the end of its log (see Query.Done).
	Read(ctx context.Context, q Query) iter.Seq2[Line, error]
}

// Line is one line of a log.
type Line struct {
	Time  time.Time `json:"time"` // UTC; providers keep at least milliseconds
	JobID string    `json:"job"`
	RunID string    `json:"run,omitempty"` // id of the run; empty for what is written around runs
	Text  string    `json:"text"`          // without line end
}

// Query says which lines to read. The zero Query asks for all of the scope.
type Query struct {
	JobID  string    // id of the job; empty: any
	RunID  string    // id of the run; empty: any
	Start  time.Time // only lines at or after it
	End    time.Time // only lines before it
	Filter string    // only lines whose text contains this, byte for byte

	// Tail is how many of the lines that are there now are wanted, the last ones; 0: all. They come in their order, too. A
	// provider need not read all that is before them: GetLogEvents of CloudWatch reads a stream backwards (over several ones
	// FilterLogEvents, in steps that begin ever earlier), Cloud Logging sorts by "timestamp desc", Log Analytics has "top",
	// Kubernetes tailLines.
	Tail int

	// Follow waits for new lines until ctx is done (the iterator then ends without an error), End is reached, or Done is
	// closed: then what is still there or comes is yielded, until nothing has come for the time in which a line of the
	// provider arrives (Poll), and the iterator ends.
	Follow bool
	Done   <-chan struct{}
}

// Check returns an ErrInvalid for a Query that can match nothing.
func (q Query) Check() error {
	switch {
	case q.Tail < 0:
		return fmt.Errorf("log query: %w: the last %d lines", ErrInvalid, q.Tail)
	case !q.Start.IsZero() && !q.End.IsZero() && !q.Start.Before(q.End):
		return fmt.Errorf("log query: %w: the start %s is not before the end %s", ErrInvalid,
			q.Start.Format(time.RFC3339), q.End.Format(time.RFC3339))
	}
	return nil
}

// Match reports whether q asks for the line; Tail is the reader's.
func (q Query) Match(l Line) bool {
	return (q.JobID == "" || q.JobID == l.JobID) && (q.RunID == "" || q.RunID == l.RunID) &&
		(q.Start.IsZero() || !l.Time.Before(q.Start)) && (q.End.IsZero() || l.Time.Before(q.End)) &&
		strings.Contains(l.Text, q.Filter)
}

// over reports whether what comes after this moment is not asked for.
func (q Query) over() bool {
	if !q.Follow || !q.End.IsZero() && !time.Now().Before(q.End) {
		return true
	}
	select {
	case <-q.Done:
		return true
	default:
		return false
	}
}

// Poll is how a provider follows whose logs cannot wake it.
type Poll struct {
	Every  time.Duration // between two looks
	Settle time.Duration // a line arrives at most so long after it was written
}

// Read calls look, which yields what is new and reports whether that was something, until q asks for no more. late says that
// nothing is written any more that q asks for.
func (p Poll) Read(ctx context.Context, q Query, look func(ctx context.Context, late bool) (some bool, err error)) error {
	var quiet time.Time // since when, after the end
	for {
		late := q.over()
		some, err := look(ctx, late)
		switch {
		case q.Follow && ctx.Err() != nil:
			return nil
		case err != nil || !q.Follow:
			return err
		case late && (some || quiet.IsZero()):
			quiet = time.Now()
		}
		if late && time.Since(quiet) >= p.Settle {
			return nil
		}
		p.wait(ctx, q, late)
	}
}

// wait ends early where the next look may be one of the last.
func (p Poll) wait(ctx context.Context, q Query, late bool) {
	done := q.Done
	if late { // it is closed
		done = nil
	}
	select {
	case <-ctx.Done():
	case <-done:
	case <-time.After(p.Every):
	}
}
