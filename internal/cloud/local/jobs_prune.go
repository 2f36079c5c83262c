package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	keepJobs       = 1000 // of a task: records and logs of jobs that have ended
	keepWorkspaces = 3    // of a task: workspaces of jobs that did not succeed
)

// prune removes what is too old to be looked at. It is called by the runner of a job that has ended.
func (j *Jobs) prune() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	unlock, err := j.lock(ctx)
	if err != nil {
		return fmt.Errorf("prune jobs: %w", err)
	}
	defer unlock()
	ids, err := j.ids()
	if err != nil {
		return fmt.Errorf("prune jobs: %w", err)
	}
	marked, err := j.marked()
	if err != nil {
		return fmt.Errorf("prune jobs: %w", err)
	}
	kept, workspaces := 0, 0
	for _, id := range slices.Backward(ids) {
		if slices.Contains(marked, id) {
			continue
		}
		kept++
		if kept > keepJobs {
			err = errors.Join(err, j.remove(id))
			continue
		}
		ws := j.path(id, workspaceDir)
		if _, missing := os.Lstat(ws); missing != nil {
			continue
		}
		if workspaces++; workspaces > keepWorkspaces {
			err = errors.Join(err, os.RemoveAll(ws))
		}
	}
	return err
}

// remove removes a job and its log. A job of which something is still there is left alone.
func (j *Jobs) remove(id string) error {
	if f, err := os.Open(j.path(id, busyFile)); err == nil {
		defer f.Close() //nolint:errcheck // frees the lock
		if flock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
			return nil
		}
	}
	log := filepath.Join(j.home.Logs(j.scope).dir, encodePart(id))
	return errors.Join(os.RemoveAll(log), os.RemoveAll(j.path(id)))
}
