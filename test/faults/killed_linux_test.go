package faults

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// stubborn is a script that says it is at work, cannot be stopped by any signal but one, and never ends.
const stubborn = `trap '' TERM INT HUP QUIT USR1 USR2 PIPE; touch at_work; while :; do sleep 0.2; done`

// escaped starts a daemon that has left its session, its parent, its environment and its streams. It names the lab in
// its arguments, to be found.
const escaped = `setsid sh -c "env -i PATH=\"$PATH\" setsid sh -c 'trap \"\" TERM HUP; exec >&- 2>&- <&-; touch \$0/daemon; while :; do sleep 0.2; done' $PWD >/dev/null 2>&1 </dev/null & exit 0" & wait`

// A handoff that is killed leaves nothing: processes end, the record says so, the next run says so and works.
func TestHandoffKilled(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, yml, ready string }{
		{"stages that ignore every signal", yml("tasks:\n- name: a\n  pipeline:\n  - command: " + block("yes") +
			"  - command: " + block(stubborn)), "at_work"},
		{"foreach with concurrency", yml("tasks:\n- name: a\n  pipeline:\n  - command: seq 100\n  - foreach:\n    - name: b\n      commands:\n" +
			"      - command: " + block("[ {{ _line }} != 7 ] || touch at_work\nsleep 1000") + "    concurrency: 8\n"), "at_work"},
		{"a daemon without session, parent, environment and streams", yml("tasks:\n- name: a\n  commands:\n  - command: " +
			block(escaped+"; sleep 1000")), "daemon"},
		{"an agent that nobody may look into", yml("tasks:\n- name: a\n  commands:\n  - command: " +
			block("ln -s \"$(command -v ssh-agent)\" agent; \"$PWD/agent\" -a sock; touch at_work; sleep 1000")), "at_work"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			t.Run("and its guardian is awaited", func(t *testing.T) { t.Parallel(); killHandoff(t, tt.yml, tt.ready, true) })
			t.Run("and the next run comes at once", func(t *testing.T) { t.Parallel(); killHandoff(t, tt.yml, tt.ready, false) })
		})
	}
}

// killHandoff kills a run as soon as one of its stages has made the file ready. The next run meets the guardian at its work,
// unless it is awaited.
func killHandoff(t *testing.T, yml, ready string, await bool) {
	t.Helper()
	l := project(t, yml)
	l.write("next/project.yml", "version: 1\ntasks:\n- name: n\n  commands: [{command: echo again}]\n")
	s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
	l.appears(ready)
	id := l.record().ID
	s.signal(syscall.SIGKILL)
	s.end()
	if await {
		l.nothingLeft()
		l.eventually("the record of the dead run", func() bool { return l.record().Outcome == "died" })
		if r := l.record(); r.Code != 137 || !strings.Contains(r.Reason, "killed") {
			t.Errorf("record %+v", r)
		}
	}
	res := l.handoff(0, "run", "local", "-p", "next", "-w", "ws")
	l.says(res.Stderr, "run "+id+" died: .*killed")
	if got := l.artifact("n_stdout.log"); got != "again\n" {
		t.Errorf("got %q", got)
	}
	l.nothingLeft()
}

// The run needs no guardian to go on, and cleans up by itself.
func TestGuardianKilled(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  kill_after: 1\n  commands:\n  - command: "+block(escaped+"; while [ ! -e go ]; do sleep 0.05; done; echo done")))
	s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
	l.appears("daemon")
	l.eventually("a guardian", func() bool { return l.guardian() > 0 })
	if err := syscall.Kill(l.guardian(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.write("ws/go", "")
	if code := s.end(); code != 1 {
		t.Errorf("exit code %d: %s", code, s.stderr())
	}
	if got := l.artifact("a_stdout.log"); got != "done\n" {
		t.Errorf("got %q", got)
	}
	l.says(s.stdout(), "left work behind")
	if left := l.processes(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// One run at a time: the others are refused at once, name who has the workspace, and touch nothing of it.
func TestTenRunsInOneWorkspace(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands:\n  - command: "+block("echo {{ who }}; touch at_work; while [ ! -e go ]; do sleep 0.05; done; echo {{ who }}")))
	first := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws", "-v", "who=first"))
	l.appears("at_work")
	var all sync.WaitGroup
	for i := range 9 {
		all.Go(func() {
			res := l.run(4, "-v", fmt.Sprintf("who=other%d", i))
			l.says(res.Stderr, fmt.Sprintf("in use by pid %d\\b", first.cmd.Process.Pid))
		})
	}
	all.Wait()
	l.write("ws/go", "")
	if code := first.end(); code != 0 {
		t.Errorf("exit code %d: %s", code, first.stderr())
	}
	if got := l.artifact("a_stdout.log"); got != "first\nfirst\n" {
		t.Errorf("artifacts of two runs are mixed: %q", got)
	}
}

// Ten at the same moment: whoever wins runs alone.
func TestTenRunsAtOnce(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands:\n  - command: "+block("echo {{ who }}; sleep 2; echo {{ who }}")))
	var sessions []*session
	for i := range 10 {
		sessions = append(sessions, l.start(l.command("run", "local", "-p", "prj", "-w", "ws", "-v", fmt.Sprintf("who=%d", i))))
	}
	winner := -1
	for i, s := range sessions {
		switch code := s.end(); {
		case code == 0 && winner < 0:
			winner = i
		case code != 4:
			t.Errorf("run %d: exit code %d: %s", i, code, s.stderr())
		default:
			l.says(s.stderr(), `in use by (pid \d+|another run)`)
		}
	}
	if got, want := l.artifact("a_stdout.log"), fmt.Sprintf("%d\n%d\n", winner, winner); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
