package local

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// newSyncGroup returns a group that can flush the whole file system of dir.
func newSyncGroup(dir string) *syncGroup {
	f, err := os.Open(dir) // kept open: errors of the disk are reported to who had the file system open when they happened
	if err != nil {
		return &syncGroup{}
	}
	return &syncGroup{all: func() error {
		defer runtime.KeepAlive(f)
		return unix.Syncfs(int(f.Fd()))
	}}
}
