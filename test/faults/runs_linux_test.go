package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// `yes | head -n 1` ends at once, with success.
func TestReaderThatNeedsNoMore(t *testing.T) {
	t.Parallel()
	l := project(t, yml("timeout: 30\ntasks:\n- name: a\n  pipeline:\n  - command: yes\n  - command: cat\n  - command: head -n 1\n"))
	l.run(0)
	if got := l.artifact("a_stdout.log"); got != "y\n" {
		t.Errorf("got %q", got)
	}
}

// A target that a script has started, and the script itself, are gone before anything is told of the failure.
func TestTargetOfAFailedTapDoesNotCommit(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, target string }{
		{"started by the shell", "cat >rows; touch committed; true"},
		{"started by a script", "sh -c 'sh -c \"cat >rows; touch committed\"; true'; true"},
		{"in a subshell in the background", "exec 3<&0; ( cat <&3 >rows; touch committed ) & wait; true"},
		{"ignores SIGTERM", "trap '' TERM; cat >rows; touch committed"},
		{"takes SIGTERM for success", "exec 3<&0; trap 'exit 0' TERM; cat <&3 >rows & wait; touch committed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, yml("tasks:\n- name: load\n  kill_after: 1\n  pipeline:\n  - command: "+block("seq 10; while [ ! -s rows ]; do sleep 0.01; done; exit 3")+"  - command: "+block(tt.target)+
				"- name: after\n  commands: [{command: touch later}]\n"))
			s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
			if code := s.end(); code != 1 {
				t.Errorf("exit code %d: %s", code, s.stderr())
			}
			l.says(s.stdout(), "^failed_task: load$", "exited with code 3")
			if left := l.processes(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if l.exists("ws/committed") || l.exists("ws/later") {
				t.Error("a part of a stream was taken for all of it")
			}
		})
	}
}

// A timeout ends everything below the shell, soon, and says so.
func TestTimeoutEndsGrandchildren(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  timeout: 1\n  commands:\n  - command: sh -c 'sh -c \"sleep 1000; true\"; true'; true\n"))
	begin := time.Now()
	s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
	if code := s.end(); code != 1 || time.Since(begin) > 20*time.Second {
		t.Errorf("exit code %d after %v", code, time.Since(begin))
	}
	l.says(s.stdout(), "timed out after 1s")
	if left := l.processes(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A limit on a stage takes nothing of its data.
func TestTimeoutTakesNoData(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  timeout: 50\n  pipeline:\n  - command: seq 300000\n    timeout: 50\n  - command: cat\n    timeout: 50\n  - command: wc -l\n    timeout: 50\n"))
	l.run(0)
	if got := strings.TrimSpace(l.artifact("a_stdout.log")); got != "300000" {
		t.Errorf("%s lines arrived", got)
	}
}

// Death by a signal is a failure, wherever it happens.
func TestStageThatDiesBySignal(t *testing.T) {
	t.Parallel()
	const kill = "kill -%s $$; sleep 5"
	tests := []struct{ name, yml string }{
		{"first stage", "  pipeline:\n  - command: " + kill + "\n  - command: cat\n"},
		{"middle stage", "  pipeline:\n  - command: seq 10\n  - command: " + kill + "\n  - command: cat\n"},
		{"last stage", "  pipeline:\n  - command: seq 10\n  - command: " + kill + "\n"},
		{"command", "  commands:\n  - command: " + kill + "\n"},
		{"foreach", "  pipeline:\n  - command: seq 3\n  - foreach:\n    - name: b\n      commands: [{command: " + kill + "}]\n"},
		{"fork", "  pipeline:\n  - command: seq 3\n  - fork:\n    - name: b\n      pipeline: [{command: " + kill + "}]\n    - name: c\n      pipeline: [{command: cat}]\n"},
	}
	for _, tt := range tests {
		for _, sig := range []string{"KILL", "TERM", "SEGV"} {
			t.Run(tt.name+"/"+sig, func(t *testing.T) {
				t.Parallel()
				l := project(t, yml("tasks:\n- name: a\n"+fmt.Sprintf(tt.yml, sig)+"- name: next\n  commands: [{command: touch later}]\n"))
				l.says(l.run(1).Stderr, "was killed by SIG"+sig)
				if l.exists("ws/later") {
					t.Error("the next task ran")
				}
			})
		}
	}
}

// The stdout log is complete when the task has ended.
func TestStdoutLogIsComplete(t *testing.T) {
	t.Parallel()
	var tasks strings.Builder
	for i := range 25 {
		fmt.Fprintf(&tasks, "- name: p%d\n  pipeline:\n  - command: head -c 60000 /dev/zero\n  - command: cat\n", i)
		fmt.Fprintf(&tasks, "- name: c%d\n  commands:\n  - command: wc -c <artifacts/p%d_stdout.log\n", i, i)
	}
	l := project(t, yml("tasks:\n"+tasks.String()))
	l.run(0)
	for i := range 25 {
		if got := strings.TrimSpace(l.artifact(fmt.Sprintf("c%d_stdout.log", i))); got != "60000" {
			t.Errorf("the task after p%d found %s bytes", i, got)
		}
	}
}

// Without a log, output is not kept waiting.
func TestStdoutNotToFile(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"pipeline:\n  - command: seq 50000\n  - command: cat\n", "commands:\n  - command: seq 50000\n"} {
		l := project(t, yml("timeout: 60\ntasks:\n- name: a\n  stdout_to_file: false\n  "+last))
		l.run(0, "-l", "error")
		if l.exists("ws/artifacts/a_stdout.log") {
			t.Error("there is a log")
		}
	}
}

const forkOf = `tasks:
- name: a
  pipeline:
  - command: seq 100000
  - fork:
    - name: early
      pipeline: [{command: head -n 1}]
    - name: whole
      pipeline:
      - command: cat
      - command: wc -l
    - name: other
      pipeline: [{command: %s}]
`

// A branch that has read enough, or fails, takes nothing from the others.
func TestForkBranches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, other string
		code        int
	}{
		{"one ends early", "tail -n 1", 0},
		{"one does not read at all", "'true'", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, yml(fmt.Sprintf(forkOf, tt.other)))
			l.run(tt.code)
			if got := l.artifact("early_stdout.log") + strings.TrimSpace(l.artifact("whole_stdout.log")); got != "1\n100000" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A branch of two stages fails as one of one stage does: told by name, nothing left, exit 1.
func TestForkBranchFails(t *testing.T) {
	t.Parallel()
	for _, branch := range []string{"[{command: exit 6}]", "[{command: cat}, {command: exit 6}]", "[{command: exit 6}, {command: cat}]"} {
		t.Run(branch, func(t *testing.T) {
			t.Parallel()
			l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: yes\n  - fork:\n    - name: bad\n      pipeline: "+branch+"\n    - name: good\n      pipeline: [{command: cat >/dev/null; touch committed}]\n"))
			s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws"))
			if code := s.end(); code != 1 {
				t.Errorf("exit code %d: %s", code, s.stderr())
			}
			l.says(s.stderr(), "bad.*exited with code 6")
			if left := l.processes(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if l.exists("ws/committed") {
				t.Error("a branch took a part of the stream for all of it")
			}
		})
	}
}

// The stage in front of a fork or a foreach fails: no hang, no crash, nobody commits.
func TestProducerOfForkAndForeachFails(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, stage string }{
		{"fork", "  - fork:\n    - name: b\n      pipeline: [{command: cat >/dev/null; touch committed}]\n"},
		{"foreach", "  - foreach:\n    - name: b\n      commands: [{command: ':'}]\n    concurrency: 2\n  - command: cat >/dev/null; touch committed\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, yml("tasks:\n- name: a\n  pipeline:\n  - command: seq 3; exit 8\n"+tt.stage))
			l.says(l.run(1).Stdout, "exited with code 8")
			if l.exists("ws/committed") {
				t.Error("a part of a stream was taken for all of it")
			}
		})
	}
}

// The shell gets what the project says, with and without a virtual environment.
func TestQuotesArriveAsWritten(t *testing.T) {
	t.Parallel()
	const script = `WORD=inner; printf '<%s>\n' "a  b" '$HOME' "$WORD" "it's" \"x\" "$(echo '"sub"')"`
	want := "<a  b>\n<$HOME>\n<inner>\n<it's>\n<\"x\">\n<\"sub\">\n"
	l := project(t, yml("tasks:\n- name: plain\n  commands:\n  - command: "+block(script)+"- name: venv\n  commands:\n  - command: "+block(script+"; tool")+"    venv: tap\n"))
	if out, err := exec.Command("python3", "-m", "venv", "--without-pip", l.path("ws/tap")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l.write("ws/tap/bin/tool", "#!/bin/sh\necho \"$VIRTUAL_ENV\"\n")
	if err := os.Chmod(l.path("ws/tap/bin/tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.run(0)
	if got := l.artifact("plain_stdout.log"); got != want {
		t.Errorf("got %q", got)
	}
	if got := l.artifact("venv_stdout.log"); got != want+l.path("ws/tap")+"\n" {
		t.Errorf("got %q", got)
	}
}

// Loops in loops, forks in loops, stages behind them, blank lines, lines that are no file names.
func TestNestedForeachAndFork(t *testing.T) {
	t.Parallel()
	l := project(t, yml(`tasks:
- name: nest
  pipeline:
  - command: printf 'a/1\n\n  \nb c\n'
  - foreach:
    - name: outer
      pipeline:
      - command: echo {{ _line }}; printf '\nx\n'
      - foreach:
        - name: inner
          commands: [{command: 'echo {{ _lines[0] }}:{{ _line }}'}]
    concurrency: 2
  - command: sort
- name: logs
  pipeline:
  - command: printf 'a/1\nb c\n'
  - foreach:
    - name: part
      pipeline:
      - command: echo {{ _line }}
      - fork:
        - name: up
          pipeline: [{command: tr a-z A-Z}]
        - name: same
          pipeline: [{command: cat}]
`))
	l.run(0)
	got := map[string]string{}
	for _, name := range []string{"nest_stdout.log", "up_a_1_stdout.log", "same_a_1_stdout.log", "up_b_c_stdout.log", "same_b_c_stdout.log"} {
		got[name] = l.artifact(name)
	}
	want := map[string]string{
		"nest_stdout.log":   "a/1:a/1\na/1:x\nb c:b c\nb c:x\n",
		"up_a_1_stdout.log": "A/1\n", "same_a_1_stdout.log": "a/1\n", "up_b_c_stdout.log": "B C\n", "same_b_c_stdout.log": "b c\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Nothing, zero and false are values.
func TestEmptyAndFalseValues(t *testing.T) {
	t.Parallel()
	l := project(t, yml(`vars:
- {key: zero, value: 0}
- {key: nothing, value: ''}
- {key: false_, value: false}
envs:
- {key: ZERO, value: 0}
- {key: NOTHING, value: ''}
- {key: FALSE_, value: false}
tasks:
- name: a
  commands:
  - command: printf '[%s]' "{{ zero }}" "{{ nothing }}" "{{ false_ }}" "$ZERO" "${NOTHING-unset}" "$FALSE_" "{{ given }}" "$GIVEN"
`))
	l.run(0, "-v", "given=0", "-e", "GIVEN=0", "NOTHING=")
	if got := l.artifact("a_stdout.log"); got != "[0][][False][0][][false][0][0]" {
		t.Errorf("got %q", got)
	}
}

// A word that is no k=v and no file is refused, with the way to write it.
func TestBareWordAsVariable(t *testing.T) {
	t.Parallel()
	l := project(t, twoTasks)
	for _, flag := range []string{"-v", "-e"} {
		l.says(l.run(2, flag, "word").Stderr, `"word" is neither`, "hint: write "+flag+" key=value")
	}
}

// A late or repeated run can be given the day that it is for.
func TestDayCanBeGiven(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands: [{command: 'echo {{ _today }} {{ _yesterday }}'}]\n"))
	l.run(0, "-v", "_today=2026-01-01", "_yesterday=2025-12-31")
	if got := l.artifact("a_stdout.log"); got != "2026-01-01 2025-12-31\n" {
		t.Errorf("got %q", got)
	}
}

// Every verb that works says so: exit 0, one document on stdout, the log on stderr. None of them needs a network.
func TestEveryVerbWithoutNetwork(t *testing.T) {
	t.Parallel()
	tests := [][]string{
		{"workspace", "install", "-p", "prj", "-w", "ws"},
		{"run", "local", "-p", "prj", "-w", "ws"}, {"run", "local", "-p", "prj", "-w", "ws", "--dry-run"},
		{"plan", "-p", "prj"}, {"config", "validate", "local", "-p", "prj"}, {"config", "schema"},
		{"files", "get", "local", "-p", "prj", "-w", "ws"}, {"workspace", "init", "-w", "ws"},
		{"init", "new"}, {"quick_start", "make", "tutorial"}, {"version"},
	}
	l := project(t, "version: 0.4\ninstalls: [{command: 'true'}]\ntasks:\n- name: a\n  commands: [{command: echo x}]\ndeploy: {cloud_provider: aws, cloud_platform: fargate, resource_group: r, task: t}\n")
	for _, args := range tests {
		cmd := l.command(append(args, "-o", "json")...)
		cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y", "AWS_PROFILE=z", "HO_CLOUD_PROVIDER=aws")
		cmd.SysProcAttr = noNetwork()
		begin := time.Now()
		res := l.wait(0, cmd)
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%q took %v", args, took)
		}
		if !json.Valid([]byte(res.Stdout)) {
			t.Errorf("%q: stdout is not one JSON document: %s", args, cut(res.Stdout))
		}
		if regexp.MustCompile(`(?i)WRN|error|aws|network|credential`).MatchString(res.Stderr) {
			t.Errorf("%q: %s", args, res.Stderr)
		}
	}
}

func noNetwork() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// Every command that the help names is there, has an example and takes its own --help.
func TestEveryListedCommandExists(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	seen := 0
	var walk func(path []string)
	walk = func(path []string) {
		seen++
		res := l.handoff(0, append(path, "--help")...)
		_, list, _ := strings.Cut(res.Stdout, "\nCommands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			if name := strings.Fields(line)[0]; name != "help" {
				walk(append(path[:len(path):len(path)], name))
			}
		}
		if len(path) > 0 && path[0] != "completion" && !strings.Contains(res.Stdout, "Examples:") {
			t.Errorf("%q has no example", path)
		}
	}
	walk(nil)
	if seen < 15 {
		t.Errorf("only %d commands found: is the walk right?", seen)
	}
	for _, args := range [][]string{{"sever"}, {"cloud", "nosuch", "update"}, {"run", "remote"}} {
		l.handoff(2, args...)
	}
}
