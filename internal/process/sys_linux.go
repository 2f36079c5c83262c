package process

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const maxrssUnit = 1024 // bytes

func onMainThread() bool { return unix.Gettid() == os.Getpid() }

func childAttr(pidfd *int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: pidfd}
}

// adoptOrphans makes handoff the parent of every orphan among its descendants. It tells whether it was that before,
// and whether it is now.
func adoptOrphans() (was, is bool) {
	if adoptsOrphans() {
		return true, true
	}
	return false, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == nil
}

func adoptsOrphans() bool {
	var on int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&on)), 0, 0, 0)
	return err == nil && on != 0
}

// awaitExit blocks until the child pid has ended, and does not reap it. With a descriptor of the process, no thread
// is blocked; pidfd is -1 where the kernel has none, and is closed here.
func awaitExit(pid, pidfd int) {
	if pidfd < 0 || !pollExit(pid, pidfd) {
		for ended, err := hasEnded(pid, 0); !ended && err == nil; ended, err = hasEnded(pid, 0) {
		}
	}
}

func pollExit(pid, pidfd int) bool {
	_ = unix.SetNonblock(pidfd, true) // what os.NewFile takes as the wish to poll
	f := os.NewFile(uintptr(pidfd), "pidfd")
	defer f.Close()
	rc, err := f.SyscallConn()
	if err != nil {
		return false
	}
	return rc.Read(func(uintptr) bool {
		ended, err := hasEnded(pid, unix.WNOHANG)
		return ended || err != nil
	}) == nil
}

// hasEnded asks for the end of a child without reaping it.
func hasEnded(pid, options int) (bool, error) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if err != unix.EINTR {
			return err == nil && info.Signo != 0, err
		}
	}
}

func groupEmpty(pgid int) bool { return syscall.Kill(-pgid, 0) == syscall.ESRCH }

// hasLiveMember reports whether a process of the group is alive.
func hasLiveMember(pgid int) bool {
	for _, p := range processTable() {
		if p.pgrp == pgid && p.alive() {
			return true
		}
	}
	return false
}

// tick reaps the orphans that have ended, notices groups that became empty, and tells the guardian of daemons.
func (s *Supervisor) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	ended, strays := map[int]bool{}, map[int]bool{}
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		for _, p := range s.processes() {
			p.groupGone()
		}
		now := s.outside()
		s.reapOrphans(now.ended, ended)
		s.tellStrays(now.groups, strays)
		ended, strays = now.ended, now.groups
	}
}

// outsiders are descendants that are in no group of a Process.
type outsiders struct {
	ended  map[int]bool // adopted ones, by process id: to be reaped
	groups map[int]bool // groups of the live ones
}

func (s *Supervisor) outside() outsiders {
	now := outsiders{map[int]bool{}, map[int]bool{}}
	own := syscall.Getpgrp()
	roots, _ := orphans()
	for _, pid := range roots {
		if p, ok := readStat(pid); ok && !p.alive() && p.pgrp != own {
			now.ended[pid] = true
		}
	}
	for _, p := range s.processes() {
		roots = append(roots, p.pid)
	}
	for p := range descendants(roots...) {
		if p.alive() && p.pgrp != own {
			now.groups[p.pgrp] = true
		}
	}
	return now
}

// reapOrphans reaps the orphans that had ended at the tick before already. The delay leaves alone what another part
// of the program started and is about to wait for.
func (s *Supervisor) reapOrphans(ended, before map[int]bool) {
	for pid := range ended {
		if before[pid] {
			s.reapOrphan(pid)
		}
	}
}

// tellStrays tells the guardian of groups that daemons made: it could not find one that cleared its environment.
func (s *Supervisor) tellStrays(groups, before map[int]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pgid := range groups {
		if !before[pgid] && s.groups[pgid] == nil {
			s.guard.tell(opStarted, pgid)
		}
	}
	for pgid := range before {
		if !groups[pgid] && s.groups[pgid] == nil {
			s.guard.tell(opEnded, pgid)
		}
	}
}

// reapOrphan reaps an adopted child if it has ended. Leaders are left to their watch.
func (s *Supervisor) reapOrphan(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[pid] == nil {
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	}
}

// disown reaps the daemons that have ended, and gives up the adoption of orphans unless another Supervisor of this
// program needs it.
func (s *Supervisor) disown() {
	pids, ok := orphans()
	if !ok {
		return
	}
	sid, _ := unix.Getsid(0)
	for _, pid := range pids {
		if p, ok := readStat(pid); ok && !p.alive() && p.session != sid {
			s.reapOrphan(pid)
		}
	}
	if !hasChildren() {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	}
}

// remains returns the live processes of the run. When handoff adopts all orphans, has none, and every group is
// empty, nothing can be left, and the table of processes need not be read.
func (s *Supervisor) remains() []member {
	for _, p := range s.processes() {
		p.groupGone()
	}
	s.mu.Lock()
	groups := make(map[int]bool, len(s.groups))
	for pgid := range s.groups {
		groups[pgid] = true
	}
	complete := !s.unadopted
	s.mu.Unlock()
	adopted, ok := orphans()
	if ok && complete && adoptsOrphans() && len(groups) == 0 && len(adopted) == 0 {
		return nil
	}
	var left []member
	for _, p := range s.family(groups, adopted) {
		left = append(left, member{pid: p.pid, pgrp: p.pgrp, comm: p.comm})
	}
	return left
}

// family returns the live processes that are in one of the groups, carry the cookie, or were adopted, with all their
// descendants.
func (s *Supervisor) family(groups map[int]bool, adopted []int) []stat {
	isAdopted := make(map[int]bool, len(adopted))
	for _, pid := range adopted {
		isAdopted[pid] = true
	}
	own := os.Getpid()
	ownGroup := syscall.Getpgrp()
	self, _ := readStat(own)
	return withDescendants(processTable(), func(p stat) bool {
		switch {
		case p.pid == own || p.start < self.start:
			return false
		case groups[p.pgrp]:
			return true
		}
		cookie, known := readCookie(p.pid)
		if cookie != "" || !known {
			return cookie != "" && cookie == s.o.Cookie
		}
		return isAdopted[p.pid] && p.pgrp != ownGroup // it was started with an empty environment
	})
}

// orphaned returns the live processes of a run whose handoff is dead.
func orphaned(cookie string, groups map[int]bool) []int {
	own := os.Getpid()
	var pids []int
	for _, p := range withDescendants(processTable(), func(p stat) bool {
		if groups[p.pgrp] {
			return true
		}
		c, _ := readCookie(p.pid)
		return c != "" && c == cookie
	}) {
		if p.pid != own {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// withDescendants returns the live processes for which root holds, and all that descend from them.
func withDescendants(table []stat, root func(stat) bool) []stat {
	children := map[int][]int{}
	var todo []int
	for i, p := range table {
		children[p.ppid] = append(children[p.ppid], i)
		if p.alive() && root(p) {
			todo = append(todo, i)
		}
	}
	seen := map[int]bool{}
	var found []stat
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		if table[i].alive() {
			found = append(found, table[i])
		}
		todo = append(todo, children[table[i].pid]...)
	}
	return found
}
