package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
)

// runTasks runs siblings in order (rule 6). Its end is that of the first task whose failure is not allowed.
func (e *Engine) runTasks(ctx context.Context, tasks []plan.Task, sc scope) ending {
	var rows rowTally
	end := e.runEach(ctx, tasks, sc, &rows)
	end.Rows = rows.rows()
	return end
}

func (e *Engine) runEach(ctx context.Context, tasks []plan.Task, sc scope, rows *rowTally) ending {
	end := ending{Result: Result{Outcome: Success}}
	for i := range tasks {
		t := &tasks[i]
		if ctx.Err() != nil {
			e.skipRest(tasks[i:], sc, context.Cause(ctx).Error())
			return stoppedBetween(ctx, end)
		}
		one := e.runTask(ctx, t, sc)
		rows.addAll(one.Rows, "")
		switch {
		case one.broken:
			return one
		case one.ok():
			continue
		case ctx.Err() != nil:
			e.skipRest(tasks[i+1:], sc, context.Cause(ctx).Error())
			return one
		case t.AllowFailure:
			continue
		}
		if end.ok() {
			end = one
		}
		if t.KillDownstreamOnFail {
			e.skipRest(tasks[i+1:], sc, fmt.Sprintf("task %q failed", t.Name))
			return end
		}
	}
	return end
}

// stoppedBetween is the end of tasks of which some never ran because ctx ended; what failed before is still told.
func stoppedBetween(ctx context.Context, end ending) ending {
	by := byCause(context.Cause(ctx))
	end.Outcome, end.Reason = by.Outcome, by.Reason
	return end
}

func (e *Engine) skipRest(tasks []plan.Task, sc scope, why string) {
	for i := range tasks {
		e.skip(&tasks[i], sc, why)
	}
}

func (e *Engine) skip(t *plan.Task, sc scope, why string) {
	sc = sc.enter(t)
	res := Result{Outcome: Skipped, Reason: why}
	e.emit(Event{Kind: TaskSkipped, Task: sc.path, Lines: sc.lines, Text: why, Result: &res})
}

// runTask runs one task with its further tries.
func (e *Engine) runTask(ctx context.Context, t *plan.Task, sc scope) ending {
	if t.Skip {
		e.skip(t, sc, cmp.Or(t.Why, "inactive"))
		return ending{Result: Result{Outcome: Skipped}}
	}
	start := time.Now()
	sc = sc.enter(t)
	end, try := e.tries(ctx, t, sc)
	end.Elapsed = time.Since(start)
	if len(end.Task) == 0 && !end.ok() {
		end.Task = sc.path
	}
	if p := e.stateful(t, sc); p != nil {
		p.Succeeded = end.Outcome == Success && !end.broken
	}
	res := end.Result
	e.emit(Event{Kind: TaskEnded, Task: sc.path, Lines: sc.lines, Try: try, Result: &res})
	return end
}

// once runs one try.
func (e *Engine) once(ctx context.Context, t *plan.Task, sc scope, try int) ending {
	e.emit(Event{Kind: TaskStarted, Task: sc.path, Lines: sc.lines, Try: try})
	limit := &timeout{after: time.Duration(t.Timeout)}
	ctx, cancel := withTimeout(ctx, limit)
	defer cancel()
	end := e.perform(ctx, t, sc, try)
	if !end.ok() && context.Cause(ctx) == error(limit) && end.Outcome == TimedOut && !strings.HasPrefix(end.Reason, limit.Error()) {
		end.Reason = limit.Error() // the task's own limit, whichever stage noticed it first
	}
	return end
}

func (e *Engine) perform(ctx context.Context, t *plan.Task, sc scope, try int) ending {
	if len(t.Tasks) > 0 {
		return e.runTasks(ctx, t.Tasks, sc)
	}
	p := e.stateful(t, sc)
	if p != nil {
		if end := e.begin(ctx, p); !end.ok() {
			return end
		}
	}
	w, err := e.openWork(t, sc, try)
	if err != nil {
		return failure("%v", err)
	}
	if p != nil {
		e.o.States.Emptied(p)
	}
	var end ending
	switch {
	case len(t.Commands) > 0:
		end = w.commands(ctx)
	case len(t.Pipeline) > 0:
		end = w.pipeline(ctx)
	default:
		e.warn(sc, "the task has no active command: nothing to do")
		end = ending{Result: Result{Outcome: Success}}
	}
	return w.close(end)
}
