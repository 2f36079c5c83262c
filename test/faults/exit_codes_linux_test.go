package faults

import (
	"os"
	"os/exec"
	"testing"
)

// plain makes cmd see rights as an ordinary user does, where this is root. (TestNoPermission has the rights of project and workspace.)
func plain(cmd *exec.Cmd) *exec.Cmd {
	if os.Geteuid() == 0 {
		cmd.Args = append([]string{"setpriv", "--bounding-set", "-dac_override,-dac_read_search", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/usr/bin/setpriv"
	}
	return cmd
}

// Each exit code says what kind of failure it was. 2 is for mistakes in what was typed or written, and for nothing else.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	const ok = place + "vars: [{key: how, value: 'true'}]\ntasks:\n- name: a\n  commands: [{command: '{{ how }}'}]\n"
	tests := []struct {
		name string
		code int
		do   func(*lab) *exec.Cmd
		says string
	}{
		{"success", 0, func(l *lab) *exec.Cmd { return l.command("run", "local", "-p", "prj", "-w", "ws") }, ""},
		{"a task fails", 1, func(l *lab) *exec.Cmd { return l.command("run", "local", "-p", "prj", "-w", "ws", "-v", "how=false") }, "exited with code 1"},
		{"wrong flag", 2, func(l *lab) *exec.Cmd { return l.command("run", "local", "-p", "prj", "-w", "ws", "--foo") }, "--foo"},
		{"wrong command", 2, func(l *lab) *exec.Cmd { return l.command("rum") }, "rum"},
		{"no such project", 2, func(l *lab) *exec.Cmd { return l.command("plan", "-p", "prk") }, "prk"},
		{"invalid project", 2, func(l *lab) *exec.Cmd {
			l.write("prj/project.yml", "version: 1\ntask: []\n")
			return l.command("plan", "-p", "prj")
		}, "project.yml:2"},
		{"invalid template of a file", 2, func(l *lab) *exec.Cmd {
			l.write("prj/files/x", "{{ a")
			return l.command("run", "local", "-p", "prj", "-w", "ws")
		}, "x:1"},
		{"invalid secrets", 2, func(l *lab) *exec.Cmd {
			l.write("prj/.secrets/secrets.yml", "- key: [a]\n")
			return l.command("plan", "-p", "prj")
		}, "secrets.yml"},
		{"a file as the workspace", 2, func(l *lab) *exec.Cmd {
			l.write("ws", "")
			return l.command("run", "local", "-p", "prj", "-w", "ws")
		}, "not a directory"},
		{"wrong value", 2, func(l *lab) *exec.Cmd { return l.command("cloud", "job", "status", "-p", "prj", "-v", "limit=x") }, "limit=x"},
		{"nobody takes the result", 1, func(l *lab) *exec.Cmd { return l.shell(`exec "$0" plan -p prj >/dev/full`) }, "no space left"},
		{"a store that may not be read", 3, func(l *lab) *exec.Cmd {
			l.handoff(0, "project", "push", "-p", "prj", "-y")
			l.chmod("home/buckets", 0)
			l.Cleanup(func() { l.chmod("home/buckets", 0o700) })
			return plain(l.command("release", "list", "-p", "prj"))
		}, "permission denied"},
		{"nothing was pushed", 3, func(l *lab) *exec.Cmd { return l.command("run", "-p", "prj", "-w", "ws") }, "not found"},
		{"no such release", 3, func(l *lab) *exec.Cmd {
			l.handoff(0, "project", "push", "-p", "prj", "-y")
			return l.command("run", "-p", "prj", "-w", "ws", "--release", "77")
		}, "77"},
		{"no artifacts", 3, func(l *lab) *exec.Cmd { return l.command("artifacts", "get", "-p", "prj", "-w", "ws") }, "not found"},
		{"task that is not registered", 3, func(l *lab) *exec.Cmd { return l.command("cloud", "run", "-p", "prj") }, "not found|register"},
		{"job that succeeds", 0, func(l *lab) *exec.Cmd {
			l.deploy()
			return l.command("cloud", "run", "-p", "prj", "--wait")
		}, ""},
		{"job that fails", 1, func(l *lab) *exec.Cmd {
			l.deploy()
			return l.command("cloud", "run", "-p", "prj", "--wait", "-v", "how=false")
		}, ""},
		{"release that is not there: no job is started", 2, func(l *lab) *exec.Cmd {
			l.deploy()
			return l.command("cloud", "run", "-p", "prj", "--wait", "-v", "release=77")
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newCloud(t, map[string]string{"project.yml": yml(ok)})
			t.Cleanup(l.nothingLeft) // the runner of a job ends after its job
			res := l.wait(tt.code, tt.do(l))
			if tt.says != "" {
				l.says(res.Stdout+res.Stderr, tt.says)
			}
		})
	}
}

func (l *lab) chmod(name string, mode os.FileMode) {
	l.Helper()
	if err := os.Chmod(l.path(name), mode); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.Chmod(l.path(name), 0o700) })
}

// What is refused because another run is going on has a code of its own, whoever refuses it.
func TestExitCodeOfRefusal(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{"project.yml": yml(place + "tasks:\n- name: a\n  commands: [{command: touch artifacts/going; sleep 600}]\n")})
	t.Cleanup(l.nothingLeft)
	l.write("state.json", "{}")
	byHand := l.start(l.command("run", "-p", "prj", "-w", "ws"))
	l.appears("artifacts/going")
	for _, args := range [][]string{
		{"run", "-p", "prj", "-w", "ws2"},
		{"run", "local", "-p", "prj", "-w", "ws"},
		{"cloud", "run", "-p", "prj", "--wait"},
		{"state", "set", "state.json", "--name", "a", "-p", "prj", "-y"},
	} {
		l.handoff(4, args...)
	}
	_ = byHand.cmd.Process.Signal(os.Interrupt)
	if code := byHand.end(); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

// A full disk is no wrong usage, and no cloud unless it is that of the bucket.
func TestExitCodeOfFullDisk(t *testing.T) {
	t.Parallel()
	for script, code := range map[string]int{
		`"$0" run local -p prj -w ws`:                           1,
		`"$0" run local -p prj -w ws/new`:                       1,
		`HANDOFF_HOME=$PWD/ws/home "$0" project push -p prj -y`: 3,
		`cd ws && "$0" init mine --command 'tap: echo'`:         1,
		`"$0" project push -p prj -y && "$0" run -p prj -w ws`:  1,
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			l := newCloud(t, map[string]string{"project.yml": yml(place + "tasks:\n- name: a\n  commands: [{command: 'true'}]\n"), "files/big": "x"})
			l.says(l.mounted(code, "head -c 2000000 /dev/zero >ws/ballast 2>/dev/null; "+script).Stderr, "no space left")
		})
	}
}
