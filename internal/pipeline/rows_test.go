package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/plan"
)

// The lines are as the programs write them: singer-python, the Meltano SDK and its JSON form, a target of pipelinewise, one that
// counts twice.
func TestRowsInALine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line, stream string
		n            int64
	}{
		"singer-python":  {`INFO METRIC: {"type": "counter", "metric": "record_count", "value": 12, "tags": {"endpoint": "users"}}`, "users", 12},
		"Meltano SDK":    {`2026-11-26 20:24:00,255 | INFO     | singer_sdk.metrics             | METRIC: {"type":"counter","metric":"record_count","value":7,"tags":{"stream":"a\"b","pid":16,"context":{"x":{}}}}`, `a"b`, 7},
		"JSON":           {`{"level": "info", "message": "METRIC", "metric_info": {"type": "counter", "metric": "record_count", "value": 3, "tags": {"stream": "s"}}, "pid": 1}`, "s", 3},
		"pipelinewise":   {`time=2026-11-26 12:42:57 name=singer level=INFO message=METRIC: {"type": "counter", "metric": "record_count", "value": 5, "tags": {"database": "d", "table": "t"}}`, "t", 5},
		"meltano around": {`2026-09-19T13:53:43.5Z [info     ] INFO METRIC: {"type": "counter", "metric": "record_count", "value": 1, "tags": {"endpoint": "c"}} cmd_type=elb name=tap`, "c", 1},
		"no tags":        {`INFO METRIC: {"type": "counter", "metric": "record_count", "value": 29, "tags": {}}`, unnamed, 29},
		"none":           {`INFO METRIC: {"type": "counter", "metric": "record_count", "value": 0, "tags": {"endpoint": "users"}}`, "users", 0},
		"timer":          {`INFO METRIC: {"type": "timer", "metric": "http_request_duration", "value": 1.5, "tags": {"endpoint": "record_count"}}`, "", -1},
		"other counter":  {`INFO METRIC: {"type": "counter", "metric": "batch_count", "value": 1, "tags": {"stream": "record_count"}}`, "", -1},
		"cut":            {`INFO METRIC: {"type": "counter", "metric": "record_count", "value": 12, "tags": {"end`, "", -1},
		"no number":      {`INFO METRIC: {"type": "counter", "metric": "record_count", "value": "x"}`, "", -1},
		"negative":       {`INFO METRIC: {"type": "counter", "metric": "record_count", "value": -1, "tags": {}}`, "", -1},
		"words":          {`the record_count METRIC: is high`, "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream, _, n, ok := rowsIn(c.line)
			if ok != (c.n >= 0) || ok && (stream != c.stream || n != c.n) {
				t.Errorf("%q: %d, %v", stream, n, ok)
			}
		})
	}
}

// metricLine is what a tap logs.
func metricLine(stream, n, more string) string {
	return `echo 'INFO METRIC: {"type": "counter", "metric": "record_count", "value": ` + n + `, "tags": {"endpoint": "` + stream + `"` + more + `}}' >&2`
}

// rowsOf runs tasks and returns the rows of the run and of the stages by name.
func rowsOf(t *testing.T, w *world) (run map[string]int64, stages map[string]map[string]int64) {
	t.Helper()
	run, stages = w.run().Rows, map[string]map[string]int64{}
	for _, e := range w.kind(StageEnded) {
		if len(e.Lines) == 0 {
			stages[e.Stage] = e.Stats.Rows
		}
	}
	return run, stages
}

func TestRowsOfARun(t *testing.T) {
	t.Parallel()
	type rows = map[string]int64
	tap := sh("tap", metricLine("users", "3", "")+"; "+metricLine("users", "4", "")+"; "+metricLine("orders", "1", ""))
	target := sh("target", "cat >/dev/null; "+metricLine("users", "6", ""))
	both := sh("both", metricLine("users", "3", "")+"; "+metricLine("users", "2", `, "pid": 1`))
	messages := sh("messages", `for i in 1 2 3; do echo '{"type": "RECORD", "stream": "a", "record": {}}'; done; `+metricLine("a", "1", ""))
	quiet := sh("quiet", "cat >/dev/null; echo '{}'")
	for name, c := range map[string]struct {
		tasks  []plan.Task
		run    rows
		stages map[string]rows
	}{
		"the last that counts": {[]plan.Task{pipelineTask("t", tap, target, quiet)}, rows{"users": 6}, map[string]rows{"tap": {"users": 7, "orders": 1}, "target": {"users": 6}, "quiet": nil}},
		"nobody counts":        {[]plan.Task{pipelineTask("t", quiet)}, nil, map[string]rows{"quiet": nil}},
		"two in one command":   {[]plan.Task{pipelineTask("t", both)}, rows{"users": 3}, map[string]rows{"both": {"users": 3}}},
		"messages are exact":   {[]plan.Task{pipelineTask("t", messages)}, rows{"a": 3}, map[string]rows{"messages": {"a": 3}}},
		"tasks add up":         {[]plan.Task{pipelineTask("t", tap), pipelineTask("u", target)}, rows{"users": 13, "orders": 1}, map[string]rows{"tap": {"users": 7, "orders": 1}, "target": {"users": 6}}},
		"foreach": {
			[]plan.Task{pipelineTask("t", sh("s", "echo 1; echo 2; echo 3"), foreachStage("f", 2, pipelineTask("b", forLine("x", metricLine("l{line}", "5", "")+"; test {line} != 3")), pipelineTask("c", target)))},
			rows{"l1": 5, "l2": 5, "users": 12}, map[string]rows{"s": nil, "f": {"l1": 5, "l2": 5, "users": 12}},
		},
		"fork": {
			[]plan.Task{pipelineTask("t", tap, forkStage("f", pipelineTask("b", target), pipelineTask("c", target)))},
			rows{"users": 6}, map[string]rows{"tap": {"users": 7, "orders": 1}, "f": {"users": 6}, "target": {"users": 6}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range c.tasks {
				c.tasks[i].KillLoopOnFail = false
			}
			run, stages := rowsOf(t, newWorld(t, c.tasks...))
			if diff := cmp.Diff(c.run, run); diff != "" {
				t.Errorf("run: %s", diff)
			}
			if diff := cmp.Diff(c.stages, stages); diff != "" {
				t.Errorf("stages: %s", diff)
			}
		})
	}
}
