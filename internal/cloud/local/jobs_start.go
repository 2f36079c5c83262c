package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

func (j *Jobs) newRecord(s cloud.Start, task cloud.TaskSpec, id string) *jobRecord {
	return &jobRecord{
		Format: 1, Start: s, Timeout: task.Timeout,
		Job: cloud.Job{
			ID: id, RunID: s.RunID, Task: j.scope.Task, Client: j.scope.Client, Stage: j.scope.Stage, Release: s.Release, Trigger: s.Trigger,
			ScheduleID: s.ScheduleID, ScheduledAt: s.ScheduledAt, State: cloud.JobStarting,
			Created: time.Now().UTC(), CPU: task.CPU, Memory: task.Memory, Storage: task.Storage,
		},
	}
}

// start makes the job durable, then starts its process; the task is locked. The job is there from before its record is until
// its last process is gone, since the process gets the locked file.
func (j *Jobs) start(r *jobRecord) (cloud.Job, error) {
	dir := j.path(r.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cloud.Job{}, err
	}
	busy, err := lockFile(context.Background(), filepath.Join(dir, busyFile), unix.LOCK_EX) // held for moments by others
	if err != nil {
		return cloud.Job{}, err
	}
	defer busy.Close() // the job has its own
	err = j.record(r)
	if err == nil {
		err = j.spawn(r, busy)
	}
	if err != nil {
		return cloud.Job{}, errors.Join(err, os.RemoveAll(dir))
	}
	return r.Job, nil
}

// record writes the job down.
func (j *Jobs) record(r *jobRecord) error {
	dir := j.path(r.ID)
	if err := r.save(dir, false); err != nil {
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

// guardKey keeps a handoff that adopts orphans from ending the job with its own run, where a run starts a job.
const guardKey = "HANDOFF_GUARD"

// spawn starts the process of the job in a session of its own: no terminal and no signal to a group reaches it.
func (j *Jobs) spawn(r *jobRecord, busy *os.File) error {
	if len(j.options.Command) == 0 {
		return errors.New("there is no program to run jobs")
	}
	dir := j.path(r.ID)
	words, err := os.OpenFile(filepath.Join(dir, crashFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer words.Close()                                                 // the job has its own
	cmd := exec.Command(j.options.Command[0], j.options.Command[1:]...) // it outlives the caller
	cmd.Env = slices.Concat(j.options.Environ, r.Start.Environ(), j.options.Place, []string{
		cloud.EnvJob + "=" + r.ID, "HANDOFF_HOME=" + j.home.dir, EnvJobDir + "=" + dir, guardKey + "=job",
	})
	cmd.Dir = dir
	cmd.Stderr = words
	cmd.ExtraFiles = []*os.File{busy}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the process of the job: %w", err)
	}
	go func() { _ = cmd.Wait() }() // only to reap it, where the starter lives on
	return nil
}
