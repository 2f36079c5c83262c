package pipeline

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/pipe"
)

const (
	maxPiece    = 64 << 10 // longer lines are cut
	lookahead   = 16 << 10 // what must be known behind a cut, so that no secret is cut in two unseen
	tailLines   = 20
	maxTailLine = 2000                   // bytes
	lateOutput  = 200 * time.Millisecond // for the output of processes that a stage left behind
	drainLimit  = 5 * time.Second
)

// A lineReader reads the lines that the processes of a stage write, until the last of them has closed the pipe.
type lineReader struct {
	r    *os.File
	e    *Engine
	line func(text string) // called for every line, masked
	done chan struct{}

	errors atomic.Int64 // lines at ERROR level
	rows   rowTally     // what lines with metrics tell
	idle   atomic.Bool  // everything read so far has been worked on, and the pipe was empty after that
	skipLF bool
	flush  func() // after the lines of one read

	mu    sync.Mutex
	tail  []string
	first string // line at ERROR level
}

// readers knows every lineReader at work: those of processes left behind end with the run.
type readers struct {
	mu   sync.Mutex
	live map[*lineReader]struct{}
	bufs sync.Pool
}

// readLines starts a reader and returns the write end for a child.
func (e *Engine) readLines() (*lineReader, *os.File, error) {
	r, w, err := pipe.ForChild()
	if err != nil {
		return nil, nil, fmt.Errorf("create pipe: %w", err)
	}
	return &lineReader{r: r, e: e, done: make(chan struct{}), flush: func() {}}, w, nil
}

func (l *lineReader) start() {
	l.e.readers.add(l)
	go l.run()
}

func (l *lineReader) run() {
	defer close(l.done)
	defer l.e.readers.remove(l)
	defer l.r.Close()
	rc, err := l.r.SyscallConn()
	if err != nil {
		return
	}
	buf := l.e.readers.buffer()
	defer l.e.readers.bufs.Put(buf)
	b, n := *buf, 0
	for {
		m, err := l.read(rc, b[n:])
		n += m
		used := l.split(b[:n], m == 0 || err != nil, n == len(b))
		n = copy(b, b[used:n])
		l.flush()
		if m == 0 || err != nil {
			return
		}
	}
}

// read waits for data; 0 bytes are end-of-file.
func (l *lineReader) read(rc syscall.RawConn, b []byte) (n int, err error) {
	werr := rc.Read(func(fd uintptr) bool {
		l.idle.Store(false)
		for {
			n, err = unix.Read(int(fd), b)
			if err != unix.EINTR {
				break
			}
		}
		if err == unix.EAGAIN {
			l.idle.Store(true)
			return false
		}
		return true
	})
	if werr != nil {
		return 0, werr
	}
	return max(n, 0), err
}

// split hands out the lines in b and returns how much of b it used. full: b cannot grow, its line must be cut.
func (l *lineReader) split(b []byte, end, full bool) int {
	used := 0
	for {
		rest := b[used:]
		if l.skipLF && len(rest) > 0 {
			l.skipLF = false
			if rest[0] == '\n' {
				used++
				continue
			}
		}
		i := bytes.IndexAny(rest, "\r\n")
		if i < 0 {
			break
		}
		l.skipLF = rest[i] == '\r' // "\r\n" is one end of a line, also when it comes in two reads
		if i > 0 || rest[i] == '\n' {
			l.addBytes(rest[:i])
		}
		used += i + 1
	}
	rest := b[used:]
	switch {
	case len(rest) == 0:
	case end:
		l.addBytes(rest)
		used = len(b)
	case full && used == 0:
		used = l.cut(rest)
		l.addBytes(rest[:used])
	}
	return used
}

// cut finds a place to cut a long line where no secret is: masking the parts gives what masking the whole does.
func (l *lineReader) cut(b []byte) int {
	whole := l.e.mask(string(b))
	for at := maxPiece; at > 0; at -= lookahead / 4 {
		if l.e.mask(string(b[:at]))+l.e.mask(string(b[at:])) == whole {
			return at
		}
	}
	return maxPiece
}

func (l *lineReader) addBytes(raw []byte) {
	text := l.e.mask(string(raw))
	if AtErrorLevel(raw) && l.errors.Add(1) == 1 {
		l.mu.Lock()
		l.first = text[:min(len(text), maxTailLine)]
		l.mu.Unlock()
	}
	if stream, source, n, ok := rowsIn(text); ok {
		l.rows.add(stream, source, n)
	}
	l.mu.Lock()
	if len(l.tail) == tailLines {
		l.tail = append(l.tail[:0], l.tail[1:]...)
	}
	l.tail = append(l.tail, text[:min(len(text), maxTailLine)])
	l.mu.Unlock()
	l.line(text)
}

// firstError is the first line at ERROR level.
func (l *lineReader) firstError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// last are the last lines.
func (l *lineReader) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.tail...)
}

// finish waits until all has been read that was written before the call. Processes that a stage left behind may keep
// the pipe open: they are given a moment, and their later output is read until the run ends.
func (l *lineReader) finish() {
	if l.ended(lateOutput) {
		return
	}
	for end := time.Now().Add(drainLimit); !l.drained() && time.Now().Before(end); {
		if l.ended(5 * time.Millisecond) {
			return
		}
	}
}

func (l *lineReader) ended(within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-l.done:
		return true
	case <-t.C:
		return false
	}
}

// drained: the order of the two questions matters, since the reader is not idle from before it takes data out of the
// pipe until it finds the pipe empty.
func (l *lineReader) drained() bool {
	used, _, err := pipe.Level(l.r)
	return (err != nil || used == 0) && l.idle.Load()
}

func (s *readers) add(l *lineReader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = map[*lineReader]struct{}{}
	}
	s.live[l] = struct{}{}
}

func (s *readers) remove(l *lineReader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, l)
}

func (s *readers) buffer() *[]byte {
	if b, ok := s.bufs.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, maxPiece+lookahead)
	return &b
}

// close ends all readers. Nothing writes any more, so that they have met end-of-file; a process that even the
// supervisor did not find must not keep the run from ending.
func (s *readers) close() {
	s.mu.Lock()
	var live []*lineReader
	for l := range s.live {
		live = append(live, l)
	}
	s.mu.Unlock()
	limit := time.Now().Add(lateOutput)
	for _, l := range live {
		_ = l.r.SetReadDeadline(limit)
	}
	for _, l := range live {
		<-l.done
	}
}

// A stderrLog is the artifact that takes the stderr of all stages of a task: all of it, or, when the logs of the run have got too long,
// head and tail.
type stderrLog struct {
	e    *Engine
	name string

	mu     sync.Mutex
	f      *os.File
	tail   tail
	closed bool
	err    error // the first; later lines are dropped
}

// open makes the file, or, where thousands of empty ones would be no use, removes that of an earlier run.
func (e *Engine) openLog(name string, lazy bool) (*stderrLog, error) {
	l := &stderrLog{e: e, name: name, tail: tail{most: stderrTail}}
	if lazy {
		_ = e.root.Remove(name)
		return l, nil
	}
	f, err := e.create(name)
	l.f = f
	return l, err
}

func (l *stderrLog) write(b []byte) {
	if l == nil || len(b) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.err != nil {
		return
	}
	if l.f == nil {
		if l.f, l.err = l.e.create(l.name); l.err != nil {
			return
		}
	}
	if len(l.tail.kept) > 0 || !l.e.stderr.take(len(b)) {
		l.tail.add(b)
		return
	}
	l.put(b)
}

func (l *stderrLog) put(b []byte) {
	if _, err := l.f.Write(b); err != nil {
		l.err = fmt.Errorf("write artifact %q: %w", l.name, err)
	}
}

// close returns the first error of the log.
func (l *stderrLog) close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.f != nil {
		if l.err == nil {
			l.put(l.tail.text())
		}
		if err := l.f.Close(); err != nil && l.err == nil {
			l.err = fmt.Errorf("write artifact %q: %w", l.name, err)
		}
	}
	return l.err
}
