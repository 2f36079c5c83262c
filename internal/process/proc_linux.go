package process

import (
	"bytes"
	"iter"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// stat is what /proc/PID/stat says.
type stat struct {
	pid, ppid, pgrp, session int
	state                    byte
	comm                     string
	cpu                      time.Duration // with the children that it has waited for
	start                    uint64        // in ticks since the machine came up
}

func (p stat) alive() bool { return p.state != 'Z' && p.state != 'X' }

// Gone reports that no process has this id, or only the remains of one that nobody has waited for.
func Gone(pid int) bool {
	if unix.Kill(pid, 0) == unix.ESRCH {
		return true
	}
	s, ok := readStat(pid)
	return ok && !s.alive()
}

// clockTick is the unit of times in /proc: 1/100 s on all architectures that handoff runs on.
const clockTick = 10 * time.Millisecond

// readProc reads a file of /proc/PID. os.ReadFile would take five times as long.
func readProc(pid int, name string, buf []byte) ([]byte, bool) {
	path := append(strconv.AppendInt(append(make([]byte, 0, 48), "/proc/"...), int64(pid), 10), name...)
	fd, err := unix.Open(string(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	n := 0
	for {
		m, err := unix.Read(fd, buf[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, false
		case m == 0:
			return buf[:n], true
		}
		if n += m; n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}

func readStat(pid int) (stat, bool) {
	var buf [1024]byte
	b, ok := readProc(pid, "/stat", buf[:])
	if !ok {
		return stat{}, false
	}
	return parseStat(b)
}

// parseStat splits after the last parenthesis: the name before it may contain anything.
func parseStat(b []byte) (stat, bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return stat{}, false
	}
	f := bytes.Fields(b[end+1:])
	if len(f) < 20 {
		return stat{}, false
	}
	num := func(b []byte) int { return int(number(b)) }
	ticks := number(f[11]) + number(f[12]) + number(f[13]) + number(f[14])
	return stat{
		pid: num(bytes.TrimSpace(b[:open])), comm: string(b[open+1 : end]), state: f[0][0],
		ppid: num(f[1]), pgrp: num(f[2]), session: num(f[3]),
		cpu: time.Duration(ticks) * clockTick, start: uint64(number(f[19])),
	}, true
}

// number parses a decimal; 0 if it is none.
func number(b []byte) int64 {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// processTable reads what all processes of the machine are at this moment.
func processTable() []stat {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var table []stat
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		if p, ok := readStat(int(number([]byte(name)))); ok {
			table = append(table, p)
		}
	}
	return table
}

// orphans returns the adopted children of handoff. The kernel gives them to the main thread, which starts no process
// of a Supervisor itself. ok is false when the kernel does not tell.
func orphans() (pids []int, ok bool) {
	return childrenOf(os.Getpid(), strconv.Itoa(os.Getpid()))
}

// hasChildren reports whether any thread of handoff has a child.
func hasChildren() bool {
	kids, ok := allChildren(os.Getpid())
	return !ok || len(kids) > 0
}

// allChildren returns the children of every thread of a process.
func allChildren(pid int) (pids []int, ok bool) {
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return nil, false
	}
	for _, t := range tasks {
		kids, found := childrenOf(pid, t.Name())
		ok = ok || found
		pids = append(pids, kids...)
	}
	return pids, ok
}

func childrenOf(pid int, tid string) (pids []int, ok bool) {
	var buf [1024]byte
	b, ok := readProc(pid, "/task/"+tid+"/children", buf[:])
	for _, f := range bytes.Fields(b) {
		pids = append(pids, int(number(f)))
	}
	return pids, ok
}

// finalIO returns what an ended, not yet reaped process and the children that it waited for have read and written.
func finalIO(pid int) Usage {
	r, w := readIO(pid)
	return Usage{Read: r, Written: w}
}

// liveUsage returns what a process and its descendants have used so far.
func liveUsage(pid int) Usage {
	u := Usage{Read: -1, Written: -1}
	for p := range descendants(pid) {
		u.CPU += p.cpu
		u.PeakMemory = max(u.PeakMemory, peakMemory(p.pid))
		if r, w := readIO(p.pid); r >= 0 {
			u.Read, u.Written = max(u.Read, 0)+r, max(u.Written, 0)+w
		}
	}
	return u
}

// maxVisited bounds what one look at the descendants of a process may cost.
const maxVisited = 1000

// descendants visits the given processes and all that descend from them.
func descendants(pids ...int) iter.Seq[stat] {
	return func(yield func(stat) bool) {
		todo := slices.Clone(pids)
		for visited := 0; visited < len(todo) && visited < maxVisited; visited++ {
			p, ok := readStat(todo[visited])
			if !ok {
				continue
			}
			if !yield(p) {
				return
			}
			kids, _ := allChildren(p.pid)
			todo = append(todo, kids...)
		}
	}
}

func readIO(pid int) (read, written int64) {
	read, written = -1, -1
	var buf [512]byte
	b, _ := readProc(pid, "/io", buf[:])
	for line := range bytes.Lines(b) {
		if v, ok := bytes.CutPrefix(line, []byte("rchar: ")); ok {
			read = number(bytes.TrimSpace(v))
		}
		if v, ok := bytes.CutPrefix(line, []byte("wchar: ")); ok {
			written = number(bytes.TrimSpace(v))
		}
	}
	return read, written
}

// peakMemory returns the highest resident size of a live process in bytes, 0 if unknown.
func peakMemory(pid int) int64 {
	var buf [4096]byte
	b, _ := readProc(pid, "/status", buf[:])
	_, after, ok := bytes.Cut(b, []byte("\nVmHWM:"))
	if !ok {
		return 0
	}
	f := bytes.Fields(after[:min(len(after), 64)])
	if len(f) == 0 {
		return 0
	}
	return min(number(f[0]), math.MaxInt64/1024) * 1024
}
