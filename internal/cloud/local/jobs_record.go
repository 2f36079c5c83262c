package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// jobRecord is job.json. The starter writes it first, then only the runner, and when that is gone whoever finds it so.
type jobRecord struct {
	Format int `json:"handoff_job"` // 1
	cloud.Job
	Start     cloud.Start   `json:"start"`
	Timeout   time.Duration `json:"timeout,omitempty"`   // nanoseconds
	After     []string      `json:"after,omitempty"`     // jobs that must have ended before this one begins
	Runner    int           `json:"runner,omitempty"`    // process id; 0: it has not come up yet
	Pid       int           `json:"pid,omitempty"`       // of handoff in the job, and of its process group
	Cgroups   []string      `json:"cgroups,omitempty"`   // folders that were made for the job
	Workspace string        `json:"workspace,omitempty"` // folder; the next job of the task may be using it now
}

// stopRequest is the file "stop".
type stopRequest struct {
	Time   time.Time     `json:"time"`
	Grace  time.Duration `json:"grace,omitempty"` // nanoseconds
	Reason string        `json:"reason"`
}

// A job id is the time of the start and a hash of the token: it sorts by time, and tells whether a token is known.
const (
	jobTime   = "20060102T150405.000Z"
	markWidth = 12
)

func tokenMark(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "-" + hex.EncodeToString(sum[:])[:markWidth]
}

// newJobID answers an id that is higher than all there are, also when the clock has been set back.
func newJobID(ids []string, mark string) string {
	now := time.Now().UTC().Truncate(time.Millisecond)
	if len(ids) > 0 {
		if last, err := time.Parse(jobTime, ids[len(ids)-1][:len(jobTime)]); err == nil && !now.After(last) {
			now = last.Add(time.Millisecond)
		}
	}
	return now.Format(jobTime) + mark
}

func isJobID(name string) bool {
	if len(name) != len(jobTime)+1+markWidth || name[len(jobTime)] != '-' {
		return false
	}
	_, err := time.Parse(jobTime, name[:len(jobTime)])
	_, bad := hex.DecodeString(name[len(jobTime)+1:])
	return err == nil && bad == nil
}

// The names of files of a job.
const (
	recordFile = "job.json"
	busyFile   = "busy"
	stopFile   = "stop"
	activeDir  = "active" // beside the jobs
)

func (j *Jobs) path(id string, more ...string) string {
	// On a file system that ignores case an id is still itself: its letters are those of the format and of hex digits.
	return filepath.Join(append([]string{j.dir, id}, more...)...)
}

// lock keeps two starts of the task from being decided at a time.
func (j *Jobs) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(j.dir, activeDir), 0o700); err != nil {
		return nil, err
	}
	f, err := lockFile(ctx, filepath.Join(j.dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// ids answers all jobs, ascending.
func (j *Jobs) ids() ([]string, error) { return jobIDs(j.dir) }

// marked answers the jobs that may be active, ascending.
func (j *Jobs) marked() ([]string, error) { return jobIDs(filepath.Join(j.dir, activeDir)) }

func jobIDs(dir string) ([]string, error) {
	list, err := names(dir)
	list = slices.DeleteFunc(list, func(name string) bool { return !isJobID(name) })
	slices.Sort(list)
	return list, err
}

// active answers the jobs of which a process is there, ascending; the task is locked. What is not any more is settled.
func (j *Jobs) active() ([]string, error) {
	marked, err := j.marked()
	if err != nil {
		return nil, err
	}
	var active []string
	for _, id := range marked {
		r, err := j.read(id)
		if j.busy(id) {
			if err != nil || !r.State.Ended() { // else its runner is about to end
				active = append(active, id)
			}
			continue
		}
		if err == nil {
			_, err = j.settle(r)
		}
		if err != nil && !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrCorrupt) {
			return nil, err
		}
	}
	return active, nil
}

// busy reports whether a process of the job is there.
func (j *Jobs) busy(id string) bool {
	f, err := os.Open(j.path(id, busyFile))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // frees the lock
	return errors.Is(flock(f, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// read answers the record of a job. cloud.ErrCorrupt: it is not what handoff wrote.
func (j *Jobs) read(id string) (*jobRecord, error) { return readJob(j.path(id)) }

func readJob(dir string) (*jobRecord, error) {
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("job: %w", cloud.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	var r jobRecord
	if err := json.Unmarshal(text, &r); err != nil || r.Format != 1 || r.ID != filepath.Base(dir) {
		return nil, cloud.WithHint(fmt.Errorf("record: %w", cloud.ErrCorrupt),
			"what became of this job is in its log and in the run record; the folder "+dir+" can be removed")
	}
	return &r, nil
}

// save replaces the record; only one process may do so at a time. durable: it outlives a crash of the machine.
func (r *jobRecord) save(dir string, durable bool) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, recordFile)
	if durable {
		return replaceFile(path, append(text, '\n'))
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// comeUp is how long a starter may take to start the runner.
const comeUp = 10 * time.Second

// settle answers the job as it is: where its last process is gone and nobody has written down how it ended, it is lost.
func (j *Jobs) settle(r *jobRecord) (cloud.Job, error) {
	if r.State.Ended() {
		return r.Job, nil
	}
	if r.Runner == 0 && !j.busy(r.ID) {
		return neverStarted(r), nil
	}
	f, err := os.OpenFile(j.path(r.ID, busyFile), os.O_RDWR, 0o600)
	if err != nil {
		return r.Job, nil // pruned meanwhile
	}
	defer f.Close() //nolint:errcheck // frees the lock
	if errors.Is(flock(f, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return j.stopping(r), nil
	}
	again, err := j.read(r.ID)
	if err != nil || again.State.Ended() {
		return jobOf(again, r), err
	}
	return j.lose(again)
}

func jobOf(r, other *jobRecord) cloud.Job {
	if r == nil {
		return other.Job
	}
	return r.Job
}

// neverStarted is a job whose starter has been killed, or is about to start it. Another Run with its token starts it.
func neverStarted(r *jobRecord) cloud.Job {
	job := r.Job
	if time.Since(r.Created) > comeUp {
		job.State = cloud.JobLost
		job.Reason = "what asked for it ended before it could start it"
	}
	return job
}

// stopping adds what the file "stop" says to an active job.
func (j *Jobs) stopping(r *jobRecord) cloud.Job {
	job := r.Job
	if stop, ok := readStop(j.path(r.ID)); ok {
		job.State, job.Reason = cloud.JobStopping, stop.Reason
	}
	return job
}

// lose writes down that a job vanished; its busy file is locked.
func (j *Jobs) lose(r *jobRecord) (cloud.Job, error) {
	r.State, r.Ended = cloud.JobLost, time.Now().UTC()
	r.Reason = "its runner was killed, or the machine went down"
	if reason := r.runReason(); reason != "" {
		r.Reason += "; its run says: " + reason
	}
	if _, ok := readStop(j.path(r.ID)); ok && r.Started.IsZero() {
		r.State, r.Reason = cloud.JobStopped, "stopped before it began"
	}
	removeCgroups(r.Cgroups)
	if err := r.save(j.path(r.ID), true); err != nil {
		return cloud.Job{}, err
	}
	return r.Job, unmark(j.dir, r.ID)
}

// unmark tells that a job has ended.
func unmark(taskDir, id string) error {
	if err := os.Remove(filepath.Join(taskDir, activeDir, id)); err != nil && !notThere(err) {
		return err
	}
	return nil
}

// requestStop asks the runner to end the job; the task is locked. The first reason is the one that counts.
func (j *Jobs) requestStop(id string, o cloud.StopOptions) error {
	stop, asked := readStop(j.path(id))
	if !asked {
		stop = stopRequest{Time: time.Now().UTC(), Reason: strings.ToValidUTF8(o.Reason, "?")}
	}
	if asked && o.Grace == stop.Grace {
		return nil
	}
	stop.Grace = o.Grace
	return writeJSON(j.path(id, stopFile), stop)
}

func readStop(dir string) (stopRequest, bool) {
	text, err := os.ReadFile(filepath.Join(dir, stopFile))
	if err != nil {
		return stopRequest{}, false
	}
	var s stopRequest
	if json.Unmarshal(text, &s) != nil {
		s.Reason = "stopped on request"
	}
	return s, true
}
