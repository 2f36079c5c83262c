package pipeline

import (
	"bufio"
	"context"
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

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/process"
)

// helperArg makes the test binary play a tap or target: <binary> helperArg mode args...
const helperArg = "__stage"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == helperArg {
		os.Exit(helper(os.Args[2], os.Args[3:]))
	}
	runtime.LockOSThread() // no test starts a process on the main thread, where it would look like an orphan
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// helper is what the stages of the tests do that a shell does not do well.
func helper(mode string, args []string) int {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch mode {
	case "emit": // lines 1..N
		emit(number(arg(0)))
	case "bytes": // N bytes
		_, _ = io.CopyN(os.Stdout, zeros{}, int64(number(arg(0))))
	case "crash": // N lines, then an exit code
		emit(number(arg(0)))
		return number(arg(1))
	case "commit": // a target: counts its input and commits it to a file at end-of-file, not before
		note(arg(1))
		return commit(arg(0))
	case "commit-on-term": // ends with 0 on SIGTERM without committing
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
		terms := make(chan os.Signal, 1)
		signal.Notify(terms, syscall.SIGTERM)
		go func() { <-terms; os.Exit(0) }()
		return commit(arg(0))
	case "loader": // a target of the Meltano SDK: commits what it has when it is asked to end, too
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		go func() { <-asked; note(arg(0), "half"); os.Exit(0) }()
		note(arg(1))
		n := 0
		for in := bufio.NewScanner(os.Stdin); in.Scan(); n++ {
		}
		note(arg(0), "all "+strconv.Itoa(n))
	case "ignore-term":
		signal.Ignore(syscall.SIGTERM)
		note(arg(0))
		time.Sleep(time.Minute)
	case "ignore-all":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		note(arg(0))
		time.Sleep(time.Minute)
	case "clean-int": // cleans up on SIGINT, as Python does
		ints := make(chan os.Signal, 1)
		signal.Notify(ints, syscall.SIGINT)
		note(arg(0))
		<-ints
		note(arg(1))
		return 7
	case "close-stdin": // needs no more input, and works on
		_ = os.Stdin.Close()
		time.Sleep(300 * time.Millisecond)
		return number(arg(0))
	case "close-stdout": // has no more output, and works on
		emit(number(arg(0)))
		_ = os.Stdout.Close()
		time.Sleep(300 * time.Millisecond)
		return number(arg(1))
	case "daemon": // leaves a process of another session behind that keeps what it was given
		return daemon(arg(0))
	case "daemon-body":
		note(arg(0))
		time.Sleep(time.Minute)
	case "guard":
		process.RunGuard(args, nil)
	case "engine": // runs a pipeline of the scripts after the name of its folder
		return engine(arg(0), args[1:])
	case "tap": // fails when nobody reads, as a Python tap does
		signal.Ignore(syscall.SIGPIPE)
		for {
			if _, err := os.Stdout.WriteString("record\n"); err != nil {
				return 1
			}
		}
	default:
		fmt.Fprintln(os.Stderr, "unknown mode", mode)
		return 99
	}
	return 0
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func emit(n int) {
	w := bufio.NewWriter(os.Stdout)
	for i := 1; i <= n; i++ {
		fmt.Fprintln(w, i)
	}
	_ = w.Flush()
}

func commit(file string) int {
	n := 0
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		n++
	}
	if in.Err() != nil {
		return 3
	}
	note(file, "COMMITTED "+strconv.Itoa(n))
	return 0
}

// note writes a file that tells the test how far the helper came.
func note(file string, text ...string) {
	if file == "" {
		return
	}
	if len(text) == 0 {
		text = []string{strconv.Itoa(os.Getpid())}
	}
	if err := os.WriteFile(file+".tmp", []byte(strings.Join(text, "\n")), 0o644); err == nil {
		_ = os.Rename(file+".tmp", file)
	}
}

func engine(dir string, scripts []string) int {
	exe := os.Args[0]
	res, err := run(context.Background(), &plan.Plan{Dir: dir, Tasks: []plan.Task{pipelineTask("t", shells(scripts...)...)}}, Options{
		Artifacts:  dir,
		Environ:    append(os.Environ(), "DIR="+dir, "STAGE="+exe+" "+helperArg),
		Supervisor: process.Options{Cookie: dir, Guard: []string{exe, helperArg, "guard"}},
	})
	if err != nil || res.Outcome != Success {
		return 1
	}
	return 0
}

func daemon(file string) int {
	cmd := exec.Command(os.Args[0], helperArg, "daemon-body", file)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 1
	}
	for range 500 {
		if _, err := os.Stat(file); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0
}
