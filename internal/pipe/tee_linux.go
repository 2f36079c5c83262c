package pipe

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const spliceFlags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE

// kernelTee copies references to pages, never their content: tee(2) into an empty private pipe of every branch but
// the first, then splice(2) of these, and of the input itself into the first branch.
type kernelTee struct {
	*ends
	private map[*end]*private
}

// private is the pipe in which a branch keeps what it has not yet taken of the current round.
type private struct {
	r, w int
	size int
}

func teeKernel(ctx context.Context, in *os.File, branches []*os.File, taken *atomic.Int64) (n int64, err error) {
	es, closeEnds, err := openEnds(ctx, in, branches)
	if err != nil {
		return 0, fmt.Errorf("tee: %w", err)
	}
	defer closeEnds()
	t := &kernelTee{ends: es, private: map[*end]*private{}}
	defer t.closePrivate()
	if err := t.openPrivate(); err != nil {
		return 0, fmt.Errorf("tee: %w", err)
	}
	n, err = t.run(taken)
	return n, es.outcome(ctx, err)
}

// run copies until end-of-file, an error or the loss of all branches.
func (t *kernelTee) run(taken *atomic.Int64) (n int64, err error) {
	for _, e := range t.out {
		go t.watch(e) // until e is closed
	}
	for len(t.live()) > 0 {
		m, err := t.round()
		n += m
		taken.Add(m)
		if err != nil || m == 0 {
			return n, err
		}
	}
	return n, nil
}

// watch drops e as soon as its reader has gone. A write end never becomes readable, so that waiting for that ends
// with the error event of the lost reader, or when e is closed or interrupted.
func (es *ends) watch(e *end) {
	_ = e.rc.Read(func(fd uintptr) bool { return readerGone(int(fd)) })
	var gone bool
	err := e.rc.Control(func(fd uintptr) { gone = readerGone(int(fd)) })
	if err == nil && gone {
		es.drop(e)
	}
}

func (t *kernelTee) openPrivate() error {
	_, size, err := level(t.in.fd)
	if err != nil {
		return err
	}
	for _, e := range t.out[min(1, len(t.out)):] {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return os.NewSyscallError("pipe2", err)
		}
		t.private[e] = &private{r: p[0], w: p[1]}
		enlarge(p[1], size)
		if _, t.private[e].size, err = level(p[1]); err != nil {
			return err
		}
	}
	return nil
}

func (t *kernelTee) closePrivate() {
	for _, p := range t.private {
		_ = unix.Close(p.r)
		_ = unix.Close(p.w)
	}
}

// round waits for input and brings what is there to every branch; 0 bytes without an error mean end-of-file.
func (t *kernelTee) round() (int64, error) {
	n, err := t.available()
	if n == 0 || err != nil {
		return 0, err
	}
	live := t.live()
	if len(live) == 0 {
		return 0, nil
	}
	if n, err = t.share(live[1:], n); err != nil {
		return 0, err
	}
	var late sync.WaitGroup
	left := make([]int, len(live))
	errs := make([]error, len(live))
	for i, e := range live {
		src := t.in.fd
		if i > 0 {
			src = t.private[e].r
		}
		if left[i], errs[i] = move(e.fd, src, n); errs[i] == unix.EAGAIN {
			late.Go(func() { left[i], errs[i] = e.flush(src, left[i]) })
		}
	}
	late.Wait()
	return t.settle(live, n, left, errs)
}

// available waits for input and returns how much there is.
func (t *kernelTee) available() (n int, err error) {
	werr := t.in.rc.Read(func(fd uintptr) bool { return poll(int(fd), unix.POLLIN) != 0 })
	if werr != nil {
		return 0, werr
	}
	n, err = unix.IoctlGetInt(t.in.fd, unix.TIOCINQ)
	return n, os.NewSyscallError("ioctl FIONREAD", err)
}

// share puts a reference to the first n bytes of the input into the private pipe of each branch. The smallest pipe
// goes first: what it can hold, all can, and it limits the round.
func (t *kernelTee) share(branches []*end, n int) (int, error) {
	order := slices.Clone(branches)
	slices.SortFunc(order, func(a, b *end) int { return t.private[a].size - t.private[b].size })
	for i, e := range order {
		m, err := unix.Tee(t.in.fd, t.private[e].w, n, unix.SPLICE_F_NONBLOCK)
		if err != nil {
			return 0, os.NewSyscallError("tee", err)
		}
		if i > 0 && int(m) != n {
			return 0, fmt.Errorf("tee: %d bytes of %d", m, n)
		}
		n = int(m)
	}
	return n, nil
}

// settle drops the branches that were lost in a round. Bytes that a lost first branch did not take from the input
// are thrown away: the others have them.
func (t *kernelTee) settle(live []*end, n int, left []int, errs []error) (int64, error) {
	for i, e := range live {
		switch errs[i] {
		case nil:
		case unix.EPIPE:
			t.drop(e)
		default:
			return int64(n - left[0]), errs[i]
		}
	}
	if len(t.live()) == 0 {
		return int64(n - left[0]), nil
	}
	return int64(n), discard(t.in.fd, left[0])
}

// move splices n bytes as far as that goes without waiting; it returns what is left, and EAGAIN if that is not 0.
func move(out, in, n int) (left int, err error) {
	for n > 0 {
		m, err := unix.Splice(in, nil, out, nil, n, spliceFlags)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN || err == unix.EPIPE:
			return n, err
		case err != nil:
			return n, os.NewSyscallError("splice", err)
		case m == 0:
			return n, os.NewSyscallError("splice", unix.EIO)
		default:
			n -= int(m)
		}
	}
	return 0, nil
}

// flush is move with waiting for room in e.
func (e *end) flush(src, n int) (left int, err error) {
	left = n
	werr := e.rc.Write(func(fd uintptr) bool {
		left, err = move(int(fd), src, left)
		return err != unix.EAGAIN
	})
	if werr != nil {
		return left, werr
	}
	return left, err
}

// discard reads n bytes that are there and throws them away.
func discard(fd, n int) error {
	buf := make([]byte, min(n, minSize))
	for n > 0 {
		m, err := unix.Read(fd, buf[:min(n, len(buf))])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("read", err)
		}
		if m == 0 {
			return nil
		}
		n -= m
	}
	return nil
}
