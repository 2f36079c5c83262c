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

// Process is a started command: the leader of a process group, and the group with it.
type Process struct {
	s    *Supervisor
	pid  int
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

// Wait blocks until the leader has ended. Other members of its group may live on. It may be called often.
func (p *Process) Wait() Exit {
	<-p.done
	return p.exit
}

// Signal sends sig to every member of the group. It does nothing when none is left.
func (p *Process) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		_ = syscall.Kill(-p.pid, sig)
	}
}

// Kill sends SIGKILL to the group, and nothing before it. It returns as Stop does.
func (p *Process) Kill() { p.escalate() }

// Stop sends SIGTERM to the group, and SIGKILL to what is left of it after grace. It returns when no member is left
// (or half a minute after SIGKILL, with one that hangs in the kernel).
func (p *Process) Stop(grace time.Duration) {
	p.escalate(step{syscall.SIGTERM, grace})
}

// Interrupt sends SIGINT to the group, SIGTERM after half of grace, and SIGKILL after grace. It returns as Stop does.
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

// escalate takes the steps, then kills, until no member of the group is left.
func (p *Process) escalate(steps ...step) {
	for _, s := range steps {
		p.Signal(s.sig)
		p.Signal(syscall.SIGCONT) // a stopped process would not see the signal
		if p.awaitGone(s.wait) {
			return
		}
	}
	p.Signal(syscall.SIGKILL)
	p.awaitGone(killWait)
}

// awaitGone waits until no member of the group is left, and reports whether that came about within d.
func (p *Process) awaitGone(d time.Duration) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-p.done:
	case <-limit.C:
		return p.groupGone()
	}
	for pause := time.Millisecond; !p.groupGone(); pause = min(2*pause, 20*time.Millisecond) {
		select {
		case <-limit.C:
			return p.groupGone()
		case <-time.After(pause):
		}
	}
	return true
}

// scanEvery limits the searches for members that are no zombies, which read all of /proc.
const scanEvery = 100 * time.Millisecond

// groupGone reports whether no live member of the group is left. Zombies that another process has yet to reap are
// not alive, but they keep the number of the group in use.
func (p *Process) groupGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || !p.ended {
		return p.gone
	}
	p.checkGone()
	if p.gone || time.Since(p.scanned) < scanEvery {
		return p.gone
	}
	p.scanned = time.Now()
	return !hasLiveMember(p.pid)
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
