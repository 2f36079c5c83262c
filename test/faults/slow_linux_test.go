//go:build e2e

package faults

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestSlowForeachOf25000Lines(t *testing.T) {
	t.Parallel()
	checkForeach(t, 25_000, 4)
}

func TestSlow200MBOfStderr(t *testing.T) {
	t.Parallel()
	peak, log := noisyRun(t, "200")
	if peak == 0 || peak > 40<<10 || log < 200_000_000 {
		t.Errorf("peak memory %d kB, log of %d bytes", peak, log)
	}
}

// A console that nobody reads: the run goes on, its limits hold, signals are obeyed.
func TestSlowStderrThatNobodyReads(t *testing.T) {
	t.Parallel()
	noisy := yml("tasks:\n- name: a\n  commands:\n  - command: " + block("seq 200000 >&2; touch at_work; echo done") + "  - command: {{more}}\n")
	tests := []struct {
		name, more string
		signal     bool
		code       int
	}{
		{"the run ends", "echo more", false, 0},
		{"SIGTERM is obeyed", "sleep 1000", true, 143},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, strings.ReplaceAll(noisy, "{{more}}", tt.more))
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			cmd := l.marked("run", "local", "-p", "prj", "-w", "ws")
			cmd.Stderr = w
			s := l.start(cmd)
			l.appears("at_work")
			if tt.signal {
				s.signal(syscall.SIGTERM)
			}
			if code := s.end(); code != tt.code {
				t.Errorf("exit code %d", code)
			}
			if got := l.artifact("a_stderr.log"); strings.Count(got, "\n") != 200000 {
				t.Errorf("stderr log has %d lines", strings.Count(got, "\n"))
			}
			if left := l.processes(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestSlowFolderOf5000Files(t *testing.T) {
	t.Parallel()
	l := newLab(t, map[string]string{"project.yml": "version: 1\ntasks:\n- name: a\n  commands: [{command: 'find files -type f | wc -l; cat files/d49/f4999.txt'}]\n"})
	for i := range 5000 {
		l.write(fmt.Sprintf("prj/files/d%d/f%d.txt", i/101, i), fmt.Sprintf("{{ 1 + 1 }} %d\n", i))
	}
	l.run(0)
	if got := strings.ReplaceAll(l.artifact("a_stdout.log"), " ", ""); got != "5000\n24999\n" {
		t.Errorf("got %q", got)
	}
	if err := os.RemoveAll(l.path("prj/files/d7")); err != nil {
		t.Fatal(err)
	}
	l.run(0)
	if l.exists("ws/files/d7") {
		t.Error("a folder that is no more in the project is still in the workspace")
	}
}

// A virtual environment is made of what the machine has.
func TestSlowVenvWithoutNetwork(t *testing.T) {
	t.Parallel()
	l := project(t, yml("installs:\n- venv: tap\n  command: python -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)'\ntasks:\n- name: a\n  commands:\n  - command: python -c 'print(1)'\n    venv: tap\n"))
	for _, args := range [][]string{{"workspace", "install"}, {"run", "local"}} {
		cmd := l.command(append(args, "-p", "prj", "-w", "ws")...)
		cmd.SysProcAttr = noNetwork()
		l.wait(0, cmd)
	}
	if got := l.artifact("a_stdout.log"); got != "1\n" {
		t.Errorf("got %q", got)
	}
}
