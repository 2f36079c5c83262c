package pipeline

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
)

func TestStats(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		pipelineTask("p", sh("head", "head -c 3000000 /dev/zero | tr '\\0' '\\n'"), sh("cat", "cat")),
		commandsTask("c", "seq 3", "seq 4; printf x"),
		pipelineTask("f", sh("lines", "seq 3"), foreachStage("each", 2, bodyTask("b", "echo {line}{line}")), sh("wc", "cat")),
		pipelineTask("k", sh("feed", "seq 1000"), forkStage("fork", branchTask("br", "cat"))),
	)
	w.want(w.run(), Success)
	type facts struct {
		in, out, records int64
		exact            bool
	}
	got := map[string]facts{}
	for _, e := range w.kind(StageEnded) {
		if e.Stats == nil {
			t.Fatalf("%s has no stats", e.Stage)
		}
		got[strings.Join(e.Task, "/")+":"+e.Stage] = facts{e.Stats.BytesIn, e.Stats.BytesOut, e.Stats.RecordsOut, e.Stats.Exact}
	}
	if g := got["p:cat"]; g.out != 3000000 || g.records != 3000000 {
		t.Errorf("last stage: %+v", g)
	}
	if g := got["p:head"]; g.records != -1 || g.exact {
		t.Errorf("first stage: %+v", g)
	}
	if g := got["c:s0"]; g.out != 6 || g.records != 3 {
		t.Errorf("first command: %+v", g)
	}
	if g := got["c:s1"]; g.out != 9 || g.records != 4 {
		t.Errorf("second command: %+v", g)
	}
	if g := got["f:each"]; g.in != 6 || g.out != 9 || !g.exact {
		t.Errorf("foreach: %+v", g)
	}
	if g := got["k:fork"]; g.in != 3893 || !g.exact {
		t.Errorf("fork: %+v", g)
	}
	if g := got["k/br:s0"]; g.out != 3893 || g.records != 1000 {
		t.Errorf("branch: %+v", g)
	}
}

// The shares say which stage is the slow one.
func TestBlocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		pipelineTask("slow-reader", sh("a", "head -c 20000000 /dev/zero"), sh("b", "sleep 1.5; cat >/dev/null")),
		pipelineTask("slow-writer", sh("c", "sleep 1.5; echo x"), sh("d", "cat")),
	)
	w.want(w.run(), Success)
	if a, b := w.stage("a").Stats, w.stage("b").Stats; a.BlockedOut <= b.BlockedIn {
		t.Errorf("slow reader: %+v %+v", a, b)
	}
	if c, d := w.stage("c").Stats, w.stage("d").Stats; d.BlockedIn <= c.BlockedOut {
		t.Errorf("slow writer: %+v %+v", c, d)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("a", "head -c 100000 /dev/zero; sleep 1"), sh("b", "cat")))
	w.opts.Progress = 100 * time.Millisecond
	w.want(w.run(), Success)
	if n := len(w.kind(Progress)); n < 4 {
		t.Errorf("%d progress events", n)
	}
	ended := map[string]bool{}
	for _, e := range w.all() {
		switch e.Kind {
		case StageEnded:
			ended[e.Stage] = true
		case Progress:
			if e.Stats == nil || ended[e.Stage] {
				t.Errorf("progress of %s after its end, or without stats", e.Stage)
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	x := commandsTask("t", "echo $BOTH $OWN $BASE")
	x.Commands[0].Command.Env = []string{"BOTH=own", "OWN=1", "BASE="}
	w := newWorld(t, x)
	w.opts.Environ = []string{"PATH=/usr/bin:/bin", "BOTH=base", "BASE=2"}
	w.want(w.run(), Success)
	w.wantArtifact("t_stdout.log", "own 1\n")
}

// The runs end only if somebody has seen how far they are.
func TestProgressOfOwnStages(t *testing.T) {
	t.Parallel()
	const await = `while [ ! -e "$DIR/go" ]; do sleep 0.01; done`
	for _, c := range []struct {
		name, stage string
		task        plan.Task
		seen        func(*Stats) bool
	}{
		{
			"foreach", "each",
			pipelineTask("p", sh("lines", "seq 3"), foreachStage("each", 1, bodyTask("b", `[ {line} -lt 3 ] || `+await))),
			func(s *Stats) bool {
				return s.Loop != nil && s.Loop.Succeeded == 2 && s.Loop.All == 3 && s.BytesIn == 6 && slices.Equal(s.Loop.Now, []string{"3"})
			},
		},
		{ // the lines that come while all bodies are at work are seen as well
			"foreach ahead", "each",
			pipelineTask("p", sh("lines", `printf '1\n\n2\n'; while ! test -e $DIR/ran; do sleep 0.01; done; printf '\n3\n4'`),
				foreachStage("each", 2, bodyTask("b", `touch $DIR/ran; `+await))),
			func(s *Stats) bool {
				return s.Loop != nil && s.Loop.All == 4 && slices.Equal(s.Loop.Now, []string{"1", "2"})
			},
		},
		{ // what is still written has no total
			"foreach without end", "each",
			pipelineTask("p", sh("lines", `seq 3; `+await), foreachStage("each", 1, bodyTask("b", "true"))),
			func(s *Stats) bool { return s.Loop != nil && s.Loop.Succeeded == 3 && s.Loop.All == 0 },
		},
		{
			"fork", "fork",
			pipelineTask("p", sh("feed", "seq 3; "+await), forkStage("fork", branchTask("a", "cat"), branchTask("b", "cat"))),
			func(s *Stats) bool { return s.BytesIn == 6 },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.task)
			w.opts.Progress = 10 * time.Millisecond
			keep := w.opts.Emit
			w.opts.Emit = func(e Event) {
				keep(e)
				if e.Kind == Progress && e.Stage == c.stage && c.seen(e.Stats) {
					_ = os.WriteFile(filepath.Join(w.dir, "go"), nil, 0o600)
				}
			}
			w.want(w.run(), Success)
		})
	}
}
