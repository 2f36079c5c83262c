package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/pipeline"
)

func TestLogEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		res  RunResult
		want string
	}{
		{"success", RunResult{Status: "success", Seconds: 61.24}, "INFO  run r: success after 1m1.2s"},
		{"failed", RunResult{Status: "failed", Task: "load", Reason: `stage "tap" exited with code 3`, Seconds: 0.004, ExitCode: 1},
			`ERROR run r: failed after 4ms in load`},
		{"failed twice", RunResult{Status: "failed", Task: "load", Reason: `stage "tap" exited with code 3; store artifacts: no room`, ExitCode: 1},
			`ERROR run r: failed after 0s in load: store artifacts: no room`},
		{"not stored", RunResult{Status: "failed", Reason: "store artifacts: no room", ExitCode: 3}, `ERROR run r: failed after 0s: store artifacts: no room`},
		{"timed out", RunResult{Status: "timed_out", Reason: "timed out after 1s", Seconds: 1, ExitCode: 124},
			"ERROR run r: timed out after 1s; it took 1s"},
		{"interrupted", RunResult{Status: "interrupted", Task: "load", Reason: "interrupted by SIGINT", Seconds: 2, ExitCode: 130},
			"ERROR run r: interrupted by SIGINT; it took 2s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			c.res.RunID = "r"
			logEnd(slog.New(&lineHandler{w: &b}), c.res, `stage "tap" exited with code 3`)
			if _, got, _ := strings.Cut(strings.TrimSpace(b.String()), " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestMessageOfInterruptedTask(t *testing.T) {
	t.Parallel()
	e := pipeline.Event{Kind: pipeline.TaskEnded, Task: []string{"load"}, Result: &pipeline.Result{
		Outcome: pipeline.Interrupted, Reason: "interrupted by SIGTERM", Elapsed: 1900 * time.Millisecond,
	}}
	if _, got := message(e, strings.ToUpper); got != "load: interrupted by SIGTERM after 1.9s" {
		t.Errorf("got %q", got)
	}
}

// A secret that a long line is cut within leaves no part of it.
func TestMessageMasksLineBeforeItIsCut(t *testing.T) {
	t.Parallel()
	e := pipeline.Event{Kind: pipeline.Warning, Task: []string{"load"}, Lines: []string{strings.Repeat("x", 35) + "s3cr3t-value"}, Text: "late"}
	mask := func(s string) string { return strings.ReplaceAll(s, "s3cr3t-value", "***") }
	if _, got := message(e, mask); got != "load["+strings.Repeat("x", 35)+"***]: late" {
		t.Errorf("got %q", got)
	}
}
