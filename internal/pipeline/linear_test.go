package pipeline

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/plan"
)

func TestLinearOutcomes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		scripts []string
		outcome Outcome
		code    int
		signal  string
		stage   string
		stdout  string
	}{
		{name: "one stage", scripts: []string{"echo a"}, outcome: Success, stdout: "a\n"},
		{name: "three stages", scripts: []string{"printf 'b\\na\\n'", "sort", "tr ab AB"}, outcome: Success, stdout: "A\nB\n"},
		{name: "no newline at the end", scripts: []string{"printf x", "cat"}, outcome: Success, stdout: "x"},
		{name: "first fails", scripts: []string{"exit 3", "cat"}, outcome: Failed, code: 3, stage: "s0"},
		{name: "last fails", scripts: []string{"echo a", "cat >/dev/null; exit 4"}, outcome: Failed, code: 4, stage: "s1"},
		{name: "middle fails", scripts: []string{"echo a", "exit 5", "cat"}, outcome: Failed, code: 5, stage: "s1"},
		{name: "dies by SIGKILL", scripts: []string{"kill -9 $$", "cat"}, outcome: Failed, code: 137, signal: "SIGKILL", stage: "s0"},
		{name: "dies by SIGTERM", scripts: []string{"kill -15 $$"}, outcome: Failed, code: 143, signal: "SIGTERM", stage: "s0"},
		{name: "SIGPIPE while its reader is there", scripts: []string{"echo a; kill -PIPE $$", "cat"}, outcome: Failed, code: 141, signal: "SIGPIPE", stage: "s0"},
		{name: "141 while its reader is there", scripts: []string{"echo a; exit 141", "cat"}, outcome: Failed, code: 141, stage: "s0"},
		{name: "last one dies of SIGPIPE", scripts: []string{"echo a", "kill -PIPE $$"}, outcome: Failed, code: 141, signal: "SIGPIPE", stage: "s1"},
		{name: "command not found", scripts: []string{"surely-no-such-command"}, outcome: Failed, code: 127, stage: "s0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", shells(tt.scripts...)...))
			res := w.run()
			w.want(res, tt.outcome)
			got := []any{res.Code, res.Signal, res.Stage}
			if diff := cmp.Diff([]any{tt.code, tt.signal, tt.stage}, got); diff != "" {
				t.Errorf("result (-want +got):\n%s%s", diff, w.story())
			}
			if tt.outcome == Success {
				w.wantArtifact("t_stdout.log", tt.stdout)
			}
		})
	}
}

// A reader that has enough ends the whole at once; SIGPIPE before it is no failure.
func TestYesHead(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string][]string{
		"two":         {"yes", "head -n 1"},
		"through cat": {"yes", "cat", "cat", "head -n 1"},
		"with 141":    {"yes; exit $?", "head -n 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", shells(scripts...)...))
			w.want(w.run(), Success)
			w.wantArtifact("t_stdout.log", "y\n")
			for _, e := range w.kind(StageEnded) {
				if e.Result.Outcome != Success {
					t.Errorf("stage %s: %s", e.Stage, e.Result.Outcome)
				}
			}
		})
	}
}

func TestReaderThatWorksOnAfterClosingStdin(t *testing.T) {
	t.Parallel()
	t.Run("succeeds", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipelineTask("t", shells("yes", "$STAGE close-stdin 0")...))
		w.want(w.run(), Success)
	})
	t.Run("fails", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipelineTask("t", shells("yes", "$STAGE close-stdin 6")...))
		res := w.run()
		w.want(res, Failed)
		if res.Stage != "s1" || res.Code != 6 {
			t.Errorf("blames %s with %d", res.Stage, res.Code)
		}
		if o := w.stage("s0").Result.Outcome; o != Terminated {
			t.Errorf("the stage before: %s", o)
		}
	})
}

// The one rule above all: a target commits at end-of-file, so it must not see one after a failure.
func TestNoTruncatedLoad(t *testing.T) {
	t.Parallel()
	taps := map[string]string{
		"exit code":               "$STAGE crash 1000 1",
		"signal":                  "$STAGE emit 1000; kill -9 $$",
		"closes stdout, fails":    "$STAGE close-stdout 1000 1",
		"shell dies, child ends":  "($STAGE emit 1000) ; kill -KILL $$",
		"fails before any output": "exit 1",
		"hangs, is killed later":  "$STAGE emit 1000; sleep 0.2; exit 9",
		"SIGPIPE out of the blue": "$STAGE emit 10; kill -PIPE $$",
	}
	between := map[string][]string{
		"direct": nil,
		"cat":    {"cat"},
		"awk":    {"cat", "awk '{print} END {print \"done\"}'"},
	}
	for tapName, tap := range taps {
		for midName, mid := range between {
			t.Run(tapName+"/"+midName, func(t *testing.T) {
				t.Parallel()
				scripts := append([]string{tap}, mid...)
				scripts = append(scripts, "$STAGE commit $DIR/committed")
				w := newWorld(t, pipelineTask("t", shells(scripts...)...))
				w.want(w.run(), Failed)
				if got := w.file("committed"); got != "<none>" {
					t.Errorf("the target took a partial stream for a complete one: %s\n%s", got, w.story())
				}
			})
		}
	}
}

func TestCompleteLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("$STAGE emit 100000", "cat", "$STAGE commit $DIR/committed")...))
	w.want(w.run(), Success)
	if got := w.file("committed"); got != "COMMITTED 100000" {
		t.Error(got)
	}
}

// A target that answers SIGTERM with success has not succeeded, and the stage behind it must not see end-of-file either.
func TestSuccessOnTermIsNoSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("$STAGE emit 10; sleep 0.5; exit 1",
		"exec $STAGE commit-on-term $DIR/first", "$STAGE commit $DIR/second")...))
	res := w.run()
	w.want(res, Failed)
	if o := w.stage("s1").Result.Outcome; o != Terminated {
		t.Errorf("outcome of the target: %s", o)
	}
	if a, b := w.file("first"), w.file("second"); a != "<none>" || b != "<none>" {
		t.Errorf("committed: %q %q", a, b)
	}
}

// A target whose shell dies of SIGTERM and whose real process does not must not see end-of-file before SIGKILL.
func TestNoTruncatedLoadWhenTargetIgnoresTerm(t *testing.T) {
	t.Parallel()
	target := `sh -c 'trap "" TERM; n=$(cat | wc -l); echo $n > $DIR/committed'; true`
	w := newWorld(t, pipelineTask("t", shells("$STAGE emit 10; sleep 0.3; exit 1", target)...))
	w.plan.Tasks[0].KillAfter = plan.Duration(time.Second)
	w.want(w.run(), Failed)
	if got := w.file("committed"); got != "<none>" {
		t.Errorf("committed %s", got)
	}
}

// A target that made itself a daemon is out of reach of the group, and sees no end-of-file all the same.
func TestNoTruncatedLoadForDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("$STAGE emit 10; sleep 0.5; exit 1",
		"exec 4<&0; setsid $STAGE commit $DIR/committed <&4 & wait")...))
	w.plan.Tasks[0].KillAfter = plan.Duration(time.Second)
	w.want(w.run(), Failed)
	if got := w.file("committed"); got != "<none>" {
		t.Errorf("committed %s", got)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("$STAGE crash 10 3", "cat", "$STAGE commit $DIR/committed")...))
	w.plan.Tasks[0].Drain = true
	res := w.run()
	w.want(res, Failed)
	if res.Code != 3 || res.Stage != "s0" {
		t.Errorf("result %+v", res)
	}
	if got := w.file("committed"); got != "COMMITTED 10" {
		t.Errorf("drained: %s", got)
	}
}

func TestDrainAfterTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("seq 10; sleep 60", "$STAGE commit $DIR/committed")...))
	w.plan.Tasks[0].Drain = true
	w.plan.Tasks[0].Pipeline[0].Command.Timeout = seconds(2)
	res := w.run()
	w.want(res, Failed)
	if got := w.file("committed"); got != "COMMITTED 10" || res.Stage != "s0" {
		t.Errorf("drained: %s; %+v", got, res)
	}
}

// Who fails on EPIPE is not the cause: the target that crashed is.
func TestBlamesTheReaderThatCrashed(t *testing.T) {
	t.Parallel()
	for range 5 {
		w := newWorld(t, pipelineTask("t", shells("$STAGE tap", "head -n 1 >/dev/null; exit 5")...))
		res := w.run()
		w.want(res, Failed)
		if res.Stage != "s1" || res.Code != 5 {
			t.Errorf("blames %s (%d)\n%s", res.Stage, res.Code, w.story())
		}
	}
}

func TestUpstreamIsTerminated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("sleep 60", "sleep 60", "exit 2")...))
	res := w.run()
	w.want(res, Failed)
	if res.Elapsed > 10*time.Second || res.Stage != "s2" {
		t.Errorf("%+v", res)
	}
	want := Result{Outcome: Terminated, Code: 143, Signal: "SIGTERM", Reason: `stage "s2" failed`}
	got := *w.stage("s0").Result
	got.Elapsed = 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The log is complete when the run has ended, always.
func TestStdoutLogComplete(t *testing.T) {
	t.Parallel()
	for i := range 50 {
		w := newWorld(t, pipelineTask("t", shells("head -c 60000 /dev/zero", "cat")...))
		w.want(w.run(), Success)
		if n := len(w.artifact("t_stdout.log")); n != 60000 {
			t.Fatalf("run %d: %d bytes", i, n)
		}
	}
}

func TestFailureTellsTheTail(t *testing.T) {
	t.Parallel()
	script := "i=0; while [ $i -lt 30 ]; do echo line $i >&2; i=$((i+1)); done; exit 3"
	w := newWorld(t, pipelineTask("t", shells("echo noise >&2; "+script, "cat")...))
	res := w.run()
	w.want(res, Failed)
	var want []string
	for i := 10; i < 30; i++ {
		want = append(want, "line "+strconv.Itoa(i))
	}
	if diff := cmp.Diff(want, res.Tail); diff != "" {
		t.Error(diff)
	}
	if want := `stage "s0" exited with code 3`; res.Reason != want {
		t.Errorf("reason %q, want %q", res.Reason, want)
	}
	if diff := cmp.Diff([]string{"t"}, res.Task); diff != "" {
		t.Error(diff)
	}
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		stages := shells("sleep 60", "cat", "cat")
		stages[1].Command.Shell = "/no/such/shell"
		w := newWorld(t, pipelineTask("t", stages...))
		res := w.run()
		w.want(res, Failed)
		if res.Code != 127 || res.Stage != "s1" || !strings.Contains(res.Reason, `shell "/no/such/shell"`) {
			t.Errorf("%+v", res)
		}
	})
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipelineTask("t", shells("echo a")...))
		w.plan.Dir = "/no/such/folder"
		res := w.run()
		w.want(res, Failed)
		if !strings.Contains(res.Reason, `working folder "/no/such/folder"`) {
			t.Errorf("%+v", res)
		}
	})
	t.Run("text", func(t *testing.T) {
		t.Parallel()
		stages := shells("echo a")
		stages[0].Command.Text = func([]string) (plan.Script, error) { return plan.Script{}, cmpError("cannot quote") }
		w := newWorld(t, pipelineTask("t", stages...))
		res := w.run()
		w.want(res, Failed)
		if !strings.Contains(res.Reason, "cannot quote") {
			t.Errorf("%+v", res)
		}
	})
	t.Run("artifacts", func(t *testing.T) {
		t.Parallel()
		if _, err := run(t.Context(), &plan.Plan{}, Options{Artifacts: "/no/such/folder"}); err == nil {
			t.Error("no error")
		}
	})
}

type cmpError string

func (e cmpError) Error() string { return string(e) }

func TestFiftyStages(t *testing.T) {
	t.Parallel()
	scripts := []string{"$STAGE emit 20000"}
	for range 48 {
		scripts = append(scripts, "cat")
	}
	w := newWorld(t, pipelineTask("t", shells(append(scripts, "wc -l")...)...))
	w.want(w.run(), Success)
	if got := strings.TrimSpace(w.artifact("t_stdout.log")); got != "20000" {
		t.Error(got)
	}
}

func TestFiftyStagesFail(t *testing.T) {
	t.Parallel()
	scripts := []string{"$STAGE crash 20000 3"}
	for range 48 {
		scripts = append(scripts, "cat")
	}
	w := newWorld(t, pipelineTask("t", shells(append(scripts, "$STAGE commit $DIR/committed")...)...))
	w.want(w.run(), Failed)
	if got := w.file("committed"); got != "<none>" {
		t.Error(got)
	}
}

func TestNullAndNoStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		pipelineTask("discards", sh("a", "$STAGE bytes 300000"), plan.Stage{Name: "null", Null: true}),
		pipelineTask("only-null", plan.Stage{Name: "null", Null: true}),
		task("nothing"),
	)
	w.want(w.run(), Success)
	for _, name := range []string{"discards", "only-null", "nothing"} {
		w.wantArtifact(name+"_stdout.log", "")
	}
	if n := len(w.kind(Warning)); n != 2 {
		t.Errorf("%d warnings", n)
	}
}
