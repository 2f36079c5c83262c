package pipeline

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/test/binary"
)

func TestAsOrdinaryUser(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	binary.AsUser(t, "Left|Children|Daemon|Guard")
}

// background are scripts that leave a process behind, whose id they write to the file left.
func background(t *testing.T) map[string]string {
	t.Helper()
	agent, err := exec.LookPath("ssh-agent")
	if err != nil {
		t.Fatal(err)
	}
	const quiet = ` 60 </dev/null >/dev/null 2>&1 & echo $! >left`
	return map[string]string{
		"in the group":              "sleep" + quiet,
		"with the streams":          "sleep 60 & echo $! >left",
		"in a session of its own":   "setsid sleep" + quiet,
		"with an empty environment": "setsid env -i sleep" + quiet,
		"of an unreadable program":  agent + ` -a "$PWD/sock" | sed -n 's/.*AGENT_PID=\([0-9]*\).*/\1/p' >left`,
	}
}

// left checks that the process whose id is in the file left was named, and is gone.
func (w *world) left(res Result) {
	w.t.Helper()
	w.want(res, Failed)
	pid := strings.TrimSpace(w.file("left"))
	if !strings.Contains(res.Reason, "left work behind: ") || !strings.Contains(res.Reason, "(pid "+pid+")") {
		w.t.Errorf("reason %q, want process %s", res.Reason, pid)
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		w.t.Fatal(err)
	}
	if syscall.Kill(n, 0) != syscall.ESRCH {
		w.t.Errorf("process %d is still there", n)
	}
}

// A stage that leaves work behind has failed: what reads from it must not take its output for complete.
func TestLeftWork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for name, script := range background(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for place, tasks := range map[string][]plan.Task{
				"by a command":       {commandsTask("a", script, "touch next")},
				"by the last stage":  {pipelineTask("a", shells("seq 3", "cat; "+script)...), commandsTask("b", "touch next")},
				"by the first stage": {pipelineTask("a", shells("seq 3; "+script, "$STAGE commit $DIR/next")...)},
				"in a foreach": {pipelineTask("a", sh("l", "seq 3"), foreachStage("each", 1, commandsTask("b", script))),
					commandsTask("c", "touch next")},
			} {
				t.Run(place, func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, tasks...)
					w.left(w.run())
					if got := w.file("next"); got != "<none>" {
						t.Errorf("what is behind it went on: %q", got)
					}
				})
			}
		})
	}
}

// What ends by itself within a moment was not left.
func TestChildrenThatEndSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("a", shells("(sleep 0.3; echo late) & echo early", "exec 3<&0; setsid sh -c 'cat; sleep 0.1; echo last' <&3 &")...))
	w.want(w.run(), Success)
	w.wantArtifact("a_stdout.log", "early\nlate\nlast\n")
}

func waiting(script string) plan.Stage {
	s := sh("waiting", script)
	s.Command.WaitForChildren = true
	return s
}

func TestWaitForChildren(t *testing.T) {
	t.Parallel()
	const late = "setsid sh -c 'sleep 2; echo late' & echo early"
	t.Run("the reader sees all", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipelineTask("a", waiting(late), sh("target", "$STAGE commit $DIR/done")))
		w.want(w.run(), Success)
		if got := w.file("done"); got != "COMMITTED 2" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a command of a list", func(t *testing.T) {
		t.Parallel()
		a := task("a")
		a.Commands = []plan.Stage{waiting(late), sh("next", "echo next")}
		w := newWorld(t, a)
		w.want(w.run(), Success)
		w.wantArtifact("a_stdout.log", "early\nlate\nnext\n")
	})
	t.Run("not longer than its timeout", func(t *testing.T) {
		t.Parallel()
		s := waiting("setsid sleep 60 & echo $! >left")
		s.Command.Timeout = plan.Duration(time.Second)
		w := newWorld(t, pipelineTask("a", s, sh("target", "$STAGE commit $DIR/done")))
		res := w.run()
		if w.stage("waiting").Result.Outcome != TimedOut || res.Outcome != Failed {
			t.Errorf("%+v", res)
		}
		if got := w.file("done"); got != "<none>" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("not when it has failed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipelineTask("a", waiting("setsid sleep 60 & echo $! >left; exit 3")))
		if res := w.run(); res.Code != 3 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("not when the run is stopped", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipelineTask("a", waiting("setsid sleep 60 & echo $! >left")))
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			w.await("left")
			cancel(Interrupt{Signal: syscall.SIGTERM})
		}()
		w.want(w.runCtx(ctx), Interrupted)
	})
}
