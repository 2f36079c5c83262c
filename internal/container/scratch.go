package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Scratch is a folder of one build, below a cache. It may hold secrets: the next build removes what one that was killed has left.
type Scratch struct {
	Dir  string
	lock *os.File
}

// NewScratch makes the folder, and removes those that no build has any more.
func NewScratch(cache string) (*Scratch, error) {
	all := filepath.Join(cache, "work")
	if err := os.MkdirAll(all, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for the build: %w", err)
	}
	entries, _ := os.ReadDir(all) // what cannot be read stays
	for _, e := range entries {
		if old, err := lockFolder(filepath.Join(all, e.Name())); err == nil {
			old.Close()
		}
	}
	var err error
	for range 10 { // another build may take a new one for one that was left
		var dir string
		if dir, err = os.MkdirTemp(all, "build-"); err != nil {
			break
		}
		var s *Scratch
		if s, err = lockFolder(dir); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("make a folder for the build: %w", err)
}

// lockFolder takes a folder that nobody has.
func lockFolder(dir string) (*Scratch, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Scratch{Dir: dir, lock: f}, nil
}

// Close removes the folder. What it cannot remove the next build does.
func (s *Scratch) Close() {
	_ = os.RemoveAll(s.Dir)
	_ = s.lock.Close()
}
