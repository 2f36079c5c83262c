package process

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What handoff tells its guardian: one byte, and a number.
const (
	opStarted byte = 'S' // the id of a group
	opEnded   byte = 'E' // the id of a group
	opLives   byte = 'L' // until when the processes may live, in milliseconds of the shared clock
	opBye     byte = 'B' // the run is over in good order
)

const (
	frameSize = 5
	guardFD   = 3               // read end of the pipe, in the guardian
	guardKey  = "HANDOFF_GUARD" // in the environment of a process that the end of a run spares: see livesOn
)

// guardian is the handle on the process that ends the run when handoff itself is killed. That it was killed it
// learns from the end-of-file of a pipe whose only write end is handoff's.
type guardian struct {
	o    Options
	r, w *os.File // r is kept for a further guardian, should this one be killed
	conn syscall.RawConn
	pid  int // 0: not started yet; -1: there is none
}

// newGuardian opens the pipe: what is told before the guardian lives waits in there.
func newGuardian(o Options) (*guardian, error) {
	g := &guardian{o: o}
	if len(o.Guard) == 0 {
		g.pid = -1
		return g, nil
	}
	var err error
	if g.r, g.w, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("open pipe to guardian: %w", err)
	}
	g.conn, err = g.w.SyscallConn()
	return g, err
}

// start starts the guardian in a session of its own, so that neither a terminal nor a signal to a group reaches it.
// It holds nothing of handoff's but the pipe and the files it was asked to keep.
// It returns its process id, or -1.
func (g *guardian) start(null *os.File) (pid int, err error) {
	files := append([]*os.File{null, null, null, g.r}, g.o.GuardFiles...)
	argv := append(append(append([]string{}, g.o.Guard...), g.o.Cookie), g.o.GuardArgs...)
	fds, err := descriptors(files)
	if err != nil {
		return -1, fmt.Errorf("start guardian: %w", err)
	}
	pid, _, err = syscall.StartProcess(argv[0], argv, &syscall.ProcAttr{
		Env:   []string{guardKey + "=" + g.o.Cookie, "GOMAXPROCS=1"},
		Files: fds,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	runtime.KeepAlive(files)
	if err != nil {
		return -1, fmt.Errorf("start guardian %s: %w", argv[0], err)
	}
	return pid, nil
}

// tell sends one message and never waits: a guardian that was stopped must not stop the run, and finds what it was
// not told of by its mark.
func (g *guardian) tell(op byte, n int) {
	if g.conn == nil {
		return
	}
	var b [frameSize]byte
	b[0] = op
	binary.LittleEndian.PutUint32(b[1:], uint32(n))
	_ = g.conn.Write(func(fd uintptr) bool {
		_, _ = syscall.Write(int(fd), b[:])
		return true
	})
}

// release ends the guardian. Nothing is left for it to do, so that it need not be waited for to come up and read.
func (g *guardian) release() {
	if g.conn == nil {
		return
	}
	g.tell(opBye, 0)
	if g.pid > 0 {
		_ = syscall.Kill(g.pid, syscall.SIGKILL)
		_, _ = wait4(g.pid, nil)
	}
	_ = g.r.Close()
	_ = g.w.Close()
}

// guardName is the name of the guardian in the table of processes. It must not have "handoff" in it: `pkill -9 handoff` and
// `killall -9 handoff` would kill both, and nobody would end what the run has started.
const guardName = "run-guardian"

// RunGuard is the whole life of the guardian, which the caller starts by Options.Guard; args is what follows that in
// its argv. It returns when the run is over. If handoff died, all that it had started is gone by then; rest is
// Options.GuardArgs. late, which may be nil, is told once when the processes had to be killed by the limit of
// Supervisor.Lives; handoff may go on after that.
func RunGuard(args []string, late func(rest []string)) (died bool, rest []string) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT)
	nameProcess(guardName)
	if len(args) == 0 {
		return false, nil
	}
	run, handoff := ownMark(), os.Getppid()
	groups, bye := listen(os.NewFile(guardFD, "run"), readable, func(groups map[int]bool) {
		endRun(func() bool { return endOrphans(run, args[0], groups, handoff) })
		if late != nil {
			late(args[1:])
			late = nil
		}
	})
	if !bye {
		endRun(func() bool { return endOrphans(run, args[0], groups, 0) })
	}
	return !bye, args[1:]
}

// readable waits until there is something to read, or its end, and reports whether that came about within d. It says so, too,
// of what came while this process did not run.
func readable(d time.Duration) bool {
	fds := []unix.PollFd{{Fd: guardFD, Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(d.Milliseconds())+1)
	return n > 0 || err != nil
}

// lateAgain is how often processes are looked for that handoff may have started when their time was over.
const lateAgain = 500 * time.Millisecond

// listen follows the run and returns the groups that it has left, and whether it ended in good order. late is called again
// and again from the time on at which the processes may not live any more. That time never moves once it is over.
func listen(r io.Reader, ready func(time.Duration) bool, late func(groups map[int]bool)) (groups map[int]bool, bye bool) {
	groups = map[int]bool{}
	var limited, over bool
	var until int
	buf := make([]byte, 100*frameSize)
	for kept := 0; ; {
		if over && !ready(lateAgain) || !over && limited && !ready(left(until)) {
			over = true
			late(groups)
			continue
		}
		n, err := r.Read(buf[kept:])
		b := buf[:kept+n]
		for ; len(b) >= frameSize; b = b[frameSize:] {
			switch n := int(binary.LittleEndian.Uint32(b[1:])); b[0] {
			case opStarted:
				groups[n] = true
			case opEnded:
				delete(groups, n)
			case opLives:
				limited, until = true, n
			case opBye:
				return groups, true
			}
		}
		kept = copy(buf, b)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return groups, false
		}
		time.Sleep(listenPause)
	}
}

// listenPause lets a quick series of messages wake the guardian once.
const listenPause = 5 * time.Millisecond

// endRun ends what a killed handoff has left. It kills at once: a target that is asked to end by SIGTERM may commit
// what it has, and there is no one left who would tell that this load is not complete.
func endRun(end func() bool) {
	for begin := time.Now(); !end() && time.Since(begin) < killWait; time.Sleep(20 * time.Millisecond) {
	}
}
