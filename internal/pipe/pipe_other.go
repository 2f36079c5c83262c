//go:build !linux

package pipe

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// newPipe does not use os.Pipe, whose ends are in non-blocking mode.
func newPipe() (p [2]int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := syscall.Pipe(p[:]); err != nil {
		return p, os.NewSyscallError("pipe", err)
	}
	syscall.CloseOnExec(p[0])
	syscall.CloseOnExec(p[1])
	return p, nil
}

// enlarge has nothing to do: pipes grow when they are written to.
func enlarge(int, int) {}

// fionread is FIONREAD of the BSDs, which x/sys does not name.
const fionread = 0x4004667f

// level returns the capacity that a pipe can grow to: the kernel tells neither that nor the present one.
func level(fd int) (used, size int, err error) {
	used, err = unix.IoctlGetInt(fd, fionread)
	if err != nil {
		return 0, 0, os.NewSyscallError("ioctl FIONREAD", err)
	}
	return used, minSize, nil
}

func watch(ctx context.Context, out, in *os.File, see func([]byte) error) (int64, error) {
	return copySeen(ctx, out, in, see)
}

func tee(ctx context.Context, in *os.File, branches []*os.File, taken *atomic.Int64) (int64, error) {
	return teeBuffer(ctx, in, branches, taken)
}
