package pipeline

import (
	"strings"
	"testing"

	"github.com/handoff-run/handoff/internal/plan"
)

func TestAtErrorLevel(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"ERROR no such table":                               true, // singer-python
		"CRITICAL:root:out of memory":                       true, // logging.basicConfig
		"FATAL: password authentication failed":             true, // postgres
		"[ERROR] 4 rows":                                    true,
		"\x1b[31mERROR\x1b[0m late":                         true,
		"\x1b[2m10:00:00\x1b[0m \x1b[1;31mERROR\x1b[0m 404": true,
		"\x1b[32mINFO\x1b[0m ERROR":                         false,
		"\x1b[31m\x1b[0m":                                   false,
		"  ERROR":                                           true,
		"ERRORS 0":                                          false,
		"ERROR-free":                                        false,
		"error: no such file":                               false,
		"INFO ERROR is what it says":                        false,
		"2026-11-26 10:00:00,123 | ERROR    | tap-x | 404":  true, // the Meltano SDK
		"2026-11-26 10:00:00,123 | INFO     | tap-x | ERROR 404":           false,
		"2026-11-26 10:00:00,123 - tap - CRITICAL - 404":                   true,
		"2026-11-26 10:00:00,123 - tap - WARNING - ERROR - 404":            false,
		"[2026-11-26T10:00:00Z] ERROR: 404":                                true,
		"26/11/26 10:00:00 ERROR Executor: lost":                           true, // log4j
		"10:00:00 INFO done with 0 ERROR lines":                            false,
		"3 ERROR lines":                                                    false,
		"time=2026-11-26 10:00:00 name=tap level=CRITICAL message=down":    true, // older singer-python
		`time=2026-11-26T10:00:00Z level=info msg="got level=error"`:       false,
		`ts=1 severity="error" msg=x`:                                      true,
		"2026-11-26T10:00:00Z level=INFO msg=ERROR":                        false,
		`{"level":"error","msg":"x"}`:                                      true,
		`{"msg": "x", "levelname": "CRITICAL"}`:                            true,
		`{"severity": "INFO", "msg": "{\"level\": \"error\"}"}`:            false,
		`{"level":"errorless"}`:                                            false,
		`{"msg":"ERROR"}`:                                                  false,
		"":                                                                 false,
		"Traceback (most recent call last):":                               false,
		strings.Repeat("x", 1<<16):                                         false,
		"2026-11-26 10:00:00 " + strings.Repeat("x", 200) + " ERROR later": false,
	} {
		if got := AtErrorLevel([]byte(line)); got != want {
			t.Errorf("%.80q: %v", line, got)
		}
	}
}

// A tap that logs errors and exits with 0 is a success that is told with a warning.
func TestSuccessWithErrorsWarns(t *testing.T) {
	t.Parallel()
	const three = "for i in 1 2 3; do echo ERROR $i >&2; done; echo fine >&2; "
	warnings := func(w *world) string {
		var texts []string
		for _, e := range w.kind(Warning) {
			texts = append(texts, e.Stage+": "+e.Text)
		}
		return strings.Join(texts, "\n")
	}
	for name, tt := range map[string]struct {
		task plan.Task
		want string
		code int
	}{
		"pipeline":     {task: pipelineTask("t", shells(three, "cat; echo ERROR >&2")...), want: "s0: 3 lines at ERROR level, exit code 0\ns1: 1 line at ERROR level, exit code 0"},
		"commands":     {task: commandsTask("t", three), want: "s0: 3 lines at ERROR level, exit code 0"},
		"branch":       {task: pipelineTask("t", sh("a", "echo"), forkStage("f", pipelineTask("b", shells(three)...))), want: "s0: 3 lines at ERROR level, exit code 0"},
		"bodies":       {task: pipelineTask("t", sh("a", "seq 4"), foreachStage("f", 2, pipelineTask("b", shells(three)...))), want: "f: 12 lines at ERROR level, exit code 0"},
		"inner bodies": {task: pipelineTask("t", sh("a", "seq 2"), foreachStage("f", 1, pipelineTask("o", sh("x", "seq 2"), foreachStage("g", 1, commandsTask("b", three))))), want: "f: 12 lines at ERROR level, exit code 0"},
		"a failure":    {task: commandsTask("t", three+"exit 3"), code: 3},
		"stdout":       {task: commandsTask("t", "echo ERROR")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.task)
			if res := w.run(); res.Code != tt.code {
				t.Errorf("%+v", res)
			}
			if got := warnings(w); got != tt.want {
				t.Errorf("warnings %q, want %q", got, tt.want)
			}
		})
	}
}
