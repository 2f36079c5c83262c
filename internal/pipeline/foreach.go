package pipeline

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
)

// A foreach is the stage that runs tasks for each line of its input. It starts a body as soon as its line has come.
type foreach struct {
	*stage
	f      *plan.Foreach
	out    *os.File // takes the stdout of the bodies, in the order of the lines; nil: artifacts
	direct bool     // the bodies get out itself; else each writes to a spool that is copied when its turn comes
	leaves []string
	cancel context.CancelCauseFunc // stops all bodies
	slots  chan struct{}
	bodies sync.WaitGroup
	turn   chan struct{} // closed when the last body so far has piped on its output
	piped  atomic.Int64  // bytes copied to out
	errors atomic.Int64  // lines at ERROR level
	rows   rowTally      // of the bodies that succeeded

	before map[string]int64 // lines that have come, and where; nil: they may come again

	mu     sync.Mutex
	lines  Lines
	now    []loopLine // at work, in the order of their start
	all    int64      // see Loop
	rd     *records   // nil: nothing read yet
	first  *ending    // of the first body that failed
	cut    *ending    // of the first body that was stopped
	broken bool
}

// loopLine is a line of the input with its number, from 1.
type loopLine struct {
	n    int64
	line string
}

func newForeach(st *stage) *foreach {
	f := &foreach{stage: st, f: st.spec.Foreach, out: st.to.f, leaves: leaves(st.spec.Foreach.Tasks)}
	f.slots = make(chan struct{}, max(f.f.Concurrency, 1))
	f.turn = make(chan struct{})
	close(f.turn)
	if st.e.o.States != nil && hasState(f.f.Tasks) {
		f.before = map[string]int64{}
	}
	// Copying to a pipe changes its mode for every process that has it: a child must not have it as well.
	f.direct = f.out != nil && cap(f.slots) == 1 && !copies(f.f.Tasks)
	return f
}

// copies reports whether handoff itself may write what these tasks pipe on.
func copies(tasks []plan.Task) bool {
	for i := range tasks {
		if tasks[i].Retries.Max > 0 || copies(tasks[i].Tasks) {
			return true
		}
		for _, s := range tasks[i].Pipeline {
			if s.Check != nil || s.Foreach != nil && (s.Foreach.Concurrency > 1 || copies(s.Foreach.Tasks)) {
				return true
			}
		}
	}
	return false
}

func (f *foreach) run() ending {
	defer f.in.release()
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	f.cancel = cancel
	rd, err := newRecords(f.in)
	if err != nil {
		return failure("could not read its input: %v", err)
	}
	f.reads(rd)
	unhook := context.AfterFunc(ctx, rd.interrupt)
	err = f.loop(ctx, rd)
	if ctx.Err() != nil {
		rd.close() // the stage before gets its SIGPIPE while the bodies are still ending
		f.in.release()
	}
	f.bodies.Wait()
	unhook()
	rd.close()
	return f.finish(err)
}

// loop starts the bodies; its error is of the input.
func (f *foreach) loop(ctx context.Context, rd *records) error {
	for n := int64(1); ; n++ {
		line, err := rd.next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err != io.EOF {
			f.stopOn(fmt.Sprintf("line %d", n))
			return err
		}
		last := err == io.EOF
		if last && (line == "" || f.in.cut()) { // a cut line is not data
			return nil
		}
		if !f.dispatch(ctx, n, trim(line)) || last {
			return nil
		}
	}
}

// stopOn stops all bodies because of something that happened at the named place; what reads from the loop is stopped
// before.
func (f *foreach) stopOn(place string) {
	<-f.failing()
	f.cancel(&terminated{why: fmt.Sprintf("stage %q failed at %s", f.spec.Name, place)})
}

// dispatch starts the body of a line as soon as there is room for it; false: ctx ended before.
func (f *foreach) dispatch(ctx context.Context, n int64, line string) bool {
	if line == "" {
		f.count(func(l *Lines) { l.Blank++ })
		return true
	}
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	if ctx.Err() != nil {
		return false
	}
	f.begins(n, line)
	sc := f.sc.bodyOf(line, f.stage, n)
	sc.reader, sc.errors = f.to.reader, &f.errors
	sc.suffix = f.e.names.claim(sc.key, f.leaves, suffixFor(f.sc.suffix, line, f.leaves))
	before, after := f.turn, make(chan struct{})
	f.turn = after
	why := f.unfit(n, line)
	body := func() {
		defer func() { close(after); <-f.slots }()
		if why != "" {
			f.e.warn(f.sc, fmt.Sprintf("line %d (%s): %s", n, f.e.mask(strconv.Quote(short(line))), why)) // no task of it tells
			f.took(n, line, failure("%s", why))
			return
		}
		f.body(ctx, n, line, sc, before)
	}
	if cap(f.slots) == 1 {
		body()
	} else {
		f.bodies.Go(body)
	}
	return true
}

// unfit says why there can be no body for a line; "": there can.
func (f *foreach) unfit(n int64, line string) string {
	if strings.ContainsRune(line, 0) {
		return "the line contains a NUL byte"
	}
	if f.before == nil {
		return ""
	}
	if first := f.before[line]; first != 0 {
		return fmt.Sprintf("it has come before, as line %d: two bodies would go on from one state and store one", first)
	}
	f.before[line] = n
	return ""
}

func (f *foreach) count(change func(*Lines)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.lines)
}

func (f *foreach) begins(n int64, line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines.Total++
	f.now = append(f.now, loopLine{n, line})
}

// body runs the tasks for the n-th line, and pipes on their output when before is closed.
func (f *foreach) body(ctx context.Context, n int64, line string, sc scope, before <-chan struct{}) {
	if f.out == nil || f.direct {
		sc.out = f.out
		f.took(n, line, f.tasks(ctx, sc))
		return
	}
	s, err := f.e.newSpool()
	if err != nil {
		f.took(n, line, failure("%v", err))
		return
	}
	defer s.close()
	sc.out = s.w
	end := f.tasks(ctx, sc)
	failed := end.failed()
	if failed {
		f.took(n, line, end) // now: the bodies before it may take long
	}
	<-before
	if ctx.Err() == nil {
		end = s.deliver(ctx, f.out, end)
		f.piped.Add(s.sent)
	}
	if !failed || end.broken {
		f.took(n, line, end)
	}
}

func (f *foreach) tasks(ctx context.Context, sc scope) ending {
	return f.e.ended(ctx, sc, f.e.runTasks(ctx, f.f.Tasks, sc))
}

// took counts the end of a body, and ends the loop where that is asked for.
func (f *foreach) took(n int64, line string, end ending) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = slices.DeleteFunc(f.now, func(x loopLine) bool { return x.n == n })
	switch {
	case end.broken:
		f.broken = true
		f.cancel(&terminated{why: fmt.Sprintf("nobody reads the output of stage %q any more", f.spec.Name)})
	case end.ok():
		f.lines.Succeeded++
		f.rows.addAll(end.Rows, "")
	case end.failed() && f.ctx.Err() == nil:
		f.lines.Failed++
		f.fail(n, line, end)
	case f.cut == nil:
		f.cut = &end
	}
}

func (f *foreach) fail(n int64, line string, end ending) {
	if f.first == nil {
		end.Reason = fmt.Sprintf("line %d (%s): %s", n, strconv.Quote(f.shown(line)), end.Reason)
		f.first = &end
	}
	if f.t.KillLoopOnFail {
		f.stopOn(fmt.Sprintf("line %d", n))
	}
}

// finish says how the loop ended.
func (f *foreach) finish(err error) ending {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := ending{Result: Result{Outcome: Success}}
	switch cause := f.stopped(); {
	case cause != nil && f.first == nil:
		end = stoppedWith(cause, f.cut)
	case err != nil:
		end = failure("could not read line %d: %v", f.lines.Total+f.lines.Blank+1, err)
	case f.first != nil:
		end = f.failedLines()
	case f.broken:
		end.broken = true
	}
	lines := f.lines
	end.ErrorLines = f.errors.Load()
	end.Lines, end.Elapsed = &lines, time.Since(f.began)
	f.stats = f.copied()
	return end
}

func (f *foreach) reads(rd *records) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rd = rd
}

// copied tells what has gone through handoff; f.mu is held.
func (f *foreach) copied() Stats {
	s := unknown()
	s.Exact, s.Rows = true, f.rows.rows()
	if f.rd != nil {
		s.BytesIn = f.rd.n.Load()
	}
	if f.out != nil && !f.direct {
		s.BytesOut = f.piped.Load()
	}
	return s
}

// statsSoFar tells how far the loop is.
func (f *foreach) statsSoFar() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.copied()
	if f.rd != nil && f.all == 0 {
		f.all, _ = f.rd.total()
	}
	s.Loop = &Loop{Lines: f.lines, All: f.all}
	for _, x := range f.now[:min(len(f.now), maxNow)] {
		s.Loop.Now = append(s.Loop.Now, f.shown(x.line))
	}
	return s
}

// shown is a line as it may be shown: no secret is cut, so that none is overlooked.
func (f *foreach) shown(line string) string { return short(f.e.mask(line)) }

func (f *foreach) failedLines() ending {
	one := *f.first
	end := ending{Result: Result{Outcome: Failed, Code: max(one.Code, 1), Signal: one.Signal, Tail: one.Tail, Inner: true}}
	end.Reason = "failed at " + one.Reason
	if f.lines.Failed > 1 {
		end.Reason = fmt.Sprintf("failed for %d of %d lines, the first: %s", f.lines.Failed, f.lines.Total, one.Reason)
	}
	return end
}

const maxNow = 8 // lines: more find no room on a terminal

// short cuts a line for a message.
func short(line string) string {
	const most = 80
	if len(line) <= most {
		return line
	}
	return strings.ToValidUTF8(line[:most], "") + "..."
}
