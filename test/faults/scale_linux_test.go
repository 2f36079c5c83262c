package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// foreachRun runs n lines and returns the peak memory of handoff in kB, and how many descriptors it had open at the
// begin and after the loop.
func foreachRun(t *testing.T, n int, concurrency int) (peak int, early, late int) {
	t.Helper()
	l := project(t, yml(fmt.Sprintf(`tasks:
- name: a
  pipeline:
  - command: seq %d
  - foreach:
    - name: b
      stdout_to_file: false
      commands: [{command: ':'}]
    concurrency: %d
- name: c
  commands: [{command: 'touch at_end; while [ ! -e go ]; do sleep 0.05; done'}]
`, n, concurrency)))
	l.limit = 8 * time.Minute
	s := l.start(l.marked("run", "local", "-p", "prj", "-w", "ws", "-l", "error", "-o", "json"))
	l.appears("artifacts/a_stderr.log")
	early = descriptors(s.cmd.Process.Pid)
	l.appears("at_end")
	peak = status(s.cmd.Process.Pid, "VmHWM")
	late = descriptors(s.cmd.Process.Pid)
	l.write("ws/go", "")
	if code := s.end(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.stderr())
	}
	if want := fmt.Sprintf(`"total": %d`, n); !strings.Contains(l.artifact("run.json"), want) {
		t.Errorf("no %s in the record", want)
	}
	if size := len(l.artifact("run.json")); size > 100<<10 {
		t.Errorf("a record of %d bytes", size)
	}
	return peak, early, late
}

func checkForeach(t *testing.T, n, concurrency int) {
	t.Helper()
	peak, early, late := foreachRun(t, n, concurrency)
	t.Logf("%d lines: peak %d kB, descriptors %d then %d", n, peak, early, late)
	if peak == 0 || peak > 40<<10 {
		t.Errorf("peak memory %d kB", peak)
	}
	if late > 40 {
		t.Errorf("%d descriptors open when only one command runs", late)
	}
}

func TestForeachOf1000Lines(t *testing.T) {
	t.Parallel()
	checkForeach(t, 1000, 4)
}
