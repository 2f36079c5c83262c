//go:build !linux

package process

import "golang.org/x/sys/unix"

// Machine names this machine since it came up; "": not known.
func Machine() string {
	boot, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return boot
}

// Born returns 0: when a process started is not known.
func Born(int) uint64 { return 0 }

// Remains returns false: the processes of a run cannot be found.
func Remains(string) bool { return false }
