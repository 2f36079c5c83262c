package release

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// exchange puts fresh in the place of dir in one step: there is no moment without dir. Where the file system cannot, it
// takes two.
func exchange(fresh, dir, old string) error {
	err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.Join(os.Rename(dir, old), os.Rename(fresh, dir))
	}
	return err
}
