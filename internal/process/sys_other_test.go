//go:build !linux

package process

import (
	"syscall"
	"testing"
	"time"
)

// daemon is a script whose process leaves the group: it cannot be found here.
const daemon = ""

// running reports whether a process is there.
func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

// hide needs prctl.
func hide() int { return 99 }

// ignores gives the process time to say that it ignores the signal.
func ignores(*testing.T, int, syscall.Signal) bool {
	time.Sleep(100 * time.Millisecond)
	return true
}
