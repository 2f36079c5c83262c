// Package faults runs the built program into everything that goes wrong where pipelines live: bad projects, full disks,
// killed processes, closed streams, odd names. It looks from outside only: exit codes, messages, files, processes.
package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/test/binary"
)

// limit is how long anything in these tests may take before they call it a hang.
const limit = 60 * time.Second

// program is the path of handoff, crashing that of a handoff that panics: see testdata/crash. TestMain builds them.
var program, crashing string

// builtPrograms names, in the environment of a second run of the tests, the folder of the programs that the first one built.
const builtPrograms = "FAULTS_PROGRAMS"

// What root may do hides many a fault. These look at processes and what becomes of them.
func TestAsOrdinaryUser(t *testing.T) {
	binary.AsUser(t, "^Test(Handoff|Guardian|Signal|Second|Started|CtrlC|Terminal|Install|Stage|SlowHandoff|Left|Crash|Descriptors|Artifact)",
		builtPrograms+"="+filepath.Dir(program))
}

func TestMain(m *testing.M) {
	// What is caught here has its default action in the programs that the tests start: this process may have been
	// started with nohup, or in the background of a script.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if built := os.Getenv(builtPrograms); built != "" {
		program, crashing = filepath.Join(built, "handoff"), filepath.Join(built, "crash")
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "handoff-faults")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755) // for an ordinary user
	}
	if err == nil {
		program, err = binary.Build(dir, "cmd/handoff")
	}
	if err == nil {
		crashing, err = binary.Build(dir, "test/faults/testdata/crash")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// lab is a folder with a project in prj; its workspace is to be ws.
type lab struct {
	*testing.T
	dir   string
	home  string        // HANDOFF_HOME, where the lab has a cloud
	limit time.Duration // for a command
}

// newLab makes a lab. A name without a slash is of the project folder: {"project.yml": "..."}.
func newLab(t *testing.T, files map[string]string) *lab {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{T: t, dir: dir, limit: limit}
	for name, text := range files {
		l.write(filepath.Join("prj", name), text)
	}
	return l
}

// project is a lab whose project has this project.yml.
func project(t *testing.T, yml string) *lab {
	t.Helper()
	return newLab(t, map[string]string{"project.yml": yml})
}

func yml(tasks string) string { return "version: 1\n" + tasks }

// block writes a script as a YAML value, whatever is in it.
func block(script string) string {
	return "|\n          " + strings.ReplaceAll(script, "\n", "\n          ") + "\n"
}

func (l *lab) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l *lab) write(name, text string) {
	l.Helper()
	path := l.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) read(name string) string {
	l.Helper()
	text, err := os.ReadFile(l.path(name))
	if err != nil {
		l.Fatal(err)
	}
	return string(text)
}

// artifact is the content of a file in ws/artifacts.
func (l *lab) artifact(name string) string {
	l.Helper()
	return l.read(filepath.Join("ws", "artifacts", name))
}

func (l *lab) exists(name string) bool {
	_, err := os.Lstat(l.path(name))
	return err == nil
}

// tree is every file below name with its content, and every folder.
func (l *lab) tree(name string) map[string]string {
	l.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(l.path(name), func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(l.path(name), path)
		found[rel] = e.Type().String()
		if e.Type().IsRegular() {
			text, err := os.ReadFile(path)
			found[rel] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	return found
}

// command prepares handoff in the folder of the lab. It is killed when the test ends.
func (l *lab) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(l.Context(), l.limit)
	l.Cleanup(cancel)
	cmd := binary.Command(ctx, l.dir, program, args...)
	if l.home != "" {
		cmd.Env = append(cmd.Env, "HANDOFF_HOME="+l.home)
	}
	return cmd
}

// handoff runs it to its end and wants this exit code. No message may be a stack trace.
func (l *lab) handoff(code int, args ...string) binary.Result {
	l.Helper()
	return l.wait(code, l.command(args...))
}

// run runs the project of the lab in ws.
func (l *lab) run(code int, args ...string) binary.Result {
	l.Helper()
	return l.handoff(code, append([]string{"run", "local", "-p", "prj", "-w", "ws"}, args...)...)
}

func (l *lab) wait(code int, cmd *exec.Cmd) binary.Result {
	l.Helper()
	res, err := binary.Run(cmd)
	if err != nil {
		l.Fatal(err)
	}
	l.sane(res.Stdout + res.Stderr)
	if res.Code != code {
		l.Fatalf("%q: want exit code %d: %s", cmd.Args[1:], code, res)
	}
	return res
}

// sane refuses what no user should ever see.
func (l *lab) sane(text string) {
	l.Helper()
	for _, bad := range []string{"goroutine ", "panic:", "runtime error", "%!", "<nil>", "[signal SIG"} {
		if strings.Contains(text, bad) {
			l.Errorf("a message contains %q:\n%s", bad, cut(text))
		}
	}
}

// says wants each pattern in text.
func (l *lab) says(text string, patterns ...string) {
	l.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)" + p).MatchString(text) {
			l.Errorf("nothing matches %q in:\n%s", p, cut(text))
		}
	}
}

func cut(text string) string {
	if len(text) > 4000 {
		return text[:2000] + "\n[...]\n" + text[len(text)-2000:]
	}
	return text
}

// record is what these tests look at in run.json.
type record struct {
	ID      string `json:"id"`
	Pid     int    `json:"pid"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Code    int    `json:"exit_code"`
	Tasks   []struct {
		Name, Outcome, Reason string
	} `json:"tasks"`
}

func (l *lab) record() record {
	l.Helper()
	var r record
	if err := json.Unmarshal([]byte(l.artifact("run.json")), &r); err != nil {
		l.Fatalf("run.json: %v", err)
	}
	return r
}

// session is a handoff at work. Its output goes to files, as no pipe could tell when it has ended.
type session struct {
	*lab
	cmd  *exec.Cmd
	name string
	done chan struct{}
}

// start starts a prepared handoff; its streams are files where they are not set.
func (l *lab) start(cmd *exec.Cmd) *session {
	l.Helper()
	s := &session{lab: l, cmd: cmd, done: make(chan struct{}), name: fmt.Sprintf("session%d", time.Now().UnixNano())}
	if cmd.Stdout == nil {
		cmd.Stdout = l.create(s.name + ".out")
	}
	if cmd.Stderr == nil {
		cmd.Stderr = l.create(s.name + ".err")
	}
	if err := cmd.Start(); err != nil {
		l.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	l.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-s.done
	})
	return s
}

func (l *lab) create(name string) *os.File {
	l.Helper()
	f, err := os.Create(l.path(name))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { f.Close() })
	return f
}

func (s *session) signal(sig syscall.Signal) {
	s.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.Fatalf("handoff %q: %v; stderr: %s", s.cmd.Args[1:], err, s.stderr())
	}
}

// end waits for the end and returns the exit code; 128+n for signal n.
func (s *session) end() int {
	s.Helper()
	select {
	case <-s.done:
	case <-time.After(s.limit):
		s.Fatalf("handoff %q does not end; stderr: %s", s.cmd.Args[1:], s.stderr())
	}
	s.sane(s.stderr())
	ws, _ := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

func (s *session) stdout() string { return s.stream(".out") }
func (s *session) stderr() string { return s.stream(".err") }

func (s *session) stream(ext string) string {
	text, _ := os.ReadFile(s.path(s.name + ext)) // none where the test took the stream for itself
	return string(text)
}

// eventually waits until ok.
func (l *lab) eventually(what string, ok func() bool) {
	l.Helper()
	for end := time.Now().Add(l.limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			l.Fatalf("not within %v: %s", l.limit, what)
		}
	}
}

// appears waits for a file of the workspace; stages make one to say that they are at work.
func (l *lab) appears(name string) {
	l.Helper()
	l.eventually(name, func() bool { return l.exists(filepath.Join("ws", name)) })
}
