package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// end is a second descriptor of a pipe end that can be waited for without a thread and be interrupted.
type end struct {
	f       *os.File
	rc      syscall.RawConn
	fd      int
	restore bool        // the file was in blocking mode
	gone    atomic.Bool // of a write end: the reader has gone
}

// open makes an end of f. It duplicates the descriptor because the runtime takes a file into its poller only when
// the os.File is made.
func open(f *os.File) (*end, error) {
	e := &end{fd: -1}
	var err error
	cerr := control(f, func(fd int) { e.fd, e.restore, err = dupNonblock(fd) })
	if err = errors.Join(cerr, err); err != nil {
		return nil, err
	}
	e.f = os.NewFile(uintptr(e.fd), f.Name())
	if err := e.f.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "poll", Path: f.Name(), Err: err}, e.close())
	}
	e.rc, err = e.f.SyscallConn()
	return e, err
}

func dupNonblock(fd int) (dup int, wasBlocking bool, err error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return -1, false, os.NewSyscallError("fcntl F_GETFL", err)
	}
	dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, false, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	wasBlocking = flags&unix.O_NONBLOCK == 0
	return dup, wasBlocking, os.NewSyscallError("fcntl O_NONBLOCK", unix.SetNonblock(dup, true))
}

// close ends all waiting on e and gives the file its mode back.
func (e *end) close() error {
	if e.restore {
		_ = control(e.f, func(fd int) { _ = unix.SetNonblock(fd, false) })
	}
	return e.f.Close()
}

// interrupt makes every wait on e, present and future, return os.ErrDeadlineExceeded.
func (e *end) interrupt() { _ = e.f.SetDeadline(time.Unix(1, 0)) }

// ends are the files of one call of Tee.
type ends struct {
	in  *end
	out []*end
}

// openEnds opens all files; ctx interrupts every wait on them until close is called.
func openEnds(ctx context.Context, in *os.File, branches []*os.File) (*ends, func(), error) {
	es := &ends{}
	var err error
	if es.in, err = open(in); err != nil {
		return nil, nil, err
	}
	for _, b := range branches {
		e, err := open(b)
		if err != nil {
			es.close()
			return nil, nil, err
		}
		es.out = append(es.out, e)
	}
	stop := context.AfterFunc(ctx, es.interrupt)
	return es, func() { stop(); es.close() }, nil
}

func (es *ends) interrupt() {
	es.in.interrupt()
	for _, e := range es.out {
		e.interrupt()
	}
}

func (es *ends) close() {
	_ = es.in.close()
	for _, e := range es.out {
		_ = e.close()
	}
}

// live returns the branches that still have a reader.
func (es *ends) live() []*end {
	var l []*end
	for _, e := range es.out {
		if !e.gone.Load() {
			l = append(l, e)
		}
	}
	return l
}

// drop marks a branch as gone, and wakes a wait for input that nobody needs any more.
func (es *ends) drop(e *end) {
	e.gone.Store(true)
	if len(es.live()) == 0 {
		es.in.interrupt()
	}
}

// outcome turns the error of a wait into that of the call.
func (es *ends) outcome(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(es.live()) == 0:
		return nil
	}
	return err
}

// poll returns the events of a descriptor at this moment.
func poll(fd int, events int16) int16 {
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(p, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0
		}
		return p[0].Revents
	}
}

// readerGone: Linux says POLLERR of the write end, darwin POLLHUP.
func readerGone(fd int) bool {
	return poll(fd, unix.POLLOUT)&(unix.POLLERR|unix.POLLHUP) != 0
}
