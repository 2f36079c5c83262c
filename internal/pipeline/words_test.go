package pipeline

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
)

// Every failure says in words what happened, as far as anybody can know.
func TestReasonsInWords(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for name, tt := range map[string]struct {
		task plan.Task
		want string // of the run, a regular expression
	}{
		"killed": {commandsTask("t", "kill -9 $$"), `^stage "s0" was killed by SIGKILL; no one here sent it$`},
		// larger than this test program, of which a process is a copy before it becomes another one
		"killed when large": {commandsTask("t", "x=$(head -c 500000000 /dev/zero | tr '\\0' x); kill -9 $$"), `^stage "s0" was killed by SIGKILL; no one here sent it: perhaps memory, peak was \d+ MiB of \d+$`},
		"killed below":      {commandsTask("t", "sh -c 'kill -9 $$'; exit $?"), `^stage "s0" exited with code 137: a program in it was killed by SIGKILL; no one here sent it$`},
		"not found":         {commandsTask("t", "no-such-program-here x"), `^stage "s0" exited with code 127: a program in it was not found$`},
		"not executable":    {commandsTask("t", "/dev/null"), `^stage "s0" exited with code 126: a program in it may not be executed$`},
		"terminated":        {commandsTask("t", "kill $$"), `^stage "s0" was killed by SIGTERM; no one here sent it$`},
		"crashed":           {commandsTask("t", "kill -SEGV $$"), `^stage "s0" was killed by SIGSEGV: it crashed$`},
		"a code":            {commandsTask("t", "exit 200"), `^stage "s0" exited with code 200$`},
		"lost its reader":   {pipelineTask("t", shells("$STAGE tap", "head -n 1")...), `^stage "s0" exited with code 1 when its reader, stage "s1", had stopped reading$`},
		"a body of a line":  {pipelineTask("t", sh("a", "echo x"), foreachStage("loop", 1, commandsTask("b", "$STAGE tap")), sh("few", "head -n 1")), `exited with code 1 when its reader, stage "few", had stopped reading$`},
		"a pipe of its own": {commandsTask("t", "kill -PIPE $$"), `SIGPIPE: it wrote to a pipe of its own that nobody read$`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.task)
			if res := w.run(); !regexp.MustCompile(tt.want).MatchString(res.Reason) {
				t.Errorf("reason %q, want %s\n%s", res.Reason, tt.want, w.story())
			}
		})
	}
}

// What took too long tells which stage the others waited for, and the last that it said.
func TestTimeoutTellsWhere(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const says = "echo about to hang >&2; exec sleep 60"
	for name, tt := range map[string]struct {
		task  plan.Task
		stage string
	}{
		"the tap":        {pipelineTask("t", shells(says, "cat", "cat >&2")...), "s0"},
		"the target":     {pipelineTask("t", shells("yes", "cat", says)...), "s2"},
		"in the middle":  {pipelineTask("t", shells("yes", says, "cat")...), "s1"},
		"a command":      {commandsTask("t", "true", says), "s1"},
		"in a body":      {pipelineTask("t", sh("a", "echo x"), foreachStage("loop", 1, pipelineTask("b", shells(says, "cat")...))), "loop"},
		"in a branch":    {pipelineTask("t", sh("a", "yes"), forkStage("fork", pipelineTask("b", shells("cat", says)...))), "fork"},
		"not the first":  {pipelineTask("t", shells("echo done >&2", "cat; "+says)...), "s1"},
		"whole run":      {pipelineTask("t", shells(says, "cat")...), "s0"},
		"a child of two": {plan.Task{Name: "o", KillAfter: seconds(2), Tasks: []plan.Task{commandsTask("t", says)}}, "s0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.task)
			if name == "whole run" {
				w.plan.Timeout = plan.Duration(time.Second)
			} else {
				w.plan.Tasks[0].Timeout = seconds(1)
			}
			res := w.run()
			if want := `timed out after 1s at stage "` + tt.stage + `"`; res.Reason != want || res.Stage != tt.stage || !slices.Equal(res.Tail, []string{"about to hang"}) {
				t.Errorf("%q, stage %q, tail %q, want %s\n%s", res.Reason, res.Stage, res.Tail, want, w.story())
			}
		})
	}
}
