package local

import (
	"bufio"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// pollInterval is how often a follower looks for new lines. A line that is written is there.
const pollInterval = 100 * time.Millisecond

// Read implements cloud.Logs. Lines of several runs are merged by their time; a follower yields what is new at each look
// in that order.
func (l *Logs) Read(ctx context.Context, q cloud.Query) iter.Seq2[cloud.Line, error] {
	return func(yield func(cloud.Line, error) bool) {
		r := reader{logs: l, query: q, yield: yield, cursors: map[runID]*cursor{}, later: map[string]time.Time{}}
		defer r.close()
		err := q.Check()
		if err == nil && q.Tail > 0 {
			err = r.skip(ctx)
		}
		if err == nil {
			err = cloud.Poll{Every: pollInterval}.Read(ctx, q, r.round)
		}
		if err != nil && !errors.Is(err, errLeft) {
			yield(cloud.Line{}, fmt.Errorf("read logs: %w", err))
		}
	}
}

// reader is one call of Read.
type reader struct {
	logs    *Logs
	query   cloud.Query
	yield   func(cloud.Line, error) bool
	cursors map[runID]*cursor
	later   map[string]time.Time // by job: before that a follower need not look at it again
	count   int                  // lines that were yielded
}

func (r *reader) close() {
	for _, c := range r.cursors {
		c.close()
	}
}

// round yields what is there now, and reports whether that was something.
func (r *reader) round(ctx context.Context, late bool) (bool, error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if late {
		clear(r.later)
	}
	queue, err := r.ready()
	if err != nil {
		return false, err
	}
	heap.Init(&queue)
	before := r.count
	for len(queue) > 0 {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err := r.step(&queue); err != nil {
			return false, err
		}
	}
	return r.count > before, nil
}

// step takes the earliest run, and yields its next line or finds out when that is.
func (r *reader) step(queue *byTime) error {
	c := (*queue)[0]
	if !r.query.End.IsZero() && !c.when().Before(r.query.End) {
		heap.Pop(queue)
		return nil
	}
	if line := c.head; line != nil {
		c.head = nil
		if r.query.Match(*line) {
			if !r.yield(*line, nil) {
				return errLeft
			}
			if r.count++; r.count == r.query.Tail && !r.query.Follow { // what has come since is not asked for
				return errLeft
			}
		}
	}
	more, err := c.advance(r.query.Start)
	if err != nil {
		return fmt.Errorf("job %q: %w", c.id.job, kind(err))
	}
	if !more {
		heap.Pop(queue)
		return nil
	}
	heap.Fix(queue, 0)
	return nil
}

// ready returns a cursor for each run that has, or may have, lines.
func (r *reader) ready() (byTime, error) {
	jobs, err := r.logs.ids(r.logs.dir, r.query.JobID)
	if err != nil {
		return nil, err
	}
	var queue byTime
	now := time.Now()
	for _, job := range jobs {
		if now.Before(r.later[job]) {
			continue
		}
		runs, err := r.logs.ids(filepath.Join(r.logs.dir, encodePart(job)), r.query.RunID)
		if err != nil {
			return nil, err
		}
		var changed time.Time
		for _, run := range runs {
			c := r.cursor(runID{job, run})
			if c.begin() {
				r.cursors[c.id] = c
				queue = append(queue, c)
			}
			if c.changed.After(changed) {
				changed = c.changed
			}
		}
		r.later[job] = now.Add(patience(now.Sub(changed)))
	}
	return queue, nil
}

func (r *reader) cursor(id runID) *cursor {
	if c := r.cursors[id]; c != nil {
		return c
	}
	return &cursor{id: id, dir: r.logs.runDir(id)}
}

// patience is how long a follower lets alone the log of a job that has been silent for so long: most jobs have ended long
// ago.
func patience(silent time.Duration) time.Duration {
	return min(max(silent/20, pollInterval/2), 5*time.Second)
}

// ids returns the one that was asked for, or all that have a folder in dir.
func (l *Logs) ids(dir, only string) ([]string, error) {
	if only != "" {
		return []string{only}, nil
	}
	files, err := names(dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range files {
		if id, ok := decodePart(name); ok {
			ids = append(ids, id)
		} else if name == "@none" {
			ids = append(ids, "")
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// byTime is a heap of cursors, the one with the earliest line first.
type byTime []*cursor

func (b byTime) Len() int      { return len(b) }
func (b byTime) Swap(i, j int) { b[i], b[j] = b[j], b[i] }
func (b byTime) Less(i, j int) bool {
	x, y := b[i], b[j]
	if !x.when().Equal(y.when()) {
		return x.when().Before(y.when())
	}
	return x.id.job < y.id.job || x.id.job == y.id.job && x.id.run < y.id.run
}
func (b *byTime) Push(x any) { *b = append(*b, x.(*cursor)) }
func (b *byTime) Pop() any {
	last := (*b)[len(*b)-1]
	*b = (*b)[:len(*b)-1]
	return last
}

// cursor is a place in the log of one run. It has a file open only between its first line and the end of what is there.
type cursor struct {
	id      runID
	dir     string
	first   time.Time   // of the run: before head is known
	head    *cloud.Line // the next line
	seq     int         // segment; 0: not yet chosen
	offset  int64       // of the line after head
	changed time.Time   // the segment, when it was looked at last
	sealed  bool        // the segment after seq was there before this one was read to its end
	file    *os.File
	buffer  *bufio.Reader
	started bool
}

func (c *cursor) when() time.Time {
	if c.head != nil {
		return c.head.Time
	}
	return c.first
}

func (c *cursor) close() {
	if c.file != nil {
		_ = c.file.Close()
		c.file = nil
	}
}

// begin prepares a cursor for a round, and returns false where there is nothing to read.
func (c *cursor) begin() bool {
	if c.head != nil {
		return true
	}
	if c.started {
		return c.grown()
	}
	first, err := firstTime(c.dir, 1)
	c.first, c.changed = first, time.Now()
	c.started = err == nil && !first.IsZero()
	return c.started
}

// grown reports whether there is more than was read.
func (c *cursor) grown() bool {
	info, err := os.Stat(segmentPath(c.dir, c.seq))
	if err == nil {
		c.changed = info.ModTime()
	}
	return err == nil && info.Size() > c.offset || c.hasNext()
}

func (c *cursor) hasNext() bool {
	_, err := os.Lstat(segmentPath(c.dir, c.seq+1))
	return err == nil
}

// firstTime returns the time of the first line of a segment; zero where it has none.
func firstTime(dir string, seq int) (time.Time, error) {
	f, err := os.Open(segmentPath(dir, seq))
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close() // read only
	buf := make([]byte, len(timeFormat)+1)
	if _, err := io.ReadFull(f, buf); err != nil {
		return time.Time{}, nil
	}
	t, _, _ := parseLine(buf)
	return t, nil
}

// advance reads the next line into head; false: there is none now.
func (c *cursor) advance(start time.Time) (bool, error) {
	if c.seq == 0 {
		if err := c.seek(start); err != nil {
			return false, err
		}
	}
	for {
		line, err := c.line()
		if err != nil || line != nil {
			c.head = line
			return line != nil, err
		}
		c.close()
		switch {
		case c.sealed:
			c.seq, c.offset, c.sealed = c.seq+1, 0, false
		case c.hasNext():
			c.sealed = true // read this one once more: lines may have come before the next one was begun
		default:
			return false, nil
		}
	}
}

// seek chooses the last segment that begins before start: in it, or in the ones after it, is the first line that counts.
func (c *cursor) seek(start time.Time) error {
	seqs, err := segments(c.dir)
	if err != nil {
		return err
	}
	n := 0
	if !start.IsZero() {
		n = sort.Search(len(seqs), func(i int) bool {
			t, err := firstTime(c.dir, seqs[i])
			return err != nil || t.IsZero() || !t.Before(start)
		})
	}
	c.seq = 1
	if n > 0 {
		c.seq = seqs[n-1]
	}
	return nil
}

// line returns the next whole line of the segment; nil where there is none yet.
func (c *cursor) line() (*cloud.Line, error) {
	if c.file == nil {
		if err := c.open(); errors.Is(err, fs.ErrNotExist) { // pruned
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	for {
		raw, err := c.buffer.ReadBytes('\n')
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		c.offset += int64(len(raw))
		if t, text, ok := parseLine(raw[:len(raw)-1]); ok {
			return &cloud.Line{Time: t, JobID: c.id.job, RunID: c.id.run, Text: text}, nil
		}
	}
}

func (c *cursor) open() error {
	f, err := os.Open(segmentPath(c.dir, c.seq))
	if err != nil {
		return err
	}
	if _, err := f.Seek(c.offset, io.SeekStart); err != nil {
		return errors.Join(err, f.Close())
	}
	c.file, c.buffer = f, bufio.NewReaderSize(f, 64<<10)
	return nil
}
