package pipeline

import (
	"os"

	"golang.org/x/sys/unix"
)

// anonymousFile is in memory and has no name: a secret in it reaches no disk.
func anonymousFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("script", unix.MFD_CLOEXEC)
	if err != nil {
		return unlinkedFile()
	}
	return os.NewFile(uintptr(fd), "script"), nil
}
