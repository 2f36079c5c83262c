package pipeline

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// maxRecord is the longest line that a foreach takes.
const maxRecord = 16 << 20

var errLongLine = errors.New("a line is longer than 16 MiB")

// records reads lines from a pipe. Its reads can be interrupted.
type records struct {
	f *os.File // nil: no input at all
	r *bufio.Reader
	n atomic.Int64 // bytes read
}

func newRecords(in *input) (*records, error) {
	if in.file() == nil {
		return &records{r: bufio.NewReader(strings.NewReader(""))}, nil
	}
	f, err := pollable(in.file())
	if err != nil {
		return nil, err
	}
	return &records{f: f, r: bufio.NewReaderSize(f, 64<<10)}, nil
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
func (r *records) next() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	r.n.Add(int64(len(line)))
	if err != bufio.ErrBufferFull {
		return trimNewline(line), err
	}
	long := append([]byte(nil), line...)
	for err == bufio.ErrBufferFull {
		if len(long) > maxRecord {
			return nil, errLongLine
		}
		line, err = r.r.ReadSlice('\n')
		r.n.Add(int64(len(line)))
		long = append(long, line...)
	}
	return trimNewline(long), err
}

func trimNewline(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return b[:n-1]
	}
	return b
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
func trim(line []byte) string {
	return strings.TrimFunc(string(line), func(c rune) bool {
		return unicode.IsSpace(c) || 0x1c <= c && c <= 0x1f
	})
}
