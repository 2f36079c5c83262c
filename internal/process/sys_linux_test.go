package process

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// daemon prints the id of a process that has left session, group and parent, has closed its files, and ignores SIGTERM.
const daemon = `
setsid sh -c 'setsid sh -c "trap \"\" TERM HUP; echo \$\$; exec >&- 2>&- <&-; while :; do sleep 1; done" & exit 0' &
wait`

// running reports whether a process is alive.
func running(pid int) bool {
	p, ok := readStat(pid)
	return ok && p.alive()
}

// Not parallel: the tick of another Supervisor could reap what Close has to.
func TestDaemonIsFoundAndKilled(t *testing.T) {
	tests := []struct {
		name string
		argv []string
	}{
		{"double fork, own session, files closed", []string{"/bin/sh", "-c", daemon}},
		{"in the group", []string{"/bin/sh", "-c", "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & exit 0"}},
		{"in a group of its own", self(t, "leave-group")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestSupervisor(t)
			p, out := spawn(t, s, tt.argv...)
			pid := pidOf(t, out)
			if e := p.Wait(); !e.Success() {
				t.Fatalf("exit = %+v", e)
			}
			if !leftOver(s, pid) {
				t.Errorf("process %d is not in %v", pid, s.Leftovers())
			}
			if err := s.Close(20 * time.Millisecond); err != nil {
				t.Error(err)
			}
			if d, ok := readStat(pid); ok && d.alive() { // what has ended is reaped by the next tick
				t.Errorf("the daemon is still there: %+v", d)
			}
		})
	}
}

func leftOver(s *Supervisor, pid int) bool {
	for _, l := range s.Leftovers() {
		if l.Pid == pid && l.Command != "" {
			return true
		}
	}
	return false
}

// A zombie that its parent, outside of the group, does not reap is no live member.
func TestStopWithForeignZombie(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, out := spawn(t, s, append([]string{"/bin/sh", "-c", `"$@" & exit 0`, "sh"}, self(t, "keep-zombie")...)...)
	zombie := pidOf(t, out)
	p.Wait()
	eventually(t, "the zombie is one", func() bool {
		z, ok := readStat(zombie)
		return ok && !z.alive() && z.pgrp == p.Pid()
	})
	begin := time.Now()
	p.Stop(time.Minute)
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("Stop took %v", took)
	}
}

// Not parallel: another Supervisor of this process could take the daemon for its own.
func TestDaemonWithEmptyEnvironment(t *testing.T) {
	for name, end := range map[string]func(*Supervisor){
		"Close":   func(*Supervisor) {},
		"KillAll": func(s *Supervisor) { s.KillAll() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSupervisor(t)
			p, out := sh(t, s, `setsid env -i sh -c 'echo $$; exec sleep 60' & exit 0`)
			pid := pidOf(t, out)
			p.Wait()
			end(s)
			if err := s.Close(10 * time.Second); err != nil {
				t.Error(err)
			}
			if running(pid) {
				t.Error("the daemon is still there")
			}
		})
	}
}

// Not parallel, as above. The guardian learns of such a daemon within a second.
func TestGuardianEndsDaemonWithEmptyEnvironment(t *testing.T) {
	const script = `setsid env -i sh -c 'echo $$; exec sleep 60' & `
	killSupervisor(t, 1500*time.Millisecond, script+"exit 0", script+"wait")
}

// Not parallel: it looks at the files of all processes that this one started.
func TestGuardianHoldsItsFilesOnly(t *testing.T) {
	lock, err := os.CreateTemp(t.TempDir(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	s := NewSupervisor(Options{Cookie: t.Name(), Guard: self(t, "guard"), GuardFiles: []*os.File{lock}})
	p, out := sh(t, s, "echo ready; exec sleep 60")
	line(t, out)
	var guard int
	eventually(t, "the guardian has started", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		guard = s.guard.pid
		return guard > 0
	})
	var got []string
	for fd := range 5 {
		name, err := os.Readlink("/proc/" + strconv.Itoa(guard) + "/fd/" + strconv.Itoa(fd))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimRight(name, "[]0123456789"))
	}
	want := []string{"/dev/null", "/dev/null", "/dev/null", "pipe:", strings.TrimRight(lock.Name(), "0123456789")}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if g, ok := readStat(guard); !ok || g.session != guard || g.pgrp != guard {
		t.Errorf("guardian = %+v; want a session of its own", g)
	}
	p.Stop(time.Minute)
	if err := s.Close(0); err != nil {
		t.Error(err)
	}
}

// Without a guardian at least the commands themselves die with handoff.
func TestParentDeathSignal(t *testing.T) {
	t.Parallel()
	argv := self(t, "supervise", t.Name(), os.DevNull, "", "trap '' TERM HUP; echo $$; while :; do sleep 0.1; done")
	cmd := exec.Command(argv[0], argv[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := pidOf(t, out)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command has ended", func() bool { return !running(pid) })
	_ = cmd.Wait()
}

// Not parallel: it changes what another Supervisor would change by its Close.
func TestDaemonThatWasNotAdopted(t *testing.T) {
	for name, again := range map[string]bool{"to the end": false, "until the next start": true} {
		t.Run(name, func(t *testing.T) {
			s := newTestSupervisor(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			out, outW, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			p, err := s.Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "read x;" + daemon}, Stdin: r, Stdout: outW, Env: os.Environ()})
			_ = outW.Close()
			if err != nil {
				t.Fatal(err)
			}
			_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
			_ = w.Close()
			pid := pidOf(t, out)
			p.Wait()
			eventually(t, "the daemon has another parent", func() bool {
				d, ok := readStat(pid)
				return ok && d.ppid != os.Getpid() && d.ppid != p.Pid()
			})
			if again {
				next, _ := sh(t, s, "exit 0")
				next.Wait()
			}
			if err := s.Close(0); err != nil {
				t.Error(err)
			}
			if running(pid) {
				t.Error("the daemon is still there")
			}
		})
	}
}

func TestLeftoversExcludesRunning(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, out := sh(t, s, "sleep 60 & echo ready; wait")
	line(t, out)
	if d := cmp.Diff([]Leftover(nil), s.Leftovers()); d != "" {
		t.Error(d)
	}
	p.Stop(time.Minute)
}

// Not parallel: it looks at all children of this process.
func TestManyStartsLeaveNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	eventually(t, "what other tests left is reaped", func() bool {
		_, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		return err == syscall.ECHILD
	})
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	before := openFiles(t)
	s := newTestSupervisor(t)
	for i := range 2000 {
		p, err := s.Start(Spec{Path: "/bin/true", Args: []string{"true"}})
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			p.Wait()
		}
	}
	eventually(t, "all groups are empty", func() bool { return len(s.processes()) == 0 })
	kids, ok := allChildren(os.Getpid())
	if !ok || len(kids) != 1 { // the guardian
		t.Errorf("children = %v, %v", kids, ok)
	}
	if err := s.Close(0); err != nil {
		t.Error(err)
	}
	if kids, _ := allChildren(os.Getpid()); len(kids) != 0 {
		t.Errorf("children after Close = %v", kids)
	}
	if adoptsOrphans() {
		t.Error("orphans are still adopted after Close")
	}
	if after := openFiles(t); after > before+2 { // the poller of the runtime
		t.Errorf("open files: %d before, %d after", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// Not parallel: it looks at the children of this process.
func TestTickReapsOrphans(t *testing.T) {
	s := newTestSupervisor(t)
	p, out := sh(t, s, `setsid sh -c 'echo $$; exit 0' & exec setsid -f true`)
	pid := pidOf(t, out)
	p.Wait()
	eventually(t, "the orphan is reaped", func() bool {
		_, ok := readStat(pid)
		pids, _ := orphans()
		return !ok && len(pids) == 0
	})
}

func TestAwaitExitWithoutDescriptor(t *testing.T) {
	t.Parallel()
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "sleep 0.1; exit 6"}, &syscall.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	awaitExit(pid, -1)
	p, ok := readStat(pid)
	if !ok || p.alive() {
		t.Errorf("stat = %+v, %v; want a zombie", p, ok)
	}
	if e := reapLeader(pid); e.Code != 6 {
		t.Errorf("code = %d; want 6", e.Code)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	const size = 3_000_000
	p, _ := sh(t, s, "head -c "+strconv.Itoa(size)+" /dev/zero > f; cat f > g; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
	var live Usage
	eventually(t, "the live process has used something", func() bool {
		live = p.Usage()
		return live.CPU > 0 && live.Written >= 2*size && live.PeakMemory > 0
	})
	got := p.Wait().Usage
	if got.Written < 2*size || got.Written > 3*size || got.Read < 2*size || got.CPU < live.CPU || got.PeakMemory < live.PeakMemory {
		t.Errorf("usage = %+v, live %+v", got, live)
	}
	if d := cmp.Diff(got, p.Usage()); d != "" {
		t.Error(d)
	}
}

func TestPeakMemory(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, _ := sh(t, s, "exit 0")
	if got := p.Wait().Usage.PeakMemory; got > 4<<20 {
		t.Errorf("peak memory of a shell = %d bytes: that of its parent?", got)
	}
	// head and tail of one long line keep it in memory.
	p, _ = sh(t, s, "head -c 300000000 /dev/zero | tail -n 1 | wc -c")
	if got := p.Wait().Usage.PeakMemory; got < 250_000_000 {
		t.Errorf("peak memory = %d bytes; want at least 250 MB", got)
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	rest := " S 10 20 30 0 -1 4194560 1 2 3 4 100 50 25 25 20 0 1 0 987654 1 1"
	want := stat{pid: 42, ppid: 10, pgrp: 20, session: 30, state: 'S', cpu: 2 * time.Second, start: 987654}
	for _, name := range []string{"sh", "a b", "(", ")", ") S 1 2 3 (", "\n)", ""} {
		want.comm = name
		got, ok := parseStat([]byte("42 (" + name + ")" + rest + "\n"))
		if d := cmp.Diff(want, got, cmp.AllowUnexported(stat{})); d != "" || !ok {
			t.Errorf("%q: %v %s", name, ok, d)
		}
	}
	for _, bad := range []string{"", "42", "42 (sh", "42 (sh)", "42 )sh(" + rest, "42 (sh) S 1 2 3", "(sh)" + rest} {
		if got, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestReadProcOfLongFile(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	long := strings.Repeat("x", 50_000)
	p, err := s.Start(Spec{Path: "/bin/sleep", Args: []string{"sleep", "60"}, Env: []string{"LONG=" + long}})
	if err != nil {
		t.Fatal(err)
	}
	if c, guard := readCookie(p.Pid()); c != s.o.Cookie || guard {
		t.Errorf("cookie = %q, %v", c, guard)
	}
	if c, _ := readCookie(-1); c != "" {
		t.Error("the cookie of no process is known")
	}
	p.Stop(time.Minute)
}

func BenchmarkStart(b *testing.B) {
	for name, guard := range map[string][]string{"alone": nil, "guarded": self(b, "guard")} {
		b.Run(name, func(b *testing.B) {
			s := NewSupervisor(Options{Cookie: b.Name(), Guard: guard})
			for b.Loop() {
				p, err := s.Start(Spec{Path: "/bin/true", Args: []string{"true"}})
				if err != nil {
					b.Fatal(err)
				}
				p.Wait()
			}
			if err := s.Close(0); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.Run("os", func(b *testing.B) {
		for b.Loop() {
			p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Setpgid: true}})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := p.Wait(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestWatch(t *testing.T) {
	for _, end := range []string{"Close", "KillAll"} {
		t.Run(end, func(t *testing.T) {
			s := NewSupervisor(Options{Cookie: t.Name()})
			if err := s.Watch(); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sleep", "60")
			cmd.Env = s.Environ([]string{"HANDOFF_RUN=another", "PATH=" + os.Getenv("PATH")})
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := s.Starting(cmd.Start); err != nil {
				t.Fatal(err)
			}
			other := exec.Command("sleep", "60") // started meanwhile by another part of this program
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			defer other.Wait()         // it is killed
			defer other.Process.Kill() // see above
			defer func() {
				if err := other.Process.Signal(syscall.Signal(0)); err != nil || readMark(other.Process.Pid).sameRun(s.mark) {
					t.Errorf("a process of another part of the program was taken for one of the run: %v", err)
				}
			}()
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			if end == "KillAll" {
				s.KillAll()
				<-ended
			}
			if err := s.Close(time.Second); err != nil {
				t.Error(err)
			}
			if end == "Close" {
				<-ended
			}
			if err := s.Watch(); err == nil {
				t.Error("it watches after its end")
			}
		})
	}
}

// ignores reports whether a process has said that it ignores the signal.
func ignores(t *testing.T, pid int, sig syscall.Signal) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nSigIgn:\t")
	mask, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return mask&(1<<(sig-1)) != 0
}
