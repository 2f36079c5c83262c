package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// The files that handoff in a job, and what it starts, have from its runner. The numbers are out of the way of those that
// programs count on. As long as one of the processes is there, the job is active and has its workspace.
const (
	pipeFD = 9 + iota // ends when the runner does
	_                 // the file "busy"
	_                 // the lock of the workspace
)

// EnvRunner names, in the environment of handoff in a job, the descriptor of a pipe that ends when the runner of the job
// has been killed: it is then to stop the run.
const EnvRunner = "HANDOFF_RUNNER_FD"

// EnvJobDir names, in the environment of handoff in a job, the folder of the job: there it leaves its LastWord.
const EnvJobDir = "HANDOFF_JOB_DIR"

// program is handoff in a job.
type program struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	lines  chan struct{} // closed when its output has been read to the end
	limits *limits
	life   [2]*os.File // pipe: see EnvRunner
}

// close closes what the program has, too.
func (p *program) close() {
	for _, f := range p.life {
		_ = f.Close()
	}
}

// execute runs handoff in the job, to its end.
func (r *runner) execute(ctx context.Context) *ending {
	ws, err := r.jobs.takeSlot()
	if err != nil {
		return &ending{state: cloud.JobFailed, reason: fmt.Sprintf("could not start: %v", err)}
	}
	defer ws.free()
	r.rec.Workspace = ws.dir
	p, err := r.launch(ws)
	if err != nil {
		return &ending{state: cloud.JobFailed, reason: fmt.Sprintf("could not start: %v", err)}
	}
	defer p.close()
	r.begin = time.Now()
	r.rec.State, r.rec.Reason, r.rec.Started, r.rec.Pid = cloud.JobRunning, "", r.begin.UTC(), p.cmd.Process.Pid
	if err := r.save(false); err != nil {
		r.say(fmt.Sprintf("the record of the job cannot be written: %v", err))
	}
	why := r.watch(ctx, p)
	select { // what it has left is ended by its guardian
	case <-p.lines:
	case <-time.After(10 * time.Second):
	}
	return r.outcome(p, why)
}

// launch starts handoff in the limits of the job, in a process group of its own.
func (r *runner) launch(ws *slot) (*program, error) {
	lim := newLimits(r.rec.ID, r.options.Cgroup, r.rec.CPU, r.rec.Memory)
	r.rec.Warnings = append(lim.warnings, storageWarnings(ws.dir, r.rec.Storage)...)
	r.rec.Cgroups = lim.dirs()
	for _, w := range r.rec.Warnings {
		r.say("warning: " + w)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &program{exited: make(chan struct{}), lines: make(chan struct{}), limits: lim}
	if p.life[0], p.life[1], err = os.Pipe(); err != nil {
		return nil, errors.Join(err, out.Close(), in.Close())
	}
	p.cmd = r.command(ws, in, p.life[0])
	started := make(chan error)
	go func() {
		defer close(p.exited)
		started <- lim.start(p.cmd)
		if p.cmd.Process != nil {
			_ = p.cmd.Wait()
		}
	}()
	err = <-started
	if err = errors.Join(err, in.Close()); err != nil {
		p.close()
		return nil, errors.Join(err, out.Close())
	}
	go func() {
		defer close(p.lines)
		r.copyLines(out)
		_ = out.Close()
	}()
	return p, nil
}

func (r *runner) command(ws *slot, out, life *os.File) *exec.Cmd {
	argv := append(slices.Clone(r.options.Program), "run", "--job")
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx,gosec // it is asked to end before it is killed
	cmd.Dir = r.dir
	for _, kv := range r.options.Environ {
		if !strings.HasPrefix(kv, guardKey+"=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, r.rec.Start.Environ()...)
	cmd.Env = append(cmd.Env, cloud.EnvProvider+"=local", cloud.EnvPlatform+"=process", cloud.EnvJob+"="+r.rec.ID,
		cloud.EnvWorkspace+"="+ws.dir, "HANDOFF_HOME="+r.jobs.home.dir, EnvJobDir+"="+r.dir)
	cmd.Env = append(cmd.Env, EnvRunner+"="+strconv.Itoa(pipeFD))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = append(make([]*os.File, pipeFD-3), life, r.busy, ws.lock)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// demand is why a job was made to end.
type demand struct {
	state  cloud.JobState
	reason string
	grace  time.Duration
	at     time.Time
	killed bool
}

// watch waits for the end of the program, and ends it when that is asked for.
func (r *runner) watch(ctx context.Context, p *program) *demand {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var why *demand
	for {
		select {
		case <-p.exited:
			return why
		case <-look.C:
		}
		if why == nil {
			if why = r.demand(ctx); why != nil {
				_ = p.cmd.Process.Signal(syscall.SIGTERM)
			}
			continue
		}
		if stop, ok := readStop(r.dir); ok && stop.Grace > 0 { // it may have been shortened
			why.grace = stop.Grace
		}
		if !why.killed && time.Since(why.at) >= why.grace {
			why.killed = true
			_ = p.cmd.Process.Kill()
		}
	}
}

func (r *runner) demand(ctx context.Context) *demand {
	d := &demand{grace: defaultGrace, at: time.Now()}
	stop, asked := readStop(r.dir)
	limit := r.rec.Timeout
	switch {
	case asked:
		d.state, d.reason = cloud.JobStopped, stop.Reason
	case ctx.Err() != nil:
		d.state, d.reason = cloud.JobStopped, interrupted(ctx)
	case limit > 0 && time.Since(r.begin) >= limit:
		d.state, d.reason = cloud.JobFailed, "timed out after "+limit.String()
	default:
		return nil
	}
	return d
}

const exitTimedOut = 124

// outcome says how the job ended. A job that was asked to end and had succeeded before it could, has succeeded.
func (r *runner) outcome(p *program, why *demand) *ending {
	code, words := exitOf(p.cmd)
	end := &ending{state: cloud.JobSucceeded, code: &code}
	if code == 0 {
		return end
	}
	end.state, end.reason = cloud.JobFailed, words
	if last := readLastWord(r.dir); last.Reason != "" {
		end.reason = last.Reason
		if last.Skipped {
			end.state = cloud.JobSkipped
		}
	}
	if n := p.limits.outOfMemory(); n > 0 {
		end.reason += fmt.Sprintf(" (out of memory: the limit of %d MiB was reached)", r.rec.Memory)
	}
	if why == nil {
		return end
	}
	end.state, end.reason = why.state, why.reason
	if why.killed {
		end.reason += fmt.Sprintf("; killed, since it had not ended after %s", why.grace)
	}
	if why.state == cloud.JobFailed {
		code = exitTimedOut
	}
	return end
}

// exitOf answers the exit code, 128+n for signal n, and the same in words.
func exitOf(cmd *exec.Cmd) (int, string) {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal()), "handoff was killed by " + unix.SignalName(status.Signal())
	}
	code := cmd.ProcessState.ExitCode()
	return code, fmt.Sprintf("exit code %d", code)
}
