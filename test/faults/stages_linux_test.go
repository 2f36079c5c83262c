package faults

import (
	"strings"
	"testing"
	"time"
)

// A stage that cannot be stopped by anything but SIGKILL holds a failed run up for kill_after, not longer.
func TestStageThatIgnoresEverySignal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, yml string
		code      int
		want      string
	}{
		{"upstream fails", "tasks:\n- name: a\n  kill_after: 1\n  pipeline:\n  - command: " + block("while [ ! -e at_work ]; do sleep 0.01; done; exit 9") +
			"  - command: " + block(stubborn), 1, "exited with code 9"},
		{"downstream fails", "tasks:\n- name: a\n  kill_after: 1\n  pipeline:\n  - command: " + block(stubborn) +
			"  - command: " + block("while [ ! -e at_work ]; do sleep 0.01; done; exit 9"), 1, "exited with code 9"},
		{"task timeout", "tasks:\n- name: a\n  kill_after: 1\n  timeout: 1\n  commands:\n  - command: " + block(stubborn), 1, "timed out after 1s"},
		{"run timeout", "timeout: 1\ntasks:\n- name: a\n  kill_after: 1\n  commands:\n  - command: " + block(stubborn), 124, "timed out after 1s"},
		{"command timeout", "tasks:\n- name: a\n  kill_after: 1\n  commands:\n  - command: " + block(stubborn) + "    timeout: 1\n", 1, "timed out after 1s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, yml(tt.yml))
			begin := time.Now()
			s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
			if code := s.end(); code != tt.code {
				t.Errorf("exit code %d: %s", code, s.stderr())
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			l.says(s.stdout(), tt.want)
			if left := l.processes(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A stage may close its streams long before it ends: the next one waits for its exit code all the same.
func TestStageThatClosesItsStreams(t *testing.T) {
	t.Parallel()
	t.Run("and succeeds", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: "+block("echo x; exec >&-; exec 2>&-; sleep 0.5; touch first_done")+
			"  - command: "+block("cat; [ -e first_done ] && echo after")))
		l.run(0)
		if got := l.artifact("a_stdout.log"); got != "x\nafter\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("and fails", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: "+block("echo x; exec >&-; sleep 0.5; exit 4")+
			"  - command: "+block("cat >/dev/null; touch committed")))
		l.says(l.run(1).Stdout, "exited with code 4")
		if l.exists("ws/committed") {
			t.Error("the target has seen the end of a stream that failed")
		}
	})
	t.Run("its stdin", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: yes\n  - command: "+block("exec <&-; sleep 0.3; echo end")))
		l.run(0)
		if got := l.artifact("a_stdout.log"); got != "end\n" {
			t.Errorf("got %q", got)
		}
	})
}

// A daemon that a stage leaves behind is ended, the stage has failed, and the run does not wait for it longer than it must.
func TestStageThatForksADaemon(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, script string }{
		{"setsid, double fork, no streams, no environment", escaped + "; while [ ! -e daemon ]; do sleep 0.01; done; echo out"},
		{"in the background, with its streams", `sh -c 'touch daemon; exec sleep 1000' 2>/dev/null & while [ ! -e daemon ]; do sleep 0.01; done; echo out`},
		{"nohup", `nohup sh -c 'touch daemon; exec sleep 1000' >/dev/null 2>&1 & while [ ! -e daemon ]; do sleep 0.01; done; echo out`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, yml("tasks:\n- name: a\n  kill_after: 1\n  commands:\n  - command: "+block(tt.script)))
			s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
			if code := s.end(); code != 1 {
				t.Errorf("exit code %d: %s", code, s.stderr())
			}
			if left := l.processes(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if got := l.artifact("a_stdout.log"); got != "out\n" {
				t.Errorf("got %q", got)
			}
			l.says(s.stdout(), `stage ".*" left work behind: .*\(pid \d+\)`)
		})
	}
}

// What cannot be started says why.
func TestStagesThatCannotStart(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, command, want string }{
		{"missing shell", "    shell: /no/such/shell\n", `shell "/no/such/shell": .*(not exist|no such file)`},
		{"shell that is not in PATH", "    shell: nosuchsh\n", `shell "nosuchsh" is not in PATH`},
		{"shell that is no program", "    shell: /etc/passwd\n", `/etc/passwd: permission denied`},
		{"shell that is a folder", "    shell: /\n", `(?i)permission denied|is a directory`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: seq 10\n  - command: cat\n"+tt.command+"  - command: touch ran\n"))
			res := l.run(1)
			l.says(res.Stdout, "^status: failed$", "could not start", tt.want)
			if l.exists("ws/ran") {
				t.Error("the stage behind it ran")
			}
		})
	}
	t.Run("missing venv", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("tasks:\n- name: a\n  commands:\n  - command: echo\n    venv: tap\n"))
		l.says(l.run(2).Stderr, `^prj/project.yml:5:\d+: venv "tap" is not in the workspace`, "handoff workspace install")
	})
	t.Run("command that does not exist", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("tasks:\n- name: a\n  commands: [{command: nosuchcommand}]\n"))
		l.says(l.run(1).Stdout, "exited with code 127", "(?i)not found")
	})
}

// An environment, or an argument list, that the kernel does not take is named as such.
func TestHugeEnvironment(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*lab)
	}{
		{"one variable of 200 KB from the project", func(l *lab) {
			l.write("prj/project.yml", yml("envs:\n- key: BIG\n  value: "+strings.Repeat("x", 200<<10)+"\ntasks:\n- name: a\n  commands: [{command: echo}]\n"))
		}},
		{"too many altogether", func(l *lab) {
			var b strings.Builder
			b.WriteString("envs:\n")
			for i := range 80 {
				b.WriteString("- key: BIG" + strings.Repeat("I", i) + "\n  value: " + strings.Repeat("x", 50<<10) + "\n")
			}
			l.write("prj/project.yml", yml(b.String()+"tasks:\n- name: a\n  commands: [{command: echo}]\n"))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil)
			tt.set(l)
			res := l.run(1)
			l.says(res.Stderr, `could not start.*argument list too long: the environment has \d+ KiB in \d+ variables, .* KiB of them in BIG`)
			if len(res.Stderr) > 64<<10 {
				t.Errorf("%d bytes of messages", len(res.Stderr))
			}
		})
	}
}
