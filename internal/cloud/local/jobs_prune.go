package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// keepJobs is how many jobs of a task that have ended are known, with their logs.
const keepJobs = 1000

// prune removes what is too old to be looked at. It is called by a job at its end.
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
	for _, id := range ids[:max(len(ids)-keepJobs, 0)] {
		err = errors.Join(err, j.remove(id))
	}
	return err
}

// remove removes a job and its log. A job of which something is still there is left alone.
func (j *Jobs) remove(id string) error {
	if f, err := os.Open(j.path(id, busyFile)); err == nil {
		defer f.Close() // frees the lock
		if flock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
			return nil
		}
	}
	log := filepath.Join(j.home.Logs(j.scope).dir, encodePart(id))
	return errors.Join(os.RemoveAll(log), os.RemoveAll(j.path(id)))
}
