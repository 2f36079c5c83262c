package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/process"
)

// settleTime is how long a failing stage whose reader has gone waits before it reports: the reader is probably the
// cause (a tap fails on EPIPE when its target crashed) and should be named as the first to fail.
const settleTime = 25 * time.Millisecond

// lingerTime is how long the processes that a stage has left may take to end by themselves: a reader in the background
// that has yet to write its last line, for example.
const lingerTime = time.Second

// A stage is one element of a running pipeline.
type stage struct {
	*work
	spec   *plan.Stage
	index  int
	in     *input
	to     output
	prev   *link // the pipe before it; nil: none
	next   *link // the pipe behind it; nil: none
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  *timeout
	news   chan<- notice
	began  time.Time

	warned     sync.Once
	heard      chan struct{}           // see notice
	proc       *process.Process        // nil: performed by handoff itself
	statsSoFar func() Stats            // of such a stage
	rowsSoFar  func() map[string]int64 // of a command
	stats      Stats                   // final once done

	// Owned by the goroutine of the pipeline.
	end                   ending
	done, settled, failed bool
}

// start starts the stage; the function that it returns waits for its end.
func (st *stage) start() (func() ending, error) {
	switch {
	case st.spec.Command != nil:
		return st.startCommand()
	case st.spec.Check != nil:
		c := newCheck(st)
		return st.own(c.run, c.statsSoFar), nil
	case st.spec.Foreach != nil:
		f := newForeach(st)
		return st.own(f.run, f.statsSoFar), nil
	case st.spec.Fork != nil:
		f := newFork(st)
		return st.own(f.run, f.statsSoFar), nil
	}
	return nil, errors.New("the stage is empty")
}

// own starts a stage that handoff itself performs; statsSoFar tells how far it is while it runs.
func (st *stage) own(run func() ending, statsSoFar func() Stats) func() ending {
	st.event(Event{Kind: StageStarted})
	st.statsSoFar = statsSoFar
	st.e.meter.addStage(st)
	return func() ending {
		defer st.e.meter.removeStage(st)
		return run()
	}
}

// refused is the end of a stage that could not be started.
func (st *stage) refused(err error) ending {
	st.event(Event{Kind: StageStarted})
	if cause := st.stopped(); cause != nil {
		return ending{Result: byCause(cause)}
	}
	end := failure("could not start: %v", err)
	end.Code = 126
	if errors.Is(err, fs.ErrNotExist) {
		end.Code = 127
	}
	return end
}

// failing reports a failure while the processes of the stage are still being stopped. The result is closed when the
// stages after it are stopped.
func (st *stage) failing() <-chan struct{} {
	st.warned.Do(func() {
		st.heard = make(chan struct{})
		st.news <- notice{st: st, failing: true, heard: st.heard}
	})
	return st.heard
}

// stop ends the stage. What must not be asked to end, in a foreach or fork too, has got SIGKILL when stop returns.
func (st *stage) stop(cause error) {
	st.cancel(cause)
	if st.statsSoFar == nil {
		st.killUnasked(cause)
		return
	}
	for _, x := range st.e.meter.atWork() {
		if x.inside(st) {
			x.killUnasked(cause)
		}
	}
}

func (st *stage) killUnasked(cause error) {
	if st.proc != nil && !st.mayAsk(cause) {
		st.cancel(cause) // first: a stage that dies and was not stopped has failed
		st.proc.Signal(syscall.SIGKILL)
	}
}

// mayAsk reports whether the process of the stage may be asked to end. A loader may commit what it has when it is
// asked: so what reads from another stage is not, nor anything after a stage that failed (rule 3).
func (st *stage) mayAsk(cause error) bool {
	t, ok := errors.AsType[*terminated](cause)
	return st.t.Terminate || st.t.Drain || !st.in.isPipe() && !(ok && t.after)
}

// inside reports whether the stage belongs to a foreach or fork, at whatever depth.
func (st *stage) inside(outer *stage) bool {
	for up := st.sc.within; up != nil; up = up.sc.within {
		if up == outer {
			return true
		}
	}
	return false
}

// stopped returns why the stage was asked to end, nil if it was not.
func (st *stage) stopped() error {
	if st.ctx.Err() == nil {
		return nil
	}
	return context.Cause(st.ctx)
}

func (st *stage) event(ev Event) { st.eventIf(nil, ev) }

// eventIf tells ev unless cond, asked at the moment of telling, says no: nothing is told of a stage after its end.
func (st *stage) eventIf(cond func() bool, ev Event) {
	ev.Task, ev.Lines, ev.Stage, ev.Index, ev.Try = st.sc.path, st.sc.lines, st.spec.Name, st.index, st.try
	if st.proc != nil {
		ev.Pid = st.proc.Pid()
	}
	st.e.emitIf(cond, ev)
}

func (st *stage) tellEnd() {
	st.tellErrors()
	res, stats := st.end.Result, st.blocked(st.stats)
	st.event(Event{Kind: StageEnded, Result: &res, Stats: &stats})
}

// tellErrors warns of a stage that has logged errors and succeeded. What a foreach runs is told by the loop, once.
func (st *stage) tellErrors() {
	n := st.end.ErrorLines
	switch {
	case n == 0 || !st.end.ok():
	case st.sc.errors != nil:
		st.sc.errors.Add(n)
	case n == 1:
		st.event(Event{Kind: Warning, Text: "1 line at ERROR level, exit code 0"})
	default:
		st.event(Event{Kind: Warning, Text: fmt.Sprintf("%d lines at ERROR level, exit code 0", n)})
	}
}

// liveStats is what can be told of a stage at work.
func (st *stage) liveStats() Stats {
	s := unknown()
	switch {
	case st.statsSoFar != nil:
		s = st.statsSoFar()
	case st.proc != nil:
		u := st.proc.Usage()
		s.CPU, s.PeakMemory, s.BytesIn, s.BytesOut = u.CPU, u.PeakMemory, u.Read, u.Written
		s.Rows = st.rowsSoFar()
	}
	return st.blocked(s)
}

// lostReader tells a stage that had nobody left to write to from one that broke (rule 1). A process that ends this
// way while its output is still being read has cut its stream short: a failure.
func (st *stage) lostReader(x process.Exit) bool {
	if x.Signal != syscall.SIGPIPE && x.Code != 128+int(syscall.SIGPIPE) {
		return false
	}
	return st.to.piped && gone(st.to.f)
}

func (st *stage) stdin() *os.File { return st.in.file() }
