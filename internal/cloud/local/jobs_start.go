package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

func (j *Jobs) newRecord(s cloud.Start, task cloud.TaskSpec, id string, after []string) *jobRecord {
	state, reason := cloud.JobStarting, ""
	if len(after) > 0 {
		state, reason = cloud.JobQueued, "waits for the end of job "+strings.Join(after, ", ")
	}
	if s.Trigger == "" {
		s.Trigger = cloud.TriggerManual
	}
	return &jobRecord{
		Format: 1, Start: s, Timeout: task.Timeout, After: after,
		Job: cloud.Job{
			ID: id, Run: s.Run, Task: j.scope.Task, Stage: j.scope.Stage, Release: s.Release, Trigger: s.Trigger,
			Schedule: s.Schedule, ScheduledAt: s.ScheduledAt, State: state, Reason: reason,
			Created: time.Now().UTC(), CPU: task.CPU, Memory: task.Memory, Storage: task.Storage,
		},
	}
}

// start makes the job durable, then starts its runner; the task is locked. The job is active from before its record is
// there until its last process is gone, since the runner gets the locked file.
func (j *Jobs) start(r *jobRecord) (cloud.Job, error) {
	dir := j.path(r.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cloud.Job{}, err
	}
	busy, err := lockFile(context.Background(), filepath.Join(dir, busyFile), unix.LOCK_EX) // held for moments by others
	if err != nil {
		return cloud.Job{}, err
	}
	defer busy.Close() //nolint:errcheck // the runner has its own
	err = j.record(r)
	if err == nil {
		err = j.spawn(dir, busy)
	}
	if err != nil {
		err = errors.Join(err, unmark(j.dir, r.ID), os.RemoveAll(dir))
		return cloud.Job{}, err
	}
	return r.Job, nil
}

// record writes the job down. Its mark need not outlive a crash of the machine: the job would not, either.
func (j *Jobs) record(r *jobRecord) error {
	dir := j.path(r.ID)
	if err := r.save(dir, false); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(j.dir, activeDir, r.ID), nil, 0o600); err != nil {
		return err
	}
	return j.home.group.sync(func() error {
		f, err := os.Open(filepath.Join(dir, recordFile))
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close(), syncDirs(dir, j.dir))
	})
}

// guardKey keeps a handoff that adopts orphans from ending the runner with its own run, where a run starts a job.
const guardKey = "HANDOFF_GUARD"

// spawn starts the runner in a session of its own: no terminal and no signal to a group reaches it.
func (j *Jobs) spawn(dir string, busy *os.File) error {
	if len(j.options.Runner) == 0 {
		return errors.New("there is no program to run jobs")
	}
	words, err := os.OpenFile(filepath.Join(dir, "runner.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer words.Close()                                                                                      //nolint:errcheck // the runner has its own
	cmd := exec.Command(j.options.Runner[0], append(slices.Clone(j.options.Runner[1:]), j.home.dir, dir)...) //nolint:noctx,gosec // it outlives the caller
	cmd.Env = append(slices.Clone(j.options.Environ), guardKey+"=job")
	cmd.Dir = dir
	cmd.Stderr = words
	cmd.ExtraFiles = []*os.File{busy}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the runner: %w", err)
	}
	go cmd.Wait() //nolint:errcheck // only to reap it, where the starter lives on
	return nil
}
