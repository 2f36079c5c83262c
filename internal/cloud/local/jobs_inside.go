package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// EnvJobDir names, in the environment of a job, its folder.
const EnvJobDir = "HANDOFF_JOB_DIR"

// busyFD is where a job finds the locked file "busy" of its folder.
const busyFD = 3

const (
	lookEvery    = 200 * time.Millisecond // at the file "stop"
	defaultGrace = 30 * time.Second       // between the request to end and the kill
	lastWords    = 2 * time.Second        // for the record of a run that was killed
)

// Inside is a job as its own process knows it: `handoff run --job`, started by Jobs.Run. It takes its output into the log,
// hears when it is asked to end, and writes down how it ended. When the process is killed, nobody does: then its lock is free,
// and whoever looks at the job next sees what became of it.
type Inside struct {
	jobs   *Jobs
	dir    string
	logs   *Logs
	busy   *os.File
	slot   *slot
	limits *limits
	out    *os.File
	lines  chan struct{} // closed when the output has been read to the end
	done   chan struct{} // closed by End

	mu    sync.Mutex // guards what follows
	begin time.Time  // of the run, by a clock that nobody sets; zero: it waits
	rec   *jobRecord
	why   *demand
	ended bool
	turn  func() // gives it back
}

// demand is why a job was made to end.
type demand struct {
	state  cloud.JobState
	reason string
	grace  time.Duration
	at     time.Time
	killed bool
}

// Enter makes this process the job with the folder dir in home. cgroup names a cgroup below which it gets its own; "": below
// one that handoff was given, if there is one. The caller calls End.
func Enter(home, dir, cgroup string) (*Inside, error) {
	busy := os.NewFile(busyFD, busyFile)
	if !sameFile(busy, filepath.Join(dir, busyFile)) {
		return nil, errors.New("a job is started by handoff")
	}
	unix.CloseOnExec(busyFD)
	h, err := Open(home)
	if err != nil {
		return nil, err
	}
	turn := h.turn(turnStart)
	rec, err := readJob(dir)
	if err != nil {
		return nil, err
	}
	scope := rec.Start.Scope
	i := &Inside{
		jobs: h.Jobs(scope, JobOptions{}), dir: dir, logs: h.Logs(scope), busy: busy, rec: rec,
		lines: make(chan struct{}), done: make(chan struct{}), turn: turn,
	}
	rec.Pid = os.Getpid()
	if err := i.save(false); err != nil {
		return nil, err
	}
	if err := i.prepare(cgroup); err != nil {
		return nil, errors.Join(err, i.abort(err))
	}
	return i, nil
}

// abort writes down that the job could not start.
func (i *Inside) abort(why error) error {
	i.rec.State, i.rec.Reason, i.rec.Ended = cloud.JobFailed, fmt.Sprintf("could not start: %v", why), time.Now().UTC()
	i.say("job failed: " + i.rec.Reason)
	return i.save(true)
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// prepare takes the workspace, the limits and the log of the job.
func (i *Inside) prepare(cgroup string) error {
	var err error
	if i.slot, err = i.jobs.takeSlot(); err != nil {
		return err
	}
	i.limits = newLimits(i.rec.ID, cgroup, i.rec.CPU, i.rec.Memory)
	i.limits.enter()
	i.rec.Workspace, i.rec.Cgroups = i.slot.dir, i.limits.dirs()
	i.rec.Warnings = append(i.limits.warnings, storageWarnings(i.slot.dir, i.rec.Storage)...)
	for _, w := range i.rec.Warnings {
		i.say("warning: " + w)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	i.out = in
	go func() {
		defer close(i.lines)
		i.copyLines(out)
		_ = out.Close()
	}()
	return nil
}

// Environ returns env without what was meant for the process of the job alone.
func (i *Inside) Environ(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		return strings.HasPrefix(kv, guardKey+"=") || strings.HasPrefix(kv, EnvJobDir+"=")
	})
}

// Workspace returns the folder of the workspace.
func (i *Inside) Workspace() string { return i.slot.dir }

// Held are the files whose locks say that the job is there and has its workspace. What outlives this process keeps them open.
func (i *Inside) Held() []*os.File { return []*os.File{i.busy, i.slot.lock} }

// Output takes what is to be in the log of the job.
func (i *Inside) Output() *os.File { return i.out }

// Waits tells that the job waits for the end of another run.
func (i *Inside) Waits(run string) {
	i.tell(cloud.JobQueued, "waits for the end of run "+run)
	i.swapTurn(nil)
}

// Begins tells that the run begins.
func (i *Inside) Begins() {
	i.tell(cloud.JobRunning, "")
	i.swapTurn(nil)
}

// Ends tells that the tasks of the run have ended, and that what they have left is stored now.
func (i *Inside) Ends() { i.swapTurn(i.jobs.home.turn(turnEnd)) }

// swapTurn gives the turn back that the job has, for another one or nil.
func (i *Inside) swapTurn(next func()) {
	i.mu.Lock()
	last := i.turn
	i.turn = next
	i.mu.Unlock()
	if last != nil {
		last()
	}
}

func (i *Inside) tell(state cloud.JobState, reason string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return
	}
	i.rec.State, i.rec.Reason = state, reason
	if state == cloud.JobRunning {
		i.begin = time.Now()
		i.rec.Started = i.begin.UTC()
	}
	if err := i.rec.save(i.dir, false); err != nil {
		i.say(fmt.Sprintf("the record of the job cannot be written: %v", err))
	}
}

// Watch calls stop when the job is asked to end or its time is up, and kill when it has not ended after the grace time; soon
// after that it ends this process. It returns at once.
func (i *Inside) Watch(stop, kill func()) {
	go func() {
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		for {
			select {
			case <-i.done:
				return
			case <-look.C:
			}
			switch why, fresh := i.demanded(); {
			case why == nil:
			case fresh:
				stop()
			case time.Since(why.at) >= why.grace:
				i.kill(kill)
				return
			}
		}
	}()
}

// demanded looks whether somebody wants the job to end. fresh: it was not so before.
func (i *Inside) demanded() (why *demand, fresh bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	stop, asked := readStop(i.dir)
	limit := i.rec.Timeout
	switch {
	case i.why == nil && asked:
		i.why, fresh = &demand{state: cloud.JobStopped, reason: stop.Reason, grace: defaultGrace, at: time.Now()}, true
	case i.why == nil && limit > 0 && !i.begin.IsZero() && time.Since(i.begin) >= limit:
		i.why, fresh = &demand{state: cloud.JobFailed, reason: "timed out after " + limit.String(), grace: defaultGrace, at: time.Now()}, true
	}
	if i.why != nil && asked && stop.Grace > 0 { // it may have been shortened
		i.why.grace = stop.Grace
	}
	return i.why, fresh
}

// kill calls kill, and ends this process, unless it soon ends by itself.
func (i *Inside) kill(kill func()) {
	i.mu.Lock()
	i.why.killed = true // before the end that comes of it is written down
	i.mu.Unlock()
	kill()
	select {
	case <-i.done:
	case <-time.After(lastWords):
		_ = i.End(cloud.LastWord{Code: exitKilled}) // there is nobody to tell
		os.Exit(exitKilled)
	}
}

const (
	exitTimedOut = 124
	exitKilled   = 137
)

// End writes down how the job ended, and cleans up. Followers of the log take the end of the job for the end of the log, so
// that comes first. The first call counts.
func (i *Inside) End(w cloud.LastWord) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return nil
	}
	i.ended = true
	defer close(i.done)
	i.finishLog(w)
	i.limits.leave()
	removeCgroups(i.rec.Cgroups)
	i.rec.Ended, i.rec.Cgroups = time.Now().UTC(), nil
	err := i.save(true)
	i.slot.free()
	return errors.Join(err, i.jobs.prune(), i.busy.Close()) // nothing is touched after that
}

// finishLog takes over the outcome and brings the log to its end.
func (i *Inside) finishLog(w cloud.LastWord) {
	_ = i.out.Close()
	select {
	case <-i.lines:
	case <-time.After(10 * time.Second): // a process that got away has it open
	}
	i.outcome(w)
	switch {
	case i.rec.State == cloud.JobSucceeded || i.rec.Reason == "":
	case i.rec.Reason == w.Reason: // the job has told that
		i.say(fmt.Sprintf("job %s with exit code %d", i.rec.State, w.Code))
	default:
		i.say("job " + string(i.rec.State) + ": " + i.rec.Reason)
	}
	_ = i.logs.Close() // the job does not depend on it
}

// outcome says how the job ended. A job that was asked to end and had succeeded before it could, has succeeded.
func (i *Inside) outcome(w cloud.LastWord) {
	i.rec.ExitCode = &w.Code
	i.rec.State, i.rec.Reason = w.State()
	switch {
	case w.Code == 0:
	case w.Skipped || i.why == nil:
		i.rec.Reason = cmp.Or(i.rec.Reason, fmt.Sprintf("exit code %d", w.Code)) + i.rec.shortOfMemory()
	default:
		i.rec.State, i.rec.Reason = i.why.state, i.why.reason
		if i.why.killed {
			i.rec.Reason += fmt.Sprintf("; killed, since it had not ended after %s", i.why.grace)
		}
		if i.why.state == cloud.JobFailed {
			w.Code = exitTimedOut
		}
	}
}

// shortOfMemory says so where the limit of the job was reached.
func (r *jobRecord) shortOfMemory() string {
	if outOfMemory(r.Cgroups) == 0 {
		return ""
	}
	return fmt.Sprintf(" (out of memory: the limit of %d MiB was reached)", r.Memory)
}

// save tries for a while: a disk may be full for a moment.
func (i *Inside) save(durable bool) error {
	var err error
	for range 20 {
		if err = i.rec.save(i.dir, durable); err == nil {
			return nil
		}
		time.Sleep(time.Second)
	}
	return err
}

// say adds a line to the log of the job; the job does not depend on it.
func (i *Inside) say(text string) { i.jobs.say(i.logs, i.rec, text) }

func (j *Jobs) say(to *Logs, r *jobRecord, text string) {
	_ = to.Append(context.Background(), cloud.Line{Time: time.Now(), JobID: r.ID, RunID: r.RunID, Text: "handoff: " + text})
}
