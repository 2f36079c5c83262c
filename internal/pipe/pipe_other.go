//go:build !linux

package pipe

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

func newPipe() (r, w *os.File, err error) { return os.Pipe() }

// fionread is FIONREAD of the BSDs, which x/sys does not name.
const fionread = 0x4004667f

// level answers the capacity that a pipe can grow to: the kernel tells neither that nor the present one.
func level(fd int) (used, size int, err error) {
	used, err = unix.IoctlGetInt(fd, fionread)
	if err != nil {
		return 0, 0, os.NewSyscallError("ioctl FIONREAD", err)
	}
	return used, minSize, nil
}

func tee(ctx context.Context, in *os.File, branches []*os.File) (int64, error) {
	return teeBuffer(ctx, in, branches)
}
