package faults

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// A signal stops the run: what runs is ended, the record is written, the exit code names the signal.
func TestSignals(t *testing.T) {
	t.Parallel()
	pipeline := yml("tasks:\n- name: a\n  pipeline:\n  - command: yes\n  - command: " + block("touch at_work; exec sleep 1000") +
		"- name: b\n  commands: [{command: touch later}]\n")
	tests := []struct {
		name    string
		sig     syscall.Signal
		code    int
		outcome string
	}{
		{"SIGINT", syscall.SIGINT, 130, "interrupted"},
		{"SIGTERM", syscall.SIGTERM, 143, "interrupted"},
		{"SIGHUP", syscall.SIGHUP, 129, "interrupted"},
		{"SIGQUIT", syscall.SIGQUIT, 131, "interrupted"},
		{"SIGABRT", syscall.SIGABRT, 134, "interrupted"},
		{"SIGSEGV", syscall.SIGSEGV, 139, "interrupted"},
		{"SIGBUS", syscall.SIGBUS, 135, "interrupted"},
		{"SIGSYS", syscall.SIGSYS, 159, "interrupted"},
		{"SIGTRAP", syscall.SIGTRAP, 133, "interrupted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, pipeline)
			s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
			l.appears("at_work")
			s.signal(tt.sig)
			if code := s.end(); code != tt.code {
				t.Errorf("exit code %d: %s", code, s.stderr())
			}
			if left := l.processes(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if r := l.record(); r.Outcome != tt.outcome || r.Code != tt.code {
				t.Errorf("record %+v", r)
			}
			if l.exists("ws/later") {
				t.Error("the next task ran")
			}
			l.says(s.stdout(), "^status: interrupted$")
		})
	}
}

// The second signal kills at once what the first one could not end.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			l := project(t, yml("tasks:\n- name: a\n  kill_after: 600\n  commands:\n  - command: "+block(stubborn)))
			s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
			l.appears("at_work")
			s.signal(sig)
			l.eventually("the word of the first signal", func() bool { return strings.Contains(s.stderr(), "again to stop at once") })
			s.signal(sig)
			if code := s.end(); code != 128+int(sig) {
				t.Errorf("exit code %d: %s", code, s.stderr())
			}
			l.nothingLeft()
			l.eventually("the record", func() bool { return l.record().Outcome != "running" })
		})
	}
}

// A signal while the engine has not begun, and while it has nothing to end, is obeyed too.
func TestSignalBetweenTries(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  retries: {max: 5, delay: 600}\n  commands: [{command: touch at_work; exit 1}]\n"))
	s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
	l.appears("at_work")
	l.eventually("the wait", func() bool { return strings.Contains(s.stderr(), "next try in") })
	s.signal(syscall.SIGTERM)
	if code := s.end(); code != 143 {
		t.Errorf("exit code %d: %s", code, s.stderr())
	}
}

// nohup and a shell's & start programs with signals ignored. What was ignored stays so for handoff, and its commands
// still die of SIGPIPE.
func TestStartedWithSignalsIgnored(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: yes\n  - command: head -n 1\n- name: b\n  commands:\n  - command: "+
		block("touch at_work; while [ ! -e go ]; do sleep 0.05; done; echo done")))
	cmd := l.marked("run", "local", "-p", "prj", "-w", "ws")
	cmd.Args = append([]string{"sh", "-c", `trap '' HUP INT PIPE; exec "$@"`, "sh", program}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	s := l.start(cmd)
	l.appears("at_work")
	s.signal(syscall.SIGHUP)
	s.signal(syscall.SIGINT)
	time.Sleep(100 * time.Millisecond)
	l.write("ws/go", "")
	if code := s.end(); code != 0 {
		t.Errorf("exit code %d: %s", code, s.stderr())
	}
	if got := l.artifact("a_stdout.log") + l.artifact("b_stdout.log"); got != "y\ndone\n" {
		t.Errorf("got %q", got)
	}
}

// Ctrl-C in a terminal goes to the whole foreground group: handoff ends the run, once.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands:\n  - command: "+block("touch at_work; exec sleep 1000")))
	cmd := l.marked("run", "local", "-p", "prj", "-w", "ws")
	term := l.terminal(cmd)
	s := l.start(cmd)
	l.appears("at_work")
	term.write("\x03")
	if code := s.end(); code != 130 {
		t.Errorf("exit code %d: %s", code, term.text())
	}
	if left := l.processes(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if r := l.record(); r.Outcome != "interrupted" || r.Code != 130 {
		t.Errorf("record %+v", r)
	}
	l.sane(term.text())
}

// Ctrl-C at a question of init ends it and makes nothing; Ctrl-D ends the questions, the rest are defaults.
func TestCtrlCAtAQuestion(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	for _, tt := range []struct {
		key  string
		code int
		made bool
	}{{"\x03", 130, false}, {"\x04", 0, true}} {
		cmd := l.marked("init", "new")
		term := l.terminal(cmd)
		s := l.start(cmd)
		l.eventually("question", func() bool { return strings.Contains(term.text(), "What does it do") })
		term.write(tt.key)
		if code := s.end(); code != tt.code {
			t.Errorf("%q: exit code %d: %s", tt.key, code, term.text())
		}
		if l.exists("new/project.yml") != tt.made || strings.Contains(term.text(), "Command of stage") {
			t.Errorf("%q: %s", tt.key, term.text())
		}
	}
}

// A terminal as standard input is not read by stages: in its own group such a stage would be stopped for ever.
func TestTerminalAsInput(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: cat\n  - command: wc -c\n"))
	cmd := l.marked("run", "local", "-p", "prj", "-w", "ws")
	term := l.terminal(cmd)
	if code := l.start(cmd).end(); code != 0 {
		t.Errorf("exit code %d: %s", code, term.text())
	}
	if got := l.artifact("a_stdout.log"); got != "0\n" {
		t.Errorf("got %q", got)
	}
}

// The result is for people on a terminal, and for programs elsewhere.
func TestResultOnATerminal(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands:\n  - command: 'true'\n"))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "success     a ("},
		{[]string{"-o", "yaml"}, "status: success"},
	} {
		cmd := l.marked(append([]string{"run", "local", "-p", "prj", "-w", "ws"}, tt.args...)...)
		term := l.terminal(cmd)
		if code := l.start(cmd).end(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		for deadline := time.Now().Add(time.Minute); !strings.Contains(term.text(), tt.want); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%q: no %q in %q", tt.args, tt.want, term.text())
			}
		}
	}
	if res := l.run(0); !strings.Contains(res.Stdout, "status: success") {
		t.Errorf("in a pipe: %s", res.Stdout)
	}
}

// A terminal that closes hangs up: the run ends and leaves nothing.
func TestTerminalCloses(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands:\n  - command: "+block("touch at_work; exec sleep 1000")))
	cmd := l.marked("run", "local", "-p", "prj", "-w", "ws")
	term := l.terminal(cmd)
	s := l.start(cmd)
	l.appears("at_work")
	term.close()
	if code := s.end(); code != 129 {
		t.Errorf("exit code %d", code)
	}
	l.nothingLeft()
	if r := l.record(); r.Outcome != "interrupted" {
		t.Errorf("record %+v", r)
	}
}

// An install is stopped like a run: what it started ends, also when handoff is killed.
func TestInstallIsStopped(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		signals []syscall.Signal
		code    int
	}{
		{"SIGTERM", []syscall.Signal{syscall.SIGTERM}, 143},
		{"SIGINT", []syscall.Signal{syscall.SIGINT}, 130},
		{"SIGTERM twice", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, 143},
		{"SIGKILL", []syscall.Signal{syscall.SIGKILL}, 137},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			script := "touch at_work; sleep 1000; true"
			if len(tt.signals) > 1 {
				script = stubborn
			}
			l := project(t, yml("installs:\n- command: "+block(script)+"tasks: []\n"))
			s := l.start(l.marked("workspace", "install", "-p", "prj", "-w", "ws"))
			l.appears("at_work")
			for i, sig := range tt.signals {
				if i > 0 {
					l.eventually("the word of the first signal", func() bool { return strings.Contains(s.stderr(), "again to stop at once") })
				}
				s.signal(sig)
			}
			if code := s.end(); code != tt.code {
				t.Errorf("exit code %d: %s", code, s.stderr())
			}
			l.nothingLeft()
		})
	}
}
