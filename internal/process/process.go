// Package process starts each command as the leader of a process group, ends whole groups, and leaves no process of
// a run behind, whatever way the run ends. It knows nothing of tasks, plans or logs, and it never prints.
package process

import (
	"os"
	"sync"
	"syscall"
	"time"
)

// killWait is how long a process may take to go after SIGKILL. Only one that hangs in the kernel (a dead network
// file system) takes longer than a moment.
const killWait = 30 * time.Second

// Spec says what Start starts.
type Spec struct {
	Path string   // of the program; it is not searched for in $PATH
	Args []string // argv[0] included
	Env  []string // "K=V"; HANDOFF_RUN is added
	Dir  string   // working folder; empty: that of the caller

	Stdin, Stdout, Stderr *os.File   // nil: /dev/null
	Extra                 []*os.File // descriptors 3 and up
}

// Exit is how a process ended.
type Exit struct {
	Code   int            // exit code; 0 when it died by a signal
	Signal syscall.Signal // 0, or the signal that it died by
	Usage  Usage
}

// Success reports whether the process exited with code 0.
func (e Exit) Success() bool { return e.Code == 0 && e.Signal == 0 }

// Usage is what a process and its descendants used, as far as the kernel tells.
type Usage struct {
	CPU           time.Duration // user and system time
	PeakMemory    int64         // bytes, of the largest process; 0: too little, and for too short a time, to be seen
	Read, Written int64         // bytes by read and write calls, files included; -1: unknown
}

// Process is a started command: the leader of a process group, the group with it, and what they start outside of it (which
// is known on Linux only).
type Process struct {
	s    *Supervisor
	pid  int
	mark mark
	done chan struct{} // closed when exit is set

	mu      sync.Mutex // held to signal and to reap, so that a signal never goes to a recycled number
	ended   bool       // the leader is reaped
	gone    bool       // no member is left: the number may be in use by others now
	exit    Exit
	sampled Usage     // highest values seen while it lived
	floor   int64     // peak memory of handoff at the start: see exitUsage
	scanned time.Time // last search for members that are no zombies
}

// Pid returns the process id of the leader, which is the id of its group too.
func (p *Process) Pid() int { return p.pid }

// Wait blocks until the leader has ended. What it has started may live on. It may be called often.
func (p *Process) Wait() Exit {
	<-p.done
	return p.exit
}

// Signal sends sig to all processes of the command, in such a way that none of them can act on the end of another one.
func (p *Process) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deliver(sig)
}

// Kill sends SIGKILL to all processes of the command, and nothing before it. It returns as Stop does.
func (p *Process) Kill() { p.escalate() }

// Settle waits up to d for the end of all that the command has started, and returns what is left then. It is for a command
// whose leader has ended.
func (p *Process) Settle(d time.Duration) []Leftover {
	if p.awaitGone(d) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return leftovers(p.left())
}

// Stop sends SIGTERM to all processes of the command, and SIGKILL to what is left of them after grace. It returns when none is
// left (or half a minute after SIGKILL, with one that hangs in the kernel).
func (p *Process) Stop(grace time.Duration) {
	p.escalate(step{syscall.SIGTERM, grace})
}

// Interrupt sends SIGINT to all processes of the command, SIGTERM after half of grace, and SIGKILL after grace. It returns as Stop does.
func (p *Process) Interrupt(grace time.Duration) {
	p.escalate(step{syscall.SIGINT, grace / 2}, step{syscall.SIGTERM, grace - grace/2})
}

// Usage returns what the process has used up to now, or in all when it has ended.
func (p *Process) Usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return p.exit.Usage
	}
	p.sampled = p.sampled.max(liveUsage(p.pid))
	return p.sampled
}

// step is a signal and how long to wait for its effect.
type step struct {
	sig  syscall.Signal
	wait time.Duration
}

// escalate takes the steps, then kills, until nothing is left.
func (p *Process) escalate(steps ...step) {
	if p.awaitGone(0) {
		return
	}
	for _, s := range steps {
		p.Signal(s.sig)
		if p.awaitGone(s.wait) {
			return
		}
	}
	p.Signal(syscall.SIGKILL)
	p.awaitGone(killWait)
}

// awaitGone waits until no process of the command is left, and reports whether that came about within d.
func (p *Process) awaitGone(d time.Duration) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-p.done:
	case <-limit.C:
		return p.nothingLeft()
	}
	for pause := time.Millisecond; !p.nothingLeft(); pause = min(2*pause, 20*time.Millisecond) {
		select {
		case <-limit.C:
			return p.nothingLeft()
		case <-time.After(pause):
		}
	}
	return true
}

// scanEvery limits the searches for members that are no zombies, which read all of /proc.
const scanEvery = 100 * time.Millisecond

// nothingLeft reports whether no live process of the command is left. Zombies that another process has yet to reap are
// not alive, but they keep the number of the group in use.
func (p *Process) nothingLeft() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		return false
	}
	if !p.gone {
		p.checkGone()
	}
	if !p.gone {
		if time.Since(p.scanned) < scanEvery {
			return false
		}
		p.scanned = time.Now()
		if hasLiveMember(p.pid) {
			return false
		}
	}
	return !p.s.hasStray(p.mark)
}

// checkGone notes whether the group is empty. The leader is reaped already, and p.mu is held: the members that
// handoff has adopted are reaped only here, so that the number cannot pass to others unnoticed.
func (p *Process) checkGone() {
	reapGroup(p.pid)
	if groupEmpty(p.pid) {
		p.gone = true
		p.s.forget(p)
	}
}

// abandon makes sure that no signal is sent any more: only zombies are left, or what cannot be ended.
func (p *Process) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = p.ended
}

// watch waits for the end of the leader and reaps it.
func (p *Process) watch(pidfd int) {
	awaitExit(p.pid, pidfd)
	last := finalIO(p.pid)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exit = reapLeader(p.pid)
	p.exit.Usage = p.exitUsage(last)
	p.ended = true
	p.scanned = time.Now()
	p.checkGone()
	close(p.done)
}

// exitUsage completes what the kernel told at the end. The peak that it tells of a process is never less than that
// of handoff, because a new process shares the memory of its parent until it executes its program: a value that is
// not above this floor is handoff's own.
func (p *Process) exitUsage(last Usage) Usage {
	u := p.exit.Usage
	u.Read, u.Written = last.Read, last.Written
	if u.PeakMemory <= p.floor {
		u.PeakMemory = 0
	}
	return u.max(p.sampled)
}

// max takes the higher one of each value.
func (u Usage) max(v Usage) Usage {
	return Usage{
		CPU:        max(u.CPU, v.CPU),
		PeakMemory: max(u.PeakMemory, v.PeakMemory),
		Read:       max(u.Read, v.Read),
		Written:    max(u.Written, v.Written),
	}
}
