package pipeline

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/process"
)

const benchLines = 2000

// BenchmarkForeach and BenchmarkShellLoop do the same work: the first should stay within 1.3 times the second.
func BenchmarkForeach(b *testing.B) {
	for b.Loop() {
		body := task("body")
		body.Pipeline = []plan.Stage{forLine("s0", "echo {line} >/dev/null")}
		p := plan.Plan{Dir: b.TempDir(), Tasks: []plan.Task{
			pipelineTask("t", sh("seq", fmt.Sprint("seq ", benchLines)), foreachStage("each", 1, body)),
		}}
		res, err := run(b.Context(), &p, Options{Artifacts: b.TempDir(), Environ: []string{"PATH=/usr/bin:/bin"}, Emit: func(Event) {}, Supervisor: guarded(b)})
		if err != nil || res.Outcome != Success {
			b.Fatal(res, err)
		}
	}
}

func guarded(b *testing.B) process.Options {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	return process.Options{Cookie: b.TempDir(), Guard: []string{exe, helperArg, "guard"}}
}

func BenchmarkShellLoop(b *testing.B) {
	for b.Loop() {
		script := fmt.Sprintf(`seq %d | while read l; do sh -c "echo $l >/dev/null" > %s/body_${l}_stdout.log; done`, benchLines, b.TempDir())
		cmd := exec.Command("sh", "-c", script)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPipe moves 1 GiB through two stages: handoff is not in the way of the data.
func BenchmarkPipe(b *testing.B) {
	for b.Loop() {
		p := plan.Plan{Dir: b.TempDir(), Tasks: []plan.Task{
			pipelineTask("t", sh("a", "head -c 1073741824 /dev/zero"), sh("b", "cat"), plan.Stage{Name: "null", Null: true}),
		}}
		res, err := run(b.Context(), &p, Options{Artifacts: b.TempDir(), Environ: []string{"PATH=/usr/bin:/bin"}})
		if err != nil || res.Outcome != Success {
			b.Fatal(res, err)
		}
	}
}
