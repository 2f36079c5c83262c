//go:build e2e

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSlowCompletion presses Tab in a bash with the bash-completion that distributions have.
func TestSlowCompletion(t *testing.T) {
	t.Parallel()
	l := project(t, `version: 0.4
tasks:
- name: nightly
  state: true
  pipeline: [{command: "true"}, {command: "true"}]
deploy: {provider: local, resource_group: etl, task: load}
schedules:
- {target_id: weekly, cron: '0 4 * * 1', description: on Mondays}
`)
	l.write("prj/.secrets/staging_secrets.yml", "[]\n")
	l.handoff(0, "project", "push", "-p", "prj")
	l.handoff(0, "cloud", "task", "create", "-p", "prj")
	l.handoff(0, "cloud", "run", "-p", "prj", "--wait")
	l.handoff(0, "cloud", "schedule", "create", "-p", "prj")
	run, _, _ := strings.Cut(l.handoff(0, "runs", "list", "-p", "prj", "-o", "text").Stdout, " ")
	short := run[strings.LastIndexByte(run, '-')+1:]
	sh := l.bash()
	for _, tt := range []struct{ typed, want string }{
		{"handoff cloud lo", "cloud log"},
		{"handoff cloud logs -p prj --fol", "--follow "},
		{"handoff cloud logs -p prj --run " + short[:5], "--run " + short + " "},
		{"handoff -p prj runs show " + run[:12], "runs show " + run + " "},
		{"handoff cloud job stop -p prj --job ", " --job " + run[:4]},
		{"handoff cloud run -p prj --target-id w", "--target-id weekly "},
		{"handoff cloud schedule delete -p prj --target-id w", "--target-id weekly "},
		{"handoff release rollback -p prj ", "rollback -p prj 1 "},
		{"handoff cloud run -p prj --release ", "--release 1 "},
		{"handoff cloud run -p prj --overlap q", "--overlap queue "},
		{"handoff cloud run -p prj --cloud-provider l", "--cloud-provider local "},
		{"handoff cloud run -p prj --cloud-provider local --cloud-platform ", "--cloud-platform process "},
		{"handoff plan -p prj -s st", "-s staging "},
		{"handoff state show -p prj n", "state show -p prj nightly "},
		{"handoff state set -p prj --name n", "--name nightly "},
		{"handoff runs list -p prj --outcome succ", "--outcome success "},
		{"handoff cloud run -p prj -e resource_group=etl task=l", "task=load "},
		{"handoff cloud run -p prj -e task=l", "-e task=load "},
		{"handoff plan -p pr", "-p prj/"},
	} {
		if got := sh.tab(tt.typed); !strings.Contains(got, tt.want) {
			t.Errorf("%q: %q is not in %q", tt.typed, tt.want, got)
		}
	}
}

// shell is a bash at a terminal.
type shell struct {
	*terminal
	count int
}

// bash starts a bash that has loaded the completion of handoff as a user does.
func (l *lab) bash() *shell {
	l.Helper()
	const system = "/usr/share/bash-completion/bash_completion"
	if _, err := os.Stat(system); err != nil {
		l.Fatalf("test/needs.sh installs it: %v", err)
	}
	cmd := exec.Command("bash", "--norc", "--noprofile", "-i")
	cmd.Dir = l.dir
	cmd.Env = append(l.command().Env, "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "TERM=dumb", "PS1=$ ", "HISTFILE=", "INPUTRC=/dev/null")
	s := &shell{terminal: l.terminal(cmd)}
	if err := cmd.Start(); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s.write("bind 'set show-all-if-ambiguous on'; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; stty cols 200\n")
	s.write("source " + system + "; source <(handoff completion bash)\n")
	s.mark()
	return s
}

// mark runs a command whose output shows that all before it has been done.
func (s *shell) mark() {
	s.Helper()
	s.count++
	s.write(fmt.Sprintf("echo mark-$((%d + 1000))\n", s.count))
	s.wait(fmt.Sprintf("mark-%d", s.count+1000))
}

// wait waits until the terminal has shown text.
func (s *shell) wait(text string) {
	s.Helper()
	for begin := time.Now(); !strings.Contains(s.text(), text); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > limit {
			s.Fatalf("%q is not shown: %s", text, s.text())
		}
	}
}

// tab types text and presses Tab, and returns what the line is then, with what was shown above it.
func (s *shell) tab(text string) string {
	s.Helper()
	seen := len(s.text())
	s.write(text + "\t")
	s.write("\x01: \x05\n") // as an argument of a command that does nothing
	s.mark()
	return strings.ReplaceAll(s.text()[seen:], "\r", "")
}
