package pipeline

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
)

const (
	// loader commits what it has when it is asked to end, as targets of the Meltano SDK do, and at end-of-file.
	loader = "$STAGE loader $DIR/committed $DIR/pid"

	// up waits for the loader, which can be asked from then on.
	up = "while [ ! -e $DIR/pid ]; do sleep 0.01; done; echo 1; "

	// busyTap ends with success when it is asked to: nothing tells its reader that the stream was cut short.
	busyTap = "trap 'exit 0' TERM INT HUP; " + up + "echo > $DIR/tapped; while :; do sleep 0.01; done"
)

// places are where in a pipeline a loader may stand; each takes the script of the tap before it.
func places() map[string]func(tap string) plan.Task {
	return map[string]func(tap string) plan.Task{
		"after a tap": func(tap string) plan.Task { return pipelineTask("t", shells(tap, loader)...) },
		"behind cat":  func(tap string) plan.Task { return pipelineTask("t", shells(tap, "cat", loader)...) },
		"below a shell that forks": func(tap string) plan.Task {
			return pipelineTask("t", shells(tap, "exec 3<&0; (sleep 60 & "+loader+" <&3; true) & (sleep 60; true) & wait; wait")...)
		},
		"in a branch": func(tap string) plan.Task {
			return pipelineTask("t", sh("tap", tap), forkStage("fork", pipelineTask("b", shells(loader)...), pipelineTask("c", shells("cat")...)))
		},
		"second in a branch": func(tap string) plan.Task {
			return pipelineTask("t", sh("tap", tap), forkStage("fork", pipelineTask("b", shells("cat", loader)...)))
		},
		"in a body": func(tap string) plan.Task {
			return pipelineTask("t", sh("lines", "echo x; exec sleep 60"), foreachStage("loop", 1, pipelineTask("b", shells(tap, loader)...)))
		},
		"in one of many bodies": func(tap string) plan.Task {
			body := pipelineTask("b", forLine("tap", "case {line} in x) "+tap+";; *) exec sleep 60;; esac"),
				forLine("load", "case {line} in x) exec "+loader+";; *) exec sleep 60;; esac"))
			return pipelineTask("t", sh("lines", "echo x; echo y; exec sleep 60"), foreachStage("loop", 3, body))
		},
		"in an inner body": func(tap string) plan.Task {
			inner := foreachStage("inner", 1, pipelineTask("b", shells(tap, loader)...))
			return pipelineTask("t", sh("lines", "echo x; exec sleep 60"),
				foreachStage("loop", 1, pipelineTask("o", sh("more", "echo y; exec sleep 60"), inner)))
		},
		"after a foreach": func(tap string) plan.Task {
			return pipelineTask("t", sh("lines", "echo x; exec sleep 60"), foreachStage("loop", 1, pipelineTask("b", shells(tap)...)), sh("load", loader))
		},
		"in a body before a stage": func(tap string) plan.Task {
			return pipelineTask("t", sh("lines", "echo x; exec sleep 60"), foreachStage("loop", 2, pipelineTask("b", shells(tap, loader)...)), sh("last", "cat"))
		},
	}
}

// However a load is cut short, the loader sees neither end-of-file nor a request to end.
func TestNothingIsCommittedWhenALoadIsCutShort(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for place, load := range places() {
		for name, cut := range map[string]struct {
			tap       string
			change    func(*plan.Plan)
			interrupt syscall.Signal
		}{
			"the tap fails":                      {tap: up + "exit 3"},
			"the tap is killed":                  {tap: up + "kill -9 $$"},
			"the tap fails while its rest lives": {tap: "(trap '' TERM; " + up + "sleep 60) & " + up + "exit 3"},
			"the task times out":                 {tap: busyTap, change: func(p *plan.Plan) { p.Tasks[0].Timeout = seconds(0.5) }},
			"the run times out":                  {tap: busyTap, change: func(p *plan.Plan) { p.Timeout = plan.Duration(time.Second / 2) }},
			"a command times out":                {tap: busyTap, change: func(p *plan.Plan) { eachCommand(p.Tasks, limitTap) }},
			"the loader times out":               {tap: busyTap, change: func(p *plan.Plan) { eachCommand(p.Tasks, limitLoader) }},
			"SIGTERM":                            {tap: busyTap, interrupt: syscall.SIGTERM},
			"a cause of the caller":              {tap: busyTap, interrupt: -1},
		} {
			t.Run(place+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, load(cut.tap))
				if cut.change != nil {
					cut.change(&w.plan)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if cut.interrupt != 0 {
					go func() {
						w.await("tapped")
						var cause error = Interrupt{Signal: cut.interrupt}
						if cut.interrupt < 0 {
							cause = cmpError("the lease is lost")
						}
						cancel(cause)
					}()
				}
				if res := w.runCtx(ctx); res.Outcome == Success {
					t.Errorf("success\n%s", w.story())
				}
				if got := w.file("committed"); got != "<none>" {
					t.Errorf("committed %s\n%s", got, w.story())
				}
			})
		}
	}
}

func limitTap(c *plan.Command) {
	if strings.Contains(c.Script, "trap 'exit 0'") {
		c.Timeout = seconds(0.5)
	}
}

func limitLoader(c *plan.Command) {
	if strings.Contains(c.Script, loader) {
		c.Timeout = seconds(0.5)
	}
}

func eachCommand(tasks []plan.Task, do func(*plan.Command)) {
	for i := range tasks {
		eachCommand(tasks[i].Tasks, do)
		for _, s := range tasks[i].Pipeline {
			eachCommand(s.Fork, do)
			if s.Foreach != nil {
				eachCommand(s.Foreach.Tasks, do)
			}
			if s.Command != nil {
				do(s.Command)
			}
		}
	}
}

// What comes after a failed stage is killed as a whole, a body that reads from no stage with it.
func TestBodyAfterAFailedStageIsNotAsked(t *testing.T) {
	t.Parallel()
	for _, scripts := range [][]string{{"mkfifo $DIR/fifo; exec " + loader + " <>$DIR/fifo"}, {"tail -f /dev/null", loader}} {
		w := newWorld(t, pipelineTask("t", sh("lines", "echo x; "+up+"exit 3"), foreachStage("loop", 1, pipelineTask("b", shells(scripts...)...))))
		w.want(w.run(), Failed)
		if got := w.file("committed"); got != "<none>" {
			t.Errorf("committed %s\n%s", got, w.story())
		}
	}
}

// A second try begins with nothing left of the first.
func TestRetriedLoadIsCommittedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells("if [ -e $DIR/again ]; then seq 5; else "+up+": > $DIR/again; exit 3; fi", loader)...))
	w.plan.Tasks[0].Retries = plan.Retries{Max: 1}
	w.want(w.run(), Success)
	if got := strings.TrimSpace(w.file("committed")); got != "all 5" {
		t.Errorf("committed %s", got)
	}
}

// A loader that made itself a daemon is out of reach of its group. What ends it at the end of the run must not ask either.
func TestDaemonIsNotAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", shells(up+"exit 3", "exec 4<&0; setsid "+loader+" <&4 & wait")...))
	w.want(w.run(), Failed)
	if got := w.file("committed"); got != "<none>" {
		t.Errorf("committed %s\n%s", got, w.story())
	}
}

// The first stage is asked, and only after what reads from it is gone.
func TestFirstStageIsAskedLast(t *testing.T) {
	t.Parallel()
	for i := range 10 {
		w := newWorld(t, pipelineTask("t", shells(
			"trap 'kill -0 $(cat $DIR/pid) 2>/dev/null && read x </proc/$(cat $DIR/pid)/cmdline; echo asked ${x:+too early} > $DIR/asked; exit 0' INT; "+
				up+"while :; do sleep 0.01; done",
			"exec "+loader)...))
		w.plan.Tasks[0].Timeout = seconds(0.5 + float64(i)/50)
		w.want(w.run(), Failed)
		if got := strings.TrimSpace(w.file("asked")); got != "asked" {
			t.Fatalf("%s\n%s", got, w.story())
		}
	}
}

// Who chose to have loaders asked gets that, and who chose drain gets the half.
func TestChoicesThatTakeTheHalf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		choose func(*plan.Task)
		tap    string
		limit  float64
		want   string
	}{
		"terminate, a failure": {func(t *plan.Task) { t.Terminate = true }, up + "exit 3", 0, "half"},
		"terminate, a timeout": {func(t *plan.Task) { t.Terminate = true }, busyTap, 2, "half"},
		"drain, a failure":     {func(t *plan.Task) { t.Drain = true }, up + "exit 3", 0, "all 1"},
		"drain, a timeout":     {func(t *plan.Task) { t.Drain = true }, busyTap, 2, "half"},
		"success":              {func(*plan.Task) {}, "seq 3", 0, "all 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipelineTask("t", shells(tt.tap, loader)...))
			tt.choose(&w.plan.Tasks[0])
			w.plan.Tasks[0].KillAfter, w.plan.Tasks[0].Timeout = seconds(20), seconds(tt.limit)
			w.run()
			if got := strings.TrimSpace(w.file("committed")); got != tt.want {
				t.Errorf("committed %s, want %s\n%s", got, tt.want, w.story())
			}
		})
	}
}

// Many cuts at moments that nobody chose.
func TestNothingIsCommittedAtAnyMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for i := range 30 {
		w := newWorld(t, pipelineTask("t", shells("trap 'exit 0' TERM INT; while :; do echo 1; done", "cat", loader)...))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Duration(i)*3*time.Millisecond, func() { cancel(Interrupt{Signal: syscall.SIGTERM}) })
		w.want(w.runCtx(ctx), Interrupted)
		if got := w.file("committed"); got != "<none>" {
			t.Fatalf("after %s ms: committed %s\n%s", strconv.Itoa(3*i), got, w.story())
		}
		cancel(nil)
	}
}
