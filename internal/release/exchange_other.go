//go:build !linux

package release

import (
	"errors"
	"os"
)

// exchange puts fresh in the place of dir, which becomes old.
func exchange(fresh, dir, old string) error {
	return errors.Join(os.Rename(dir, old), os.Rename(fresh, dir))
}
