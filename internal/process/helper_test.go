package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const helperArg = "__helper"

// TestMain makes the test binary its own helper: as `binary __helper mode args...` it plays the processes of a run.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == helperArg {
		os.Exit(helper(os.Args[2], os.Args[3:]))
	}
	runtime.LockOSThread() // no test starts a process on the main thread, where it would look like an orphan
	goleak.VerifyTestMain(m)
}

func helper(mode string, args []string) int {
	switch mode {
	case "ignore-term":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		fmt.Println("ready")
		time.Sleep(time.Minute)
	case "leave-group":
		cmd := exec.Command("sleep", "60")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			return 96
		}
		fmt.Println(cmd.Process.Pid)
	case "hide":
		return hide()
	case "keep-zombie":
		cmd := exec.Command("/bin/true")
		if err := cmd.Start(); err != nil {
			return 96
		}
		_ = syscall.Setpgid(0, 0)
		fmt.Println(cmd.Process.Pid)
		time.Sleep(time.Minute)
	case "start-ignoring":
		signal.Ignore(syscall.SIGPIPE)
		return startAndExit(args)
	case "start":
		return startAndExit(args)
	case "supervise":
		return superviseUntilKilled(args)
	case "guard":
		died, rest := RunGuard(args, func(rest []string) { _ = os.WriteFile(rest[0], []byte("late"), 0o600) })
		if died && len(rest) > 0 {
			_ = os.WriteFile(rest[0], []byte("died"), 0o600)
		}
	default:
		fmt.Fprintln(os.Stderr, "unknown helper", mode)
		return 99
	}
	return 0
}

// startAndExit runs a command under a Supervisor and passes its output on.
func startAndExit(argv []string) int {
	s := NewSupervisor(Options{Cookie: "start-and-exit"})
	p, err := s.Start(Spec{Path: argv[0], Args: argv, Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	code := p.Wait().Code
	if err := s.Close(0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 97
	}
	return code
}

// self returns the argv of a helper.
func self(t testing.TB, args ...string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{exe, helperArg}, args...)
}

// newTestSupervisor returns a Supervisor with a guardian; it is closed at the end of the test.
func newTestSupervisor(t testing.TB) *Supervisor {
	t.Helper()
	s := NewSupervisor(Options{Cookie: t.Name() + "-" + strconv.Itoa(os.Getpid()), Guard: self(t, "guard")})
	t.Cleanup(func() {
		if err := s.Close(0); err != nil {
			t.Error(err)
		}
	})
	return s
}

// sh starts a shell script; what it prints can be read from the result.
func sh(t testing.TB, s *Supervisor, script string) (*Process, *os.File) {
	t.Helper()
	return spawn(t, s, "/bin/sh", "-c", script)
}

func spawn(t testing.TB, s *Supervisor, argv ...string) (*Process, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	p, err := s.Start(Spec{Path: argv[0], Args: argv, Env: os.Environ(), Dir: t.TempDir(), Stdout: w, Stderr: os.Stderr})
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return p, r
}

// line reads one line, which the helper prints when it is ready.
func line(t testing.TB, r io.Reader) string {
	t.Helper()
	var b strings.Builder
	c := make([]byte, 1)
	for {
		if _, err := r.Read(c); err != nil {
			t.Fatalf("read line: %v (after %q)", err, b.String())
		}
		if c[0] == '\n' {
			return b.String()
		}
		b.WriteByte(c[0])
	}
}

// pidOf reads a line with a process id.
func pidOf(t testing.TB, r io.Reader) int {
	t.Helper()
	s := line(t, r)
	pid, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("no process id: %q", s)
	}
	return pid
}

// eventually waits for cond, with a generous limit.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
