package pipe

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// seenSize is how much is looked at at once, in bytes: what stays in the cache of a core.
const seenSize = 128 << 10

// watch copies references to the pages by tee(2), and reads them for see only then: that is one copy in all.
func watch(ctx context.Context, out, in *os.File, see func([]byte) error) (n int64, err error) {
	es, closeEnds, err := openEnds(ctx, in, []*os.File{out})
	if err != nil {
		return 0, fmt.Errorf("copy: %w", err)
	}
	defer closeEnds()
	t := &kernelTee{ends: es}
	go t.watch(es.out[0]) // until it is closed
	buf := make([]byte, seenSize)
	for {
		m, err := t.pass(es.out[0])
		if m > 0 {
			n += int64(m)
			if serr := t.show(buf, m, see); serr != nil {
				return n, serr
			}
		}
		if err == unix.EPIPE {
			t.drop(es.out[0])
		}
		if err != nil || m == 0 {
			return n, es.outcome(ctx, err)
		}
	}
}

// pass waits for input, and for room, and gives e what is there and has room; 0 bytes without an error mean end-of-file.
func (t *kernelTee) pass(e *end) (m int, err error) {
	n, err := t.available()
	if n == 0 || err != nil {
		return 0, err
	}
	werr := e.rc.Write(func(fd uintptr) bool {
		var got int64
		for {
			got, err = unix.Tee(t.in.fd, int(fd), n, unix.SPLICE_F_NONBLOCK)
			if err != unix.EINTR {
				break
			}
		}
		m = int(max(got, 0))
		return err != unix.EAGAIN
	})
	if werr != nil {
		return 0, werr
	}
	return m, err
}

// show reads the next m bytes of the input, which are there.
func (t *kernelTee) show(buf []byte, m int, see func([]byte) error) error {
	for m > 0 {
		n, err := unix.Read(t.in.fd, buf[:min(m, len(buf))])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return os.NewSyscallError("read", unix.EIO)
		}
		if err := see(buf[:n]); err != nil {
			return err
		}
		m -= n
	}
	return nil
}
