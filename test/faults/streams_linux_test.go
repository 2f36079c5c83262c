package faults

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const twoTasks = `version: 1
tasks:
- name: a
  commands: [{command: echo noise >&2; echo one}]
- name: b
  commands: [{command: echo two}]
`

// shell prepares handoff in a shell: $0 is the program, and it runs prj in ws.
func (l *lab) shell(script string) *exec.Cmd {
	cmd := l.marked()
	cmd.Path, cmd.Args = "/bin/bash", []string{"bash", "-c", script, program}
	return cmd
}

// What reads handoff's own streams, or does not, never decides how a run ends.
func TestStreams(t *testing.T) {
	t.Parallel()
	const run = `"$0" run local -p prj -w ws`
	tests := []struct {
		name, script string
		code         int
	}{
		{"stdout closed", run + " >&-", 0},
		{"stderr closed", run + " 2>&-", 0},
		{"stdin closed", run + " <&-", 0},
		{"all closed", run + " <&- >&- 2>&-", 0},
		{"stdout into head -n 0", "set -o pipefail; " + run + " | head -n 0", 0},
		{"stderr into head -n 0", "set -o pipefail; " + run + " 2>&1 >/dev/null | head -n 0", 0},
		{"both into true", "set -o pipefail; " + run + " 2>&1 | true", 0},
		{"stderr on a full disk", run + " 2>/dev/full", 0},
		{"stdout on a full disk: the result is lost, and that is told", run + " >/dev/full", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, twoTasks)
			res := l.wait(tt.code, l.shell(tt.script))
			if got := l.artifact("a_stdout.log") + l.artifact("b_stdout.log"); got != "one\ntwo\n" {
				t.Errorf("artifacts %q", got)
			}
			if r := l.record(); r.Outcome != "success" || r.Code != 0 {
				t.Errorf("record %+v", r)
			}
			if tt.code != 0 {
				l.says(res.Stderr, "write result: .*no space left on device")
			}
		})
	}
}

// Other products that do not fit anywhere.
func TestProductsOnAFullDisk(t *testing.T) {
	t.Parallel()
	l := project(t, twoTasks)
	for _, args := range []string{"plan -p prj", "plan -p prj -o text", "config schema", "version", "config validate local -p prj"} {
		res := l.wait(1, l.shell(`"$0" `+args+" >/dev/full"))
		l.says(res.Stderr, "no space left on device")
		l.wait(0, l.shell(`set -o pipefail; "$0" `+args+" | true"))
	}
}

// A slow console gets every line.
func TestStderrThatIsReadLate(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands: [{command: seq 20000 >&2}]\n"))
	res := l.wait(0, l.shell(`"$0" run local -p prj -w ws 2>&1 >/dev/null | { sleep 1; cat; }`))
	if got := strings.Count(res.Stdout, "a/seq: "); got < 20000 || strings.Contains(res.Stdout, "not shown") {
		t.Errorf("%d lines: %s", got, cut(res.Stdout))
	}
}

// Data on stdin is for the first stage; a run without any has an empty stdin.
func TestStdin(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, yml, script, artifact, want string }{
		{"pipeline", "tasks:\n- name: a\n  pipeline:\n  - command: cat\n  - command: tr a-z A-Z\n", "echo data | ", "a_stdout.log", "DATA\n"},
		{"commands share it", "tasks:\n- name: a\n  commands:\n  - command: head -c 2\n  - command: cat\n", "printf abcd | ", "a_stdout.log", "abcd"},
		{"none", "tasks:\n- name: a\n  commands:\n  - command: wc -c\n", "</dev/null ", "a_stdout.log", "0\n"},
		{"a writer that never writes is no matter to who does not read", "tasks:\n- name: a\n  commands:\n  - command: echo done\n",
			"< <(exec >&- 2>&- sleep 5) ", "a_stdout.log", "done\n"},
		{"foreach reads it", "tasks:\n- name: a\n  pipeline:\n  - command: cat\n  - foreach:\n    - name: b\n      commands: [{command: 'echo {{ _line }}'}]\n  - command: cat\n", "seq 3 | ", "a_stdout.log", "1\n2\n3\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, yml(tt.yml))
			l.wait(0, l.shell(tt.script+`"$0" run local -p prj -w ws`))
			if got := l.artifact(tt.artifact); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What stages write to stderr is shown and kept, whatever it is; memory stays small.
func TestStderrOfStages(t *testing.T) {
	t.Parallel()
	t.Run("binary garbage", func(t *testing.T) {
		t.Parallel()
		garbage := strings.Repeat("\xff\xfe\x00\x80\r\a\b\x1b[31m\xc3\x28\x01\x7f\n\xf0\x9f", 50000)
		l := newLab(t, map[string]string{"files/garbage": garbage, "project.yml": yml("tasks:\n- name: a\n  commands: [{command: 'cat files/garbage >&2; exit 5'}]\n")})
		res := l.run(1)
		l.says(res.Stdout, "^exit_code: 1$", "exited with code 5")
		l.record()
		if strings.ContainsRune(res.Stdout, 0x1b) {
			t.Error("an escape sequence of a stage is in the result")
		}
	})
	t.Run("10 MB lines", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("tasks:\n- name: a\n  commands: [{command: 'head -c 10000000 /dev/zero | tr \"\\0\" x >&2; echo >&2; echo end >&2; exit 5'}]\n"))
		res := l.run(1, "-o", "json")
		if len(res.Stdout) > 100<<10 {
			t.Errorf("a result of %d bytes", len(res.Stdout))
		}
		log := l.artifact("a_stderr.log")
		if got := strings.Count(log, "x"); got != 10000000 || !strings.HasSuffix(log, ": end\n") {
			t.Errorf("the log has %d of 10000000 bytes", got)
		}
	})
	t.Run("no newline at the end", func(t *testing.T) {
		t.Parallel()
		l := project(t, yml("tasks:\n- name: a\n  commands: [{command: 'printf no-newline >&2; exit 5'}]\n"))
		l.says(l.run(1).Stdout, "no-newline")
		if got := l.artifact("a_stderr.log"); got != "printf: no-newline\n" {
			t.Errorf("got %q", got)
		}
	})
}

// noisyRun has a stage write n MB to stderr and returns the peak memory of handoff in kB.
func noisyRun(t *testing.T, megabytes string) (peak int, log int64) {
	t.Helper()
	l := project(t, yml("tasks:\n- name: a\n  commands:\n  - command: "+block("yes 'a line of the log that is neither long nor short' | head -c "+megabytes+"000000 >&2; touch at_end; while [ ! -e go ]; do sleep 0.05; done")))
	cmd := l.marked("run", "local", "-p", "prj", "-w", "ws", "-l", "error")
	s := l.start(cmd)
	l.appears("at_end")
	peak = status(cmd.Process.Pid, "VmHWM")
	l.write("ws/go", "")
	if code := s.end(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	info, err := os.Stat(l.path("ws/artifacts/a_stderr.log"))
	if err != nil {
		t.Fatal(err)
	}
	return peak, info.Size()
}

func TestMuchStderrTakesNoMemory(t *testing.T) {
	t.Parallel()
	peak, log := noisyRun(t, "10")
	if peak == 0 || peak > 40<<10 || log < 10_000_000 {
		t.Errorf("peak memory %d kB, log of %d bytes", peak, log)
	}
}
