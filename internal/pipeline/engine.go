// Package pipeline runs a plan: it starts the stages as process groups, joins them by kernel pipes, decides how
// everything ended and tells it as Events. It must not know who listens, print, read the environment, or resolve
// anything: a plan has nothing left to resolve.
package pipeline

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/process"
	"github.com/handoff-run/handoff/internal/stream"
)

// defaultGrace is the time between SIGTERM and SIGKILL where the plan names none.
const defaultGrace = 10 * time.Second

// Options says how a plan is run.
type Options struct {
	Artifacts  string              // folder for the logs of the tasks; it exists
	Emit       func(Event)         // called serially; may be nil
	Mask       func(string) string // applied to every line of stderr before it goes anywhere; nil: none
	Stdin      *os.File            // of commands and of the first stage of pipelines outside of a foreach; nil: /dev/null
	Supervisor process.Options
	Environ    []string      // base environment; that of a command goes on top
	Progress   time.Duration // between Progress events; 0: none

	// Before tells what was there in earlier good runs, of a stage that checks; nil: nothing is known.
	Before func(task []string, stage string) stream.Before

	States States // nil: nobody keeps any
}

// Engine runs one plan, once.
type Engine struct {
	o       Options
	sup     *process.Supervisor
	dir     string // working folder of every command
	limit   *timeout
	root    *os.Root // the artifacts
	null    *os.File
	deposit *deposit // nil: none
	names   *registry
	readers readers
	stderr  budget
	meter   meter

	emitting sync.Mutex
	over     bool // RunEnded was told: nothing comes after it

	mu   sync.Mutex
	held []*os.File // write ends of pipes that something escaped may still read: it must not see end-of-file
	envs map[*plan.Command][]string
}

// New returns an engine for one run. Nothing is started before Run.
func New(o Options) *Engine {
	e := &Engine{o: o, names: newRegistry(), envs: map[*plan.Command][]string{}, stderr: budget{most: maxStderr}}
	if o.Supervisor.Guard != nil {
		e.deposit = newDeposit()
	}
	if e.deposit != nil {
		o.Supervisor.GuardFiles = append(slices.Clip(o.Supervisor.GuardFiles), e.deposit.files()...)
	}
	e.sup = process.NewSupervisor(o.Supervisor)
	return e
}

// Run runs p to its end and leaves no process behind. A failed task is told by the Result; the error is for a run
// that could not be run at all. The cause with which ctx is cancelled decides the outcome: see Interrupt.
func (e *Engine) Run(ctx context.Context, p *plan.Plan) (Result, error) {
	start := time.Now()
	if err := e.open(); err != nil {
		return Result{}, err
	}
	e.dir = p.Dir
	e.names.reserve(p.Tasks)
	e.limit = &timeout{after: time.Duration(p.Timeout)}
	ctx, cancel := withTimeout(ctx, e.limit)
	defer cancel()
	e.emit(Event{Kind: RunStarted})
	e.meter.start(e, e.o.Progress)
	sc := scope{in: &input{f: e.o.Stdin}, around: &body{}}
	end := e.ended(ctx, sc, e.runTasks(ctx, p.Tasks, sc))
	e.meter.stop()
	res := e.runResult(ctx, end)
	if left := e.close(e.leftoverGrace(end, p.Tasks)); len(left) > 0 && res.Outcome == Success {
		res.Outcome, res.Code, res.Reason = Failed, 1, "left work behind: "+listed(left)
	}
	res.Elapsed = time.Since(start)
	e.emit(Event{Kind: RunEnded, Result: &res})
	return res, nil
}

// Lives lets what the run has started live until d after since, and nothing be started later: see process.Supervisor.
func (e *Engine) Lives(since time.Time, d time.Duration) { e.sup.Lives(since, d) }

// KillAll sends SIGKILL to everything that the run has started, at once. Run then ends soon; it may be called at any time.
func (e *Engine) KillAll() { e.sup.KillAll() }

func (e *Engine) open() error {
	root, err := os.OpenRoot(e.o.Artifacts)
	if err != nil {
		return fmt.Errorf("open artifacts folder: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		_ = root.Close()
		return fmt.Errorf("open null device: %w", err)
	}
	e.root, e.null = root, null
	return nil
}

// close ends, and returns, what the tasks left behind: what each of its stages has left is gone already, but for processes
// that lost every sign of where they come from. Held write ends go last: whoever read from them is gone by then.
func (e *Engine) close(grace time.Duration) []process.Leftover {
	left := e.sup.Leftovers()
	if len(left) > 0 {
		e.warn(scope{}, "processes that the run left behind are stopped: "+listed(left))
	}
	if err := e.sup.Close(grace); err != nil {
		e.warn(scope{}, err.Error())
	}
	e.readers.close()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.held {
		_ = f.Close()
	}
	e.held = nil
	if e.deposit != nil {
		e.deposit.close()
	}
	_ = e.null.Close()
	_ = e.root.Close()
	return left
}

// hold keeps f open until the end of the run.
func (e *Engine) hold(f *os.File) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = append(e.held, f)
}

func (e *Engine) emit(ev Event) { e.emitIf(nil, ev) }

func (e *Engine) emitIf(cond func() bool, ev Event) {
	if e.o.Emit == nil {
		return
	}
	e.emitting.Lock()
	defer e.emitting.Unlock()
	if e.over || cond != nil && !cond() {
		return
	}
	e.over = ev.Kind == RunEnded
	ev.Time = time.Now()
	e.o.Emit(ev)
}

func (e *Engine) warn(sc scope, text string) {
	e.emit(Event{Kind: Warning, Task: sc.path, Lines: sc.lines, Text: text})
}

func (e *Engine) mask(s string) string {
	if e.o.Mask == nil {
		return s
	}
	return e.o.Mask(s)
}

// runResult turns the end of the top-level tasks into that of the run: only the run's own limit makes it timed out.
func (e *Engine) runResult(ctx context.Context, end ending) Result {
	res := end.Result
	switch cause := context.Cause(ctx); {
	case end.ok():
		res.Outcome = Success
	case cause == error(e.limit):
		res.Outcome = TimedOut
		if !strings.HasPrefix(res.Reason, cause.Error()) {
			res.Reason = cause.Error()
		}
	case isInterrupt(cause):
		res.Outcome, res.Reason = Interrupted, cause.Error()
	default:
		res.Outcome = Failed
	}
	return res
}

// leftoverGrace is the time that what tasks left behind is given to end. Where a load was cut short there may be
// a loader among it, which must not be asked to end.
func (e *Engine) leftoverGrace(end ending, tasks []plan.Task) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !end.ok() || len(e.held) > 0 {
		return 0
	}
	return longestGrace(tasks)
}

func longestGrace(tasks []plan.Task) time.Duration {
	var longest time.Duration
	for i := range tasks {
		longest = max(longest, graceOf(&tasks[i]), longestGrace(tasks[i].Tasks))
	}
	return longest
}

func graceOf(t *plan.Task) time.Duration {
	if t.KillAfter > 0 {
		return time.Duration(t.KillAfter)
	}
	return defaultGrace
}

// listed names the first of many processes.
func listed(left []process.Leftover) string {
	const most = 5
	var names []string
	for _, l := range left[:min(len(left), most)] {
		names = append(names, fmt.Sprintf("%s (pid %d)", l.Command, l.Pid))
	}
	if more := len(left) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
