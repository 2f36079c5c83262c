package pipeline

import (
	"strings"
	"testing"
)

// A target that commits what it has on SIGTERM must not be asked to end where the task says so, whatever ended the load.
func TestKillReaders(t *testing.T) {
	t.Parallel()
	const target = `trap 'echo half > $DIR/committed; exit 0' TERM INT; echo $$ > $DIR/pid; while read l; do :; done; echo all > $DIR/committed`
	for _, tt := range []struct {
		name, tap string
		fork      bool
		limit     float64
		kill      bool
		want      string
	}{
		{"the tap fails", "while [ ! -e $DIR/pid ]; do sleep 0.01; done; echo 1; exit 3", false, 0, true, "<none>"},
		{"without it the target commits", "while [ ! -e $DIR/pid ]; do sleep 0.01; done; echo 1; sleep 0.2; exit 3", false, 0, false, "half"},
		{"in a branch of a fork", "while [ ! -e $DIR/pid ]; do sleep 0.01; done; echo 1; exit 3", true, 0, true, "<none>"},
		{"the task times out", "echo 1; sleep 60", false, 2, true, "<none>"},
		{"success is not touched", "echo 1; echo 2", false, 0, true, "all"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", shells(tt.tap, target)...))
			x := &w.plan.Tasks[0]
			if tt.fork {
				branch := pipelineTask("b", shells(target)...)
				branch.KillReaders = tt.kill
				x.Pipeline = append(shells(tt.tap), forkStage("fork", branch))
			}
			x.KillReaders, x.KillAfter, x.Timeout = tt.kill, seconds(5), seconds(tt.limit)
			w.run()
			if got := strings.TrimSpace(w.file("committed")); got != tt.want {
				t.Errorf("committed %s, want %s", got, tt.want)
			}
		})
	}
}
