package cli

import "golang.org/x/sys/unix"

// closeOnExec marks all descriptors from first on, with a call that Linux has since 5.11.
func closeOnExec(first uint) error {
	return unix.CloseRange(first, 1<<31, unix.CLOSE_RANGE_CLOEXEC)
}
