package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		script  string
		want    Exit
		success bool
	}{
		{"success", "exit 0", Exit{}, true},
		{"code", "exit 3", Exit{Code: 3}, false},
		{"code above 128 is no signal", "exit 141", Exit{Code: 141}, false},
		{"SIGKILL", "kill -KILL $$", Exit{Signal: syscall.SIGKILL}, false},
		{"SIGPIPE", "kill -PIPE $$", Exit{Signal: syscall.SIGPIPE}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := sh(t, newTestSupervisor(t), tt.script)
			got := p.Wait()
			if got.Code != tt.want.Code || got.Signal != tt.want.Signal || got.Success() != tt.success {
				t.Errorf("exit = %d, %v, success %v; want %+v, %v", got.Code, got.Signal, got.Success(), tt.want, tt.success)
			}
		})
	}
}

func TestStartMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		name string
		sp   Spec
	}{
		{"program", Spec{Path: filepath.Join(dir, "no-shell"), Args: []string{"no-shell"}, Dir: dir}},
		{"folder", Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 0"}, Dir: filepath.Join(dir, "none")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newTestSupervisor(t).Start(tt.sp)
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error = %v; want fs.ErrNotExist", err)
			}
		})
	}
}

func TestStopKillsWhatIgnoresTerm(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, out := spawn(t, s, self(t, "ignore-term")...)
	line(t, out)
	p.Stop(50 * time.Millisecond)
	if got := p.Wait(); got.Signal != syscall.SIGKILL {
		t.Errorf("signal = %v; want SIGKILL", got.Signal)
	}
	if err := syscall.Kill(-p.Pid(), 0); err != syscall.ESRCH {
		t.Errorf("kill group = %v; want ESRCH", err)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	const second = time.Second
	tests := []struct {
		name   string
		script string // prints one line when it is ready
		end    func(*Process)
		want   Exit
		tree   bool // the line is the id of a child that must end too
	}{
		{"Stop: SIGTERM is enough", "echo ready; exec sleep 60", func(p *Process) { p.Stop(60 * second) },
			Exit{Signal: syscall.SIGTERM}, false},
		{"Stop: the shell goes at once, its child ignores SIGTERM", "(trap '' TERM; sleep 60) & sleep 0.2; echo $!; wait",
			func(p *Process) { p.Stop(second / 4) }, Exit{Signal: syscall.SIGTERM}, true},
		{"Stop: a clean-up is awaited", "trap 'sleep 0.1; exit 7' TERM; echo ready; while :; do sleep 0.01; done",
			func(p *Process) { p.Stop(60 * second) }, Exit{Code: 7}, false},
		{"Stop: a stopped process", "echo ready; kill -STOP $$; sleep 60", func(p *Process) { p.Stop(60 * second) },
			Exit{Signal: syscall.SIGTERM}, false},
		{"Stop: grandchildren", "sh -c 'sleep 60 & echo $!; wait'; exit 1", func(p *Process) { p.Stop(60 * second) },
			Exit{Signal: syscall.SIGTERM}, true},
		{"Stop: no grace", "trap '' TERM; sleep 60 & echo $!; wait", func(p *Process) { p.Stop(0) },
			Exit{Signal: syscall.SIGKILL}, true},
		{"Stop: the leader has ended already", "sleep 60 & echo $!", func(p *Process) { p.Wait(); p.Stop(60 * second) },
			Exit{}, true},
		{"Interrupt: SIGINT is enough", "trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done",
			func(p *Process) { p.Interrupt(60 * second) }, Exit{Code: 9}, false},
		{"Interrupt: SIGTERM follows", "trap '' INT; echo ready; exec sleep 60",
			func(p *Process) { p.Interrupt(second / 5) }, Exit{Signal: syscall.SIGTERM}, false},
		{"Interrupt: SIGKILL follows", "trap '' INT TERM; echo ready; sleep 60; sleep 60",
			func(p *Process) { p.Interrupt(second / 5) }, Exit{Signal: syscall.SIGKILL}, false},
		{"Signal goes to the group", "sleep 60 & trap 'exit 5' USR1; echo $!; wait",
			func(p *Process) { p.Signal(syscall.SIGUSR1) }, Exit{Code: 5}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, out := sh(t, newTestSupervisor(t), tt.script)
			first := line(t, out)
			begin := time.Now()
			tt.end(p)
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			if got := p.Wait(); got.Code != tt.want.Code || got.Signal != tt.want.Signal {
				t.Errorf("exit = %d, %v; want %d, %v", got.Code, got.Signal, tt.want.Code, tt.want.Signal)
			}
			if tt.tree {
				pid, err := strconv.Atoi(first)
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "the child has ended", func() bool { return !running(pid) })
			}
			p.Stop(0)
			if err := syscall.Kill(-p.Pid(), 0); err != syscall.ESRCH {
				t.Errorf("signal to the group: %v; want %v", err, syscall.ESRCH)
			}
			p.Signal(syscall.SIGKILL) // to nobody
		})
	}
}

func TestStopConcurrently(t *testing.T) {
	t.Parallel()
	p, out := sh(t, newTestSupervisor(t), "trap '' TERM; sleep 60 & echo $!; wait")
	pid := pidOf(t, out)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { p.Stop(50 * time.Millisecond) })
		wg.Go(func() { p.Interrupt(50 * time.Millisecond) })
		wg.Go(func() { p.Signal(syscall.SIGTERM); p.Usage() })
		wg.Go(func() { p.Wait() })
	}
	wg.Wait()
	if running(pid) {
		t.Error("a member of the group is still there")
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := s.Start(Spec{
		Path: "/bin/sh", Dir: dir, Extra: []*os.File{w},
		Args: []string{"named", "-c", `echo "$0|$X|$HANDOFF_RUN|$(pwd -P)|$(wc -c)" >&3; echo lost; echo lost >&2`},
		Env:  []string{"PATH=" + os.Getenv("PATH"), "X=a b", "HANDOFF_RUN=of another run"},
	})
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if e := p.Wait(); !e.Success() {
		t.Errorf("exit = %+v", e)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := "named|a b|" + s.o.Cookie + "|" + real + "|0\n"
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}

func TestStartAfterEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Supervisor){
		"Close":   func(s *Supervisor) { _ = s.Close(0) },
		"KillAll": func(s *Supervisor) { s.KillAll() },
	} {
		for _, used := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, used %v", name, used), func(t *testing.T) {
				t.Parallel()
				s := newTestSupervisor(t)
				if used {
					p, _ := sh(t, s, "exit 0")
					p.Wait()
				}
				end(s)
				_, err := s.Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 0"}})
				if !errors.Is(err, errClosed) {
					t.Errorf("error = %v; want %v", err, errClosed)
				}
			})
		}
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, out := sh(t, s, "trap '' TERM; sleep 60 & echo $!; wait")
	pid := pidOf(t, out)
	if err := s.Close(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if e := p.Wait(); e.Signal != syscall.SIGKILL {
		t.Errorf("signal = %v; want SIGKILL", e.Signal)
	}
	if running(pid) {
		t.Error("the child is still there")
	}
}

func TestKillAll(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, out := sh(t, s, "trap '' TERM INT; sleep 60 & echo $!; wait")
	pid := pidOf(t, out)
	s.KillAll()
	if e := p.Wait(); e.Signal != syscall.SIGKILL {
		t.Errorf("signal = %v; want SIGKILL", e.Signal)
	}
	eventually(t, "the child has ended", func() bool { return !running(pid) })
}

// A process that KillAll could not know of, because it was just being started, is killed all the same.
func TestStartDuringKillAll(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	s.KillAll()
	started := make(chan *Process)
	s.parent <- func() {
		p, err := s.start(Spec{Path: "/bin/sleep", Args: []string{"sleep", "60"}}, s.guarded())
		if err != nil {
			t.Error(err)
		}
		started <- p
	}
	if e := (<-started).Wait(); e.Signal != syscall.SIGKILL {
		t.Errorf("exit = %+v; want SIGKILL", e)
	}
}

func TestStartAndCloseConcurrently(t *testing.T) {
	t.Parallel()
	for range 5 {
		s := NewSupervisor(Options{Cookie: t.Name(), Guard: self(t, "guard")})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					p, err := s.Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 60 & wait"}, Env: os.Environ()})
					if err != nil {
						if !errors.Is(err, errClosed) {
							t.Error(err)
						}
						return
					}
					wg.Go(func() { p.Wait() })
					wg.Go(func() { p.Stop(time.Millisecond) })
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		wg.Go(func() { _ = s.Leftovers() })
		if err := s.Close(time.Millisecond); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

func TestInheritedIgnoredSignals(t *testing.T) {
	t.Parallel()
	// A shell that ignores signals, as nohup and background jobs of a script do, starts handoff.
	tests := []struct{ name, ignored, mode, sent, want string }{
		{"SIGINT ends a stage of a background job", "INT QUIT", "start", "INT", "died\n"},
		{"SIGPIPE ends a stage under a service manager", "PIPE", "start", "PIPE", "died\n"},
		{"SIGPIPE ends a stage when handoff ignores it", "USR1", "start-ignoring", "PIPE", "died\n"},
		{"SIGTERM ends a stage", "TERM", "start", "TERM", "died\n"},
		{"SIGHUP does not end a stage under nohup", "HUP", "start", "HUP", "lives\ndied\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stage := "sh -c 'kill -" + tt.sent + " $$; echo lives'; echo died"
			script := "trap '' " + tt.ignored + `; exec "$@"`
			argv := append([]string{"-c", script, "sh"}, self(t, tt.mode, "/bin/sh", "-c", stage)...)
			out, err := exec.CommandContext(t.Context(), "/bin/sh", argv...).Output()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(out)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	if Gone(os.Getpid()) {
		t.Error("this process is not gone")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if Gone(pid) {
		t.Error("a child is not gone")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !Gone(pid) {
		t.Error("a child that was waited for is gone")
	}
}
