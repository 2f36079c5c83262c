package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (w *world) output() []string {
	var out []string
	for _, e := range w.kind(Output) {
		out = append(out, e.Stage+": "+e.Text)
	}
	return out
}

func TestStderrLines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		printf string
		want   []string
	}{
		{"lines", `a\nb\n`, []string{"a", "b"}},
		{"no newline at the end", `a\nb`, []string{"a", "b"}},
		{"blank line", `a\n\nb\n`, []string{"a", "", "b"}},
		{"carriage return", `10%%\r20%%\rdone\n`, []string{"10%", "20%", "done"}},
		{"both", `a\r\nb\r\n\r\n`, []string{"a", "b"}},
		{"invalid UTF-8", `\377a\n`, []string{"\xffa"}},
		{"nothing", ``, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, commandsTask("t", "printf '"+tt.printf+"' >&2"))
			w.want(w.run(), Success)
			var want []string
			log := ""
			for _, l := range tt.want {
				want = append(want, "s0: "+l)
				log += "s0: " + l + "\n"
			}
			if diff := cmp.Diff(want, w.output()); diff != "" {
				t.Error(diff)
			}
			w.wantArtifact("t_stderr.log", log)
		})
	}
}

func TestStderrComesLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, commandsTask("t", `printf 'half\r' >&2; while ! test -e $DIR/seen; do sleep 0.02; done`))
	emit := w.opts.Emit
	w.opts.Emit = func(e Event) {
		emit(e)
		if e.Kind == Output {
			note(filepath.Join(w.dir, "seen"))
		}
	}
	w.want(w.run(), Success)
}

func TestLongStderrLineIsMasked(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	for _, at := range []int{maxPiece - 10, maxPiece - 1, maxPiece, maxPiece - 4096 - 5, 2*maxPiece - 10} {
		w := newWorld(t, commandsTask("t", "cat $DIR/in >&2"))
		text := strings.Repeat("x", at) + secret + strings.Repeat("y", 100_000)
		if err := os.WriteFile(filepath.Join(w.dir, "in"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.opts.Mask = func(s string) string { return strings.ReplaceAll(s, secret, "[m]") }
		w.want(w.run(), Success)
		var all strings.Builder
		for _, e := range w.kind(Output) {
			if len(e.Text) > maxPiece {
				t.Errorf("a piece of %d bytes", len(e.Text))
			}
			all.WriteString(e.Text)
		}
		if want := strings.Repeat("x", at) + "[m]" + strings.Repeat("y", 100_000); all.String() != want {
			t.Errorf("secret at %d: the text differs (%d bytes)", at, all.Len())
		}
		if strings.Contains(w.artifact("t_stderr.log"), secret[:20]) {
			t.Errorf("secret at %d is in the log", at)
		}
	}
}

func TestMaskedEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("a", "echo hunter2"), foreachStage("each", 1,
		commandsTask("body", "echo hunter2 >&2; echo hunter2; exit 1"))))
	w.opts.Mask = func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }
	res := w.run()
	w.want(res, Failed)
	if strings.Contains(res.Reason+strings.Join(res.Tail, ""), "hunter2") {
		t.Errorf("%+v", res)
	}
	w.wantArtifact("body_hunter2_stderr.log", "s0: ***\n")
	w.wantArtifact("body_hunter2_stdout.log", "hunter2\n")
}

func TestStdoutNotToFile(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"pipeline", "commands"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			x := pipelineTask("t", shells("$STAGE bytes 300000", "fold -w 1000; echo; echo secret")...)
			if kind == "commands" {
				x = commandsTask("t", "$STAGE bytes 300000 | fold -w 1000; echo", "echo secret")
			}
			x.StdoutToFile, x.StderrToFile = false, false
			w := newWorld(t, x)
			w.opts.Mask = func(s string) string { return strings.ReplaceAll(s, "secret", "***") }
			w.want(w.run(), Success)
			out := w.output()
			if len(out) != 301 || out[300] != "s1: ***" {
				t.Errorf("%d lines, the last: %q", len(out), out[len(out)-1])
			}
			if n := w.names(); len(n) != 0 {
				t.Errorf("artifacts %q", n)
			}
		})
	}
}

// A process left behind that keeps stderr open must not keep the task from ending.
func TestLeftoverHoldsStderr(t *testing.T) {
	t.Parallel()
	w := newWorld(t, commandsTask("t", "echo first >&2; sleep 60 & exit 0"))
	res := w.run()
	w.want(res, Failed)
	if res.Elapsed > 10*time.Second {
		t.Errorf("took %s", res.Elapsed)
	}
	w.wantArtifact("t_stderr.log", "s0: first\n")
}

// The next stage reads until the last process that the stage before has left has ended.
func TestLeftoverHoldsStdout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("(sleep 0.5; echo late) & echo early", "cat")...))
	w.want(w.run(), Success)
	w.wantArtifact("t_stdout.log", "early\nlate\n")
}

func TestArtifactErrors(t *testing.T) {
	t.Parallel()
	t.Run("stdout cannot be created", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, commandsTask("t", "echo a"))
		if err := os.Mkdir(filepath.Join(w.arts, "t_stdout.log"), 0o755); err != nil {
			t.Fatal(err)
		}
		res := w.run()
		w.want(res, Failed)
		if !strings.Contains(res.Reason, `create artifact "t_stdout.log"`) {
			t.Errorf("%q", res.Reason)
		}
	})
	t.Run("stderr cannot be written", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, commandsTask("t", "echo a >&2"))
		e := New(w.opts)
		if err := e.open(); err != nil {
			t.Fatal(err)
		}
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		l := &stderrLog{e: e, name: "x", f: full}
		l.write([]byte("text\n"))
		work := &work{e: e, log: l}
		if end := work.close(ending{Result: Result{Outcome: Success}}); end.Outcome != Failed || !strings.Contains(end.Reason, "no space left") {
			t.Errorf("%+v", end)
		}
		e.close(0)
	})
	t.Run("name leads outside", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, commandsTask("../escaped", "echo a"))
		w.want(w.run(), Failed)
		if _, err := os.Stat(filepath.Join(filepath.Dir(w.arts), "escaped_stdout.log")); err == nil {
			t.Error("the file is there")
		}
	})
}

func TestMuchStderr(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("$STAGE emit 50000 >&2; exit 1", "cat")...))
	res := w.run()
	w.want(res, Failed)
	if n := strings.Count(w.artifact("t_stderr.log"), "\n"); n != 50000 {
		t.Errorf("%d lines", n)
	}
	if len(res.Tail) != tailLines || res.Tail[tailLines-1] != "50000" {
		t.Errorf("%q", res.Tail)
	}
}
