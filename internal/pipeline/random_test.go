package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the stages do, in whatever order they come: the target commits only what is complete, the outcome of the
// run is that of its stages, and nothing hangs.
func TestRandomPipelines(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	producers := []string{
		"seq 50000", "seq 50000; exit 3", "seq 10; sleep 0.1; exit 3", "seq 10; kill -9 $$", "exit 3", "seq 3; exec >&-; sleep 0.1; exit 4",
		"yes", "seq 10; kill -PIPE $$", "(sleep 0.1; seq 5) & seq 5", "exec sh -c 'seq 100; exit 141'",
	}
	filters := []string{
		"cat", "head -n 5", "cat; exit 3", "head -n 5; exit 3", "head -n 5 >/dev/null; kill -9 $$", "sleep 0.1; cat", "exec <&-; sleep 0.1; echo x",
		"cat | cat", "trap '' TERM; cat", "trap 'exit 0' TERM; cat", "true", "exit 3", "tail -n 3",
	}
	targets := []string{
		"n=$(cat | wc -l) && echo $n > $DIR/committed",
		"trap '' TERM; n=$(cat | wc -l) && echo $n > $DIR/committed",
		"cat | { n=$(wc -l); echo $n > $DIR/committed; }",
	}
	rapid.Check(t, func(rt *rapid.T) {
		scripts := []string{rapid.SampledFrom(producers).Draw(rt, "producer")}
		for i := range rapid.IntRange(0, 3).Draw(rt, "filters") {
			scripts = append(scripts, rapid.SampledFrom(filters).Draw(rt, fmt.Sprint("filter ", i)))
		}
		target := sh("target", rapid.SampledFrom(targets).Draw(rt, "target"))
		stages := shells(scripts...)
		before := stages[len(stages)-1].Name
		fork := rapid.Bool().Draw(rt, "fork")
		if fork {
			stages = append(stages, forkStage("fork", pipelineTask("branch", target), pipelineTask("other", shells("head -n 2")...)))
		} else {
			stages = append(stages, target)
		}
		w := newWorld(t, pipelineTask("t", stages...))
		w.plan.Tasks[0].KillAfter = seconds(0.2)
		if fork {
			w.plan.Tasks[0].Pipeline[len(stages)-1].Fork[0].KillAfter = seconds(0.2)
		}
		if endless(scripts) {
			w.plan.Timeout = seconds(0.5)
		}
		checkRun(rt, w, before)
	})
}

func TestEndless(t *testing.T) {
	t.Parallel()
	for pipe, want := range map[string]bool{
		"yes":                                            true,
		"seq 5 > tail -n 3":                              false,
		"yes > head -n 5":                                false,
		"yes > cat > head -n 5":                          false,
		"yes > tail -n 3":                                true,
		"yes > tail -n 3 > head -n 5":                    true,
		"yes > head -n 5 > tail -n 3":                    false,
		"yes > tail -n 3 > true":                         true,
		"yes > tail -n 3 > true > cat":                   true,
		"yes > tail -n 3 > exit 3":                       false,
		"yes > true > tail -n 3":                         false,
		"yes > cat; exit 3":                              true,
		"yes > tail -n 3 > head; exit 3":                 true,
		"yes > tail -n 3 > true > cat; exit 3":           false,
		"yes > exec <&-; sleep 0.1; echo x":              false,
		"yes > head -n 5 >/dev/null; kill -9 $$":         false,
		"yes > trap 'exit 0' TERM; cat > sleep 0.1; cat": true,
	} {
		if got := endless(strings.Split(pipe, " > ")); got != want {
			t.Errorf("%s: %v", pipe, got)
		}
	}
}

// endless: nothing ends this pipeline by itself. That is so while every stage behind `yes` waits for an end of input that
// does not come, or for a line from `tail`, which prints none before that end.
func endless(scripts []string) bool {
	if scripts[0] != "yes" {
		return false
	}
	silent, closed := false, false // no line, or at once the end of input, comes to this stage
	for _, s := range scripts[1:] {
		fails := strings.Contains(s, "exit 3") || strings.Contains(s, "kill -9")
		reads := strings.Contains(s, "cat") || strings.Contains(s, "tail") || strings.Contains(s, "head")
		ends := closed || !reads || strings.Contains(s, "head") && !silent
		switch {
		case ends && fails:
			return false // a failure ends all stages
		case ends && !silent:
			return false // what is before it gets SIGPIPE, what is behind it the end of input
		case ends:
			closed = true // but tail, before it, neither ends nor prints
		case strings.Contains(s, "tail"):
			silent = true
		}
	}
	return true
}

func checkRun(rt *rapid.T, w *world, before string) {
	res := w.run()
	all := true
	for _, e := range w.kind(StageEnded) {
		all = all && e.Result.Outcome == Success
	}
	if all != (res.Outcome == Success) {
		rt.Fatalf("the run: %s, all stages succeeded: %v\n%s", res.Outcome, all, w.story())
	}
	committed := w.file("committed") != "<none>"
	if res.Outcome == Success && !committed {
		rt.Fatalf("success without a commit\n%s", w.story())
	}
	if committed && w.stage(before).Result.Outcome != Success {
		rt.Fatalf("the target committed, but the stage before it %s\n%s", w.stage(before).Result.Outcome, w.story())
	}
}
