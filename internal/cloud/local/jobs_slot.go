package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepSlots is how many workspaces of a task are kept for the next jobs.
const keepSlots = 4

// slot is a workspace, <task>/workspaces/<number>, which belongs to one job at a time. The next job finds in it what is
// expensive to make, such as the virtual environments, whose scripts hold its path.
type slot struct {
	number int
	dir    string
	lock   *os.File // of <number>.lock; also held by what the job has started
}

// takeSlot returns the first workspace that no job has.
func (j *Jobs) takeSlot() (*slot, error) {
	base := filepath.Join(j.dir, "workspaces")
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		dir := filepath.Join(base, strconv.Itoa(n))
		f, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			err = os.MkdirAll(dir, 0o700)
			if err == nil {
				return &slot{number: n, dir: dir, lock: f}, nil
			}
		}
		_ = f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("workspace %d: %w", n, err)
		}
	}
}

// free gives the workspace back. The lock of what is left of the job, if anything, stays.
func (s *slot) free() {
	if s.number > keepSlots {
		_ = os.RemoveAll(s.dir)
	}
	_ = s.lock.Close()
}
