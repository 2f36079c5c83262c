package cli

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepDescriptors keeps what handoff was started with open from what it starts: a stage or a job that has them would keep a
// file locked, or its reader waiting, for those who started handoff.
func keepDescriptors() {
	if closeOnExec(3) == nil {
		return
	}
	list, _ := os.ReadDir("/dev/fd")
	for _, entry := range list {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}
