package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/plan"
)

func branchTask(name string, scripts ...string) plan.Task {
	return pipelineTask(name, shells(scripts...)...)
}

func TestFork(t *testing.T) {
	t.Parallel()
	off := branchTask("off", "cat")
	off.Skip = true
	w := newWorld(t, pipelineTask("t", sh("emit", "$STAGE emit 100000"), forkStage("fork",
		branchTask("a", "$STAGE commit $DIR/a"), branchTask("b", "cat", "wc -l"), off,
		pipelineTask("c", sh("head", "head -n 2"), foreachStage("each", 2, bodyTask("body", "echo {line}"))),
		pipelineTask("d", foreachStage("each", 1, bodyTask("never", "exit 1"))), // reads the branch itself: see below
	)))
	w.plan.Tasks[0].Pipeline[1].Fork[4].Pipeline = shells("tail -n 1")
	w.want(w.run(), Success)
	if got := w.file("a"); got != "COMMITTED 100000" {
		t.Error(got)
	}
	for name, want := range map[string]string{"b": "100000\n", "d": "100000\n", "body_1": "1\n", "body_2": "2\n", "t": "", "off": "<none>"} {
		w.wantArtifact(name+"_stdout.log", want)
	}
	if diff := cmp.Diff([]string{"t/off"}, w.paths(TaskSkipped)); diff != "" {
		t.Error(diff)
	}
}

func TestForkIntoForeach(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("seq", "seq 3"), forkStage("fork",
		pipelineTask("a", foreachStage("each", 1, bodyTask("x", "echo {line}"))),
		pipelineTask("b", foreachStage("each", 3, bodyTask("y", "echo {line}")), sh("cat", "cat")))))
	w.want(w.run(), Success)
	w.wantArtifact("x_3_stdout.log", "3\n")
	w.wantArtifact("b_stdout.log", "1\n2\n3\n")
}

func TestForkInForeach(t *testing.T) {
	t.Parallel()
	body := pipelineTask("body", forLine("seq", "seq {line}"), forkStage("fork", branchTask("x", "cat"), branchTask("y", "wc -l")))
	w := newWorld(t, pipelineTask("t", sh("seq", "seq 3"), foreachStage("each", 2, body)))
	w.want(w.run(), Success)
	w.wantArtifact("x_2_stdout.log", "1\n2\n")
	w.wantArtifact("y_3_stdout.log", "3\n")
}

// A branch that has enough does not harm the others.
func TestForkBranchEndsEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("emit", "$STAGE emit 100000"), forkStage("fork",
		branchTask("early", "head -n 1"), branchTask("full", "$STAGE commit $DIR/full"), branchTask("none", "true"))))
	w.want(w.run(), Success)
	w.wantArtifact("early_stdout.log", "1\n")
	if got := w.file("full"); got != "COMMITTED 100000" {
		t.Error(got)
	}
}

func TestForkAllBranchesEndEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("yes", "yes"), sh("cat", "cat"), forkStage("fork", branchTask("a", "head -n 1"), branchTask("b", "true"))))
	w.want(w.run(), Success)
	w.wantArtifact("a_stdout.log", "y\n")
}

func TestForkUpstreamFails(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"at the end": "$STAGE crash 1000 3", "later": "$STAGE emit 10; sleep 0.3; exit 3", "at once": "exit 3", "signal": "$STAGE emit 10; kill -9 $$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", sh("tap", script), sh("cat", "cat"), forkStage("fork",
				branchTask("a", "$STAGE commit $DIR/a"), branchTask("b", "cat", "$STAGE commit $DIR/b"),
				pipelineTask("c", sh("cat", "cat"), forkStage("again", branchTask("d", "$STAGE commit $DIR/d"))))))
			res := w.run()
			w.want(res, Failed)
			if res.Stage != "tap" {
				t.Errorf("blames %s", res.Stage)
			}
			for _, f := range []string{"a", "b", "d"} {
				if got := w.file(f); got != "<none>" {
					t.Errorf("branch %s took a partial stream for a complete one: %s", f, got)
				}
			}
		})
	}
}

func TestForkBranchFails(t *testing.T) {
	t.Parallel()
	bad := branchTask("bad", "head -n 1 >/dev/null; exit 6")
	lax := bad
	lax.KillDownstreamOnFail = false
	allowed := bad
	allowed.AllowFailure = true
	multi := branchTask("bad", "cat", "head -n 1 > /dev/null; exit 6")
	tests := []struct {
		name      string
		bad       plan.Task
		producer  string
		outcome   Outcome
		committed string
	}{
		{"others are terminated", bad, "$STAGE emit 10; sleep 60", Failed, "<none>"},
		{"others go on", lax, "$STAGE emit 100000", Failed, "COMMITTED 100000"},
		{"allowed", allowed, "$STAGE emit 100000", Success, "COMMITTED 100000"},
		{"two stages", multi, "$STAGE emit 10; sleep 60", Failed, "<none>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", sh("tap", tt.producer), forkStage("fork", tt.bad, branchTask("other", "$STAGE commit $DIR/committed"))))
			res := w.run()
			w.want(res, tt.outcome)
			if got := w.file("committed"); got != tt.committed {
				t.Errorf("committed %s\n%s", got, w.story())
			}
			if res.Elapsed > 20*time.Second {
				t.Errorf("took %s", res.Elapsed)
			}
			if tt.outcome == Failed && (res.Code != 6 || !strings.HasPrefix(res.Reason, `stage "fork" failed in branch "bad": stage "s`)) {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestForkSlowBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("bytes", "$STAGE bytes 5000000"), forkStage("fork",
		branchTask("slow", "for i in 1 2 3 4 5; do head -c 1000000 >/dev/null; sleep 0.1; done; cat | wc -c"), branchTask("fast", "wc -c"))))
	w.want(w.run(), Success)
	w.wantArtifact("fast_stdout.log", "5000000\n")
}

func TestForkRetriesAreRefused(t *testing.T) {
	t.Parallel()
	bad := branchTask("bad", "cat >/dev/null; exit 6")
	bad.Retries.Max = 3
	w := newWorld(t, pipelineTask("t", sh("seq", "seq 3"), forkStage("fork", bad)))
	w.want(w.run(), Failed)
	if len(w.kind(TaskRetrying)) != 0 || len(w.kind(Warning)) != 1 {
		t.Error(w.story())
	}
}

func TestForkWithoutBranches(t *testing.T) {
	t.Parallel()
	empty := task("empty")
	empty.Pipeline = []plan.Stage{{Name: "null", Null: true}}
	w := newWorld(t, pipelineTask("t", sh("yes", "yes"), forkStage("fork", empty)))
	w.want(w.run(), Success)
}
