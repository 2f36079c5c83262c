package pipeline

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// checkRoom returns an error when the file system of f has no block left. A program that does not look at the errors of
// its writes ends with success on a full disk; its output is then cut short and nobody has noticed.
func checkRoom(f *os.File, name string) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil || st.Blocks == 0 { // 0: a file system without a limit
		return nil
	}
	left := st.Bavail
	if os.Geteuid() == 0 {
		left = st.Bfree // some blocks are for root only
	}
	if left > 0 {
		return nil
	}
	return fmt.Errorf("%s may be cut short: %w", name, unix.ENOSPC)
}
