package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/plan"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		scripts []string
		outcome Outcome
		code    int
		stage   string
		stdout  string
		stderr  string
	}{
		{"one after the other", []string{"echo a; echo x >&2", "echo b"}, Success, 0, "", "a\nb\n", "s0: x\n"},
		{"stops at the first failure", []string{"echo a", "exit 3", "echo c"}, Failed, 3, "s1", "a\n", ""},
		{"a signal is a failure", []string{"kill -9 $$", "echo c"}, Failed, 137, "s0", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, commandsTask("c", tt.scripts...))
			res := w.run()
			w.want(res, tt.outcome)
			if res.Code != tt.code || res.Stage != tt.stage {
				t.Errorf("code %d of %q", res.Code, res.Stage)
			}
			w.wantArtifact("c_stdout.log", tt.stdout)
			w.wantArtifact("c_stderr.log", tt.stderr)
		})
	}
}

func TestStdin(t *testing.T) {
	t.Parallel()
	in := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(in, []byte("from outside\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := newWorld(t, commandsTask("a", "head -c 5"), pipelineTask("b", shells("cat", "cat")...))
	w.opts.Stdin = f
	w.want(w.run(), Success)
	w.wantArtifact("a_stdout.log", "from ")
	w.wantArtifact("b_stdout.log", "outside\n")

	w = newWorld(t, commandsTask("none", "cat"))
	w.want(w.run(), Success)
	w.wantArtifact("none_stdout.log", "")
}

// Rule 6.
func TestSiblingsAfterFailure(t *testing.T) {
	t.Parallel()
	fails := func(change func(*plan.Task)) plan.Task {
		x := commandsTask("bad", "exit 3")
		change(&x)
		return x
	}
	group := task("group")
	group.Tasks = []plan.Task{fails(func(*plan.Task) {}), commandsTask("inner", "true")}
	spared := group
	spared.KillDownstreamOnFail = false
	skip := commandsTask("skip", "true")
	skip.Skip = true
	tests := []struct {
		name    string
		tasks   []plan.Task
		outcome Outcome
		ran     []string // tasks that ended
		skipped []string
	}{
		{"killed", []plan.Task{fails(func(*plan.Task) {}), commandsTask("next", "true")}, Failed, []string{"bad"}, []string{"next"}},
		{"not killed", []plan.Task{fails(func(x *plan.Task) { x.KillDownstreamOnFail = false }), commandsTask("next", "true")},
			Failed, []string{"bad", "next"}, nil},
		{"allowed", []plan.Task{fails(func(x *plan.Task) { x.AllowFailure = true }), commandsTask("next", "true")},
			Success, []string{"bad", "next"}, nil},
		{"allowed, not killed", []plan.Task{fails(func(x *plan.Task) { x.AllowFailure, x.KillDownstreamOnFail = true, false }), commandsTask("next", "true")},
			Success, []string{"bad", "next"}, nil},
		{"nested", []plan.Task{group, commandsTask("next", "true")}, Failed, []string{"group/bad", "group"}, []string{"group/inner", "next"}},
		{"nested, not killed", []plan.Task{spared, commandsTask("next", "true")}, Failed,
			[]string{"group/bad", "group", "next"}, []string{"group/inner"}},
		{"inactive", []plan.Task{skip, commandsTask("next", "true")}, Success, []string{"next"}, []string{"skip"}},
		{"all inactive", []plan.Task{skip}, Success, nil, []string{"skip"}},
		{"no tasks", nil, Success, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.tasks...)
			res := w.run()
			w.want(res, tt.outcome)
			if diff := cmp.Diff(tt.ran, w.paths(TaskEnded)); diff != "" {
				t.Errorf("ended (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.skipped, w.paths(TaskSkipped)); diff != "" {
				t.Errorf("skipped (-want +got):\n%s", diff)
			}
			if tt.outcome == Failed && (res.Code != 3 || res.Stage != "s0") {
				t.Errorf("%+v", res)
			}
		})
	}
}

func (w *world) paths(k Kind) []string {
	var out []string
	for _, e := range w.kind(k) {
		out = append(out, strings.Join(e.Task, "/"))
	}
	return out
}

func seconds(s float64) plan.Duration { return plan.Duration(s * float64(time.Second)) }

// Rule 5: the whole group gets SIGINT and, when that does not help, SIGKILL, in time.
func TestTimeoutKillsGrandchild(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, where := range []string{"command", "task", "run"} {
		for _, mode := range []string{"ignore-term", "ignore-all"} {
			t.Run(where+"/"+mode, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, pipelineTask("t", shells("$STAGE "+mode+" $DIR/pid; true", "cat", "$STAGE commit $DIR/committed")...))
				x := &w.plan.Tasks[0]
				x.KillAfter = seconds(1)
				switch where {
				case "command":
					x.Pipeline[0].Command.Timeout = seconds(3)
				case "task":
					x.Timeout = seconds(3)
				case "run":
					w.plan.Timeout = seconds(3)
				}
				res := w.run()
				if where == "run" {
					w.want(res, TimedOut)
				} else {
					w.want(res, Failed)
				}
				if !strings.Contains(res.Reason, "timed out after 3s") {
					t.Errorf("reason %q", res.Reason)
				}
				if o := w.kind(TaskEnded)[0].Result.Outcome; o != TimedOut {
					t.Errorf("the task %s", o)
				}
				if res.Elapsed > 12*time.Second {
					t.Errorf("took %s", res.Elapsed)
				}
				w.dead("pid")
				if got := w.file("committed"); got != "<none>" {
					t.Errorf("committed %s", got)
				}
			})
		}
	}
}

func TestTimeoutLetsCleanUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, commandsTask("t", "exec $STAGE clean-int $DIR/pid $DIR/cleaned"))
	w.plan.Tasks[0].Commands[0].Command.Timeout = seconds(1)
	res := w.run()
	w.want(res, Failed)
	if w.file("cleaned") == "<none>" {
		t.Error("no SIGINT came")
	}
	want := Result{Outcome: TimedOut, Code: 7, Reason: "timed out after 1s", First: true}
	got := *w.stage("s0").Result
	got.Elapsed, got.Tail = 0, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, commandsTask("t", "true"), commandsTask("u", "true"))
	w.plan.Timeout, w.plan.Tasks[0].Timeout = seconds(20), seconds(10)
	w.plan.Tasks[0].Commands[0].Command.Timeout = seconds(10)
	w.want(w.run(), Success)
}

// Rule 7.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for name, tasks := range map[string][]plan.Task{
		"pipeline": {pipelineTask("t", shells("$STAGE emit 10; touch $DIR/ready; sleep 60", "cat", "$STAGE commit $DIR/committed")...), commandsTask("next", "true")},
		"commands": {commandsTask("t", "touch $DIR/ready; sleep 60", "echo x > $DIR/committed"), commandsTask("next", "true")},
		"foreach": {pipelineTask("t", sh("s", "echo a; echo b; sleep 60"),
			foreachStage("each", 1, commandsTask("body", "touch $DIR/ready; sleep 60", "echo x > $DIR/committed"))), commandsTask("next", "true")},
		"fork": {pipelineTask("t", sh("s", "echo a; touch $DIR/ready; sleep 60"),
			forkStage("fork", pipelineTask("b", shells("$STAGE commit $DIR/committed")...))), commandsTask("next", "true")},
		"retry delay": {func() plan.Task {
			x := commandsTask("t", "touch $DIR/ready; exit 1")
			x.Retries = plan.Retries{Max: 3, Delay: seconds(60)}
			return x
		}(), commandsTask("next", "true")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tasks...)
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				w.await("ready")
				cancel(Interrupt{syscall.SIGTERM})
			}()
			res := w.runCtx(ctx)
			w.want(res, Interrupted)
			if res.Reason != "interrupted by SIGTERM" || res.Elapsed > 10*time.Second {
				t.Errorf("%+v", res)
			}
			if got := w.file("committed"); got != "<none>" {
				t.Errorf("committed %q", got)
			}
			if diff := cmp.Diff([]string{"next"}, w.paths(TaskSkipped)); diff != "" {
				t.Error(diff)
			}
			if o := w.kind(TaskEnded); o[len(o)-1].Result.Outcome != Interrupted {
				t.Errorf("the task %s", o[0].Result.Outcome)
			}
		})
	}
}

func TestInterruptBeforeStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(Interrupt{syscall.SIGINT})
	w := newWorld(t, commandsTask("t", "true"))
	w.want(w.runCtx(ctx), Interrupted)
}

// A second signal.
func TestKillAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, commandsTask("t", "$STAGE ignore-all $DIR/pid; true"), commandsTask("next", "true"))
	w.plan.Tasks[0].KillAfter = seconds(25)
	e := New(w.opts)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		w.await("pid")
		cancel(Interrupt{syscall.SIGINT})
		e.KillAll()
	}()
	res, err := e.Run(ctx, &w.plan)
	if err != nil {
		t.Fatal(err)
	}
	w.want(res, Interrupted)
	if res.Elapsed > 15*time.Second {
		t.Errorf("took %s", res.Elapsed)
	}
	w.dead("pid")
}

// Rule 4: nothing outlives the run, also what changed its session and what a stage left in the background.
func TestNothingOutlivesTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, commandsTask("t", "$STAGE daemon $DIR/pid1"), commandsTask("u", "$STAGE ignore-term $DIR/pid2 & while ! test -s $DIR/pid2; do sleep 0.05; done"))
	for i := range w.plan.Tasks {
		w.plan.Tasks[i].KillDownstreamOnFail = false
	}
	w.want(w.run(), Failed)
	w.dead("pid1")
	w.dead("pid2")
}

func TestRetries(t *testing.T) {
	t.Parallel()
	counting := "n=$(cat $DIR/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > $DIR/n; echo try $n; echo err $n >&2; "
	w := newWorld(t, commandsTask("t", counting+"test $n -ge 3"))
	w.plan.Tasks[0].Retries = plan.Retries{Max: 5, Delay: seconds(0.01), Backoff: 3}
	w.want(w.run(), Success)
	w.wantArtifact("t_stdout.log", "try 3\n")
	w.wantArtifact("t_stderr.log", "s0: err 3\n")
	var waits []time.Duration
	for _, e := range w.kind(TaskRetrying) {
		waits = append(waits, e.Wait)
	}
	if diff := cmp.Diff([]time.Duration{10 * time.Millisecond, 30 * time.Millisecond}, waits); diff != "" {
		t.Error(diff)
	}

	w = newWorld(t, commandsTask("t", counting+"exit $n"))
	w.plan.Tasks[0].Retries = plan.Retries{Max: 1}
	res := w.run()
	w.want(res, Failed)
	if res.Code != 2 {
		t.Errorf("code %d", res.Code)
	}
	if ended := w.kind(TaskEnded); len(ended) != 1 || ended[0].Try != 2 {
		t.Errorf("%+v", ended)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	r := plan.Retries{Delay: seconds(1), Backoff: 10}
	for n, want := range map[int]time.Duration{1: time.Second, 2: 10 * time.Second, 400: maxDelay} {
		if got := delay(r, n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	cmdline := "tr '\\0' ' ' < /proc/$$/cmdline; echo; test -e /proc/$$/fd/3 && echo open || echo closed; cat"
	private := shells("[redacted]")
	private[0].Command.Text = func([]string) (plan.Script, error) {
		return plan.Script{Text: cmdline + " # s3cret", Private: true}, nil
	}
	long := shells("cat; # " + strings.Repeat("x", 300_000))
	bash := shells("echo ${BASH_VERSION:+bash} $A $B")
	bash[0].Command.Shell = "bash"
	bash[0].Command.Env = []string{"A=1", "B=2", "A=3"}
	w := newWorld(t, commandsTask("c", "true"))
	w.plan.Tasks = []plan.Task{
		pipelineTask("private", append(shells("echo data"), private...)...),
		pipelineTask("long", append(shells("echo data"), long...)...),
		pipelineTask("bash", bash...),
	}
	w.want(w.run(), Success)
	lines := strings.Split(w.artifact("private_stdout.log"), "\n")
	if len(lines) < 3 || strings.Contains(lines[0], "s3cret") || lines[1] != "closed" || lines[2] != "data" {
		t.Errorf("%q", lines)
	}
	w.wantArtifact("long_stdout.log", "data\n")
	w.wantArtifact("bash_stdout.log", "bash 3 2\n")
}

// What cannot be an argument is read from a file by whatever runs it, in the form that this understands.
func TestScriptsOfOtherShells(t *testing.T) {
	t.Parallel()
	const program = "import os, sys\nprint(sys.argv, os.path.exists('/dev/fd/3'))\nprint(open('/proc/self/cmdline').read().count('s3cret'), 'é')\nprint(sys.stdin.read())"
	python := shells("[redacted]")
	python[0].Command.Shell = "python3"
	python[0].Command.Text = func([]string) (plan.Script, error) {
		return plan.Script{Text: program + " # s3cret", Private: true}, nil
	}
	long := shells(program + "\n#" + strings.Repeat("x", 300_000))
	long[0].Command.Shell = "python3"
	unknown := shells("[redacted]")
	unknown[0].Command.Shell = "perl"
	unknown[0].Command.Text = python[0].Command.Text
	w := newWorld(t, commandsTask("c", "true"))
	last := pipelineTask("unknown", unknown...)
	last.AllowFailure = true
	w.plan.Tasks = []plan.Task{
		pipelineTask("python", append(shells("echo data"), python...)...),
		pipelineTask("long", append(shells("echo data"), long...)...),
		last,
	}
	w.want(w.run(), Success)
	for _, name := range []string{"python_stdout.log", "long_stdout.log"} {
		w.wantArtifact(name, "['-c'] False\n0 é\ndata\n\n")
	}
	for _, e := range w.kind(TaskEnded) {
		if e.Task[0] == "unknown" && !strings.Contains(e.Result.Reason, `cannot be handed to "perl"`) {
			t.Errorf("reason %q", e.Result.Reason)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	group := task("group")
	group.Tasks = []plan.Task{pipelineTask("p", shells("echo hello >&2; echo out", "cat")...)}
	w := newWorld(t, group)
	w.want(w.run(), Success)
	var got []string
	for _, e := range w.all() {
		if e.Time.IsZero() {
			t.Errorf("%s has no time", e.Kind)
		}
		if e.Kind == StageStarted || e.Kind == StageEnded {
			if e.Pid == 0 {
				t.Errorf("%s %s has no pid", e.Kind, e.Stage)
			}
			continue // of two stages, in any order
		}
		got = append(got, strings.TrimSpace(string(e.Kind)+" "+strings.Join(e.Task, "/")+" "+e.Stage+" "+e.Text))
	}
	want := []string{
		"run_started", "task_started group", "task_started group/p", "output group/p s0 hello",
		"task_ended group/p", "task_ended group", "run_ended",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// No descriptor is left open, whatever a run did.
func TestNoDescriptorLeak(t *testing.T) {
	w := newWorld(t, commandsTask("first", "true"))
	w.want(w.run(), Success) // what the runtime opens once
	before := descriptors(t)
	bad := pipelineTask("bad", shells("$STAGE emit 10; exit 1", "cat", "cat")...)
	bad.KillDownstreamOnFail = false
	missing := pipelineTask("missing", shells("cat", "cat", "cat")...)
	missing.Pipeline[1].Command.Shell = "/no/such/shell"
	missing.KillDownstreamOnFail = false
	tried := commandsTask("tried", "echo {line}")
	tried.Retries.Max = 1
	w = newWorld(t, bad, missing,
		pipelineTask("loop", sh("seq", "seq 20"), foreachStage("each", 3, tried), sh("cat", "cat")),
		pipelineTask("fork", sh("seq", "seq 20"), forkStage("fork", pipelineTask("x", shells("cat")...), pipelineTask("y", shells("head -n 1")...))),
	)
	w.want(w.run(), Failed)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		entries, err = os.ReadDir("/dev/fd")
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
