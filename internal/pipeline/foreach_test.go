package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/handoff-run/handoff/internal/plan"
)

// bodyTask is a commands task whose one script is made of the line.
func bodyTask(name, format string) plan.Task {
	x := task(name)
	x.Commands = []plan.Stage{forLine("s0", format)}
	return x
}

func TestForeachArtifacts(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprint("concurrency ", n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", sh("lines", `printf 'a\n\n  b/c d  \na\n\t\nb c/d\nlast'`),
				foreachStage("each", n, bodyTask("body", "printf '%s' '{line}'"))))
			w.want(w.run(), Success)
			got := map[string]string{}
			for _, name := range w.names() {
				got[name] = w.artifact(name)
			}
			want := map[string]string{
				"t_stdout.log": "", "t_stderr.log": "",
				"body_a_stdout.log": "a", "body_b_c_d_stdout.log": "b/c d", "body_a~2_stdout.log": "a",
				"body_b_c_d~2_stdout.log": "b c/d", "body_last_stdout.log": "last",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("artifacts (-want +got):\n%s", diff)
			}
			lines := w.stage("each").Result.Lines
			if diff := cmp.Diff(&Lines{Total: 5, Succeeded: 5, Blank: 2}, lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Followed by a stage, the bodies' output comes in the order of the lines, also out of nested loops.
func TestForeachPipesOn(t *testing.T) {
	t.Parallel()
	nested := func(outer, inner, retries int) plan.Stage {
		in := bodyTask("in", "sleep 0.0$((RANDOM0 + {line} % 3)); echo {line}")
		in.Retries.Max = retries
		mid := pipelineTask("mid", forLine("seq", "echo {line}1; echo {line}2; echo {line}3"), foreachStage("inner", inner, in), sh("cat", "cat"))
		return foreachStage("outer", outer, mid)
	}
	tests := []struct {
		name string
		each plan.Stage
		want string
	}{
		{"one", foreachStage("each", 1, bodyTask("b", "echo {line}a"), bodyTask("c", "echo {line}b")), "1a\n1b\n2a\n2b\n3a\n3b\n"},
		{"three at a time", foreachStage("each", 3, bodyTask("b", "sleep 0.$((3-{line})); echo {line}")), "1\n2\n3\n"},
		{"retries", foreachStage("each", 1, func() plan.Task {
			x := bodyTask("b", "echo {line}; test -e $DIR/tried{line} || { touch $DIR/tried{line}; exit 1; }")
			x.Retries.Max = 1
			return x
		}()), "1\n2\n3\n"},
		{"nested 1 1", nested(1, 1, 0), "11\n12\n13\n21\n22\n23\n31\n32\n33\n"},
		{"nested 1 3", nested(1, 3, 0), "11\n12\n13\n21\n22\n23\n31\n32\n33\n"},
		{"nested 3 1", nested(3, 1, 1), "11\n12\n13\n21\n22\n23\n31\n32\n33\n"},
		{"nested 3 3", nested(3, 3, 0), "11\n12\n13\n21\n22\n23\n31\n32\n33\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", sh("lines", "seq 3"), tt.each, sh("cat", "cat")))
			w.want(w.run(), Success)
			w.wantArtifact("t_stdout.log", tt.want)
			for _, n := range w.names() {
				if n != "t_stdout.log" && n != "t_stderr.log" {
					t.Errorf("artifact %s", n)
				}
			}
		})
	}
}

// A loop that ends with a loop: the output of the inner bodies is what the stage behind the outer one reads.
func TestForeachPipesOnThroughLevels(t *testing.T) {
	t.Parallel()
	mid := pipelineTask("mid", forLine("seq", "echo {line}1; echo {line}2"), foreachStage("inner", 2, bodyTask("in", "echo {line}")))
	w := newWorld(t, pipelineTask("t", sh("lines", "seq 2"), foreachStage("outer", 2, mid), sh("tac", "tac")))
	w.want(w.run(), Success)
	w.wantArtifact("t_stdout.log", "22\n21\n12\n11\n")

	w = newWorld(t, pipelineTask("t", sh("lines", "seq 2"), foreachStage("outer", 2, mid)))
	w.want(w.run(), Success)
	w.wantArtifact("in_1_12_stdout.log", "12\n")
	w.wantArtifact("in_2_21_stdout.log", "21\n")
}

func TestForeachToNull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("lines", "seq 2"), foreachStage("each", 1, bodyTask("b", "echo {line}; echo x >> $DIR/ran")),
		plan.Stage{Name: "null", Null: true}))
	w.want(w.run(), Success)
	if diff := cmp.Diff([]string{"t_stderr.log", "t_stdout.log"}, w.names()); diff != "" {
		t.Error(diff)
	}
	if got := w.file("ran"); got != "x\nx\n" {
		t.Errorf("%q", got)
	}
}

func TestForeachFailures(t *testing.T) {
	t.Parallel()
	lax := func(x plan.Task) plan.Task { x.KillLoopOnFail = false; return x }
	fails := bodyTask("body", "test {line} != 2 || exit 6; echo {line} >> $DIR/ran")
	allowed := fails
	allowed.AllowFailure = true
	spared := fails
	spared.KillDownstreamOnFail = false
	tests := []struct {
		name      string
		task      plan.Task
		outcome   Outcome
		ran       string
		lines     Lines
		committed string
		reason    string
	}{
		{"loop killed", pipelineTask("t", sh("seq", "seq 4"), foreachStage("each", 1, fails), sh("target", "$STAGE commit $DIR/committed")),
			Failed, "1\n", Lines{Total: 2, Succeeded: 1, Failed: 1}, "<none>",
			`stage "each" failed at line 2 ("2"): stage "s0" exited with code 6`},
		{"loop goes on", lax(pipelineTask("t", sh("seq", "seq 4"), foreachStage("each", 1, fails), sh("target", "$STAGE commit $DIR/committed"))),
			Failed, "1\n3\n4\n", Lines{Total: 4, Succeeded: 3, Failed: 1}, "<none>",
			`stage "each" failed at line 2 ("2"): stage "s0" exited with code 6`},
		{"allowed", pipelineTask("t", sh("seq", "seq 4"), foreachStage("each", 1, allowed), sh("target", "$STAGE commit $DIR/committed")),
			Success, "1\n3\n4\n", Lines{Total: 4, Succeeded: 4}, "COMMITTED 0", ""},
		{"later tasks of the body do not run", pipelineTask("t", sh("seq", "seq 2"), foreachStage("each", 1, fails, bodyTask("after", "echo after{line} >> $DIR/ran"))),
			Failed, "1\nafter1\n", Lines{Total: 2, Succeeded: 1, Failed: 1}, "<none>",
			`stage "each" failed at line 2 ("2"): stage "s0" exited with code 6`},
		{"later tasks of the body run", lax(pipelineTask("t", sh("seq", "seq 2"), foreachStage("each", 1, spared, bodyTask("after", "echo after{line} >> $DIR/ran")))),
			Failed, "1\nafter1\nafter2\n", Lines{Total: 2, Succeeded: 1, Failed: 1}, "<none>",
			`stage "each" failed at line 2 ("2"): stage "s0" exited with code 6`},
		{"NUL byte", lax(pipelineTask("t", sh("seq", `printf '1\na\0b\n3\n'`), foreachStage("each", 1, fails))),
			Failed, "1\n3\n", Lines{Total: 3, Succeeded: 2, Failed: 1}, "<none>",
			`stage "each" failed at line 2 ("a\x00b"): the line contains a NUL byte`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.task)
			res := w.run()
			w.want(res, tt.outcome)
			if got := w.file("ran"); got != tt.ran {
				t.Errorf("ran %q, want %q\n%s", got, tt.ran, w.story())
			}
			if got := w.file("committed"); got != tt.committed {
				t.Errorf("committed %q\n%s", got, w.story())
			}
			if diff := cmp.Diff(&tt.lines, w.stage("each").Result.Lines); diff != "" {
				t.Error(diff)
			}
			if res.Reason != tt.reason {
				t.Errorf("reason %q, want %q", res.Reason, tt.reason)
			}
		})
	}
}

func TestForeachConcurrentFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("seq", "seq 100; sleep 60"),
		foreachStage("each", 3, bodyTask("body", "test {line} != 2 || exit 6; sleep 60")), sh("target", "$STAGE commit $DIR/committed")))
	res := w.run()
	w.want(res, Failed)
	if res.Elapsed > 15*time.Second || res.Code != 6 {
		t.Errorf("%+v", res)
	}
	if got := w.file("committed"); got != "<none>" {
		t.Error(got)
	}
	for _, e := range w.kind(TaskEnded) {
		if len(e.Lines) > 0 && e.Lines[0] != "2" && e.Result.Outcome != Terminated {
			t.Errorf("line %s: %s", e.Lines, e.Result.Outcome)
		}
	}
}

// When the producer fails no further body starts, and a line that was cut short is never run.
func TestForeachProducerFails(t *testing.T) {
	t.Parallel()
	for _, drain := range []bool{false, true} {
		w := newWorld(t, pipelineTask("t", sh("lines", `printf '1\n2\ncut'; sleep 0.5; exit 3`),
			foreachStage("each", 1, bodyTask("body", "echo {line} >> $DIR/ran"))))
		w.plan.Tasks[0].Drain = drain
		res := w.run()
		w.want(res, Failed)
		if got := w.file("ran"); got != "1\n2\n" || res.Stage != "lines" {
			t.Errorf("drain %v: ran %q, blames %s\n%s", drain, got, res.Stage, w.story())
		}
	}
}

// A body starts as soon as its line has come.
func TestForeachIsLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("lines", "echo 1; while ! test -e $DIR/ran1; do sleep 0.02; done; echo 2"),
		foreachStage("each", 1, bodyTask("body", "touch $DIR/ran{line}"))))
	w.want(w.run(), Success)
}

// The reader behind a loop that has enough ends the loop, and what feeds it.
func TestForeachHead(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint("concurrency ", n), func(t *testing.T) {
			t.Parallel()
			body := pipelineTask("body", forLine("echo", "echo {line}"), sh("cat", "cat"))
			w := newWorld(t, pipelineTask("t", sh("yes", "yes"), foreachStage("each", n, body), sh("head", "head -n 2")))
			w.want(w.run(), Success)
			w.wantArtifact("t_stdout.log", "y\ny\n")
			for _, e := range w.kind(StageEnded) {
				if len(e.Lines) == 0 && e.Result.Outcome != Success {
					t.Errorf("stage %s: %s", e.Stage, e.Result.Outcome)
				}
			}
		})
	}
}

func TestForeachStdinIsNull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("seq", "seq 2"), foreachStage("each", 1, bodyTask("body", "wc -c")), sh("cat", "cat")))
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w.opts.Stdin = f
	w.want(w.run(), Success)
	w.wantArtifact("t_stdout.log", "0\n0\n")
}

func TestForeachStderr(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("seq", "seq 2"), foreachStage("each", 1, bodyTask("body", "test {line} = 1 || echo err >&2"))))
	stale := filepath.Join(w.arts, "body_1_stderr.log")
	if err := os.WriteFile(stale, []byte("of an earlier run"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.want(w.run(), Success)
	w.wantArtifact("body_1_stderr.log", "<none>")
	w.wantArtifact("body_2_stderr.log", "s0: err\n")
}

func TestForeachLineLengths(t *testing.T) {
	t.Parallel()
	t.Run("long", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipelineTask("t", sh("lines", "head -c 300000 /dev/zero | tr '\\0' x; echo; echo y"),
			foreachStage("each", 1, bodyTask("body", "printf %s {line} | wc -c")), sh("cat", "cat")))
		w.want(w.run(), Success)
		w.wantArtifact("t_stdout.log", "300000\n1\n")
	})
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipelineTask("t", sh("lines", "echo y; $STAGE bytes 20000000"), foreachStage("each", 1, bodyTask("body", "true"))))
		res := w.run()
		w.want(res, Failed)
		if !strings.Contains(res.Reason, "could not read line 2: a line is longer than 16 MiB") {
			t.Errorf("%q", res.Reason)
		}
	})
}

func TestForeachBodyTimeout(t *testing.T) {
	t.Parallel()
	slow := bodyTask("body", "sleep 60")
	slow.Timeout = seconds(0.3)
	w := newWorld(t, pipelineTask("t", sh("seq", "seq 3"), foreachStage("each", 1, slow)))
	w.plan.Tasks[0].KillLoopOnFail = false
	res := w.run()
	w.want(res, Failed)
	if !strings.Contains(res.Reason, "failed for 3 of 3 lines") || !strings.Contains(res.Reason, "timed out after 300ms") {
		t.Errorf("%q", res.Reason)
	}
}

func TestForeachEventsHaveLines(t *testing.T) {
	t.Parallel()
	mid := pipelineTask("mid", forLine("seq", "echo {line}1"), foreachStage("inner", 1, bodyTask("in", "echo {line} >&2")))
	w := newWorld(t, pipelineTask("t", sh("lines", "seq 1"), foreachStage("outer", 1, mid)))
	w.want(w.run(), Success)
	got := w.kind(Output)
	want := []Event{{Kind: Output, Task: []string{"t", "mid", "in"}, Lines: []string{"1", "11"}, Stage: "s0", Try: 1, Text: "11"}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Event{}, "Time", "Pid")); diff != "" {
		t.Error(diff)
	}
}

// Names stay the same when the task around the loop is tried again, and differ between tasks of the run.
func TestForeachNames(t *testing.T) {
	t.Parallel()
	x := pipelineTask("t", sh("lines", `printf '1\n1\n'`), foreachStage("each", 1, bodyTask("body", "echo {line}")))
	y := x
	y.Name = "u"
	x.Retries.Max = 1
	x.Pipeline = append(slices.Clone(x.Pipeline[:1]), foreachStage("each", 1, bodyTask("body", "echo {line}"),
		bodyTask("flaky", "test -e $DIR/tried || { touch $DIR/tried; exit 1; }")))
	w := newWorld(t, commandsTask("body_1", "true"), x, y)
	w.want(w.run(), Success)
	var got []string
	for _, n := range w.names() {
		if strings.HasPrefix(n, "body_1") && strings.HasSuffix(n, "_stdout.log") {
			got = append(got, n)
		}
	}
	want := []string{"body_1_stdout.log", "body_1~2_stdout.log", "body_1~3_stdout.log", "body_1~4_stdout.log", "body_1~5_stdout.log"}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSafeNames(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"a": "a", "a b": "a_b", "a;; rm -rf /": "a_rm_-rf_", "../../x": ".._.._x", "é": "_", "": "", "_a__b_": "_a__b_",
		strings.Repeat("x", 500): strings.Repeat("x", 100),
	} {
		if got := safe(line); got != want {
			t.Errorf("safe(%q) = %q, want %q", line, got, want)
		}
	}
	task := strings.Repeat("t", 100)
	s := ""
	for range 10 {
		s = suffixFor(s, strings.Repeat("x", 500), []string{"a", task})
	}
	if n := len(task + s + "~12345678_stdout.log"); n > maxName {
		t.Errorf("%d bytes", n)
	}
}

func TestRegistry(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	g := newRegistry()
	const lines = 100_000 // all the same: must not become quadratic
	for try := range 2 {
		for i := range lines {
			got := g.claim(fmt.Sprint("key", i), []string{"a", "b"}, "_x")
			want := "_x"
			if i > 0 {
				want = fmt.Sprint("_x~", i+1)
			}
			if got != want {
				t.Fatalf("try %d: %q, want %q", try, got, want)
			}
		}
	}
	if got := g.claim("other", []string{"a_x"}, ""); got != "~100001" {
		t.Errorf("two tasks share a name: %q", got)
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{" a\t\r": "a", "\x1c a b\u00a0": "a b", "\u3000": "", "\xff ": "\xff"} {
		if got := trim(in); got != want {
			t.Errorf("trim(%q) = %q, want %q", in, got, want)
		}
	}
}

// A secret that a long line is cut within leaves no part of it.
func TestShownLine(t *testing.T) {
	t.Parallel()
	e := &Engine{o: Options{Mask: func(s string) string { return strings.ReplaceAll(s, "s3cr3t-value", "***") }}}
	f := &foreach{stage: &stage{work: &work{e: e}}}
	if got, want := f.shown(strings.Repeat("x", 70)+"s3cr3t-value"), strings.Repeat("x", 70)+"***"; got != want {
		t.Errorf("got %q", got)
	}
}
