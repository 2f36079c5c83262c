package process

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tick reaps the orphans that have ended, notices groups that became empty, and looks after the guardian.
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
		s.keepGuardian()
		for _, p := range s.processes() {
			p.nothingLeft()
		}
		now := s.adopted()
		s.reapOrphans(now.ended, ended)
		s.tellStrays(now.strays, strays)
		ended, strays = now.ended, now.strays
	}
}

// adopted are the orphans that handoff has become the parent of, but for its own group.
type adopted struct {
	ended  map[int]bool // by process id: to be reaped
	strays map[int]bool // groups of live ones without a mark
}

func (s *Supervisor) adopted() adopted {
	now := adopted{map[int]bool{}, map[int]bool{}}
	own := syscall.Getpgrp()
	pids, _ := orphans()
	for _, pid := range pids {
		switch p, ok := readStat(pid); {
		case !ok || p.pgrp == own:
		case !p.alive():
			now.ended[pid] = true
		case !s.mark.sameRun(readMark(pid)) && !livesOn(p):
			now.strays[p.pgrp] = true
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

// tellStrays tells the guardian of what has lost its mark: it could not find one that cleared its environment, too.
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

// hasStray reports whether a live process that wears m has become a child of handoff: the top of what a command left
// behind outside of its group. It reaps those that have ended.
func (s *Supervisor) hasStray(m mark) bool {
	if m == 0 {
		return false
	}
	for _, pid := range adoptedChildren() {
		if readMark(pid) != m {
			continue
		}
		switch p, ok := readStat(pid); {
		case !ok:
		case !p.alive():
			s.reapOrphan(pid)
		case !s.isLeader(pid) && !livesOn(p):
			return true
		}
	}
	return false
}

func (s *Supervisor) isLeader(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups[pid] != nil
}

// adoptedChildren are the orphans or, where the kernel does not tell which these are, all children of handoff.
func adoptedChildren() []int {
	pids, ok := orphans()
	if ok {
		return pids
	}
	for _, p := range processTable() {
		if p.ppid == os.Getpid() {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// members returns the live processes that the command started, in its group or not, parents first.
func (p *Process) members() []stat {
	own, table := os.Getpid(), processTable()
	adopted, orphan := adoptedChildren(), orphansIn(table)
	return withDescendants(table, func(t stat) bool {
		switch {
		case t.pid == own:
			return false
		case t.pgrp == p.pid:
			return !p.gone
		case orphan(t) || slices.Contains(adopted, t.pid): // the parent of the others is a member, too
			return p.mark != 0 && readMark(t.pid) == p.mark
		}
		return false
	})
}

// strays are the members outside of the group.
func (p *Process) strays() []stat {
	return slices.DeleteFunc(p.members(), func(t stat) bool { return !p.gone && t.pgrp == p.pid })
}

// left returns what is left of the command. p.mu is held.
func (p *Process) left() []member { return membersOf(p.members()) }

// deliver signals all members as if in one moment: none of them goes on when it sees the end of another one, which a shell
// would take for the end of a command, and a reader for the end of its input. p.mu is held.
func (p *Process) deliver(sig syscall.Signal) {
	group := func(sig syscall.Signal) {
		if !p.gone {
			_ = syscall.Kill(-p.pid, sig)
		}
	}
	group(unix.SIGSTOP)
	strays := halt(p.strays)
	group(sig)
	send(strays, sig)
	if sig != unix.SIGKILL {
		group(unix.SIGCONT)
		send(strays, unix.SIGCONT)
	}
}

// maxRounds bounds the race with a program that starts processes without end.
const maxRounds = 100

// halt stops what find finds, until it finds nothing new. Parents must come first: one that has a signal to take runs
// no further instruction of its program, and so cannot see that its child was stopped.
func halt(find func() []stat) []stat {
	stopped := map[int]uint64{}
	for round := 0; ; round++ {
		var fresh []stat
		all := find()
		for _, t := range all {
			if start, ok := stopped[t.pid]; !ok || start != t.start {
				stopped[t.pid] = t.start
				fresh = append(fresh, t)
			}
		}
		if len(fresh) == 0 || round == maxRounds {
			return all
		}
		send(fresh, unix.SIGSTOP)
	}
}

// send signals processes in order, and none that has got the number of one of them meanwhile.
func send(to []stat, sig syscall.Signal) {
	for _, t := range to {
		fd, err := unix.PidfdOpen(t.pid, 0)
		if err == unix.ENOSYS {
			_ = syscall.Kill(t.pid, sig)
		}
		if err != nil {
			continue
		}
		if now, ok := readStat(t.pid); ok && now.start == t.start {
			_ = unix.PidfdSendSignal(fd, sig, nil, 0)
		}
		_ = unix.Close(fd)
	}
}

// end signals every process of the run as if in one moment, and returns their ids.
func (s *Supervisor) end(sig syscall.Signal) (told []int) {
	all := halt(s.family)
	send(all, sig)
	if sig != unix.SIGKILL {
		send(all, unix.SIGCONT)
	}
	for _, p := range all {
		told = append(told, p.pid)
	}
	return told
}

// remains returns the live processes of the run.
func (s *Supervisor) remains() []member { return membersOf(s.family()) }

func membersOf(family []stat) (out []member) {
	for _, p := range family {
		out = append(out, member{pid: p.pid, pgrp: p.pgrp, comm: p.comm})
	}
	return out
}

// family returns the live processes that are in one of the groups, or were adopted, with all their descendants, parents
// first. When handoff adopts all orphans, has none, and every group is empty, nothing can be left, and the table of processes
// need not be read.
func (s *Supervisor) family() []stat {
	for _, p := range s.processes() {
		p.nothingLeft()
	}
	s.mu.Lock()
	groups := make(map[int]bool, len(s.groups))
	for pgid := range s.groups {
		groups[pgid] = true
	}
	complete, own := !s.unadopted, s.mark
	s.mu.Unlock()
	adopted, ok := orphans()
	complete = complete && ok && adoptsOrphans()
	if complete && len(groups) == 0 && len(adopted) == 0 {
		return nil
	}
	pid, ownGroup := os.Getpid(), syscall.Getpgrp()
	self, _ := readStat(pid)
	table := processTable()
	adopted, _ = orphans() // again, for what lost its parent meanwhile
	orphan := orphansIn(table)
	return withDescendants(table, func(p stat) bool {
		switch {
		case p.pid == pid || p.start < self.start:
			return false
		case groups[p.pgrp]:
			return true
		case slices.Contains(adopted, p.pid):
			o := ownerOf(p.pid, own, s.o.Cookie)
			return o == ours || o == unknown && p.pgrp != ownGroup
		}
		return (!complete || orphan(p)) && ownerOf(p.pid, own, s.o.Cookie) == ours
	})
}

// endOrphans kills what is left of a run but for handoff, the id of which is 0 where it is dead, and reports whether
// nothing was.
func endOrphans(run mark, cookie string, groups map[int]bool, handoff int) bool {
	left := halt(func() []stat {
		return withDescendants(processTable(), func(p stat) bool {
			return p.pid != handoff && (groups[p.pgrp] || ownerOf(p.pid, run, cookie) == ours)
		})
	})
	send(left, unix.SIGKILL)
	return len(left) == 0
}

// owner says whose a process is.
type owner int

const (
	unknown owner = iota // it has no mark, and its environment cannot be read or is empty
	ours
	foreign // of another run
)

func ownerOf(pid int, run mark, cookie string) owner {
	m := readMark(pid)
	if run.sameRun(m) {
		return ours
	}
	switch c, _ := readCookie(pid); {
	case c == cookie:
		return ours
	case c != "" || m != 0:
		return foreign
	}
	return unknown
}

// livesOn reports whether p is, and says so, to live on: a guardian, which ends when its own work is done, or the runner of a
// job. Both lead a session.
func livesOn(p stat) bool {
	if p.session != p.pid {
		return false
	}
	_, guard := readCookie(p.pid)
	return guard
}

// readCookie returns the cookie of a process, empty where it has none or cannot be looked at, and whether it is spared.
func readCookie(pid int) (cookie string, guard bool) {
	var buf [4096]byte
	b, _ := readProc(pid, "/environ", buf[:])
	for kv := range bytes.SplitSeq(b, []byte{0}) {
		if v, ok := bytes.CutPrefix(kv, []byte(cookieKey+"=")); ok {
			cookie = string(v)
		}
		guard = guard || bytes.HasPrefix(kv, []byte(guardKey+"="))
	}
	return cookie, guard
}

// orphansIn tells the processes of a table whose parent is not in it: that ended while the table was read.
func orphansIn(table []stat) func(stat) bool {
	known := make(map[int]bool, len(table))
	for _, p := range table {
		known[p.pid] = true
	}
	return func(p stat) bool { return !known[p.ppid] }
}

// withDescendants returns the live processes for which root holds, and all that descend from them, parents first. What is
// spared is left out, with all that descends from it. A root may have ended since those that it started were looked at.
func withDescendants(table []stat, root func(stat) bool) []stat {
	children := map[int][]stat{}
	var todo []stat
	for _, p := range table {
		children[p.ppid] = append(children[p.ppid], p)
		if root(p) {
			todo = append(todo, p)
		}
	}
	found := map[int]stat{}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, seen := found[p.pid]; !seen && !livesOn(p) {
			found[p.pid] = p
			todo = append(todo, children[p.pid]...)
		}
	}
	return parentsFirst(found)
}

// parentsFirst returns the live ones of the processes, each behind its parent.
func parentsFirst(found map[int]stat) []stat {
	depth := map[int]int{}
	var live []stat
	for pid, p := range found {
		for up, ok := p, true; ok && depth[pid] <= len(found); up, ok = found[up.ppid] { // a number used again could make a circle
			depth[pid]++
		}
		if p.alive() {
			live = append(live, p)
		}
	}
	slices.SortFunc(live, func(a, b stat) int { return cmp.Or(cmp.Compare(depth[a.pid], depth[b.pid]), cmp.Compare(a.pid, b.pid)) })
	return live
}
