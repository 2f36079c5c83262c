//go:build !linux

package process

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Without /proc and without a subreaper, a run is its process groups: a daemon that left its group is not found.

const maxrssUnit = 1 // bytes

func onMainThread() bool { return false }

func childAttr(*int, bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func sealAll() bool { return false }

func adoptOrphans() (was, is bool) { return true, true }

// Gone reports that no process has this id.
func Gone(pid int) bool { return unix.Kill(pid, 0) == unix.ESRCH }

func workingMark() mark { return 0 }

func ownMark() mark { return 0 }

func withMark(_ mark, start func()) { start() }

// Leave does nothing here: a run ends its process groups only.
func Leave() {}

func (s *Supervisor) disown() {}

func (s *Supervisor) hasStray(mark) bool { return false }

func (p *Process) left() []member {
	if p.gone {
		return nil
	}
	return []member{{pid: p.pid, pgrp: p.pid}}
}

func (p *Process) deliver(sig syscall.Signal) {
	if !p.gone {
		_ = syscall.Kill(-p.pid, sig)
		_ = syscall.Kill(-p.pid, syscall.SIGCONT) // a stopped process would not see the signal
	}
}

func (s *Supervisor) end(sig syscall.Signal) []int {
	for _, p := range s.processes() {
		p.Signal(sig)
	}
	return nil
}

func (s *Supervisor) reapOrphan(int) {}

// awaitExit blocks until the child pid has ended, and does not reap it. (waitid of darwin would return for a stopped
// process too.)
func awaitExit(pid, _ int) {
	kq, err := unix.Kqueue()
	if err != nil {
		return
	}
	defer unix.Close(kq)
	var ev unix.Kevent_t
	unix.SetKevent(&ev, pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	ev.Fflags = unix.NOTE_EXIT
	for { // an error but EINTR means that it has ended already
		if _, err := unix.Kevent(kq, []unix.Kevent_t{ev}, make([]unix.Kevent_t, 1), nil); err != unix.EINTR {
			return
		}
	}
}

func nameProcess(string) {}

func finalIO(int) Usage { return Usage{Read: -1, Written: -1} }

func liveUsage(int) Usage { return Usage{Read: -1, Written: -1} }

// groupEmpty: darwin says EPERM of a group of nothing but zombies.
func groupEmpty(pgid int) bool { return syscall.Kill(-pgid, 0) != nil }

func hasLiveMember(pgid int) bool { return !groupEmpty(pgid) }

// remains returns one member for each group that is not empty: its leader, or what has its number.
func (s *Supervisor) remains() []member {
	var left []member
	for _, p := range s.processes() {
		if !p.nothingLeft() {
			left = append(left, member{pid: p.pid, pgrp: p.pid})
		}
	}
	return left
}

// tick notices groups that became empty, so that their numbers are not used any more.
func (s *Supervisor) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.keepGuardian()
			s.remains()
		}
	}
}

// endOrphans kills the groups that are not empty, and reports whether all are.
func endOrphans(_ mark, _ string, groups map[int]bool, _ int) bool {
	none := true
	for pgid := range groups {
		if !groupEmpty(pgid) {
			none = false
			_ = syscall.Kill(-pgid, syscall.SIGKILL)
		}
	}
	return none
}

// MemoryLimit returns 0: the limit is not known.
func MemoryLimit() int64 { return 0 }
