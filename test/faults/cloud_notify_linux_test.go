package faults

import (
	"strings"
	"testing"
)

// Whoever tells of a run is killed between its claim and the end of its sending: the next who looks tells at once, and not while the one
// before it is still at it.
func TestCloudNotifierKilled(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{"project.yml": "version: 1\n" + place + "tasks: [{name: a, commands: [{command: exit 1}]}]\nnotify:\n- on: [failure]\n  command: " +
		block(`cd "$HANDOFF_HOME/.."
if mkdir first; then exit 1; fi
if mkdir killed; then kill -9 $PPID; exit 1; fi
touch at_it; until test -e go; do sleep 0.05; done; echo told >>told`)})
	l.handoff(1, "run", "-p", "prj", "-w", "ws")
	killed := l.start(l.command("status", "-p", "prj", "--notify"))
	killed.end()
	if !l.exists("killed") {
		t.Fatalf("it was not killed: %s", killed.stderr())
	}
	next := l.start(l.command("status", "-p", "prj", "--notify"))
	l.eventually("the next one", func() bool { return l.exists("at_it") })
	if res := l.handoff(1, "status", "-p", "prj", "--notify"); strings.Contains(res.Stderr, "notify") {
		t.Errorf("a third one tells beside the second: %s", res.Stderr)
	}
	l.write("go", "")
	if code := next.end(); code != 1 || l.read("told") != "told\n" {
		t.Errorf("exit code %d, told %q: %s", code, l.read("told"), next.stderr())
	}
}
