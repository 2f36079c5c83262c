package workspace

import (
	"os"

	"golang.org/x/sys/unix"
)

// flush brings the file system of dir to the disk.
func flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written through it
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
