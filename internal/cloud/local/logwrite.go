package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// writer appends to one run. Between two calls another process may have appended, begun a new segment, removed all of it,
// or died in the middle of a line: each call looks first.
type writer struct {
	path  string // folder of the run
	limit int64  // size of a segment

	mu   sync.Mutex // guards what follows
	dir  *os.File   // locked during a call; nil: nothing is open
	file *os.File   // the newest segment; nil before the first line
	seq  int
	size int64
	last time.Time // of the last line
}

func (w *writer) close() {
	if w.file != nil {
		_ = w.file.Close()
	}
	if w.dir != nil {
		_ = w.dir.Close()
	}
	w.file, w.dir, w.seq, w.size, w.last = nil, nil, 0, 0, time.Time{}
}

// write appends lines. After an error nothing is open, and the next call begins anew.
func (w *writer) write(ctx context.Context, lines []cloud.Line) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.append(ctx, lines)
	if err != nil {
		w.close()
	}
	return err
}

func (w *writer) append(ctx context.Context, lines []cloud.Line) error {
	if err := w.acquire(ctx); err != nil {
		return err
	}
	defer func() {
		if w.dir != nil {
			_ = unix.Flock(int(w.dir.Fd()), unix.LOCK_UN)
		}
	}()
	if err := w.catchUp(); err != nil {
		return err
	}
	for len(lines) > 0 {
		if w.file == nil || w.size >= w.limit {
			if err := w.next(); err != nil {
				return err
			}
		}
		text, rest := w.format(lines)
		n, err := w.file.Write(text)
		w.size += int64(n)
		if err != nil {
			return err
		}
		lines = rest
	}
	return nil
}

// acquire locks the folder of the run.
func (w *writer) acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.dir != nil {
		if err := lock(ctx, w.dir, unix.LOCK_EX); err != nil {
			return err
		}
		if !gone(w.dir) {
			return nil
		}
		w.close()
	}
	dir, err := openRun(ctx, w.path)
	w.dir = dir
	return err
}

// catchUp opens the newest segment and cuts off what a killed process has left of a line.
func (w *writer) catchUp() error {
	newer, err := w.newest()
	if err != nil || newer == 0 {
		return err
	}
	if newer != w.seq {
		if w.file != nil {
			_ = w.file.Close()
		}
		w.file, err = os.OpenFile(segmentPath(w.path, newer), os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			w.file = nil
			return err
		}
		w.seq, w.size = newer, -1
	}
	info, err := w.file.Stat()
	if err != nil || info.Size() == w.size {
		return err
	}
	end, last, err := tail(w.file)
	if err != nil {
		return err
	}
	w.size = end
	if last.IsZero() { // a segment without a line
		var before place
		before, err = endOf(w.path)
		last = before.time
	}
	if last.After(w.last) {
		w.last = last
	}
	return errors.Join(err, w.file.Truncate(end))
}

// newest returns the number of the newest segment; 0: there is none.
func (w *writer) newest() (int, error) {
	if w.seq > 0 {
		_, err := os.Lstat(segmentPath(w.path, w.seq+1))
		if errors.Is(err, fs.ErrNotExist) {
			return w.seq, nil
		}
	}
	seqs, err := segments(w.path)
	if err != nil || len(seqs) == 0 {
		return 0, err
	}
	return seqs[len(seqs)-1], nil
}

// next begins a segment. The one before it is flushed: it will not be written again.
func (w *writer) next() error {
	if w.file != nil {
		if err := errors.Join(w.file.Sync(), w.file.Close()); err != nil {
			w.file = nil
			return err
		}
	}
	f, err := os.OpenFile(segmentPath(w.path, w.seq+1), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		w.file = nil
		return err
	}
	w.file, w.size = f, 0
	w.seq++
	return nil
}

// format returns the text of as many lines as fit into the segment (one at least), and the others.
func (w *writer) format(lines []cloud.Line) ([]byte, []cloud.Line) {
	var b []byte
	for i, x := range lines {
		if i > 0 && w.size+int64(len(b)) >= w.limit {
			return b, lines[i:]
		}
		if t := x.Time.UTC(); t.After(w.last) {
			w.last = t
		}
		for text := range strings.SplitSeq(strings.TrimSuffix(x.Text, "\n"), "\n") {
			b = w.last.AppendFormat(b, timeFormat)
			b = append(b, ' ')
			b = append(b, text...)
			b = append(b, '\n')
		}
	}
	return b, nil
}
