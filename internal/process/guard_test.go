package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// superviseUntilKilled is handoff in the tests of the guardian: it starts scripts and waits to be killed.
func superviseUntilKilled(args []string) int {
	exe, err := os.Executable()
	if err != nil {
		return 96
	}
	lock, err := os.Open(args[1])
	if err != nil {
		return 95
	}
	o := Options{Cookie: args[0], GuardArgs: args[2:3], GuardFiles: []*os.File{lock}}
	if args[2] != "" {
		o.Guard = []string{exe, helperArg, "guard"}
	}
	s := NewSupervisor(o)
	if d, err := time.ParseDuration(os.Getenv("LIVES")); err == nil {
		s.Lives(time.Now(), d)
	}
	for _, script := range args[3:] {
		_, err := s.Start(Spec{
			Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: os.Environ(),
			Stdout: os.Stdout, Stderr: os.Stderr,
		})
		if err != nil {
			return 94
		}
	}
	time.Sleep(time.Minute)
	return 0
}

func TestGuardianEndsTheRunOfAKilledHandoff(t *testing.T) {
	t.Parallel()
	scripts := []string{
		"sleep 60 & echo $!; wait",
		"trap '' TERM INT HUP; (trap '' TERM; while :; do sleep 1; done) & echo $!; wait",
	}
	if daemon != "" {
		scripts = append(scripts, daemon)
	}
	killSupervisor(t, 0, scripts...)
}

// killSupervisor kills a supervising process some time after its scripts have printed a process id each, and waits
// until these processes have ended.
func killSupervisor(t *testing.T, after time.Duration, scripts ...string) {
	t.Helper()
	dir := t.TempDir()
	record, lock := filepath.Join(dir, "record"), filepath.Join(dir, "lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	argv := self(t, append([]string{"supervise", t.Name() + strconv.Itoa(os.Getpid()), lock, record}, scripts...)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for range scripts {
		pids = append(pids, pidOf(t, out))
	}
	time.Sleep(after)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all processes have ended", func() bool { return !slices.ContainsFunc(pids, running) })
	eventually(t, "the guardian has told its caller", func() bool {
		b, _ := os.ReadFile(record)
		return string(b) == "died"
	})
	_ = cmd.Wait()
}

// A handoff that is stopped cannot end its processes when their time is over: its guardian does.
func TestGuardianEndsWhatLivesTooLong(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	record, lock := filepath.Join(dir, "record"), filepath.Join(dir, "lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	argv := self(t, "supervise", t.Name()+strconv.Itoa(os.Getpid()), lock, record, "sleep 600 & echo $!; wait", "trap '' TERM; echo $$; sleep 600")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LIVES=8s")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pids := []int{pidOf(t, out), pidOf(t, out)}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all processes have ended", func() bool { return !slices.ContainsFunc(pids, running) })
	eventually(t, "the guardian has told its caller", func() bool {
		b, _ := os.ReadFile(record)
		return string(b) == "late"
	})
	if !running(cmd.Process.Pid) {
		t.Error("handoff itself was ended")
	}
	_ = cmd.Process.Kill()
	eventually(t, "the guardian has ended", func() bool {
		b, _ := os.ReadFile(record)
		return string(b) == "died"
	})
	_ = cmd.Wait()
}

// Each word of handoff moves the limit; what is over stays over.
func TestLives(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	s.Lives(time.Now(), time.Hour)
	p, out := sh(t, s, "echo ready; exec sleep 600")
	line(t, out)
	s.Lives(time.Now().Add(-2*time.Hour), 3*time.Hour)
	if !running(p.Pid()) {
		t.Error("ended in time")
	}
	s.Lives(time.Now().Add(-2*time.Hour), time.Hour)
	if x := p.Wait(); x.Signal != syscall.SIGKILL {
		t.Errorf("ended by %v", x)
	}
	if _, err := s.Start(Spec{Path: "/bin/true", Args: []string{"true"}}); !errors.Is(err, errOver) {
		t.Errorf("started: %v", err)
	}
}

func TestGuardianEndsWithClose(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, _ := sh(t, s, "exit 0")
	p.Wait()
	var guard int
	eventually(t, "the guardian has started", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		guard = s.guard.pid
		return guard != 0
	})
	if guard < 0 {
		t.Fatal("no guardian")
	}
	begin := time.Now()
	if err := s.Close(time.Minute); err != nil {
		t.Fatal(err)
	}
	if running(guard) {
		t.Error("the guardian is still there")
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("Close took %v", took)
	}
}

func TestGuardianMissing(t *testing.T) {
	t.Parallel()
	s := NewSupervisor(Options{Cookie: t.Name(), Guard: []string{filepath.Join(t.TempDir(), "none")}})
	p, err := s.Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 4"}})
	if err != nil {
		t.Fatal(err)
	}
	if e := p.Wait(); e.Code != 4 {
		t.Errorf("code = %d; want 4", e.Code)
	}
	if err := s.Close(0); err == nil {
		t.Error("Close does not tell that there was no guardian")
	}
}

func TestTellDoesNotWait(t *testing.T) {
	t.Parallel()
	g, err := newGuardian(Options{Guard: []string{"none"}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.release()
	for i := range 50_000 { // more than the pipe holds, and nobody reads
		g.tell(opStarted, i)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	type message struct {
		op  byte
		pid int
	}
	tests := []struct {
		name     string
		messages []message
		want     map[int]bool
		bye      bool
	}{
		{"nothing", nil, map[int]bool{}, false},
		{"started", []message{{opStarted, 70000}, {opStarted, 2}}, map[int]bool{70000: true, 2: true}, false},
		{"ended", []message{{opStarted, 1}, {opStarted, 2}, {opEnded, 1}}, map[int]bool{2: true}, false},
		{"number used again", []message{{opStarted, 1}, {opEnded, 1}, {opStarted, 1}}, map[int]bool{1: true}, false},
		{"bye", []message{{opStarted, 1}, {opBye, 0}, {opStarted, 2}}, map[int]bool{1: true}, true},
	}
	for _, tt := range tests {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "halves": iotest.HalfReader,
		} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				t.Parallel()
				g, err := newGuardian(Options{Guard: []string{"none"}})
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range tt.messages {
					g.tell(m.op, m.pid)
				}
				_ = g.w.Close()
				defer g.r.Close()
				got, bye := listen(wrap(g.r), func(time.Duration) bool { return true }, nil)
				if d := cmp.Diff(tt.want, got); d != "" || bye != tt.bye {
					t.Errorf("bye = %v, want %v; groups: %s", bye, tt.bye, d)
				}
			})
		}
	}
}

func TestGuardianIgnoresSignals(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, out := sh(t, s, "echo ready; exec sleep 60")
	line(t, out)
	s.mu.Lock()
	guard := s.guard.pid
	s.mu.Unlock()
	for !ignores(t, guard, syscall.SIGQUIT) { // the guardian comes up
		time.Sleep(5 * time.Millisecond)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		if err := syscall.Kill(guard, sig); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	if !running(guard) {
		t.Error("the guardian died")
	}
	p.Stop(time.Minute)
}
