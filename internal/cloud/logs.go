package cloud

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Logs holds what the jobs of one scope wrote, by job and run.
type Logs interface {
	// Append adds lines, in their order. It is ErrUnsupported where the platform collects the output of jobs by itself.
	// Within one job and run time does not go back: a line with an earlier time than the line before it gets that time.
	// Unlike other changes, lines are durable against a crash of the process at once, against one of the machine only
	// after some seconds.
	Append(ctx context.Context, lines ...Line) error

	// Read yields the lines that q asks for, ordered by time, lines of one job and run always in the order in which they
	// were appended. Every line is yielded once, however many share a time. No lines is no error.
	Read(ctx context.Context, q Query) iter.Seq2[Line, error]
}

// Line is one line of a log.
type Line struct {
	Time time.Time `json:"time"` // UTC; providers keep at least milliseconds
	Job  string    `json:"job"`
	Run  string    `json:"run,omitempty"` // id of the run; empty for what is written around runs
	Text string    `json:"text"`          // without line end; Append makes several lines of a text with line ends in it
}

// Query says which lines to read. The zero Query asks for all of the scope.
type Query struct {
	Job    string    // id of the job; empty: any
	Run    string    // id of the run; empty: any
	Start  time.Time // only lines at or after it
	End    time.Time // only lines before it
	Filter string    // only lines whose text contains this, byte for byte
	Limit  int       // at most so many lines, the earliest ones; 0: no limit

	// Follow waits for new lines until ctx is done (the iterator then ends without an error), Limit or End is reached,
	// or Done is closed: then what is still there is yielded, and the iterator ends.
	Follow bool
	Done   <-chan struct{}
}

// Check returns an ErrInvalid for a Query that can match nothing.
func (q Query) Check() error {
	switch {
	case q.Limit < 0:
		return fmt.Errorf("log query: %w: limit %d", ErrInvalid, q.Limit)
	case !q.Start.IsZero() && !q.End.IsZero() && !q.Start.Before(q.End):
		return fmt.Errorf("log query: %w: the start %s is not before the end %s", ErrInvalid,
			q.Start.Format(time.RFC3339), q.End.Format(time.RFC3339))
	}
	return nil
}

// Match reports whether q asks for the line; Limit is the reader's.
func (q Query) Match(l Line) bool {
	return (q.Job == "" || q.Job == l.Job) && (q.Run == "" || q.Run == l.Run) &&
		(q.Start.IsZero() || !l.Time.Before(q.Start)) && (q.End.IsZero() || l.Time.Before(q.End)) &&
		strings.Contains(l.Text, q.Filter)
}
