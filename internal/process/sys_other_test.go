//go:build !linux

package process

import "syscall"

// daemons is a script whose process leaves the group: it cannot be found here.
const daemons = ""

// running reports whether a process is there.
func running(pid int) bool { return syscall.Kill(pid, 0) == nil }
