package pipeline

import (
	"fmt"
	"os"
	"syscall"
)

// inode names the pipe behind f as the kernel does in /proc.
func inode(f *os.File) (string, bool) {
	info, err := f.Stat()
	if err != nil {
		return "", false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	return fmt.Sprintf("pipe:[%d]", st.Ino), true
}

// holds reports whether a process has the pipe open; false where that cannot be told.
func holds(pid int, pipe string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, ent := range entries {
		if to, err := os.Readlink(dir + "/" + ent.Name()); err == nil && to == pipe {
			return true
		}
	}
	return false
}
