package pipe

import (
	"context"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

func newPipe() (p [2]int, err error) {
	return p, os.NewSyscallError("pipe2", unix.Pipe2(p[:], unix.O_CLOEXEC))
}

// enlarge gives the pipe the given capacity, or half of it, and so on: a user may hold 64 MiB in pipes in all
// (fs.pipe-user-pages-soft), and what is left of that is better than nothing.
func enlarge(fd, size int) {
	for ; size > minSize; size /= 2 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, size); err == nil {
			return
		}
	}
}

func level(fd int) (used, size int, err error) {
	used, err = unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0, 0, os.NewSyscallError("ioctl FIONREAD", err)
	}
	size, err = unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return 0, 0, os.NewSyscallError("fcntl F_GETPIPE_SZ", err)
	}
	return used, size, nil
}

func tee(ctx context.Context, in *os.File, branches []*os.File, taken *atomic.Int64) (int64, error) {
	return teeKernel(ctx, in, branches, taken)
}
