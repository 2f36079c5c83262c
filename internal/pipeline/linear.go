package pipeline

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/pipe"
	"github.com/handoff-run/handoff/internal/plan"
)

// A linear is a pipeline at work. The goroutine of run owns its state; stages report by notices.
//
// A stage is live, then done (its processes are gone), then settled (its outcome is known). The last two differ
// for a stage that lost its reader: whether that is a success depends on how the reader ends.
type linear struct {
	*work
	specs  []plan.Stage
	base   int // index of the first stage
	stages []*stage
	links  []*link // links[i] joins stages i and i+1
	news   chan notice
	live   int
	first  *stage // first to fail
	slow   *stage // the one that the others waited for when ctx ended; nil: it did not

	// aborted: something failed or ctx ended. From here on no link may pass on end-of-file, also not when a
	// producer ends with success: it may have ended early because it was told to (rule 3).
	aborted bool
}

// Stages have contexts that do not end with that of the pipeline: run stops them in an order of its own, see stopAll.

// notice is what a stage reports: that it is about to fail while its processes are still being stopped, or its end.
type notice struct {
	st      *stage
	failing bool
	heard   chan struct{} // of a failing stage: closed when the stages after it are stopped
	end     ending
}

func (w *work) newLinear(specs []plan.Stage, base int) *linear {
	return &linear{work: w, specs: specs, base: base, news: make(chan notice, 2*len(specs))}
}

func (p *linear) run(ctx context.Context) ending {
	p.start(ctx)
	done := ctx.Done()
	for p.live > 0 {
		select {
		case n := <-p.news:
			p.handle(n)
		case <-done:
			done = nil
			p.slow = p.slowest()
			p.stopAll(nil, func(int) error { return context.Cause(ctx) })
		}
	}
	return p.finish(ctx)
}

// start starts the stages from first to last, and none behind one that could not be started.
func (p *linear) start(ctx context.Context) {
	in := p.sc.in
	for i := range p.specs {
		st := p.newStage(ctx, i, in)
		p.stages = append(p.stages, st)
		err := ctx.Err()
		if err != nil {
			st.cancel(context.Cause(ctx))
		} else if i < len(p.specs)-1 {
			err = p.join(st)
		}
		var wait func() ending
		if err == nil {
			wait, err = st.start()
		}
		p.live++
		if err != nil {
			in.release()
			p.handle(notice{st: st, end: st.refused(err)})
			return
		}
		if st.next != nil {
			in = st.next.input()
		}
		go func() { p.news <- notice{st: st, end: wait()} }()
	}
}

func (p *linear) newStage(ctx context.Context, i int, in *input) *stage {
	st := &stage{
		work: p.work, spec: &p.specs[i], index: p.base + i, in: in, to: p.out,
		news: p.news, began: time.Now(), stats: unknown(),
	}
	st.ctx, st.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if i > 0 {
		st.prev = p.links[i-1]
	}
	return st
}

// join makes the pipe behind st.
func (p *linear) join(st *stage) error {
	l, err := p.e.newLink()
	if err != nil {
		return err
	}
	p.links = append(p.links, l)
	p.e.meter.addLink(l)
	st.next, st.to = l, output{f: l.w, piped: true, reader: p.specs[len(p.links)].Name}
	return nil
}

func (p *linear) handle(n notice) {
	st := n.st
	if n.failing {
		p.fail(st)
		close(n.heard)
		return
	}
	st.end, st.done = n.end, true
	p.live--
	switch {
	case st.end.broken:
	case st.end.Outcome == Success:
		p.pass(st, false)
	case st.end.Outcome == Failed:
		p.fail(st)
	}
	if st.failed && p.t.Drain {
		p.pass(st, true)
	}
	p.settle()
}

// pass shows end-of-file to the stage after st, unless the pipeline is being stopped.
func (p *linear) pass(st *stage, partial bool) {
	if p.aborted || st.next == nil {
		return
	}
	st.next.partial.Store(partial)
	st.next.finish()
}

// fail stops all other stages: those behind st before they could take its partial stream for a complete one, and
// those before it because nobody needs their output.
func (p *linear) fail(st *stage) {
	st.failed = true
	if p.first != nil {
		return
	}
	p.first = st
	if p.t.Drain {
		return
	}
	why := fmt.Sprintf("stage %q failed", st.spec.Name)
	p.stopAll(st, func(i int) error { return &terminated{why: why, after: p.base+i > st.index} })
}

// stopAll stops all stages but one. No link shows end-of-file any more, and a stage is stopped before the one that it
// reads from: it must not see what that writes when it is asked to end.
func (p *linear) stopAll(but *stage, why func(i int) error) {
	p.aborted = true
	for i, st := range slices.Backward(p.stages) {
		if st != but && !st.done {
			st.stop(why(i))
		}
	}
}

// settle gives every stage that is done its outcome, as soon as that of the stage behind it is known.
func (p *linear) settle() {
	for i := len(p.stages) - 1; i >= 0; i-- {
		st := p.stages[i]
		if !st.done || st.settled || st.end.broken && !p.judge(i) {
			continue
		}
		st.settled, st.end.First = true, st == p.first
		st.tellEnd()
	}
}

// judge decides about a stage that lost its reader (rule 1); false: not yet.
func (p *linear) judge(i int) bool {
	st := p.stages[i]
	if i == len(p.stages)-1 {
		return true // its reader is behind this task: see ending.broken
	}
	reader := p.stages[i+1]
	switch {
	case !reader.settled:
		return false
	case reader.end.ok():
		st.end.Outcome = Success
	default:
		st.end.Outcome = Terminated
		st.end.Reason = fmt.Sprintf("lost its reader: stage %q did not succeed", reader.spec.Name)
	}
	return true
}

// finish closes the pipes and tells the end of the whole.
func (p *linear) finish(ctx context.Context) ending {
	end := p.outcome(ctx)
	end.Rows = p.rows()
	return end
}

// rows are those of the last stage that tells any: what was loaded, else what was read.
func (p *linear) rows() map[string]int64 {
	for _, st := range slices.Backward(p.stages) {
		if st.stats.Rows != nil {
			return st.stats.Rows
		}
	}
	return nil
}

func (p *linear) outcome(ctx context.Context) ending {
	for _, l := range p.links {
		p.e.meter.removeLink(l)
		l.drop()
	}
	allOK := true
	for _, st := range p.stages {
		st.cancel(nil)
		allOK = allOK && st.end.ok()
	}
	last := p.stages[len(p.stages)-1]
	switch {
	case p.first != nil:
		return ending{Result: ofStage(p.first.spec.Name, p.first.end.Result)}
	case !allOK && ctx.Err() != nil:
		return p.cutShort(context.Cause(ctx))
	case !allOK:
		return failure("a stage ended in an unknown way")
	}
	return ending{Result: Result{Outcome: Success}, broken: last.end.broken}
}

// cutShort is the end of a pipeline that was stopped from outside. Of one that took too long it tells where.
func (p *linear) cutShort(cause error) ending {
	end := ending{Result: byCause(cause)}
	if p.slow != nil && end.Outcome == TimedOut {
		end.Stage, end.Tail = p.slow.spec.Name, p.slow.end.Tail
		end.Reason += fmt.Sprintf(" at stage %q", end.Stage)
	}
	return end
}

// slowest is the stage that the others wait for: the last one at work, or the first before it that leaves its reader
// without input.
func (p *linear) slowest() *stage {
	var slow *stage
	for i, st := range slices.Backward(p.stages) {
		switch {
		case st.done:
		case slow == nil, p.links[i].isEmpty():
			slow = st
		default:
			return slow
		}
	}
	return slow
}

func gone(w *os.File) bool { return w != nil && pipe.ReaderGone(w) }
