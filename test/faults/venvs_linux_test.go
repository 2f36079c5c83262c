package faults

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const wheel = "tool-1.0-py3-none-any.whl"

// makeWheel writes a package whose program `tool` prints a text, for the real pip, which needs no network for it.
func (l *lab) makeWheel(path, says string) {
	l.Helper()
	path = l.path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		l.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for _, file := range [][2]string{
		{"tool.py", "def main():\n    print('" + says + "')\n"},
		{"tool-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n"},
		{"tool-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{"tool-1.0.dist-info/entry_points.txt", "[console_scripts]\ntool = tool:main\n"},
		{"tool-1.0.dist-info/RECORD", ""},
	} {
		w, err := z.Create(file[0])
		if err == nil {
			_, err = w.Write([]byte(file[1]))
		}
		if err != nil {
			l.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		l.Fatal(err)
	}
}

// withTool is a lab whose project installs the tool, which says "one". A virtual environment takes its time on a busy machine.
func withTool(t *testing.T, installs string) *lab {
	t.Helper()
	l := newCloud(t, map[string]string{
		"project.yml": yml("installs:\n" + installs + "vars: [{key: out, value: /dev/stdout}]\n" +
			"tasks:\n- name: a\n  commands: [{command: 'tool > {{ out }}', venv: v}]\n" + strings.Replace(place, "load}", "load, overlap: allow}", 1)),
		"files/requirements.txt": "./files/" + wheel + "\n",
	})
	l.limit = 5 * time.Minute
	l.makeWheel("prj/files/"+wheel, "one")
	return l
}

const requirements = "- {venv: v, command: pip install --no-index -r files/requirements.txt}\n"

func (l *lab) install(code int, args ...string) string {
	l.Helper()
	return l.handoff(code, append([]string{"workspace", "install", "-p", "prj", "-w", "ws"}, args...)...).Stderr
}

// A job has the packages of its release: after a push, after a rollback, and beside a job of another release.
func TestVenvOfJobsFollowsTheRelease(t *testing.T) {
	t.Parallel()
	l := withTool(t, requirements)
	l.deploy()
	job := func(out, want string, args ...string) {
		t.Helper()
		l.handoff(0, append([]string{"cloud", "run", "-p", "prj", "--wait", "-v", "out=" + l.path(out)}, args...)...)
		if got := l.read(out); got != want+"\n" {
			t.Errorf("%s: %q, want %q", out, got, want)
		}
	}
	var first struct{ Release string }
	l.result(&first, "project", "push", "-p", "prj", "-y")
	job("first", "one")
	l.makeWheel("prj/files/"+wheel, "two")
	l.handoff(0, "project", "push", "-p", "prj", "-y")
	job("pushed", "two")
	var both sync.WaitGroup
	both.Go(func() { job("beside_one", "two") })
	both.Go(func() { job("beside_two", "one", "release="+first.Release) })
	both.Wait()
	l.handoff(0, "release", "rollback", "-p", "prj", "-y", first.Release)
	job("rolled_back", "one")
	l.nothingLeft()
}

// Only the packages of the project get into a virtual environment, and nowhere else.
func TestVenvInstallWithPlantedVariables(t *testing.T) {
	t.Parallel()
	l := withTool(t, requirements)
	l.write("home of me/.config/pip/pip.conf", "[global]\ntarget = "+l.path("stolen")+"\n[install]\nuser = true\nprefix = "+l.path("stolen")+"\n")
	l.write("planted/tool.py", "def main(): print('planted')\n")
	for _, args := range [][]string{{"workspace", "install"}, {"run", "local"}} {
		cmd := l.command(append(args, "-p", "prj", "-w", "ws")...)
		cmd.Env = append(cmd.Env, "HOME="+l.path("home of me"), "XDG_CONFIG_HOME="+l.path("home of me/.config"))
		if args[0] == "workspace" {
			cmd.Env = append(cmd.Env, "PIP_USER=1", "PIP_TARGET="+l.path("stolen"), "PIP_PREFIX="+l.path("stolen"), "PIP_ROOT="+l.path("stolen"),
				"PIP_REQUIRE_VIRTUALENV=1", "PIP_DRY_RUN=1", "PIP_CONSTRAINT=/nowhere", "PYTHONPATH="+l.path("planted"), "PYTHONUSERBASE="+l.path("stolen"),
				"UV_SYSTEM_PYTHON=1", "UV_PYTHON=/usr/bin/python3", "PYTHONHOME=")
		}
		l.wait(0, cmd)
	}
	if got := l.artifact("a_stdout.log"); got != "one\n" {
		t.Errorf("got %q", got)
	}
	if l.exists("stolen") {
		t.Error("packages went elsewhere")
	}
}

// An install that is killed, between two commands or while it makes a virtual environment, leaves nothing that looks whole.
func TestInstallKilled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, ready, says string }{
		{"between two commands", "ws/at_work", "its installs were not finished"},
		{"while it makes a venv", "ws/.handoff/making-v", "half made|is not in the workspace"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := withTool(t, requirements+"- {venv: v, command: 'test -e ../go || { touch at_work; sleep 1000; }'}\n")
			s := l.start(l.marked("workspace", "install", "-p", "prj", "-w", "ws"))
			s.until(tt.ready)
			s.signal(syscall.SIGKILL)
			s.end()
			l.nothingLeft()
			res := l.run(2)
			l.says(res.Stderr, tt.says, "handoff workspace install")
			l.write("go", "")
			l.install(0)
			l.run(0)
			if got := l.artifact("a_stdout.log"); got != "one\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// until waits for a file, as long as a command may take.
func (s *session) until(name string) {
	l := s.lab
	l.Helper()
	for end := time.Now().Add(l.limit); !l.exists(name); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.done:
			l.Fatalf("it has ended: %s", s.stderr())
		default:
		}
		if time.Now().After(end) {
			l.Fatalf("no %s", name)
		}
	}
}

// A virtual environment that does not work is refused, and never replaced by the Python of the machine; installing repairs it.
func TestBrokenVenvIsRefusedAndRepaired(t *testing.T) {
	t.Parallel()
	l := withTool(t, requirements)
	l.run(2)
	l.install(0)
	l.run(0)
	for _, tt := range []struct {
		says   string
		breaks func() error
	}{
		{"its Python \\(/nowhere/python3\\) is gone", func() error {
			return os.Remove(l.path("ws/v/bin/python"))
		}},
		{"it was made in .*, and a virtual environment cannot be moved", func() error {
			return os.Rename(l.path("ws"), l.path("elsewhere"))
		}},
	} {
		if err := tt.breaks(); err != nil {
			t.Fatal(err)
		}
		ws := "ws"
		if !l.exists("ws") {
			ws = "elsewhere"
		} else if err := os.Symlink("/nowhere/python3", l.path("ws/v/bin/python")); err != nil {
			t.Fatal(err)
		}
		args := []string{"run", "local", "-p", "prj", "-w", ws}
		l.says(l.handoff(2, args...).Stderr, tt.says, "handoff workspace install")
		l.handoff(0, "workspace", "install", "-p", "prj", "-w", ws)
		l.handoff(0, args...)
		if got := l.read(ws + "/artifacts/a_stdout.log"); got != "one\n" {
			t.Errorf("got %q", got)
		}
	}
}
