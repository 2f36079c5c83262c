package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// segmentSize is the size from which a segment gets no more lines. The first line of each segment says where in time it
// begins, so the segments of a run are its time index.
const segmentSize = 1 << 20

// maxWriters is how many runs have their files open between two calls of Append.
const maxWriters = 64

// Logs holds the log lines of one scope: a folder for each job, in it one for each run, in it segments 00000001.log,
// 00000002.log, ... A line is its time (30 characters), a blank, its text and a line end; times do not go back. Only
// a line with its line end counts.
type Logs struct {
	dir     string
	segment int64 // segmentSize

	mu      sync.Mutex
	writers map[runID]*writer
}

var _ cloud.Logs = (*Logs)(nil)

type runID struct{ job, run string }

func newLogs(dir string) *Logs {
	return &Logs{dir: dir, segment: segmentSize, writers: map[runID]*writer{}}
}

func (l *Logs) runDir(id runID) string {
	return filepath.Join(l.dir, encodePart(id.job), encodeOr(id.run, "@none"))
}

// Append adds lines, in their order; a text with line ends in it becomes several. Several processes may append to one run. Within one
// job and run time does not go back: a line with an earlier time than the line before it gets that time. Lines are durable against a
// crash of the process at once, against one of the machine only after some seconds.
func (l *Logs) Append(ctx context.Context, lines ...cloud.Line) error {
	for _, x := range lines {
		if x.JobID == "" || len(encodePart(x.JobID)) > maxPart || len(encodePart(x.RunID)) > maxPart {
			return fmt.Errorf("append to log of job %q: %w id of job or run", x.JobID, cloud.ErrInvalid)
		}
	}
	for len(lines) > 0 {
		id := runID{lines[0].JobID, lines[0].RunID}
		n := slices.IndexFunc(lines, func(x cloud.Line) bool { return runID{x.JobID, x.RunID} != id })
		if n < 0 {
			n = len(lines)
		}
		if err := l.writer(id).write(ctx, lines[:n]); err != nil {
			return fmt.Errorf("append to log of job %q: %w", id.job, kind(err))
		}
		lines = lines[n:]
	}
	return nil
}

// writer returns the one of a run; where too many have their files open, it closes some that are not at work.
func (l *Logs) writer(id runID) *writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.writers[id]; w != nil {
		return w
	}
	for old, w := range l.writers {
		if len(l.writers) < maxWriters {
			break
		}
		if w.mu.TryLock() {
			w.close()
			w.mu.Unlock()
			delete(l.writers, old)
		}
	}
	w := &writer{path: l.runDir(id), limit: l.segment}
	l.writers[id] = w
	return w
}

// Close makes what was appended durable and closes the files. Logs can be used again.
func (l *Logs) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	for id, w := range l.writers {
		w.mu.Lock()
		if w.file != nil {
			err = errors.Join(err, w.file.Sync())
		}
		w.close()
		w.mu.Unlock()
		delete(l.writers, id)
	}
	return err
}

// Prune removes the runs whose last line is from before the given time, and returns how many.
func (l *Logs) Prune(ctx context.Context, before time.Time) (int, error) {
	runs, err := l.runs("", "")
	if err != nil {
		return 0, fmt.Errorf("prune logs: %w", err)
	}
	removed := 0
	for _, id := range runs {
		if ctx.Err() != nil {
			return removed, context.Cause(ctx)
		}
		old, err := pruneRun(ctx, l.runDir(id), before)
		if err != nil {
			return removed, fmt.Errorf("prune logs of job %q: %w", id.job, kind(err))
		}
		if old {
			removed++
			_ = os.Remove(filepath.Dir(l.runDir(id))) // the job's, unless it has more runs
		}
	}
	return removed, nil
}

// runs returns those that the logs have; job and run may be empty: any.
func (l *Logs) runs(job, run string) ([]runID, error) {
	jobs, err := l.ids(l.dir, job)
	var all []runID
	for _, job := range jobs {
		var runs []string
		if runs, err = l.ids(filepath.Join(l.dir, encodePart(job)), run); err != nil {
			break
		}
		for _, run := range runs {
			all = append(all, runID{job, run})
		}
	}
	return all, err
}

func pruneRun(ctx context.Context, dir string, before time.Time) (bool, error) {
	held, err := openRun(ctx, dir)
	if err != nil {
		return false, err
	}
	defer held.Close() // frees the lock
	end, err := endOf(dir)
	if err != nil || !end.time.Before(before) {
		return false, err
	}
	return true, os.RemoveAll(dir)
}

// openRun makes the folder of a run and locks it, so that no other process appends or prunes.
func openRun(ctx context.Context, dir string) (*os.File, error) {
	for {
		d, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := lock(ctx, d, unix.LOCK_EX); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		if !gone(d) {
			return d, nil
		}
		_ = d.Close() // pruned while we waited
	}
}

// gone reports whether an open file has no name any more.
func gone(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) != nil || st.Nlink == 0
}

// segments returns the numbers of the segments in dir, ascending.
func segments(dir string) ([]int, error) {
	files, err := names(dir)
	if err != nil {
		return nil, err
	}
	var seqs []int
	for _, name := range files {
		number, ok := strings.CutSuffix(name, ".log")
		if seq, err := strconv.Atoi(number); ok && err == nil && seq > 0 {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

func segmentPath(dir string, seq int) string {
	return filepath.Join(dir, fmt.Sprintf("%08d.log", seq))
}

// tail returns where the whole lines of a segment end, and the time of the last one.
func tail(f *os.File) (end int64, last time.Time, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, time.Time{}, err
	}
	for window := int64(8 << 10); ; window *= 4 {
		from := max(size-window, 0)
		buf := make([]byte, size-from)
		if _, err := f.ReadAt(buf, from); err != nil && err != io.EOF {
			return 0, time.Time{}, err
		}
		stop := bytes.LastIndexByte(buf, '\n') + 1
		begin := 0
		if stop > 0 {
			begin = bytes.LastIndexByte(buf[:stop-1], '\n') + 1
		}
		if from > 0 && begin == 0 { // the line begins further ahead
			continue
		}
		if stop > 0 {
			last, _, _ = parseLine(buf[begin : stop-1])
		}
		return from + int64(stop), last, nil
	}
}

// parseLine returns false for a line that is none.
func parseLine(line []byte) (time.Time, string, bool) {
	n := len(timeFormat)
	if len(line) <= n || line[n] != ' ' {
		return time.Time{}, "", false
	}
	t, err := time.Parse(timeFormat, string(line[:n]))
	return t, string(line[n+1:]), err == nil
}
