package pipeline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/stream"
)

func expecting(of string, c stream.Contract) plan.Stage {
	return plan.Stage{Name: "expect " + of, Check: &plan.Check{Contract: c}}
}

func columns(names ...string) stream.Contract {
	return stream.Contract{Rules: stream.Rules{Columns: names}}
}

const (
	goodLines = `printf '{"id": 1}\n{"id": 2}\n'`
	badLines  = goodLines + `; printf '{"x": 3}\n'; seq -f '{"id": %g}' 100000`
	commits   = `cat >got; echo committed >eof` // sees the end of its input only if all went well
)

func TestCheck(t *testing.T) {
	t.Parallel()
	atLeast := stream.Contract{Rules: stream.Rules{Rows: stream.Rows{Min: 3}}}
	quiet := sh("tap", goodLines+"; echo 'ERROR no token' >&2; echo bye >&2")
	quiet.Command.NoErrors = true
	for name, c := range map[string]struct {
		stages []plan.Stage
		reason string
		got    string // by the loader
	}{
		"all is well":   {[]plan.Stage{sh("tap", goodLines), expecting("tap", columns("id")), sh("load", commits)}, "", "{\"id\": 1}\n{\"id\": 2}\n"},
		"a bad record":  {[]plan.Stage{sh("tap", badLines), expecting("tap", columns("id")), sh("load", commits)}, `stage "expect tap" found that record 3 (line 3) has no value for the column "id"`, ""},
		"too few":       {[]plan.Stage{sh("tap", goodLines), expecting("tap", atLeast), sh("load", commits)}, `stage "expect tap" found that only 2 records came, at least 3 are expected`, ""},
		"an error":      {[]plan.Stage{quiet, sh("load", commits)}, `stage "tap" logged a line at ERROR level, and none is expected: ERROR no token`, ""},
		"two contracts": {[]plan.Stage{sh("tap", goodLines), expecting("tap", columns("id")), sh("map", "sed s/id/ID/"), expecting("map", columns("id")), sh("load", commits)}, `stage "expect map" found that record 1 (line 1) has no value for the column "id"`, ""},
		"a tap fails":   {[]plan.Stage{sh("tap", goodLines+"; exit 3"), expecting("tap", atLeast), sh("load", commits)}, `stage "tap" exited with code 3`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", c.stages...))
			res := w.run()
			if diff := cmp.Diff(c.reason, res.Reason); diff != "" {
				t.Errorf("%s\n%s", diff, w.story())
			}
			if c.reason != "" {
				w.want(res, Failed)
				if w.file("eof") != "<none>" {
					t.Error("the loader saw the end of its input")
				}
				return
			}
			w.want(res, Success)
			if got := w.file("got"); got != c.got {
				t.Errorf("the loader got %q", got)
			}
		})
	}
}

func TestCheckCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("tap", "seq 100000"), expecting("tap", stream.Contract{Format: stream.CSV}), sh("load", "wc -l")))
	w.want(w.run(), Success)
	s := w.stage("expect tap").Stats
	if s.RecordsOut != 99999 || s.BytesIn != 588895 || !s.Exact || s.Rows[""] != 99999 {
		t.Errorf("%+v", s)
	}
	w.wantArtifact("t_stdout.log", "100000\n")
}

// Where a check is the last stage, its artifact is that of the command; and a reader that needs no more is no failure.
func TestCheckAtTheEnd(t *testing.T) {
	t.Parallel()
	loop := func(n int) plan.Stage {
		body := pipelineTask("b", forLine("x", `echo '{"id": {line}}'`), expecting("x", columns("id")))
		return foreachStage("f", n, body)
	}
	silent := pipelineTask("silent", sh("tap", goodLines), expecting("tap", columns("id")))
	silent.StdoutToFile = false
	w := newWorld(
		t,
		pipelineTask("last", sh("tap", goodLines), expecting("tap", columns("id"))),
		pipelineTask("none", sh("tap", goodLines), expecting("tap", columns("id")), plan.Stage{Name: "nulldev", Null: true}),
		silent,
		pipelineTask("head", sh("tap", "yes '{\"id\": 1}'"), expecting("tap", columns("id")), sh("head", "head -n 1")),
		pipelineTask("loop", sh("s", "echo 1; echo 2"), loop(1), sh("all", "cat")),
		pipelineTask("loops", sh("s", "echo 1; echo 2"), loop(2), sh("all", "cat")),
		pipelineTask("fork", sh("tap", goodLines), expecting("tap", columns("id")), forkStage("f", pipelineTask("b1", sh("c", "cat")))),
	)
	w.want(w.run(), Success)
	for _, name := range []string{"last", "loop", "loops", "b1"} {
		w.wantArtifact(name+"_stdout.log", "{\"id\": 1}\n{\"id\": 2}\n")
	}
	w.wantArtifact("head_stdout.log", "{\"id\": 1}\n")
	var told []string
	for _, e := range w.kind(Output) {
		told = append(told, e.Text)
	}
	if diff := cmp.Diff([]string{`{"id": 1}`, `{"id": 2}`}, told); diff != "" {
		t.Errorf("told: %s", diff)
	}
}

func TestCheckComparesRuns(t *testing.T) {
	t.Parallel()
	change := stream.Contract{Rules: stream.Rules{Rows: stream.Rows{Change: 0.1}}}
	w := newWorld(t, pipelineTask("t", sh("tap", goodLines), expecting("tap", change), sh("load", commits)))
	w.opts.Before = func(task []string, stage string) stream.Before {
		if strings.Join(task, "/") != "t" || stage != "expect tap" {
			t.Errorf("asked for %q, %q", task, stage)
		}
		return stream.Before{Rows: map[string]int64{"": 10}}
	}
	res := w.run()
	w.want(res, Failed)
	if s := w.stage("expect tap").Stats; s.Before == nil || s.Before.Rows[""] != 10 || !strings.Contains(res.Reason, "10 are usual") {
		t.Errorf("%+v, %s", s, res.Reason)
	}
}
