package faults

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/handoff-run/handoff/test/binary"
)

// Exit code 2 says that nothing has run. A handoff that panics in the middle of a run says something else, its stages are
// ended, and the record says what happened.
func TestCrash(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: yes\n  - command: "+block(stubborn)))
	cmd := l.marked("run", "local", "-p", "prj", "-w", "ws")
	cmd.Path = crashing
	cmd.Env = append(cmd.Env, "CRASH_AT="+l.path("crash"))
	s := l.start(cmd)
	l.appears("at_work")
	l.write("crash", "")
	<-s.done
	if ws, _ := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGABRT {
		t.Errorf("ended with code %d, %v: %s", ws.ExitStatus(), ws.Signal(), cut(s.stderr()))
	}
	l.nothingLeft()
	l.eventually("the record", func() bool { return l.record().Outcome != "running" })
	if r := l.record(); r.Outcome != "died" || r.Code == 2 || !strings.Contains(r.Reason, "crashed") {
		t.Errorf("record %+v", r)
	}
}

// A lock that the caller has open is not kept by what handoff starts.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	l := newLab(t, map[string]string{
		"project.yml": yml("secrets: [{key: S}]\ntasks:\n- name: a\n  commands:\n  - command: ls /proc/self/fd\n- name: b\n  commands:\n  - command: " +
			block("ls /proc/self/fd # {{ S }}") + "- name: c\n  pipeline:\n  - command: ls /proc/self/fd\n  - command: " + block("cat; ls /proc/self/fd") +
			"- name: d\n  pipeline:\n  - command: seq 2\n  - foreach:\n    - name: e\n      commands: [{command: ls /proc/self/fd}]\n    concurrency: 2\n"),
		".secrets/secrets.yml": "- {key: S, value: hidden}\n",
	})
	cmd := l.marked("run", "local", "-p", "prj", "-w", "ws")
	cmd.Args = append([]string{"sh", "-c", `exec 3>lock 7</dev/null 9>&1; exec "$@"`, "sh", program}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	l.wait(0, cmd)
	const want = "0\n1\n2\n3\n" // the last is the folder that ls reads
	got := map[string]string{}
	for _, name := range []string{"a", "b", "e_1", "e_2"} {
		got[name] = l.artifact(name + "_stdout.log")
		if got[name] != want {
			t.Errorf("%s has the descriptors %q", name, got[name])
		}
	}
	if got := l.artifact("c_stdout.log"); got != want+want {
		t.Errorf("the stages of c have the descriptors %q", got)
	}
}

// What is in the place of an artifact, and is no file, neither holds the run up nor is written to.
func TestArtifactInTheWay(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(path string) error{
		"named pipe":    func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"symbolic link": func(path string) error { return os.Symlink("other", path) },
		"folder":        func(path string) error { return os.Mkdir(path, 0o755) },
		"socket": func(path string) error {
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer syscall.Close(fd)
			if len(path) > 100 { // more does not fit into an address
				if err := os.Chdir(filepath.Dir(path)); err != nil {
					return err
				}
				path = filepath.Base(path)
			}
			return syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
		},
	}
	for kind, make := range kinds {
		for _, name := range []string{"a_stdout.log", "a_stderr.log", "run.log"} {
			t.Run(kind+", "+name, func(t *testing.T) {
				l := project(t, yml("timeout: 5\ntasks:\n- name: a\n  timeout: 5\n  commands: [{command: echo out}]\n"))
				l.write("ws/artifacts/other", "precious\n")
				if err := make(l.path("ws", "artifacts", name)); err != nil {
					t.Fatal(err)
				}
				got, err := binary.Run(l.command("run", "local", "-p", "prj", "-w", "ws"))
				if err != nil || got.Code <= 0 {
					t.Errorf("%v: %s", err, got)
				}
				l.says(got.Stderr+got.Stdout, `create artifact "`+name+`": a `+kind+` is in its place: remove it`)
				if l.artifact("other") != "precious\n" {
					t.Error("another file was written to")
				}
			})
		}
	}
	t.Run("made by a task", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("timeout: 30\ntasks:\n- name: a\n  commands: [{command: mkfifo artifacts/b_stdout.log}]\n- name: b\n  commands: [{command: echo out}]\n"))
		l.says(l.run(1).Stdout, `a named pipe is in its place`)
	})
	t.Run("in the place of its own", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("timeout: 30\ntasks:\n- name: a\n  commands: [{command: "+`"echo 1; rm artifacts/a_stdout.log; mkfifo artifacts/a_stdout.log"`+"}]\n"))
		l.run(0)
	})
}
