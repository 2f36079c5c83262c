package pipeline

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handoff-run/handoff/internal/pipe"
	"github.com/handoff-run/handoff/internal/plan"
)

// A fork is the last stage of a pipeline that gives every one of its branches a full copy of its input.
type fork struct {
	*stage
	cancel   context.CancelCauseFunc // stops all branches
	branches []*branch
	all      sync.WaitGroup
	taken    atomic.Int64 // bytes of the input
	rows     rowTally     // all branches count the same records

	mu    sync.Mutex
	first *ending // of the first branch that failed
	cut   *ending // of the first branch that was stopped
	name  string  // of that branch
}

type branch struct {
	task plan.Task
	link *link
}

func newFork(st *stage) *fork { return &fork{stage: st} }

func (f *fork) run() ending {
	defer f.in.release()
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	f.cancel = cancel
	err := f.start(ctx)
	if err == nil {
		err = f.feed(ctx)
	}
	if err != nil {
		f.cancel(&terminated{why: fmt.Sprintf("stage %q failed", f.spec.Name)})
	}
	f.in.release() // where all branches have gone, the stage before gets its SIGPIPE
	f.all.Wait()
	for _, b := range f.branches {
		f.e.meter.removeLink(b.link)
		b.link.drop()
	}
	f.stats = f.statsSoFar()
	return f.finish(err)
}

// start starts the branches that are active.
func (f *fork) start(ctx context.Context) error {
	for i := range f.spec.Fork {
		t := &f.spec.Fork[i]
		if t.Skip {
			f.e.skip(t, f.sc, "inactive")
			continue
		}
		l, err := f.e.newLink()
		if err != nil {
			return err
		}
		f.e.meter.addLink(l)
		b := &branch{task: *t, link: l}
		f.branches = append(f.branches, b)
		if b.task.Retries.Max > 0 {
			f.e.warn(f.sc, fmt.Sprintf("branch %q is not tried again: its input cannot be read twice", t.Name))
			b.task.Retries = plan.Retries{}
		}
		f.all.Go(func() { f.branch(ctx, b) })
	}
	return nil
}

func (f *fork) branch(ctx context.Context, b *branch) {
	sc := f.sc
	sc.in, sc.out, sc.within = b.link.input(), nil, f.stage
	end := f.e.runTask(ctx, &b.task, sc)
	sc.in.release() // where no stage took it
	f.rows.addAll(end.Rows, b.task.Name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !end.ok() && f.cut == nil {
		f.cut = &end
	}
	if end.ok() || b.task.AllowFailure || !end.failed() || f.ctx.Err() != nil || f.first != nil {
		return
	}
	f.first, f.name = &end, b.task.Name
	if f.t.KillDownstreamOnFail && b.task.KillDownstreamOnFail {
		f.failing()
		f.cancel(&terminated{why: fmt.Sprintf("branch %q failed", b.task.Name)})
	}
}

// feed copies the input to all branches. It shows them end-of-file only when it has met that itself: the stage
// before has then ended with success (or its failure is to be drained).
func (f *fork) feed(ctx context.Context) error {
	outs := make([]*os.File, len(f.branches))
	for i, b := range f.branches {
		outs[i] = b.link.w
	}
	if f.in.file() == nil {
		f.show()
		return nil
	}
	_, err := pipe.TeeCounting(ctx, f.in.file(), outs, &f.taken)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		f.show()
	}
	return err
}

// statsSoFar tells how much has gone to the branches.
func (f *fork) statsSoFar() Stats {
	return Stats{BytesIn: f.taken.Load(), BytesOut: -1, Exact: true, RecordsOut: -1, Rows: f.rows.rows()}
}

func (f *fork) show() {
	for _, b := range f.branches {
		b.link.partial.Store(f.in.cut())
		b.link.finish()
	}
}

func (f *fork) finish(err error) ending {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := ending{Result: Result{Outcome: Success}}
	switch cause := f.stopped(); {
	case cause != nil && f.first == nil:
		end = stoppedWith(cause, f.cut)
	case f.first != nil:
		end = ending{Result: Result{Outcome: Failed, Code: max(f.first.Code, 1), Signal: f.first.Signal, Tail: f.first.Tail, Inner: true}}
		end.Reason = fmt.Sprintf("failed in branch %q: %s", f.name, f.first.Reason)
	case err != nil:
		end = failure("could not copy its input: %v", err)
	}
	end.Elapsed = time.Since(f.began)
	return end
}
