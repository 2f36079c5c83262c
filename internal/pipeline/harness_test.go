package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/process"
)

// patience is the safety limit of what must not hang; nothing takes that long.
const patience = 30 * time.Second

// world is a run of a test: its folders and what it told.
type world struct {
	t     *testing.T
	dir   string // working folder
	arts  string // artifacts
	plan  plan.Plan
	opts  Options
	began time.Time

	mu     sync.Mutex
	events []Event
}

func newWorld(t *testing.T, tasks ...plan.Task) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), arts: t.TempDir()}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w.plan = plan.Plan{Project: "test", Dir: w.dir, Tasks: tasks}
	w.opts = Options{
		Artifacts:  w.arts,
		Environ:    append(os.Environ(), "GORACE=atexit_sleep_ms=0", "STAGE="+exe+" "+helperArg, "DIR="+w.dir),
		Supervisor: process.Options{Cookie: w.dir, Guard: []string{exe, helperArg, "guard"}},
		Emit: func(e Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	}
	return w
}

func (w *world) run() Result { return w.runCtx(w.t.Context()) }

func (w *world) runCtx(ctx context.Context) Result {
	w.t.Helper()
	type answer struct {
		res Result
		err error
	}
	done := make(chan answer, 1)
	w.began = time.Now()
	go func() {
		res, err := run(ctx, &w.plan, w.opts)
		done <- answer{res, err}
	}()
	select {
	case a := <-done:
		if a.err != nil {
			w.t.Fatalf("Run: %v", a.err)
		}
		w.balanced()
		return a.res
	case <-time.After(patience):
		w.t.Fatalf("the run hangs; events:\n%s", w.story())
		return Result{}
	}
}

// balanced checks that all that started also ended, in every run of every test.
func (w *world) balanced() {
	w.t.Helper()
	open := map[string]int{}
	for _, e := range w.all() {
		task := strings.Join(e.Task, "/") + fmt.Sprintf("%q", e.Lines)
		switch e.Kind {
		case TaskStarted:
			if e.Try == 1 {
				open[task]++
			}
		case TaskEnded:
			open[task]--
		case StageStarted:
			open[fmt.Sprint(task, "#", e.Stage, e.Index)]++
		case StageEnded:
			open[fmt.Sprint(task, "#", e.Stage, e.Index)]--
		}
	}
	for k, n := range open {
		if n != 0 {
			w.t.Errorf("%s: started %+d times more often than ended\n%s", k, n, w.story())
		}
	}
}

func (w *world) all() []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Event(nil), w.events...)
}

func (w *world) kind(k Kind) []Event {
	var out []Event
	for _, e := range w.all() {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}

// stage is the end of the named stage.
func (w *world) stage(name string) Event {
	w.t.Helper()
	for _, e := range w.kind(StageEnded) {
		if e.Stage == name {
			return e
		}
	}
	w.t.Fatalf("stage %q never ended\n%s", name, w.story())
	return Event{}
}

func (w *world) story() string {
	var b strings.Builder
	for _, e := range w.all() {
		fmt.Fprintf(&b, "%6d ms %s %v %q %s try=%d %s", e.Time.Sub(w.began).Milliseconds(), e.Kind, e.Task, e.Lines, e.Stage, e.Try, e.Text)
		if e.Result != nil {
			fmt.Fprintf(&b, " %s code=%d %s %q", e.Result.Outcome, e.Result.Code, e.Result.Signal, e.Result.Reason)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// want checks the outcome of the run.
func (w *world) want(res Result, o Outcome) {
	w.t.Helper()
	if res.Outcome != o {
		w.t.Fatalf("outcome %s (%s), want %s\n%s", res.Outcome, res.Reason, o, w.story())
	}
}

// artifact is the text of an artifact; "<none>" when it does not exist.
func (w *world) artifact(name string) string {
	w.t.Helper()
	return w.read(filepath.Join(w.arts, name))
}

func (w *world) file(name string) string {
	w.t.Helper()
	return w.read(filepath.Join(w.dir, name))
}

func (w *world) read(path string) string {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "<none>"
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *world) wantArtifact(name, want string) {
	w.t.Helper()
	if got := w.artifact(name); got != want {
		w.t.Errorf("%s: %q, want %q\n%s", name, clip(got), clip(want), w.story())
	}
}

func clip(s string) string {
	if len(s) > 300 {
		return s[:300] + fmt.Sprintf("... (%d bytes)", len(s))
	}
	return s
}

func (w *world) names() []string {
	w.t.Helper()
	entries, err := os.ReadDir(w.arts)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// dead checks that the process that noted its id in a file is gone.
func (w *world) dead(file string) {
	w.t.Helper()
	pid, err := strconv.Atoi(w.file(file))
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", file, err, w.story())
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		w.t.Errorf("process %d of %s is still there", pid, file)
	}
}

// await waits until a stage has written a file.
func (w *world) await(file string) {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(w.dir, file)); err == nil {
			return
		}
	}
	w.t.Fatalf("%s never came\n%s", file, w.story())
}

func sh(name, script string) plan.Stage {
	return plan.Stage{Name: name, Command: &plan.Command{Shell: "/bin/sh", Script: script}}
}

// shells names its stages s0, s1, ...
func shells(scripts ...string) []plan.Stage {
	var out []plan.Stage
	for i, s := range scripts {
		out = append(out, sh("s"+strconv.Itoa(i), s))
	}
	return out
}

// forLine is a command whose script is made of the innermost line.
func forLine(name, format string) plan.Stage {
	s := sh(name, format)
	s.Command.Text = func(lines []string) (plan.Script, error) {
		return plan.Script{Text: strings.ReplaceAll(format, "{line}", lines[len(lines)-1])}, nil
	}
	return s
}

// task has the defaults that plan gives, and a short grace.
func task(name string) plan.Task {
	return plan.Task{
		Name: name, KillAfter: plan.Duration(2 * time.Second), KillDownstreamOnFail: true, KillLoopOnFail: true,
		StdoutToFile: true, StderrToFile: true,
	}
}

func pipelineTask(name string, stages ...plan.Stage) plan.Task {
	t := task(name)
	t.Pipeline = stages
	return t
}

func commandsTask(name string, scripts ...string) plan.Task {
	t := task(name)
	t.Commands = shells(scripts...)
	return t
}

func foreachStage(name string, n int, tasks ...plan.Task) plan.Stage {
	return plan.Stage{Name: name, Foreach: &plan.Foreach{Concurrency: n, Tasks: tasks}}
}

func forkStage(name string, tasks ...plan.Task) plan.Stage {
	return plan.Stage{Name: name, Fork: tasks}
}

// run runs p on a new Engine.
func run(ctx context.Context, p *plan.Plan, o Options) (Result, error) { return New(o).Run(ctx, p) }
