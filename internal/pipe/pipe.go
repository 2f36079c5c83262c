// Package pipe gives kernel pipes: it creates and enlarges them, tells how full they are, and copies one pipe to
// many. It knows nothing of processes or tasks, and it never closes a file that it was given.
package pipe

import (
	"context"
	"io/fs"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// MaxSize is the capacity in bytes that New asks the kernel for; more needs a privilege on a usual Linux.
const MaxSize = 1 << 20

// minSize is the capacity in bytes of a pipe that nobody enlarged.
const minSize = 64 << 10

// New returns the two ends of a pipe, close-on-exec and in blocking mode, so that both may be handed to a child.
// The pipe is enlarged to MaxSize, or to what the kernel grants; not being granted anything is no error.
func New() (r, w *os.File, err error) {
	p, err := newPipe()
	if err != nil {
		return nil, nil, err
	}
	enlarge(p[1], MaxSize)
	return os.NewFile(uintptr(p[0]), "|0"), os.NewFile(uintptr(p[1]), "|1"), nil
}

// ForChild returns a pipe for what a child writes, close-on-exec and of the usual size: w is in blocking mode, and reads of r can
// be ended by a deadline. It costs half of the system calls of os.Pipe, of which both ends can be waited for.
func ForChild() (r, w *os.File, err error) {
	p, err := newPipe()
	if err != nil {
		return nil, nil, err
	}
	w = os.NewFile(uintptr(p[1]), "|1")
	if err := unix.SetNonblock(p[0], true); err != nil {
		_ = unix.Close(p[0])
		_ = w.Close()
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(p[0]), "|0"), w, nil
}

// Level returns how many bytes wait in the pipe and how many it can hold, asked at either end. A pipe is full
// before used reaches size when it was filled by writes that are no multiple of the page size.
func Level(f *os.File) (used, size int, err error) {
	cerr := control(f, func(fd int) { used, size, err = level(fd) })
	if cerr != nil {
		return 0, 0, cerr
	}
	return used, size, err
}

// ReaderGone reports whether no process has the read end of the pipe open any more; w is its write end.
// It is false when that cannot be told, as for a closed file.
func ReaderGone(w *os.File) bool {
	var gone bool
	err := control(w, func(fd int) { gone = readerGone(fd) })
	return err == nil && gone
}

// Tee copies all of in to every branch until end-of-file of in, and returns the number of bytes taken from in.
// Each branch receives every byte. Memory is bounded, so that a slow branch slows the rest. A branch whose reader
// has gone is dropped without an error (ReaderGone tells), and when all have gone Tee returns at once: closing in
// then gives the writer of in its SIGPIPE. When ctx ends, Tee returns its cause.
//
// All files must be pipe ends that no other process shares: they are in non-blocking mode during the call.
// Tee does not close the branches: the caller decides when they may see end-of-file.
func Tee(ctx context.Context, in *os.File, branches []*os.File) (n int64, err error) {
	return tee(ctx, in, branches, new(atomic.Int64))
}

// TeeCounting is Tee for a caller who wants to look at the number of bytes while it grows.
func TeeCounting(ctx context.Context, in *os.File, branches []*os.File, taken *atomic.Int64) (n int64, err error) {
	return tee(ctx, in, branches, taken)
}

// Copy moves all of in to out until end-of-file, and returns the number of bytes taken from in. It ends without an
// error when out is a pipe whose reader has gone, and with its cause when ctx ends. Only the ends of pipes are
// waited for in a way that ctx can interrupt, and only they must not be shared with another process: they are in
// non-blocking mode during the call. Neither file is closed.
func Copy(ctx context.Context, out, in *os.File) (int64, error) {
	if isPipe(in) && isPipe(out) {
		return Tee(ctx, in, []*os.File{out})
	}
	return copyFile(ctx, out, in)
}

// Watch is Copy for a caller who wants to see all that goes by: out has each byte before see does, so that looking at it holds up the
// reader as little as can be. An error of see ends the copying and is returned. The slice is valid during the call only.
func Watch(ctx context.Context, out, in *os.File, see func([]byte) error) (int64, error) {
	if isPipe(in) && isPipe(out) {
		return watch(ctx, out, in, see)
	}
	return copySeen(ctx, out, in, see)
}

// isPipe reports whether f is the end of a pipe or a named pipe.
func isPipe(f *os.File) bool {
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeNamedPipe != 0
}

// control calls fn with the descriptor of f, kept open meanwhile and in the mode that it has.
func control(f *os.File, fn func(fd int)) error {
	rc, err := f.SyscallConn()
	if err == nil {
		err = rc.Control(func(fd uintptr) { fn(int(fd)) })
	}
	if err != nil { // its only cause
		return &fs.PathError{Op: "use", Path: f.Name(), Err: fs.ErrClosed}
	}
	return nil
}
