package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// RunnerOptions says how the runner of a job starts handoff in it.
type RunnerOptions struct {
	Program []string // argv of handoff; the arguments of the job follow
	Environ []string // "K=V"
	Cgroup  string   // name of a cgroup below which jobs get theirs; empty: one that handoff was given, if there is one
}

// busyFD is where a runner finds the locked file "busy" of its job.
const busyFD = 3

const (
	lookEvery    = 200 * time.Millisecond // at the file "stop"
	defaultGrace = 30 * time.Second       // between SIGTERM and SIGKILL
)

// RunJob is the whole life of the runner of a job: it waits for its turn, runs handoff, takes its output into the log, and
// writes down how it ended. args is what follows JobOptions.Runner in its argv. When ctx ends it stops the job. The error
// is for a job that nobody can look up.
func RunJob(ctx context.Context, args []string, o RunnerOptions) error {
	if len(args) != 2 {
		return errors.New("a job runner is started by handoff")
	}
	r, err := newRunner(args[0], args[1], o)
	if err != nil {
		return fmt.Errorf("run job %s: %w", args[1], err)
	}
	defer r.busy.Close() //nolint:errcheck // frees the lock
	if err := r.life(ctx); err != nil {
		return fmt.Errorf("run job %s: %w", r.rec.ID, err)
	}
	return nil
}

// runner is the process of a job.
type runner struct {
	options RunnerOptions
	jobs    *Jobs
	dir     string
	rec     *jobRecord
	logs    *Logs
	busy    *os.File
	begin   time.Time // of handoff in the job, by a clock that nobody sets
}

func newRunner(home, dir string, o RunnerOptions) (*runner, error) {
	busy := os.NewFile(busyFD, busyFile)
	if !sameFile(busy, filepath.Join(dir, busyFile)) {
		return nil, errors.New("a job runner is started by handoff")
	}
	unix.CloseOnExec(busyFD)
	h, err := Open(home)
	if err != nil {
		return nil, err
	}
	rec, err := readJob(dir)
	if err != nil {
		return nil, err
	}
	return &runner{
		options: o, jobs: h.Jobs(rec.Start.Scope, JobOptions{}), dir: dir, rec: rec, logs: h.Logs(rec.Start.Scope), busy: busy,
	}, nil
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

func (r *runner) life(ctx context.Context) error {
	r.rec.Runner = os.Getpid()
	if err := r.save(false); err != nil {
		return err
	}
	end := r.await(ctx)
	if end == nil {
		end = r.execute(ctx)
	}
	return r.finish(end)
}

func (r *runner) save(durable bool) error { return r.rec.save(r.dir, durable) }

// ending is how a job ended.
type ending struct {
	state  cloud.JobState
	reason string
	code   *int // nil: there was no process
}

// await waits until the jobs before this one are gone; an ending where it was stopped meanwhile.
func (r *runner) await(ctx context.Context) *ending {
	for _, id := range r.rec.After {
		free := make(chan struct{})
		go func() {
			defer close(free)
			waitFree(r.jobs.path(id, busyFile))
		}()
		if end := r.until(ctx, free); end != nil {
			return end
		}
	}
	return nil
}

// waitFree waits until nobody has the lock of a file. The wait is the kernel's: many jobs may wait for long.
func waitFree(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // frees the lock
	_ = flock(f, unix.LOCK_SH)
}

func (r *runner) until(ctx context.Context, free <-chan struct{}) *ending {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-free:
			return r.stopped()
		case <-ctx.Done():
			return &ending{state: cloud.JobStopped, reason: interrupted(ctx)}
		case <-look.C:
			if end := r.stopped(); end != nil {
				return end
			}
		}
	}
}

// stopped answers an ending where the job was asked to end before it began.
func (r *runner) stopped() *ending {
	if stop, ok := readStop(r.dir); ok {
		return &ending{state: cloud.JobStopped, reason: stop.Reason}
	}
	return nil
}

func interrupted(ctx context.Context) string {
	return fmt.Sprintf("its runner was told to end: %v", context.Cause(ctx))
}

// finish writes down how the job ended, and cleans up. Followers of the log take the end of the job for the end of the
// log, so that comes first.
func (r *runner) finish(end *ending) error {
	if end.state != cloud.JobSucceeded && end.reason != "" {
		r.say("job " + string(end.state) + ": " + end.reason)
	}
	logged := r.logs.Close()
	removeCgroups(r.rec.Cgroups)
	now := time.Now().UTC()
	r.rec.State, r.rec.Reason, r.rec.ExitCode, r.rec.Ended = end.state, end.reason, end.code, now
	r.rec.Pid, r.rec.Cgroups = 0, nil
	if err := r.saveEnd(); err != nil {
		return errors.Join(logged, err)
	}
	if err := unmark(r.jobs.dir, r.rec.ID); err != nil {
		return errors.Join(logged, err)
	}
	return errors.Join(logged, r.jobs.prune())
}

// saveEnd tries for a while: a disk may be full for a moment.
func (r *runner) saveEnd() error {
	var err error
	for range 20 {
		if err = r.save(true); err == nil {
			return nil
		}
		time.Sleep(time.Second)
	}
	return err
}

// say adds a line to the log of the job; the job does not depend on it.
func (r *runner) say(text string) {
	_ = r.logs.Append(context.Background(), cloud.Line{Time: time.Now(), Job: r.rec.ID, Run: r.rec.Run, Text: "handoff: " + text})
}

// LastWord is how a job ended, told by handoff in it.
type LastWord struct {
	Skipped bool   `json:"skipped,omitempty"` // by its overlap policy
	Reason  string `json:"reason,omitempty"`
}

const lastWordFile = "word.json"

// Leave writes the last word into the folder of the job.
func (w LastWord) Leave(dir string) error {
	if err := writeJSON(filepath.Join(dir, lastWordFile), w); err != nil {
		return fmt.Errorf("last word of the job: %w", err)
	}
	return nil
}

func readLastWord(dir string) (w LastWord) {
	text, err := os.ReadFile(filepath.Join(dir, lastWordFile))
	if err == nil {
		_ = json.Unmarshal(text, &w) // where it is torn, the exit code tells
	}
	return w
}

// runReason answers what the record of the run in the workspace says.
func (r *jobRecord) runReason() string {
	text, err := os.ReadFile(filepath.Join(r.Workspace, "artifacts", "run.json"))
	if err != nil {
		return ""
	}
	var run struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	if json.Unmarshal(text, &run) != nil || run.ID != r.Run {
		return ""
	}
	return strings.TrimSpace(run.Reason)
}
