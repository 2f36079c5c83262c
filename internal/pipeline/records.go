package pipeline

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// maxRecord is the longest line that a foreach takes.
const maxRecord = 16 << 20

var errLongLine = errors.New("a line is longer than 16 MiB")

// aheadRoom is how much of its input a foreach takes before it needs it, in bytes.
const aheadRoom = 64 << 10

// records reads lines from a pipe. Its reads can be interrupted.
type records struct {
	f *os.File     // nil: no input at all
	n atomic.Int64 // bytes of the lines that next has returned

	mu      sync.Mutex // held while it reads
	buf     []byte     // empty; in its memory is what waits
	waiting []byte     // read, and not yet returned
	lines   int64      // returned, without the blank ones
	ended   error      // of the last read: io.EOF where all of the input is there
}

func newRecords(in *input) (*records, error) {
	if in.file() == nil {
		return &records{ended: io.EOF}, nil
	}
	f, err := pollable(in.file())
	if err != nil {
		return nil, err
	}
	return &records{f: f, buf: make([]byte, 0, aheadRoom)}, nil
}

// pollable makes f interruptible. f is handoff's own end of a pipe and the mode is of that end only.
func pollable(f *os.File) (*os.File, error) {
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	cerr := rc.Control(func(old uintptr) {
		if fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3); err == nil {
			err = unix.SetNonblock(fd, true)
		}
	})
	if err = errors.Join(cerr, err); err != nil {
		if fd >= 0 {
			_ = syscall.Close(fd)
		}
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// next returns the next line without its newline. The last one comes with io.EOF if it has no newline.
func (r *records) next() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for from := 0; ; {
		if n := bytes.IndexByte(r.waiting[from:], '\n'); n >= 0 {
			return r.take(from + n + 1), nil
		}
		if r.ended != nil {
			return r.take(len(r.waiting)), r.ended
		}
		if from = len(r.waiting); from > maxRecord {
			return "", errLongLine
		}
		r.makeRoom()
		n, err := r.f.Read(r.waiting[from:cap(r.waiting)])
		r.waiting, r.ended = r.waiting[:from+n], err
	}
}

// take returns the first n bytes that wait as a line.
func (r *records) take(n int) string {
	line := strings.TrimSuffix(string(r.waiting[:n]), "\n")
	r.waiting = r.waiting[n:]
	r.n.Add(int64(n))
	if trim(line) != "" {
		r.lines++
	}
	return line
}

// makeRoom makes room for a read behind what waits.
func (r *records) makeRoom() {
	if cap(r.waiting)-len(r.waiting) >= aheadRoom/2 {
		return
	}
	if len(r.waiting) > cap(r.buf)/2 {
		r.buf = make([]byte, 0, 2*cap(r.buf))
	}
	r.waiting = append(r.buf, r.waiting...)
}

// total counts the lines of the input that are not blank, where its end is in sight. It takes what is in the pipe, as the next read
// would, and never waits.
func (r *records) total() (lines int64, known bool) {
	if !r.mu.TryLock() {
		return 0, false // next waits for input
	}
	defer r.mu.Unlock()
	for r.ended == nil && len(r.waiting) < aheadRoom && r.poll() {
	}
	if r.ended != io.EOF {
		return 0, false
	}
	lines = r.lines
	for line := range bytes.Lines(r.waiting) {
		if trim(string(line)) != "" {
			lines++
		}
	}
	return lines, true
}

// poll reads once and does not wait; false: there is nothing.
func (r *records) poll() bool {
	r.makeRoom()
	from, n := len(r.waiting), 0
	rc, err := r.f.SyscallConn()
	if err != nil {
		return false
	}
	cerr := rc.Read(func(fd uintptr) bool {
		n, err = unix.Read(int(fd), r.waiting[from:min(cap(r.waiting), aheadRoom)])
		return true
	})
	if cerr != nil || err != nil { // interrupted, or nothing yet: next finds out
		return false
	}
	if n == 0 {
		r.ended = io.EOF
	}
	r.waiting = r.waiting[:from+n]
	return n > 0
}

// interrupt makes next return an error, now and later.
func (r *records) interrupt() {
	if r.f != nil {
		_ = r.f.SetReadDeadline(time.Unix(1, 0))
	}
}

func (r *records) close() {
	if r.f != nil {
		_ = r.f.Close()
	}
}

// trim removes the white space around a line, as handoff 0.4 did: Python counts four separators as white space too.
func trim(line string) string {
	return strings.TrimFunc(line, func(c rune) bool {
		return unicode.IsSpace(c) || 0x1c <= c && c <= 0x1f
	})
}
